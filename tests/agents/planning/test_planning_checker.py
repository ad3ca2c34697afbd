"""The checker that holds Solutions against the truth can itself fail: what is moved to the wrong side is caught."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from planning_reference import as_mdp, faults, optimum_of, random_mdp

from rltk.agents.planning import PLANNERS

NUDGE = 1e-5  # more than the tolerance that was asked for


def solved(style, gamma, wanted):
    """The first random MDPs of a style that converge, with their truth."""
    found = []
    for seed in range(100):
        outcomes, _ = random_mdp(seed, style)
        best, _ = optimum_of(outcomes, gamma)
        solution = PLANNERS["policy-iteration"](gamma, tolerance=1e-7).solve(as_mdp(outcomes))
        if solution.converged and all(abs(x) != inf for x in best):
            found.append((solution, outcomes, best))
        if len(found) == wanted:
            break
    return found


def one_state(array, s, change):
    changed = array.copy()
    changed[s] += change
    return changed


def worst_policy(solution, outcomes):
    return np.array([min(actions, key=lambda a: sum(p * r for p, _, r, _ in actions[a])) for actions in outcomes])


@pytest.mark.parametrize("gamma", [0.5, 1])
def test_bounds_moved_across_the_truth_are_caught(gamma):
    """Each bound of each state, moved by 1e-5 to the wrong side of the truth; bounds that are nan; the sound solution
    passes."""
    for solution, outcomes, best in solved("losses", gamma, 15):
        assert faults(solution, outcomes, best) == []
        for s in range(len(outcomes)):
            for mutant in (
                replace(solution, lower=one_state(solution.lower, s, NUDGE)),
                replace(solution, upper=one_state(solution.upper, s, -NUDGE)),
                replace(solution, lower=one_state(solution.lower, s, inf)),
                replace(solution, upper=one_state(solution.upper, s, -inf)),
                replace(solution, upper=one_state(solution.upper, s, np.nan)),
            ):
                assert faults(mutant, outcomes, best) != []


def test_a_loss_that_is_not_owned_up_to_is_caught():
    """A worse policy under the same bound on its loss; a policy that never ends, said to lose little."""
    caught = 0
    for gamma in (0.9, 1):
        for solution, outcomes, best in solved("losses", gamma, 30):
            caught += bool(faults(replace(solution, policy=worst_policy(solution, outcomes)), outcomes, best))
    assert caught >= 5  # elsewhere the worst policy is as good


def test_a_false_word_on_convergence_is_caught():
    """`converged` against the width of the bounds, both ways."""

    class Liar(type(solved("losses", 0.5, 1)[0][0])):
        converged = False

    solution, outcomes, best = solved("losses", 0.5, 1)[0]
    names = ("mdp", "criterion", "tolerance", "lower", "upper", "policy", "policy_loss", "sweeps", "seconds", "method")
    liar = Liar(**{name: getattr(solution, name) for name in names})

    assert faults(liar, outcomes, best) != []
    Liar.converged = True
    assert faults(liar, outcomes, best) == []
