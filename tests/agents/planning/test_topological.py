"""Topological value iteration: its components are those of T, and what only goes forward takes one backup a state."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mdp_reference import mdps
from planning_reference import as_mdp, faults, optimum_of
from scipy.sparse.csgraph import connected_components

from rltk.agents.planning import PolicyIteration, TopologicalValueIteration, ValueIteration
from rltk.agents.planning.structure.components import find_components
from rltk.errors import CriterionError
from rltk.mdp import MDP, Criterion


def forward_mdp(n_states, seed):
    """Random states that lead to higher ones or stay, three actions, some ending; numbered at random."""
    random = np.random.default_rng(seed)
    number = random.permutation(n_states)
    table = {}
    for k in range(n_states):
        actions = {}
        for a in range(3):
            ahead = number[random.integers(k, n_states, 2)]
            pay = random.normal(size=3)
            actions[a] = [
                (0.25, int(number[k]), pay[0], False),
                (0.25, int(ahead[0]), pay[1], bool(random.random() < 0.1)),
                (0.5, int(ahead[1]), pay[2], False),
            ]
        table[int(number[k])] = actions
    return MDP.from_table({s: table[s] for s in range(n_states)})


def loops_in_a_row(n_loops):
    """Pairs of states that lead to each other or to the next pair, the last ends; numbered against the flow of values,
    so that sweeps over everything would take a sweep a pair."""
    table = {}
    for k in range(n_loops):
        last = k == n_loops - 1
        table[2 * k] = {0: [(1, 2 * k + 1, -1, False)]}
        table[2 * k + 1] = {0: [(0.5, 2 * k, -1, False), (0.5, 2 * k if last else 2 * k + 2, -2, last)]}
    return MDP.from_table(table)


@settings(max_examples=60, deadline=None)
@given(mdps(max_states=12, max_actions=2))
def test_components_are_those_of_the_graph(drawn):
    """Each state once; two states together where SciPy puts them together; no edge leads to a later component."""
    mdp = as_mdp(drawn[0])
    rows = mdp.rows
    order = find_components(rows)
    component = np.empty(mdp.n_states, dtype=int)
    for c in range(order.begin.size - 1):
        component[order.state[order.begin[c] : order.begin[c + 1]]] = c
    source = np.repeat(np.arange(mdp.n_states * mdp.n_actions), np.diff(rows.row_start)) // mdp.n_actions
    on = ~rows.terminated
    edges = sp.coo_array((np.ones(on.sum()), (source[on], rows.next_state[on])), shape=(mdp.n_states, mdp.n_states))
    count, label = connected_components(edges, directed=True, connection="strong")

    assert sorted(order.state) == list(range(mdp.n_states))
    assert count == order.begin.size - 1
    assert len(set(zip(component.tolist(), label.tolist(), strict=True))) == count
    assert (component[rows.next_state[on]] <= component[source[on]]).all()


def test_within_a_component_the_exits_come_first():
    """A ring that can be left at one state: breadth-first from there against the edges, whatever the numbers are."""
    n = 9
    table = {s: {0: [(1, (s + 1) % n, -1, False)]} for s in range(n)}
    table[5][1] = [(1, 5, 0, True)]

    assert find_components(MDP.from_table(table).rows).state.tolist() == [5, 4, 3, 2, 1, 0, 8, 7, 6]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gamma", [0.0, 0.9, 0.999])
def test_what_only_goes_forward_takes_one_sweep(seed, gamma):
    """Acyclic but for staying: each state is backed up once and is exact (Dai and Goldsmith 2007)."""
    mdp = forward_mdp(200, seed)
    solution = TopologicalValueIteration(gamma, tolerance=1e-7).solve(mdp)

    assert solution.sweeps == 1
    assert solution.converged
    np.testing.assert_allclose(solution.value, mdp.chain(solution.policy).value(gamma), atol=1e-10)
    np.testing.assert_allclose(solution.value, PolicyIteration(gamma).solve(mdp).value, atol=1e-10)


def test_a_chain_of_a_million_states():
    """One sweep and no recursion: -1 a step until the end."""
    n = 1_000_000
    T = sp.csr_array((np.ones(n), np.minimum(np.arange(n) + 1, n - 1), np.arange(n + 1)), shape=(n, n))
    mdp = MDP.from_arrays([T], np.full((n, 1), -1.0), terminated=np.arange(n) == n - 1)
    solution = TopologicalValueIteration(0.9).solve(mdp)

    assert solution.sweeps == 1
    assert solution.converged
    np.testing.assert_allclose(solution.value[[0, -3, -2]], [-10, -1.9, -1], atol=1e-6)


def test_sweeps_do_not_grow_with_the_number_of_components():
    """Each loop is settled before the next looks at it: a hundred times the loops, the same sweeps."""
    few, many = (TopologicalValueIteration(0.95, tolerance=1e-8).solve(loops_in_a_row(n)) for n in (10, 1000))

    assert few.converged
    assert many.converged
    assert many.sweeps <= few.sweeps + 1
    assert many.sweeps < 40


@settings(max_examples=100, deadline=None)
@given(mdps(max_states=4), st.sampled_from([0.0, 0.5, 0.99]), st.sampled_from([1e-3, 1e-9]))
def test_bounds_contain_the_exact_optimum(drawn, gamma, tolerance):
    """In exact fractions, from nothing and from a wrong guess."""
    mdp, (best, _) = as_mdp(drawn[0]), optimum_of(drawn[0], Fraction(gamma))
    planner = TopologicalValueIteration(gamma, tolerance=tolerance)
    for guess in (None, np.full(mdp.n_states, 1e3)):
        solution = planner.solve(mdp, warm_start=guess)

        assert faults(solution, drawn[0], best) == []
        assert solution.converged, solution.note


@pytest.mark.parametrize("form", ["rows", "moves"])
def test_it_agrees_with_value_iteration(form):
    """Compact and general form of random moves, to 1e-9."""
    random = np.random.default_rng(3)
    ends = np.arange(300) % 50 == 0
    mdp = MDP.from_moves(random.integers(0, 300, (300, 4)), np.eye(4) * 0.6 + 0.1, random.normal(size=300), ends)
    mdp = mdp if form == "moves" else MDP(mdp.rows)
    expected = ValueIteration(0.95, tolerance=1e-9).solve(mdp)
    solution = TopologicalValueIteration(0.95, tolerance=1e-9).solve(mdp)

    assert solution.converged
    np.testing.assert_allclose(solution.value, expected.value, atol=2e-9)


def test_it_says_when_it_was_stopped():
    """A ring of 200 states that takes many sweeps: stopped after one it says so, and the bounds hold."""
    n = 200
    table = {s: {0: [(0.5, (s + 1) % n, s, False), (0.5, (s * 7) % n, 0, False)]} for s in range(n)}
    mdp = MDP.from_table(table)
    exact = PolicyIteration(0.99).solve(mdp).value
    for most in (1, 2, 5):
        solution = TopologicalValueIteration(0.99, max_sweeps=most).solve(mdp)

        assert not solution.converged
        assert "max_sweeps" in solution.note
        assert solution.sweeps <= most + 1
        assert (solution.lower <= exact).all()
        assert (exact <= solution.upper).all()


def test_a_solution_needs_no_second_solving():
    """Begun from its own closer solution it looks once and is done."""
    mdp = loops_in_a_row(50)
    solution = TopologicalValueIteration(0.99, tolerance=1e-9).solve(mdp)
    again = TopologicalValueIteration(0.99).solve(mdp, warm_start=solution)

    assert again.sweeps == 1 < solution.sweeps
    assert again.converged


def test_a_tolerance_below_rounding_is_not_waited_for():
    """A pair of states that go round for 1e6 a step: rounding is far above the tolerance, which is said."""
    mdp = MDP.from_table({0: {0: [(1, 1, 1e6 / 3, False)]}, 1: {0: [(1 / 3, 0, 0.1, False), (2 / 3, 1, 0, False)]}})
    solution = TopologicalValueIteration(0.9, tolerance=1e-15).solve(mdp)

    assert not solution.converged
    assert "rounding" in solution.note
    assert solution.half_width < 1e-6
    assert solution.sweeps < 5000


def test_what_it_does_not_take():
    """Gamma 1 and horizons are refused by the planner itself."""
    for criterion in (Criterion(1.0), Criterion(0.9, horizon=5)):
        with pytest.raises(CriterionError, match=r"rltk\.solve"):
            TopologicalValueIteration(criterion=criterion)
