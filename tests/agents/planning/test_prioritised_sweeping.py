"""Prioritised sweeping: its heap is a heap, its priorities bound residuals, and a small change is a small repair."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mdp_reference import mdps
from planning_reference import as_mdp, faults, optimum_of

from rltk.agents.planning import PolicyIteration, PrioritisedSweeping, ValueIteration
from rltk.agents.planning.prioritised_sweeping import settle_by_need
from rltk.agents.planning.structure.heap import rise, take_top
from rltk.agents.planning.structure.predecessors import find_predecessors
from rltk.errors import CriterionError
from rltk.mdp import MDP, Criterion


def settle(mdp, value, gamma, threshold, allowed):
    """(backups, the priorities left) of one run of the kernel on `value`, changed in place."""
    rows = mdp.rows
    residual = np.abs(mdp.backup(value, gamma) - value)
    arrays = (rows.row_start, rows.next_state, rows.probability, rows.reward, rows.terminated)
    done = settle_by_need(*find_predecessors(rows), *arrays, value, residual, gamma, threshold, allowed)
    return done, residual


def slippery(n, detour=None):
    """An open n x n grid in rows: four moves, each goes astray to either side with 0.1; the far corner pays 1 and ends.
    In the cell `detour` every action stays with probability 0.9."""
    noise = 0.8 * np.eye(4) + 0.1 * (np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1))
    goal, table = n * n - 1, {}
    for s in range(n * n):
        row, column = divmod(s, n)
        ahead = [
            max(row - 1, 0) * n + column,
            row * n + min(column + 1, n - 1),
            min(row + 1, n - 1) * n + column,
            row * n + max(column - 1, 0),
        ]
        share = 0.1 if s == detour else 1.0
        table[s] = {
            a: [(share * noise[a, m], t, float(t == goal), t == goal) for m, t in enumerate(ahead)]
            + [(1 - share, s, 0.0, False)]
            for a in range(4)
        }
    return MDP.from_table(table | {goal: {0: [(1.0, goal, 0.0, True)]}})


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.floats(0, 10)), max_size=60))
def test_the_top_of_the_heap_is_the_largest(orders):
    """States enter, rise and leave as a plain dictionary says; the heap and the places agree all along."""
    heap, place, priority = np.empty(12, np.int32), np.full(12, -1, np.int32), np.zeros(12)
    size, truth = 0, {}
    for s, raised in orders:
        if raised < 2 and truth:
            top = take_top(heap, place, priority, size)
            size -= 1
            assert truth.pop(int(top)) == max([*truth.values(), priority[top]])
            priority[top] = 0.0
        else:
            priority[s] += raised
            truth[s] = priority[s]
            size = rise(heap, place, priority, size, s)
        assert size == len(truth)
        assert set(heap[:size].tolist()) == set(truth)
        assert (place[heap[:size]] == np.arange(size)).all()
        assert (place >= 0).sum() == size
        assert all(priority[heap[i]] <= priority[heap[(i - 1) // 2]] for i in range(1, size))


@settings(max_examples=60, deadline=None)
@given(mdps(max_states=8, max_actions=3))
def test_predecessors_are_those_of_t(drawn):
    """Every other state that leads there and goes on, once, with the largest probability over the actions."""
    mdp = as_mdp(drawn[0])
    dense = np.zeros((mdp.n_states, mdp.n_actions, mdp.n_states))
    for s, actions in enumerate(drawn[0]):
        for a, row in actions.items():
            for p, t, _, done in row:
                dense[s, a, t] += 0 if done else float(p)
    strongest = dense.max(axis=1)
    np.fill_diagonal(strongest, 0)
    start, state, weight = find_predecessors(mdp.rows)
    for s in range(mdp.n_states):
        expected = np.flatnonzero(strongest[:, s])
        np.testing.assert_array_equal(state[start[s] : start[s + 1]], expected)
        np.testing.assert_allclose(weight[start[s] : start[s + 1]], strongest[expected, s], rtol=1e-15)


def test_the_neediest_state_is_backed_up_first():
    """Three states apart that pay 1, 3 and 2: one backup goes to the second, two to the second and third."""
    mdp = MDP.from_table({s: {0: [(1, s, pay, True)]} for s, pay in enumerate((1, 3, 2))})
    for allowed, expected in ((1, [0, 3, 0]), (2, [0, 3, 2]), (9, [1, 3, 2])):
        value = np.zeros(3)
        done, _ = settle(mdp, value, 0.9, 1e-9, allowed)

        assert value.tolist() == expected
        assert done == min(allowed, 3)


@settings(max_examples=100, deadline=None)
@given(mdps(max_states=6), st.sampled_from([0.0, 0.5, 0.99]), st.integers(0, 40))
def test_priorities_bound_the_residuals(drawn, gamma, allowed):
    """Stopped anywhere, no state's Bellman residual is above its priority; at the end none is above the threshold."""
    mdp, threshold = as_mdp(drawn[0]), 1e-7
    value = np.random.default_rng(0).normal(size=mdp.n_states)
    _, priority = settle(mdp, value, gamma, threshold, allowed)
    residual = np.abs(mdp.backup(value, gamma) - value)
    assert (residual <= priority * (1 + 1e-12) + 1e-12).all()

    settle(mdp, value, gamma, threshold, 1_000_000)
    assert np.abs(mdp.backup(value, gamma) - value).max() <= threshold + 1e-12


def test_a_small_change_is_a_small_repair():
    """One cell of 1,600 turns sticky, far from the start of all ways: repairing the old solution takes a small share of
    the backups that solving takes, and few states are touched (Wingate and Seppi 2005 for the principle)."""
    before, after = slippery(40), slippery(40, detour=41)
    planner = PrioritisedSweeping(0.95, tolerance=1e-6)
    old = PrioritisedSweeping(0.95, tolerance=1e-10).solve(before)
    cold, warm = planner.solve(after), planner.solve(after, warm_start=old)

    assert cold.converged
    assert warm.converged
    assert warm.sweeps == 1
    assert cold.sweeps >= 20
    np.testing.assert_allclose(warm.value, cold.value, atol=2e-6)

    value, threshold = PolicyIteration(0.95).solve(before).value, 5e-8
    repaired = value.copy()
    repair, _ = settle(after, repaired, 0.95, threshold, 10**9)
    anew, _ = settle(after, np.zeros(1600), 0.95, threshold, 10**9)
    assert 0 < repair < anew / 50
    assert 0 < (repaired != value).sum() < 400


def test_what_a_change_does_not_reach_is_not_touched():
    """A reward changes in one of two separate corridors: the other keeps its values to the last bit."""

    def corridors(pay):
        table = {s: {0: [(1, s + 1, 0.1, False)]} for s in range(40) if s not in (19, 39)}
        return MDP.from_table({**table, 19: {0: [(1, 19, 1, True)]}, 39: {0: [(1, 39, pay, True)]}})

    value = PolicyIteration(0.9).solve(corridors(1)).value
    repaired = value.copy()
    settle(corridors(2), repaired, 0.9, 1e-9, 10**9)

    np.testing.assert_array_equal(repaired[:20], value[:20])
    np.testing.assert_allclose(repaired, PolicyIteration(0.9).solve(corridors(2)).value, atol=1e-7)


@settings(max_examples=100, deadline=None)
@given(mdps(max_states=4), st.sampled_from([0.0, 0.5, 0.99]), st.sampled_from([1e-3, 1e-9]))
def test_bounds_contain_the_exact_optimum(drawn, gamma, tolerance):
    """In exact fractions, from nothing and from a wrong guess."""
    mdp, (best, _) = as_mdp(drawn[0]), optimum_of(drawn[0], Fraction(gamma))
    planner = PrioritisedSweeping(gamma, tolerance=tolerance)
    for guess in (None, np.full(mdp.n_states, -1e3)):
        solution = planner.solve(mdp, warm_start=guess)

        assert faults(solution, drawn[0], best) == []
        assert solution.converged, solution.note


@pytest.mark.parametrize("form", ["rows", "moves"])
def test_it_agrees_with_value_iteration(form):
    """Compact and general form of random moves, to 1e-9."""
    random = np.random.default_rng(4)
    ends = np.arange(300) % 50 == 0
    mdp = MDP.from_moves(random.integers(0, 300, (300, 4)), np.eye(4) * 0.6 + 0.1, random.normal(size=300), ends)
    mdp = mdp if form == "moves" else MDP(mdp.rows)
    expected = ValueIteration(0.95, tolerance=1e-9).solve(mdp)
    solution = PrioritisedSweeping(0.95, tolerance=1e-9).solve(mdp)

    assert solution.converged
    np.testing.assert_allclose(solution.value, expected.value, atol=2e-9)


def test_a_guess_is_not_changed():
    """The values that a run begins from stay the caller's."""
    mdp, guess = slippery(5), np.arange(25.0)
    PrioritisedSweeping(0.9).solve(mdp, warm_start=guess)

    np.testing.assert_array_equal(guess, np.arange(25.0))


def test_it_says_when_it_was_stopped():
    """One sweep's worth of backups on a grid: not converged, said so, and the bounds hold."""
    mdp = slippery(12)
    exact = PolicyIteration(0.99).solve(mdp).value
    for most in (1, 3):
        solution = PrioritisedSweeping(0.99, max_sweeps=most, tolerance=1e-9).solve(mdp)

        assert not solution.converged
        assert "max_sweeps" in solution.note
        assert solution.sweeps <= most
        assert (solution.lower <= exact).all()
        assert (exact <= solution.upper).all()


def test_a_tolerance_below_rounding_is_not_waited_for():
    """A pair of states that go round for 1e6 a step: rounding is far above the tolerance, which is said."""
    mdp = MDP.from_table({0: {0: [(1, 1, 1e6 / 3, False)]}, 1: {0: [(1 / 3, 0, 0.1, False), (2 / 3, 1, 0, False)]}})
    solution = PrioritisedSweeping(0.9, tolerance=1e-15).solve(mdp)

    assert not solution.converged
    assert "rounding" in solution.note
    assert solution.half_width < 1e-6
    assert solution.sweeps < 5000


def test_what_it_does_not_take():
    """Gamma 1 and horizons are refused by the planner itself."""
    for criterion in (Criterion(1.0), Criterion(0.9, horizon=5)):
        with pytest.raises(CriterionError, match=r"rltk\.solve"):
            PrioritisedSweeping(criterion=criterion)
