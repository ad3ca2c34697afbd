"""Inexact policy iteration: sound bounds, fewer sweeps where information travels slowly, the truth when it fails."""

from fractions import Fraction

import numpy as np
import pytest
from planning_examples import random_graph, slippery_grid
from planning_reference import STYLES, as_mdp, faults, optimum_of, random_mdp

from rltk.agents.planning import InexactPolicyIteration, PolicyIteration, ValueIteration
from rltk.agents.planning import inexact_policy_iteration as module
from rltk.errors import CriterionError
from rltk.mdp import MDP


def corridor(n, slip=0.1):
    """`n` states in a row; the step right slips, costs 1, and only the last state ends."""
    table = {
        s: {
            0: [(1 - slip, s + 1, -1.0, False), (slip, max(s - 1, 0), -1.0, False)],
            1: [(1.0, max(s - 1, 0), -0.5, False)],
        }
        for s in range(n)
    }
    return MDP.from_table(table | {n: {0: [(1.0, n, 0.0, True)]}})


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.96875])
def test_bounds_hold_in_exact_fractions(style, gamma):
    """Random MDPs with missing actions, ends, unreachable states and closed classes, against their exact optimum."""
    for seed in range(20):
        outcomes, _ = random_mdp(seed, style)
        best, _ = optimum_of(outcomes, Fraction(gamma))
        solution = InexactPolicyIteration(gamma, tolerance=1e-8).solve(as_mdp(outcomes))

        assert faults(solution, outcomes, best) == []
        assert solution.converged


@pytest.mark.parametrize("gamma", [0.9, 0.9999])
def test_it_agrees_with_policy_iteration(gamma):
    """General rows, the compact form, and a corridor."""
    for mdp in (random_graph(400, seed=5), slippery_grid(15), corridor(200)):
        solution = InexactPolicyIteration(gamma, tolerance=1e-5).solve(mdp)

        assert solution.converged
        np.testing.assert_allclose(solution.value, PolicyIteration(gamma).solve(mdp).value, atol=2e-5)


def test_slow_problems_take_few_sweeps():
    """A ring that forgets slowly, gamma 0.9999: half the sweeps of value iteration are far too few."""
    n = 300
    table = {
        s: {a: [(0.5, (s + 1 + a) % n, float(s == 0), False), (0.5, (s - 1) % n, 0.0, False)] for a in range(2)}
        for s in range(n)
    }
    mdp = MDP.from_table(table)
    solution = InexactPolicyIteration(0.9999, tolerance=1e-4).solve(mdp)

    assert solution.converged
    assert solution.sweeps < ValueIteration(0.9999, tolerance=1e-4).solve(mdp).sweeps / 2


def test_where_the_solver_does_not_help_it_still_arrives(monkeypatch):
    """A solver that answers nonsense: steps are refused, plain sweeps are taken, and the bounds close."""
    mdp = random_graph(300, seed=6, ending=0.0)
    monkeypatch.setattr(module, "bicgstab", lambda A, b, **options: (np.full(b.size, 1e9), 1))
    solution = InexactPolicyIteration(0.9).solve(mdp)

    assert solution.converged
    np.testing.assert_allclose(solution.value, PolicyIteration(0.9).solve(mdp).value, atol=2e-6)


def test_too_few_sweeps_are_owned_up_to():
    """Never more sweeps than allowed and a look ahead, and a note."""
    mdp = corridor(3000)
    for most in (1, 2, 10, 31, 32, 50):
        solution = InexactPolicyIteration(0.9999, tolerance=1e-9, max_sweeps=most).solve(mdp)

        assert solution.sweeps <= most + 1
        assert not solution.converged
        assert "max_sweeps" in solution.note


def test_a_warm_start_saves_sweeps():
    """From the solution itself one look is enough."""
    mdp = slippery_grid(20)
    cold = InexactPolicyIteration(0.999).solve(mdp)
    warm = InexactPolicyIteration(0.999).solve(mdp, warm_start=cold.value)

    assert warm.sweeps <= 3 < cold.sweeps
    assert warm.converged


def test_the_preconditioner_solves_what_stands_in_order():
    """There and back through the states is exact where P only leads one way: (I - gamma P) x = r to rounding."""
    chain = corridor(50, slip=0.0).chain(np.zeros(51, dtype=int))
    right = np.random.default_rng(0).normal(size=51)
    x = module.symmetric_sweep(chain.P.indptr, chain.P.indices, chain.P.data, 0.9, right)

    np.testing.assert_allclose(x - 0.9 * (chain.P @ x), right, atol=1e-12)


def test_total_reward_is_refused():
    """It needs a discount."""
    with pytest.raises(CriterionError, match="discounted"):
        InexactPolicyIteration(1.0)


def test_the_preconditioner_is_symmetric_gauss_seidel():
    """(D - L) D^-1 (D - U) x = r for a chain that stays, goes back and goes on (van der Vorst 1992 asks for any)."""
    source = np.random.default_rng(1)
    P = source.dirichlet(np.full(9, 0.5), 9)
    chain = MDP.from_arrays(P[:, None, :], np.zeros((9, 1))).chain(np.zeros(9, dtype=int))
    right = source.normal(size=9)
    x = module.symmetric_sweep(chain.P.indptr, chain.P.indices, chain.P.data, 0.9, right)

    matrix = np.eye(9) - 0.9 * P
    there, back = np.tril(matrix), np.triu(matrix)
    np.testing.assert_allclose(there @ np.diag(1 / np.diag(matrix)) @ back @ x, right, atol=1e-12)
