"""The truth about small MDPs in exact fractions, and a checker that holds a Solution against it.

The optimum is the best of all deterministic stationary policies, each evaluated exactly: for total reward a value is a
fraction, plus or minus infinity, or None where the total does not exist (it swings, or is infinity minus infinity).
"""

import itertools
import random
from fractions import Fraction
from math import inf, isfinite, isnan

import mdp_reference as reference

from rltk.agents.planning import PLANNERS
from rltk.mdp import MDP

PLAIN = {
    name: planner
    for name, planner in PLANNERS.items()
    if "discounted" in planner.kinds and not planner.takes_horizon and not planner.regularised
}
"""The planners whose answers can be compared: those of plain reward without a horizon."""

TOTAL = {name: planner for name, planner in PLAIN.items() if "total" in planner.kinds}
"""Those of them that take gamma 1."""


def cases(*gammas):
    """Every (name, gamma) of plain planners that solve it."""
    return [(name, gamma) for name in PLAIN for gamma in gammas if gamma < 1 or name in TOTAL]


def policies(outcomes):
    """Every deterministic stationary policy, a tuple of actions."""
    return itertools.product(*[sorted(actions) for actions in outcomes])


def value_of(outcomes, policy, gamma):
    """The exact value of `policy`, an action a state."""
    P, reward, ending = reference.chain(outcomes, [{int(a): Fraction(1)} for a in policy])
    if gamma == 1:
        return reference.total_value(P, reward, ending)
    return reference.fixed_point(P, reward, Fraction(gamma))


def optimum_of(outcomes, gamma):
    """(the exact optimum, whether every policy has a total)."""
    best, whole = [-inf] * len(outcomes), True
    for policy in policies(outcomes):
        value = value_of(outcomes, policy, gamma)
        whole = whole and None not in value
        best = [b if v is None or v < b else v for b, v in zip(best, value, strict=True)]
    return best, whole


def stored(mdp):
    """The outcomes exactly as the MDP holds them: rows need not sum to 1."""
    outcomes = []
    for s in range(mdp.n_states):
        spans = {a: mdp.row_start[s * mdp.n_actions + a :][:2] for a in range(mdp.n_actions)}
        outcomes.append(
            {
                a: [
                    (Fraction(float(p)), int(t), Fraction(float(r)), bool(done))
                    for p, t, r, done in zip(
                        *(x[slice(*span)] for x in (mdp.probability, mdp.next_state, mdp.reward, mdp.terminated)),
                        strict=True,
                    )
                ]
                for a, span in spans.items()
                if span[0] < span[1]
            }
        )
    return outcomes


def faults(solution, outcomes, optimum):
    """Everything that `solution` says and that is not so, as a list of sentences: empty for a sound one."""
    gamma, found = solution.criterion.gamma, []
    of_policy = value_of(outcomes, solution.policy, gamma)
    for s, (lower, upper, best, own) in enumerate(
        zip(solution.lower.tolist(), solution.upper.tolist(), optimum, of_policy, strict=True)
    ):
        if isnan(lower) or isnan(upper):
            found.append(f"state {s}: a bound is nan")
        if not lower <= best:
            found.append(f"state {s}: lower {lower!r} is above the optimum {float(best)!r}")
        if not upper >= best:
            found.append(f"state {s}: upper {upper!r} is below the optimum {float(best)!r}")
        if isfinite(solution.policy_loss) and best != -inf:
            if own is None or own in (inf, -inf):
                found.append(f"state {s}: a finite policy loss, but the policy's value is {own}")
            elif best - own > Fraction(solution.policy_loss):
                found.append(f"state {s}: the policy loses {float(best - own)!r}, not <= {solution.policy_loss!r}")
        if gamma == 1 and lower > -inf and (own is None or own < lower):
            found.append(f"state {s}: the policy's value {own} is below the lower bound {lower!r}")
    width = max(
        (0.0 if a == b else b - a) / 2 for a, b in zip(solution.lower.tolist(), solution.upper.tolist(), strict=True)
    )
    if solution.converged != (width <= solution.tolerance):
        found.append(f"converged is {solution.converged} at a half-width of {width}, tolerance {solution.tolerance}")
    return found


STYLES = {  # what a step pays, what an end pays
    "losses": ([-1, -2, Fraction(-1, 2), 0, 0], [-3, -1, 0]),
    "prizes": ([0], [0, 0, 1, 2, Fraction(1, 4)]),
    "mixed": ([-2, -1, 0, 0, 1, 2], [-1, 0, 1]),
    "gains": ([0, 0, 1], [0, 1]),
    "rare": ([0, 0, 0, 0, 0, -1, 5], [0, 1]),
}


def random_mdp(seed, style, max_states=4, max_actions=3, denominator=8):
    """(outcomes, n_actions): missing actions, ends, unreachable states, zero-probability outcomes, closed classes."""
    source = random.Random(f"{style} {seed}")
    steps, ends = STYLES[style]
    n_states, n_actions = source.randint(1, max_states), source.randint(1, max_actions)
    ending = source.choice([0, 0.1, 0.3, 0.6])
    outcomes = []
    for _ in range(n_states):
        present = [a for a in range(n_actions) if source.random() < 0.8] or [source.randrange(n_actions)]
        actions = {}
        for a in present:
            cuts = sorted(source.randint(0, denominator) for _ in range(source.randint(0, 2)))
            edges = [0, *cuts, denominator]
            row = []
            for low, high in itertools.pairwise(edges):
                done = source.random() < ending
                reward = Fraction(source.choice(ends if done else steps))
                row.append((Fraction(high - low, denominator), source.randrange(n_states), reward, done))
            actions[a] = row
        outcomes.append(actions)
    return outcomes, n_actions


def as_mdp(outcomes):
    return MDP.from_table(reference.as_table(outcomes))
