"""Linear programming: its constraints are the MDP, what HiGHS leaves is mended, and occupancies solve the dual."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mdp_reference import mdps
from planning_reference import as_mdp, faults, optimum_of

from rltk.agents.planning import LinearProgramming, PolicyIteration, ValueIteration, linear_programming
from rltk.agents.planning.linear_programming import constraints_of, program
from rltk.errors import CriterionError, SizeError
from rltk.mdp import MDP, Criterion


def random_moves(n_states, seed, scale=1.0):
    """Random moves in the compact form, a state in fifty ends."""
    random = np.random.default_rng(seed)
    moves, ends = random.integers(0, n_states, (n_states, 4)), np.arange(n_states) % 50 == 0
    return MDP.from_moves(moves, np.eye(4) * 0.6 + 0.1, scale * random.normal(size=n_states), ends)


@settings(max_examples=60, deadline=None)
@given(mdps(max_states=6, max_actions=3), st.sampled_from([0.0, 0.5, 0.99]))
def test_constraints_are_the_bellman_inequalities(drawn, gamma):
    """A row for each available action: left v - right is v(s) - q(s, a), for any v."""
    mdp = as_mdp(drawn[0])
    value = np.random.default_rng(0).normal(size=mdp.n_states)
    left, right = constraints_of(mdp, gamma)
    slack = value[:, None] - mdp.q(value, gamma)

    np.testing.assert_allclose(left @ value - right, slack[mdp.available], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(mdps(max_states=4), st.sampled_from([0.0, 0.5, 0.99]), st.sampled_from([1e-3, 1e-9]))
def test_bounds_contain_the_exact_optimum(drawn, gamma, tolerance):
    """In exact fractions; the bounds close to rounding whatever was asked."""
    mdp, (best, _) = as_mdp(drawn[0]), optimum_of(drawn[0], Fraction(gamma))
    solution = LinearProgramming(gamma, tolerance=tolerance).solve(mdp)

    assert faults(solution, drawn[0], best) == []
    assert solution.converged
    assert solution.half_width < 1e-9
    assert solution.note == ""
    assert solution.sweeps <= 3


def test_the_program_alone_is_the_optimum_to_its_tolerances():
    """Before it is mended: no policy iteration in disguise (Puterman 1994, section 6.9)."""
    mdp = random_moves(200, 0)
    value, failure = program(mdp, 0.95)

    assert failure == ""
    np.testing.assert_allclose(value, PolicyIteration(0.95).solve(mdp).value, atol=1e-5)


@pytest.mark.parametrize("form", ["rows", "moves"])
def test_it_agrees_with_value_iteration(form):
    """Compact and general form of random moves, to 1e-9."""
    mdp = random_moves(300, 4)
    mdp = mdp if form == "moves" else MDP(mdp.rows)
    expected = ValueIteration(0.95, tolerance=1e-9).solve(mdp)
    solution = LinearProgramming(0.95, tolerance=1e-9).solve(mdp)

    assert solution.converged
    np.testing.assert_allclose(solution.value, expected.value, atol=2e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1e12, 1e200])
def test_the_unit_of_rewards_does_not_matter(scale):
    """HiGHS's tolerances are absolute; divided by the largest reward all units are one problem to it."""
    first, second = (LinearProgramming(0.9).solve(random_moves(100, 1, unit)) for unit in (1.0, scale))

    np.testing.assert_array_equal(first.policy, second.policy)
    np.testing.assert_allclose(second.value / scale, first.value, rtol=1e-9)
    assert second.sweeps == first.sweeps
    assert second.half_width <= 1e-9 * scale


def test_nothing_is_paid():
    """Every reward is 0: nothing to divide by, and the value is 0."""
    solution = LinearProgramming(0.9).solve(random_moves(20, 0, scale=0.0))

    assert solution.converged
    assert not solution.value.any()


@pytest.mark.parametrize(
    "result",
    [
        SimpleNamespace(status=4, x=None),
        SimpleNamespace(status=1, x=np.zeros(100)),
        SimpleNamespace(status=0, x=np.full(100, np.nan)),
    ],
)
def test_where_highs_fails_policy_iteration_goes_on(monkeypatch, result):
    """Numerical trouble, a limit, no numbers: solved all the same, and said in the note."""
    mdp = random_moves(100, 2)
    expected = PolicyIteration(0.9).solve(mdp)
    monkeypatch.setattr(linear_programming, "linprog", lambda *args, **options: result)
    solution = LinearProgramming(0.9).solve(mdp)

    assert solution.converged
    np.testing.assert_allclose(solution.value, expected.value, atol=1e-9)
    assert "HiGHS" in solution.note
    assert all(len(line) <= 100 for line in str(solution).splitlines())


def test_a_wrong_answer_of_highs_is_mended(monkeypatch):
    """Values that are off by as much as the rewards: improved until exact; with one policy allowed, owned up to."""
    mdp = random_moves(100, 3)
    wrong = np.random.default_rng(0).normal(size=100) * 30
    monkeypatch.setattr(linear_programming, "linprog", lambda *args, **options: SimpleNamespace(status=0, x=wrong))
    solution = LinearProgramming(0.9).solve(mdp)
    stopped = LinearProgramming(0.9, max_sweeps=1).solve(mdp)

    assert solution.converged
    assert solution.sweeps > 1
    np.testing.assert_allclose(solution.value, PolicyIteration(0.9).solve(mdp).value, atol=1e-9)
    assert not stopped.converged
    assert stopped.sweeps == 1
    assert "max_sweeps" in stopped.note
    assert (stopped.lower <= solution.value).all()
    assert (solution.value <= stopped.upper).all()


def test_occupancies_solve_the_dual():
    """Flow in is flow out, nothing is negative, and what they are paid is the value (Puterman 1994, section 6.9.2);
    where nothing ends they add up to 1 / (1 - gamma)."""
    mdp = random_moves(100, 5)
    start = np.zeros(100)
    start[[3, 4]] = 0.25, 0.75
    mdp = MDP(mdp.form, start)
    solution = LinearProgramming(0.9).solve(mdp)
    left, right = constraints_of(mdp, 0.9)
    visits = solution.occupancy

    assert (visits >= 0).all()
    np.testing.assert_allclose(left.T @ visits.reshape(-1), start, atol=1e-12)
    assert visits.reshape(-1) @ right == pytest.approx(solution.start_value, abs=1e-10)
    endless = MDP.from_arrays(np.full((3, 2, 3), 1 / 3), np.arange(6.0).reshape(3, 2))
    assert LinearProgramming(0.9).solve(endless).occupancy.sum() == pytest.approx(10)


def test_what_is_too_large_is_told_what_to_use_instead():
    """The number of nonzeros, the limit and other planners, before anything is built."""
    n = 30_000
    mdp = MDP.from_moves(np.zeros((n, 4), dtype=int), np.eye(4), np.zeros(n), np.zeros(n, dtype=bool))
    with pytest.raises(SizeError, match=r"240,000 nonzeros.*200,000.*PolicyIteration"):
        LinearProgramming(0.9).solve(mdp)


def test_what_it_does_not_take():
    """Gamma 1 and horizons are refused by the planner itself."""
    for criterion in (Criterion(1.0), Criterion(0.9, horizon=5)):
        with pytest.raises(CriterionError, match=r"rltk\.solve"):
            LinearProgramming(criterion=criterion)
