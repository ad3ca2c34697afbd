"""Undiscounted total reward (gamma = 1): bounds that hold from above as well as below.

Rows are read as distributions: a sum one rounding above 1 is no growth. Three facts make it harder than the discounted
case, and each is met by a look at the graph of T first:

- Where nothing is paid one may stay for ever: a *resting component* is a set of states that can be kept for ever, each
  from each other, by actions that pay 0. Its states are worth the same, and at least 0.
- A policy that never ends may have no total, or an infinite one. States from which no policy surely ends or rests are
  set apart: worth minus infinity where all they pay is negative, else left open.
- T no longer contracts, so a small change of V says nothing about V*. Where only endings pay, the best ending is a
  bound from above, and backups bring it down (T is monotone: V* <= U gives V* <= T U). Elsewhere, and where that is too
  slow, every step outside the resting components is paid a bonus h > 0. Any U, constant and >= 0 on them, with

      U(s) >= r(s, a) + sum_s' T(s' | s, a) U(s')  with something to spare, outside the components,       (TU <= U)

  is above V*: a policy that goes on for ever outside them loses the spare amount infinitely often. The optimum with the
  bonus is such a U, and lies above V* by at most h times the steps it takes.

From below stands the exact value of a policy that ends or rests, less a malus for rounding, checked the same way. The
policy is the best one where each step costs a little more: so it comes to the end soon even where lingering is free.

Source: Bertsekas and Tsitsiklis (1991), "An analysis of stochastic shortest path problems"; de Alfaro (1997), Formal
Verification of Probabilistic Systems, on end components; Puterman (1994), chapter 7.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rltk.agents.planning.bounds import TINY, UNIT
from rltk.agents.planning.planner import Report, onward
from rltk.agents.planning.solution import half_width
from rltk.agents.planning.structure.graph import attract, resting_components
from rltk.mdp import MDP

_FIRST_LOOK = 64  # sweeps before value iteration first asks whether it grows for ever; then twice as many


class Structure(NamedTuple):
    """What the graph of T says."""

    component: np.ndarray  # (S,) int: the resting component of a state, or -1
    internal: np.ndarray  # (S, A) bool: the actions that stay in it
    ending: np.ndarray  # (S,) int: a policy that surely ends or rests, where one can; elsewhere any
    lost: np.ndarray  # (S,) bool: no policy surely ends or rests


class Bonus(NamedTuple):
    """An MDP whose steps outside the resting components pay `amount` more: a malus where that is negative."""

    mdp: MDP
    structure: Structure
    amount: float
    outside: np.ndarray  # (S,) the value of lost states, 0 elsewhere

    def q(self, value: np.ndarray) -> np.ndarray:
        """(S, A) action values with the bonus."""
        return self.mdp.q(value, 1.0) + np.where(self.structure.internal, 0.0, self.amount)

    def settle(self, value: np.ndarray) -> np.ndarray:
        """`value` with resting components made equal and at least 0, and lost states set."""
        component, lost = self.structure.component, self.structure.lost
        value = np.where(lost, self.outside, value)
        inside = component >= 0
        if inside.any():
            best = np.zeros(component.max() + 1)
            np.maximum.at(best, component[inside], value[inside])
            value[inside] = best[component[inside]]
        return value

    def backup(self, value: np.ndarray) -> np.ndarray:
        """(S,) one sweep: the best action that does not merely rest, then `settle`."""
        q = np.where(self.structure.internal, -np.inf, self.q(value))
        return self.settle(q.max(axis=1))


Improve = Callable[[Bonus, np.ndarray, int, Report], tuple[np.ndarray, int]]
"""(problem, initial value (S,), sweeps allowed, report) -> (an optimum of the problem, sweeps done)."""


def solve(mdp: MDP, tolerance: float, max_sweeps: int, report: Report, improve: Improve) -> dict[str, Any]:
    """lower, upper, policy, policy_loss, sweeps and a note; `improve` is `by_sweeps` or `by_policies`."""
    structure = analyse(mdp)
    outside = _value_of_lost(mdp, structure)
    lower, policy, sweeps = _short_ways(mdp, structure, outside, tolerance, max_sweeps, report, improve)
    allowed, go_on = max_sweeps - sweeps, onward(report, sweeps)
    upper, done = _from_the_cap(mdp, structure, outside, lower, tolerance, allowed, go_on)
    sweeps += done
    if half_width(lower, upper) > tolerance and sweeps < max_sweeps:
        start = (lower, upper, policy, sweeps)
        lower, upper, policy, sweeps = _with_bonus(
            mdp, structure, outside, start, tolerance, max_sweeps, report, improve
        )
    # Rows that sum to 1 only nearly are distributions to one bound; the optimum lies between the two all the same.
    lower, upper = np.where(lower > upper, upper, lower), np.where(lower > upper, lower, upper)
    lower[mdp.form.survey.resting] = upper[mdp.form.survey.resting] = 0.0
    width = half_width(lower, upper)
    note = _note(structure, width, tolerance, sweeps >= max_sweeps)
    return {
        "lower": lower,
        "upper": upper,
        "policy": policy,
        "policy_loss": 2 * width,
        "sweeps": sweeps,
        "note": note,
    }


def _short_ways(
    mdp: MDP, structure: Structure, outside: Any, tolerance: float, allowed: int, report: Report, improve: Improve
) -> tuple[np.ndarray, np.ndarray, int]:
    """(lower, policy, sweeps): the best policy where every step costs a little more, and what it is truly worth.

    The malus makes it come to the end soon where lingering would cost nothing; its loss is the malus times its steps.
    """
    amount = max(1e-4 * _fine(mdp, tolerance), 100 * _rounding(mdp, np.zeros(1)))
    problem = Bonus(mdp, structure, -amount, outside[0])
    value, sweeps = improve(problem, np.zeros(mdp.n_states), allowed, report)
    policy = ending_policy(problem, value)
    # Within a component steps were free so far; where it is left, the way out is to be a short one too.
    left = (structure.component >= 0) & (value > amount + 4 * _rounding(mdp, value))
    if left.any() and sweeps < allowed and np.isfinite(value[~structure.lost]).all():
        component, internal = np.where(left, -1, structure.component), structure.internal & ~left[:, None]
        problem = problem._replace(structure=Structure(component, internal, policy, structure.lost))
        value, more = improve(problem, value, allowed - sweeps, onward(report, sweeps))
        policy, sweeps = ending_policy(problem, value), sweeps + more
    return _verified_below(mdp, structure, policy, outside[1], value), policy, sweeps


def _from_the_cap(
    mdp: MDP, structure: Structure, outside: Any, lower: np.ndarray, tolerance: float, allowed: int, report: Report
) -> tuple[np.ndarray, int]:
    """(upper, sweeps): where only endings pay, no state is worth more than the best ending; backups bring that down.

    V* <= U gives V* = T V* <= T U, so each backup, rounded upwards, is a bound again. Infinite where steps pay.
    """
    upper = np.full(mdp.n_states, np.inf)
    if (mdp.reward[~mdp.terminated] > 0).any():
        return upper, 0
    problem = Bonus(mdp, structure, 0.0, outside[0])
    # Rows are read as distributions here; what the best ending pays is widened by what rounding them may add.
    cap = max(float(mdp.reward[mdp.terminated].max(initial=0.0)), 0.0) * (1 + 1e-12)
    upper = problem.settle(np.full(mdp.n_states, cap))
    finite = ~structure.lost
    look, width = _FIRST_LOOK, half_width(lower[finite], upper[finite])
    for sweep in range(1, allowed + 1):
        if half_width(lower[finite], upper[finite]) <= 0.01 * _fine(mdp, tolerance):
            return upper, sweep - 1
        upper = np.minimum(upper, problem.backup(upper) + _rounding(mdp, upper))
        if sweep == look:
            before, width = width, half_width(lower[finite], upper[finite])
            report(sweep, width)
            if width > 0.9 * before and sweep > 1000:  # twice the sweeps have brought nothing: nor will more
                return upper, sweep
            look *= 2
    return upper, allowed


def _with_bonus(
    mdp: MDP,
    structure: Structure,
    outside: Any,
    start: tuple[np.ndarray, np.ndarray, np.ndarray, int],
    tolerance: float,
    max_sweeps: int,
    report: Report,
    improve: Improve,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """(lower, upper, policy, sweeps), no worse than those of `start`: the general certificate from above."""
    lower, upper, policy, sweeps = start
    # A bonus that is large beside what a step loses makes going round for ever look like a gain.
    largest = 1e-3 * _fine(mdp, tolerance)
    # Exact evaluation can do with a smaller bonus, which widens the bounds less.
    trials = [1e-2, 1.0, 1e-4, 1e-6] if improve is by_policies else [1.0, 1e-2, 1e-4, 1e-6]
    amount = max(largest * trials.pop(0), 100 * _rounding(mdp, np.zeros(1)))
    value = np.zeros(mdp.n_states)
    while sweeps < max_sweeps:
        problem = Bonus(mdp, structure, amount, outside[0])
        value, done = improve(problem, value, max_sweeps - sweeps, onward(report, sweeps))
        sweeps += done
        verified = _verified_above(problem, value)
        upper = np.minimum(upper, verified)
        other = ending_policy(problem, value)
        reached = _verified_below(mdp, structure, other, outside[1], value)
        found = ~structure.lost
        if half_width(reached[found], upper[found]) < half_width(lower[found], upper[found]):
            lower, policy = reached, other
        report(sweeps, half_width(lower[found], upper[found]))
        if half_width(lower[found], upper[found]) <= tolerance:
            break
        width = half_width(reached[found], verified[found])
        smallest, before = 100 * _rounding(mdp, reached), amount
        if np.isfinite(width):
            amount = max(amount * min(0.25 * tolerance / width, 0.5), smallest)
            if before <= smallest:
                break
        else:  # too small a bonus is drowned by rounding, too large a one outweighs what a step loses
            while trials and amount == before:
                amount = max(largest * trials.pop(0), smallest)
            if amount == before:
                break
            value = np.zeros(mdp.n_states)
    return lower, upper, policy, sweeps


def _fine(mdp: MDP, tolerance: float) -> float:
    """The tolerance, or what is fine beside the rewards where these are smaller still."""
    reward = float(np.abs(mdp.form.reward).max(initial=0.0))
    return min(tolerance, 1e-3 * reward) if reward > 0 else tolerance


def _note(structure: Structure, width: float, tolerance: float, out_of_sweeps: bool) -> str:
    if width <= tolerance:
        return ""
    if out_of_sweeps:
        return f"the limit on sweeps stopped it at a half-width of {width:.2g}; raise max_sweeps"
    lost = np.flatnonzero(structure.lost)
    if np.isinf(width) and lost.size:
        return (
            f"from {lost.size} states, {lost[0]} among them, no policy surely ends, and their total is not known:\n"
            "ask for gamma < 1, or give them an end"
        )
    if np.isinf(width):
        return "no finite upper bound was found: some policy may collect reward for ever; ask for gamma < 1"
    return f"rounding stopped it at a half-width of {width:.2g}"


def analyse(mdp: MDP) -> Structure:
    """Resting components, a policy that surely ends or rests, and the states that have none."""
    rows = mdp.rows
    component, internal = resting_components(rows)
    everything = np.ones(rows.n_states * rows.n_actions, dtype=bool)
    ends, action = attract(rows, everything, np.zeros(mdp.n_states, dtype=bool))
    rests, rest_action = attract(rows, everything, component >= 0)
    rest_action = np.where(component >= 0, internal.argmax(axis=1), rest_action)
    lost = ~(ends | rests)
    ending = np.select([ends, lost], [action, mdp.available.argmax(axis=1)], rest_action)
    return Structure(component, internal, ending, lost)


def _value_of_lost(mdp: MDP, structure: Structure) -> tuple[np.ndarray, np.ndarray]:
    """(above, below) each (S,): minus infinity for lost states whose every payment is a loss; else open."""
    above, below = np.zeros(mdp.n_states), np.zeros(mdp.n_states)
    below[structure.lost] = above[structure.lost] = -np.inf
    row_of = np.repeat(np.arange(mdp.rows.row_start.size - 1), np.diff(mdp.row_start))
    pays = (mdp.reward > 0) & structure.lost[row_of // mdp.n_actions]
    if pays.any():
        above[structure.lost] = np.inf
    return above, below


def by_sweeps(problem: Bonus, value: np.ndarray, allowed: int, report: Report) -> tuple[np.ndarray, int]:
    """Value iteration until a sweep changes less than half the bonus, or it is seen to grow for ever.

    A malus has to tell ways apart that differ by one step, so there it goes on to a hundredth of it.
    """
    value = problem.settle(value)
    settled = problem.amount / 2 if problem.amount > 0 else abs(problem.amount) / 100
    look, mark, rate, swing = _FIRST_LOOK, value, np.inf, np.inf
    for sweep in range(1, allowed + 1):
        backup = problem.backup(value)
        with np.errstate(invalid="ignore"):
            change = np.abs(backup - value)
        value = backup
        if not (change[np.isfinite(change)] > settled).any():
            return value, sweep
        if sweep % 64 == 0:
            report(sweep, np.inf)
        if sweep == look:
            before, rate = rate, _growth(mark, value) / (sweep - sweep // 2)
            if rate > 0.9 * before and _grows_for_ever(problem, value, sweep // 4):
                return np.where(problem.structure.lost, problem.outside, np.inf), sweep
            look, mark = 2 * look, value
            # Payments that cancel swing to and fro, and a malus stills them too slowly to wait for.
            swing, last = float(change[np.isfinite(change)].max(initial=0.0)), swing
            if problem.amount < 0 and sweep > 2 * value.size + 1000 and swing > 0.9 * last:
                return value, sweep
    return value, allowed


def _growth(before: np.ndarray, after: np.ndarray) -> float:
    """The most that a state's value has grown."""
    with np.errstate(invalid="ignore"):
        growth = after - before
    return float(growth[np.isfinite(growth)].max(initial=0.0))


def _grows_for_ever(problem: Bonus, value: np.ndarray, sweeps: int) -> bool:
    """Whether the policy greedy for `value`, bonus included, collects without end somewhere."""
    structure = problem.structure
    with np.errstate(invalid="ignore"):
        for _ in range(sweeps):  # half steps, which let values that swing to and fro come to rest
            value = np.where(np.isfinite(value), (value + problem.backup(value)) / 2, value)
    q = np.where(structure.internal, -np.inf, problem.q(value))
    policy = np.where(np.isneginf(q.max(axis=1)), structure.ending, q.argmax(axis=1))
    # A component is left where that pays best; the way there costs nothing.
    inside = structure.component >= 0
    with np.errstate(invalid="ignore"):
        leaves = inside & (q.max(axis=1) >= value - abs(problem.amount))
    joined, action = attract(problem.mdp.rows, structure.internal.reshape(-1), leaves)
    policy = np.where(inside & ~leaves, np.where(joined, action, structure.internal.argmax(axis=1)), policy)
    collected = _policy_value(problem, policy)[~structure.lost]
    return bool(np.isposinf(collected).any())


def by_policies(problem: Bonus, value: np.ndarray, allowed: int, report: Report) -> tuple[np.ndarray, int]:
    """Policy iteration with the bonus, from a policy that ends or rests: strict improvement keeps it so."""
    structure = problem.structure
    # A few sweeps find a policy that does not linger; the values of one that does are lost in rounding.
    guess, _ = by_sweeps(problem, value, min(allowed, 1000), lambda *_: None)
    known = np.isfinite(guess[~structure.lost]).all()
    policy, states = ending_policy(problem, guess) if known else structure.ending.copy(), np.arange(value.size)
    seen = set()  # rounding must not make the rounds circle
    for step in range(1, allowed + 1):
        seen.add(policy.tobytes())
        value = _policy_value(problem, policy)
        report(step, np.inf)
        q = problem.q(value)
        now = q[states, policy]
        with np.errstate(invalid="ignore"):
            better = q.max(axis=1) > now + abs(problem.amount) / 4
        improved = np.where(better & np.isfinite(value), q.argmax(axis=1), policy)
        # Where all a component's ways out lose, resting is better.
        best = problem.settle(np.where(structure.lost, 0.0, value))
        sorry = (structure.component >= 0) & (best == 0) & (value < 0)
        improved = np.where(sorry, structure.internal.argmax(axis=1), improved)
        if improved.tobytes() in seen or not np.isfinite(value[~structure.lost]).all():
            return problem.settle(value), step
        policy = improved
    return problem.settle(value), allowed


def _policy_value(problem: Bonus, policy: np.ndarray) -> np.ndarray:
    """(S,) the total reward of a policy, bonus included; `outside` for lost states. Infinite where it has no total, or
    one that rounding drowns."""
    structure, states = problem.structure, np.arange(policy.size)
    chain = problem.mdp.chain(policy)
    paid = ~structure.internal[states, policy]
    value = chain.with_reward(chain.reward + problem.amount * paid).value(1.0)
    return np.where(structure.lost, problem.outside, np.where(np.isnan(value), np.inf, value))


def _rounding(mdp: MDP, value: np.ndarray) -> float:
    """How far a computed backup of `value` may be from the exact one."""
    largest = np.abs(value[np.isfinite(value)]).max(initial=0.0) + np.abs(mdp.form.reward).max(initial=0.0)
    return float((mdp.form.survey.longest_row + 6) * UNIT * largest * 1.001 + TINY)


def _verified_above(problem: Bonus, value: np.ndarray) -> np.ndarray:
    """`value` where TU <= U holds with something to spare; infinite everywhere where it does not."""
    internal, lost = problem.structure.internal, problem.structure.lost
    value = problem.settle(value)
    q = np.where(internal, -np.inf, problem.mdp.q(value, 1.0))
    with np.errstate(invalid="ignore"):
        spare = value - q.max(axis=1)
    holds = lost | (spare > 2 * _rounding(problem.mdp, value)) | np.isposinf(value) | np.isposinf(spare)
    # Without an end to what may be collected elsewhere, nothing is known of the lost states either.
    bounded = holds.all() and not np.isposinf(value[~lost]).any()
    return np.where(lost, problem.outside if bounded else np.inf, value if holds.all() else np.inf)


def _verified_below(
    mdp: MDP, structure: Structure, policy: np.ndarray, below: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """(S,) a lower bound on the value of `policy`, which ends or rests; minus infinity where that fails.

    `scale` (S,): values of about the size to be expected, for the first guess at the malus.
    """
    chain, states = mdp.chain(policy), np.arange(policy.size)
    rests = structure.internal[states, policy] & (chain.classes >= 0)
    e = _rounding(mdp, scale)
    for _ in range(3):
        value = chain.with_reward(np.where(rests, 0.0, chain.reward - 20 * e)).value(1.0)
        value = np.where(structure.lost | np.isnan(value), -np.inf, value)
        needed = _rounding(mdp, value)
        if needed <= 4 * e:
            break
        e = needed
    finite = np.isfinite(value)
    inner = chain.P[:, np.flatnonzero(finite)] @ value[finite]
    holds = rests | (chain.reward + inner - value > 2 * needed) | ~finite
    return np.where(structure.lost, below, value if holds.all() else -np.inf)


def ending_policy(problem: Bonus, value: np.ndarray) -> np.ndarray:
    """(S,) a policy greedy for `value` that does end or rest: among ties, actions in the order they come nearer."""
    structure, mdp = problem.structure, problem.mdp
    q = problem.q(value)
    tie = abs(problem.amount) + 4 * _rounding(mdp, value)
    # A malus tells short ways from long ones: then only what is truly best will do, for lingering costs but a malus.
    best = np.where(structure.internal, -np.inf, q).max(axis=1)
    near = best - 4 * _rounding(mdp, value) if problem.amount < 0 else value - tie
    with np.errstate(invalid="ignore"):
        target = np.where(structure.component >= 0, value - tie, near)
        greedy = (q >= target[:, None]) | structure.internal
    resting = (structure.component >= 0) & (value <= tie)
    joined, action = attract(mdp.rows, greedy.reshape(-1), resting)
    policy = np.where(resting, structure.internal.argmax(axis=1), action)
    return np.where(joined, policy, structure.ending)
