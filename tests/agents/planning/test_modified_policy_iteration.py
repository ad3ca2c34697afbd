"""Modified policy iteration: sound bounds, honest elimination, the truth about how far it came."""

from fractions import Fraction

import numpy as np
import pytest
from planning_examples import random_graph, slippery_grid
from planning_reference import STYLES, as_mdp, faults, optimum_of, random_mdp, stored, value_of

import rltk
from rltk.agents.planning import ModifiedPolicyIteration, PolicyIteration, ValueIteration
from rltk.agents.planning import modified_policy_iteration as module
from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.structure.candidates import Candidates
from rltk.errors import ArgumentError, CriterionError
from rltk.mdp import MDP


@pytest.mark.parametrize("gamma", [Fraction(0), Fraction(1, 2), Fraction(9, 10)])
@pytest.mark.parametrize("style", STYLES)
def test_bounds_hold_in_exact_fractions(style, gamma):
    """Random MDPs with missing actions, ends, unreachable states and closed classes, against their exact optimum."""
    for seed in range(25):
        outcomes, _ = random_mdp(seed, style)
        best, _ = optimum_of(outcomes, gamma)
        solution = ModifiedPolicyIteration(float(gamma), tolerance=1e-8).solve(as_mdp(outcomes))

        exact = Fraction(float(gamma))
        best = best if exact == gamma else optimum_of(outcomes, exact)[0]
        assert faults(solution, outcomes, best) == []
        assert solution.converged
        assert solution.note == ""


@pytest.mark.parametrize("longest", [1, 3, 4, 8, 20])
@pytest.mark.parametrize("gamma", [0.5, 0.99])
def test_it_agrees_with_policy_iteration(longest, gamma):
    """Rows of every length, those that have a kernel of their own and those that don't."""
    for missing in (0.0, 0.5):
        mdp = random_graph(300, longest=longest, seed=longest, missing=missing)
        solution = ModifiedPolicyIteration(gamma, tolerance=1e-9).solve(mdp)
        other = PolicyIteration(gamma, tolerance=1e-9).solve(mdp)

        assert solution.converged
        np.testing.assert_allclose(solution.value, other.value, atol=3e-9)


def test_long_rows_beside_short_ones():
    """One row of 200 outcomes among rows of 1 or 2: nothing is filled up to its length, and the answer holds."""
    table = {
        s: {0: [(1.0, (s + 1) % 200, s % 7, False)], 1: [(0.5, 0, 1, False), (0.5, s, 2, True)]} for s in range(200)
    }
    table[7][2] = [(1 / 200, s, float(s), False) for s in range(200)]
    mdp = MDP.from_table(table)
    solution = ModifiedPolicyIteration(0.95).solve(mdp)

    np.testing.assert_allclose(solution.value, PolicyIteration(0.95).solve(mdp).value, atol=2e-6)


def test_the_compact_form_is_solved_too():
    """A slippery grid, against value iteration."""
    mdp = slippery_grid(12)
    solution = ModifiedPolicyIteration(0.97, tolerance=1e-8).solve(mdp)

    assert solution.converged
    np.testing.assert_allclose(solution.value, ValueIteration(0.97, tolerance=1e-8).solve(mdp).value, atol=2e-8)


def eliminated(mdp, gamma, sweeps=60):
    """(S, A) bool: what a run of greedy sweeps with the planner's own margins eliminates. Each sweep is T v."""
    certifier, candidates = Certifier(mdp, gamma), Candidates(mdp.rows, 1)
    value, cut, seen = candidates.backup.copy(), np.inf, np.zeros(mdp.n_states)
    for _ in range(sweeps):
        out = np.empty_like(value)
        rise = module.rise_between(certifier, seen, value)
        greedy = candidates.sweep(value, gamma, rise, cut, out)
        np.testing.assert_allclose(out, mdp.backup(value, gamma), rtol=1e-13, atol=1e-300)
        cut = module.margin(certifier, value, greedy, module.shift_after(certifier, value, greedy))
        seen, value = value, out
    return np.isneginf(candidates.q).reshape(mdp.n_states, mdp.n_actions) & mdp.available


@pytest.mark.parametrize("style", STYLES)
def test_elimination_never_takes_an_optimal_action(style):
    """Every eliminated action is worse than the optimum in exact fractions, ties included; and many are eliminated."""
    gamma, gone = 0.5, 0
    for seed in range(40):
        outcomes, _ = random_mdp(seed, style)
        best, _ = optimum_of(outcomes, Fraction(gamma))
        out = eliminated(as_mdp(outcomes), gamma)
        for s, a in np.argwhere(out):
            q = sum(p * (r + (0 if done else Fraction(gamma) * best[t])) for p, t, r, done in outcomes[s][int(a)])
            assert q < best[s], (seed, s, a)
        gone += int(out.sum())
    assert gone > 15


def test_equally_good_actions_are_all_kept():
    """Actions that lead to the same by other ways round: rounding must not eliminate one of them."""
    thirds = [(1 / 3, t, 0.1 * t, False) for t in range(3)]
    table = {s: {0: thirds, 1: thirds[::-1], 2: [(1.0, s, -5.0, False)]} for s in range(3)}
    out = eliminated(MDP.from_table(table), 0.9, 400)

    assert not out[:, :2].any()
    assert out[:, 2].all()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_sweeps_that_pass_over_actions_are_whole_backups(scale):
    """Each sweep gives T v however many actions it passes over, in any unit of reward (asserted in `eliminated`)."""
    out = eliminated(random_graph(500, seed=4, reward_scale=scale), 0.9, 150)

    assert out.any()


def test_rows_that_do_not_sum_to_one():
    """Rows one ulp off, and as far off as an MDP may be: the bounds are those of the rows as they are."""
    table = {
        0: {0: [(0.5 + 5e-10, 1, 3, False), (0.5, 0, -1, False)], 1: [(1 - 2**-53, 0, 1, False)]},
        1: {0: [(0.1, 0, 1, False)] * 9 + [(0.1, 1, 2, True)], 1: [(0.5, 1, 1, False), (0.5 + 2**-52, 0, 1, False)]},
    }
    mdp = MDP.from_table(table)
    outcomes = stored(mdp)
    solution = ModifiedPolicyIteration(0.99, tolerance=1e-9).solve(mdp)

    assert faults(solution, outcomes, optimum_of(outcomes, Fraction(0.99))[0]) == []
    assert solution.converged


def test_too_few_sweeps_are_owned_up_to():
    """Never more sweeps than allowed and a look ahead; the note says how far it came and what would help."""
    mdp = random_graph(200, seed=1, ending=0.0)
    for most in (1, 2, 3, 7, 20):
        solution = ModifiedPolicyIteration(0.999, tolerance=1e-10, max_sweeps=most).solve(mdp)

        assert solution.sweeps <= most + 1
        assert solution.converged == (solution.half_width <= 1e-10)
    assert not solution.converged
    assert "max_sweeps" in solution.note


def test_a_warm_start_saves_sweeps_and_changes_nothing_else():
    """From the solution itself one sweep is enough; from nonsense it takes longer, and still arrives."""
    mdp = random_graph(2000, seed=2, ending=0.0)
    cold = ModifiedPolicyIteration(0.99).solve(mdp)
    warm = ModifiedPolicyIteration(0.99).solve(mdp, warm_start=cold)
    lost = ModifiedPolicyIteration(0.99).solve(mdp, warm_start=np.random.default_rng(0).normal(size=2000) * 1e6)

    assert warm.sweeps <= 4 < cold.sweeps
    for solution in (warm, lost):
        assert solution.converged
        np.testing.assert_allclose(solution.value, cold.value, atol=2e-6)


def test_fewer_sweeps_over_all_actions_than_value_iteration():
    """On a random graph it looks ahead under all actions only a few times (Puterman and Shin 1978)."""
    looks = []
    original = Candidates.sweep

    def counted(self, *arguments):
        looks.append(1)
        return original(self, *arguments)

    mdp = random_graph(3000, longest=8, seed=3, ending=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Candidates, "sweep", counted)
        solution = ModifiedPolicyIteration(0.99).solve(mdp)

    assert solution.converged
    assert len(looks) < ValueIteration(0.99).solve(mdp).sweeps / 2


def test_what_it_does_not_solve_is_refused():
    """Total reward; threads that are no number of threads."""
    with pytest.raises(CriterionError, match="discounted"):
        ModifiedPolicyIteration(1.0)
    for wrong in (0, -1, 1.5, True, "two"):
        with pytest.raises(ArgumentError, match="threads"):
            ModifiedPolicyIteration(0.9, threads=wrong)
        with pytest.raises(ArgumentError, match="threads"):
            rltk.solve(random_graph(5), threads=wrong)


def test_its_policy_is_worth_what_is_said():
    """The policy's exact value is within the policy loss of the optimum."""
    for seed in range(20):
        outcomes, _ = random_mdp(seed, "mixed")
        solution = ModifiedPolicyIteration(0.5, tolerance=0.3).solve(as_mdp(outcomes))
        best, own = optimum_of(outcomes, Fraction(1, 2))[0], value_of(outcomes, solution.policy, Fraction(1, 2))

        assert all(b - o <= Fraction(solution.policy_loss) for b, o in zip(best, own, strict=True))
