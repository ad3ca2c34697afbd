"""Windowed Gauss-Seidel: its patterns are the MDP, its order is an order, its bounds hold the exact values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.agents.planning import PolicyIteration, solve
from rltk.agents.planning.gauss_seidel import GaussSeidel
from rltk.agents.planning.structure.ordering import BLOCK, goal_first
from rltk.agents.planning.structure.patterns import find_patterns
from rltk.envs.gridworld import compile_map, parse_map
from rltk.errors import ArgumentError
from rltk.mdp import MDP


def grid(size: int, seed: int, slip: float = 0.2, walls: float = 0.2, settings_: str = "") -> MDP:
    """A random slippery map in the compact form."""
    cells = np.where(np.random.default_rng(seed).random((size, size)) < walls, "#", ".")
    cells[0, 0], cells[-1, -1] = "S", "G"
    text = "\n".join("".join(row) for row in cells) + f"\n---\nslip = {slip}\n{settings_}"
    return compile_map(parse_map(text))[0]


def scattered(n_states: int, n_actions: int, seed: int) -> MDP:
    """Random rows: up to three successors, some actions missing, some outcomes final, rewards of both signs."""
    random = np.random.default_rng(seed)
    T = np.zeros((n_states, n_actions, n_states))
    ends = np.zeros(T.shape, dtype=bool)
    for s in range(n_states):
        successors = random.choice(n_states, min(3, n_states), replace=False)
        for a in range(n_actions):
            if a > 0 and random.random() < 0.2:
                continue
            T[s, a, successors] = random.multinomial(8, np.full(successors.size, 1 / successors.size)) / 8
            ends[s, a, successors] = random.random(successors.size) < 0.1
    return MDP.from_arrays(T, random.normal(size=T.shape), terminated=ends, available=T.sum(axis=2) > 0)


def q_of(mdp: MDP, value: np.ndarray, gamma: float) -> np.ndarray:
    """One look ahead computed from the patterns alone, loops not divided out."""
    patterns = find_patterns(mdp)
    p = patterns.pattern
    ahead = np.einsum("sad,sd->sa", patterns.table.weight[p], value[patterns.successors])
    return patterns.table.reward[p] + gamma * (ahead + patterns.table.own[p] * value[:, None])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 10_000))
def test_patterns_are_the_mdp(n_states, n_actions, seed):
    """Looking ahead through patterns is looking ahead through T and R, for any rows."""
    mdp = scattered(n_states, n_actions, seed)
    value = np.random.default_rng(seed).normal(size=n_states)
    np.testing.assert_allclose(q_of(mdp, value, 0.9), mdp.q(value, 0.9), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("extra", ["", "[rewards]\nstep = -0.1\nbump = -1.0\n"])
def test_patterns_of_both_forms(extra):
    """The compact form and its rows have the same few patterns: a slippery grid repeats itself."""
    mdp = grid(20, 0, settings_=extra)
    value = np.random.default_rng(0).normal(size=mdp.n_states)
    for form in (mdp, MDP(mdp.rows, mdp.start)):
        assert len(find_patterns(form).table.own) < 60
        np.testing.assert_allclose(q_of(form, value, 0.9), mdp.q(value, 0.9), rtol=1e-12, atol=1e-12)


def test_the_order_is_breadth_first():
    """Every state once; a state of a level has a successor in the level before; blocks know who depends on them."""
    mdp = grid(40, 1)
    patterns = find_patterns(mdp)
    order, successors = goal_first(patterns, 4)
    assert sorted(order.state) == list(range(mdp.n_states))
    assert (order.place[order.state] == np.arange(mdp.n_states)).all()
    np.testing.assert_array_equal(order.state[successors], patterns.successors[order.state])
    for block in range(order.level_end.size):
        blocks = set(order.dependants[order.dependants_start[block] : order.dependants_start[block + 1]].tolist())
        inside = (successors // BLOCK == block) & (successors != np.arange(mdp.n_states)[:, None])
        assert blocks == set((np.flatnonzero(inside.any(axis=1)) // BLOCK).tolist())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.99, 0.999])
@pytest.mark.parametrize("seed", range(3))
def test_bounds_hold_the_exact_values_on_grids(gamma, seed):
    """Within the tolerance of policy iteration's values, both forms and any numbering of the states alike."""
    mdp = grid(25, seed)
    exact = PolicyIteration(gamma).solve(mdp)
    shuffled = np.random.default_rng(seed).permutation(mdp.n_states)
    T = [matrix.tocsr()[shuffled][:, shuffled] for matrix in sparse_of(mdp)]
    for form, expected in ((mdp, exact.value), (MDP(mdp.rows), exact.value), (T, exact.value[shuffled])):
        if isinstance(form, list):
            form = MDP.from_arrays(T, mdp.expected_reward()[shuffled])
        solution = GaussSeidel(gamma, tolerance=1e-7).solve(form)
        assert solution.converged
        assert (solution.lower <= expected + 1e-11).all()
        assert (expected - 1e-11 <= solution.upper).all()


def sparse_of(mdp: MDP) -> list:
    """One sparse (S, S) matrix an action, endings as loops of a state that pays nothing: the same values."""
    import scipy.sparse as sp

    matrices = []
    for a in range(mdp.n_actions):
        rows = np.arange(a, mdp.n_states * mdp.n_actions, mdp.n_actions)
        state = np.repeat(np.arange(mdp.n_states), np.diff(mdp.row_start)[rows])
        index = np.concatenate([np.arange(mdp.row_start[row], mdp.row_start[row + 1]) for row in rows])
        entries = (mdp.probability[index], (state, mdp.next_state[index]))
        matrices.append(sp.coo_array(entries, shape=(mdp.n_states, mdp.n_states)))
    return matrices


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 10_000), st.sampled_from([0.0, 0.7, 0.99]))
def test_bounds_hold_the_exact_values_anywhere(n_states, n_actions, seed, gamma):
    """Random rows, rewards of both signs, missing actions: the same bounds hold."""
    mdp = scattered(n_states, n_actions, seed)
    if find_patterns(mdp) is None:
        return
    exact = PolicyIteration(gamma).solve(mdp).value
    solution = GaussSeidel(gamma, tolerance=1e-8).solve(mdp)
    assert solution.converged
    assert (solution.lower <= exact + 1e-11).all()
    assert (exact - 1e-11 <= solution.upper).all()


def test_few_sweeps_on_a_large_grid():
    """What the order and the window are for: far fewer backups a state than the synchronous sweep needs."""
    mdp = grid(150, 3)
    assert GaussSeidel(0.99).solve(mdp).sweeps < 40


def wide(n_states: int, seed: int, terminal: bool) -> MDP:
    """Random rows with twelve successors a state, some of them final."""
    random = np.random.default_rng(seed)
    T = np.zeros((n_states, 2, n_states))
    for s in range(n_states):
        for a in range(2):
            T[s, a, random.choice(n_states, 6, replace=False)] = random.dirichlet(np.ones(6))
    ends = (T > 0) & (random.random(T.shape) < 0.05) if terminal else None
    return MDP.from_arrays(T, random.normal(size=T.shape), terminated=ends)


@pytest.mark.parametrize("terminal", [False, True])
def test_any_number_of_successors(terminal):
    """More than eight successors a state: the same answer from the rows themselves."""
    mdp = wide(60, 0, terminal)
    assert find_patterns(mdp) is None
    exact = PolicyIteration(0.95).solve(mdp).value
    solution = GaussSeidel(0.95, tolerance=1e-9).solve(mdp)
    assert solution.converged
    assert (solution.lower <= exact + 1e-11).all()
    assert (exact - 1e-11 <= solution.upper).all()


@pytest.mark.parametrize("as_rows", [False, True])
def test_a_warm_start_mends_only_what_changed(as_rows):
    """From the solution of a map with one cell walled up, the map without it is certified in a few backups a state;
    states are matched by their cells."""
    text = [list(row) for row in np.where(np.random.default_rng(5).random((100, 100)) < 0.2, "#", ".")]
    text[0][0], text[-1][-1], text[40][40] = "S", "G", "."
    after = compile_map(parse_map("\n".join(map("".join, text)) + "\n---\nslip = 0.2\n"))[0]
    text[40][40] = "#"
    before = compile_map(parse_map("\n".join(map("".join, text)) + "\n---\nslip = 0.2\n"))[0]
    assert before.n_states == after.n_states - 1
    if as_rows:
        after = MDP(after.rows, after.start, state_labels=after.state_labels)
    old = solve(before)
    cold, warm = solve(after), solve(after, warm_start=old)
    assert warm.converged
    assert 4 * warm.sweeps < cold.sweeps
    assert (warm.lower <= cold.upper).all()
    assert (cold.lower <= warm.upper).all()


def test_a_misleading_warm_start_harms_nothing():
    """Values that are far off, above or below, give the same certificate."""
    mdp = grid(40, 3)
    exact = PolicyIteration(0.99).solve(mdp).value
    for guess in (
        np.full(mdp.n_states, 1e3),
        np.full(mdp.n_states, -1e3),
        np.random.default_rng(0).normal(size=mdp.n_states),
    ):
        solution = GaussSeidel(0.99).solve(mdp, warm_start=guess)
        assert solution.converged
        assert (solution.lower <= exact + 1e-12).all()
        assert (exact - 1e-12 <= solution.upper).all()
    with pytest.raises(ArgumentError, match="warm_start"):
        GaussSeidel(0.99).solve(mdp, warm_start=np.zeros(3))


def test_it_says_when_it_was_stopped():
    """Too few sweeps: not converged, and the bounds still hold."""
    mdp = grid(30, 2)
    exact = PolicyIteration(0.99).solve(mdp).value
    solution = GaussSeidel(0.99, tolerance=1e-12, max_sweeps=1).solve(mdp)
    assert not solution.converged
    assert (solution.lower <= exact).all()
    assert (exact <= solution.upper).all()
