"""Undiscounted total reward (gamma = 1): bounds that hold from above as well as below.

Three facts make it harder than the discounted case, and each is met by a look at the graph of T first:

- Where nothing is paid one may stay for ever: a *resting component* is a set of states that can be kept for ever, each
  from each other, by actions that pay 0. Its states are worth the same, and at least 0.
- A policy that never ends may have no total, or an infinite one. States from which no policy surely ends or rests are
  set apart: worth minus infinity where all they pay is negative, else left open.
- T no longer contracts, so a small change of V says nothing about V*. Instead every step outside the resting
  components is paid a bonus h > 0. Any U, constant and >= 0 on the components, that satisfies

      U(s) >= r(s, a) + sum_s' T(s' | s, a) U(s')  with something to spare, outside the components,       (TU <= U)

  is above V*: a policy that goes on for ever outside them loses the spare amount infinitely often. The optimum with the
  bonus is such a U, and lies above V* by at most h times the steps it takes. From below the exact value of a policy
  that ends or rests, with a malus in the place of the bonus, is checked the same way.

Source: Bertsekas and Tsitsiklis (1991), "An analysis of stochastic shortest path problems"; de Alfaro (1997), Formal
Verification of Probabilistic Systems, on end components; Puterman (1994), chapter 7.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rltk.agents.planning.bounds import UNIT
from rltk.agents.planning.graph import attract, resting_components
from rltk.agents.planning.solution import half_width
from rltk.mdp import MDP

Report = Callable[[int, float], None]
STRICTLY = 1e-12


class Structure(NamedTuple):
    """What the graph of T says."""

    component: np.ndarray  # (S,) int: the resting component of a state, or -1
    internal: np.ndarray  # (S, A) bool: the actions that stay in it
    ending: np.ndarray  # (S,) int: a policy that surely ends or rests, where one can
    lost: np.ndarray  # (S,) bool: no policy surely ends or rests


class Bonus(NamedTuple):
    """An MDP whose steps outside the resting components pay `amount` more."""

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
    above, below = _value_of_lost(mdp, structure)
    # Exact evaluation can do with a smaller bonus, which widens the bounds less; it is enlarged if rounding drowns it.
    largest = tolerance * 1e-3
    amount, sweeps = largest * (1e-2 if improve is by_policies else 1.0), 0
    value = np.zeros(mdp.n_states)
    answer: dict[str, Any] = {}
    while True:
        problem = Bonus(mdp, structure, amount, above)
        value, done = improve(problem, value, max_sweeps - sweeps, report)
        sweeps += done
        upper = _verified_above(problem, value)
        policy = ending_policy(problem, value)
        lower = _verified_below(mdp, structure, policy, below, np.abs(value[np.isfinite(value)]).max(initial=1.0))
        width = half_width(lower, upper)
        if not answer or width < answer["width"]:
            loss = 2 * width if np.isfinite(width) else np.inf
            answer = {"lower": lower, "upper": upper, "policy": policy, "policy_loss": loss, "width": width}
        report(sweeps, width)
        if np.isinf(width) and amount < largest and not structure.lost.any():
            amount = largest
            continue
        smallest = 100 * _rounding(mdp, value)
        if width <= tolerance or not np.isfinite(width) or amount <= smallest or sweeps >= max_sweeps:
            break
        amount = max(amount * min(0.25 * tolerance / width, 0.5), smallest)
    width = answer.pop("width")
    return {**answer, "sweeps": sweeps, "note": _note(structure, width, tolerance)}


def _note(structure: Structure, width: float, tolerance: float) -> str:
    if width <= tolerance:
        return ""
    lost = np.flatnonzero(structure.lost)
    if np.isinf(width) and lost.size:
        return (
            f"from {lost.size} states, {lost[0]} among them, no policy surely ends, and their total is not known:\n"
            "ask for gamma < 1, or give them an end"
        )
    if np.isinf(width):
        return "no finite upper bound was found: some policy may collect reward for ever; ask for gamma < 1"
    return f"rounding or the limit on sweeps stopped it at a half-width of {width:.2g}"


def analyse(mdp: MDP) -> Structure:
    """Resting components, a policy that surely ends or rests, and the states that have none."""
    rows = mdp.rows
    component, internal = resting_components(rows)
    everything = np.ones(rows.n_states * rows.n_actions, dtype=bool)
    ends, action = attract(rows, everything, np.zeros(mdp.n_states, dtype=bool))
    rests, rest_action = attract(rows, everything, component >= 0)
    first_internal = internal.argmax(axis=1)
    rest_action = np.where(component >= 0, first_internal, rest_action)
    return Structure(component, internal, np.where(ends, action, rest_action), ~(ends | rests))


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
    """Value iteration with the bonus until a sweep changes less than half of it."""
    value = problem.settle(value)
    for sweep in range(1, allowed + 1):
        backup = problem.backup(value)
        with np.errstate(invalid="ignore"):
            change = np.abs(backup - value)
        value = backup
        if not (change[np.isfinite(change)] > problem.amount / 2).any():
            return value, sweep
        if sweep % 64 == 0:
            report(sweep, np.inf)
    return value, allowed


def by_policies(problem: Bonus, value: np.ndarray, allowed: int, report: Report) -> tuple[np.ndarray, int]:
    """Policy iteration with the bonus, from a policy that ends or rests: strict improvement keeps it so."""
    mdp, structure = problem.mdp, problem.structure
    policy, states = structure.ending.copy(), np.arange(mdp.n_states)
    for step in range(1, allowed + 1):
        value = _policy_value(problem, policy)
        report(step, np.inf)
        q = problem.q(value)
        now = q[states, policy]
        with np.errstate(invalid="ignore"):
            better = q.max(axis=1) > now + STRICTLY * np.maximum(1.0, np.abs(now))
        improved = np.where(better & np.isfinite(value), q.argmax(axis=1), policy)
        # Where all a component's ways out lose, resting is better.
        best = Bonus.settle(problem, np.where(structure.lost, 0.0, value))
        sorry = (structure.component >= 0) & (best == 0) & (value < 0)
        improved = np.where(sorry, structure.internal.argmax(axis=1), improved)
        if (improved == policy).all() or not np.isfinite(value[~structure.lost]).all():
            return problem.settle(value), step
        policy = improved
    return problem.settle(value), allowed


def _policy_value(problem: Bonus, policy: np.ndarray) -> np.ndarray:
    """(S,) the total reward of a policy, bonus included; `outside` for lost states."""
    structure, states = problem.structure, np.arange(policy.size)
    chain = problem.mdp.chain(policy)
    paid = ~structure.internal[states, policy]
    value = chain.with_reward(chain.reward + problem.amount * paid).value(1.0)
    return np.where(structure.lost, problem.outside, value)


def _rounding(mdp: MDP, value: np.ndarray) -> float:
    """How far a computed backup of `value` may be from the exact one."""
    largest = np.abs(value[np.isfinite(value)]).max(initial=0.0) + np.abs(mdp.form.reward).max(initial=0.0)
    return float((mdp.form.longest_row() + 6) * UNIT * largest * 1.001)


def _verified_above(problem: Bonus, value: np.ndarray) -> np.ndarray:
    """`value` where TU <= U holds with something to spare; infinite everywhere it could matter where it does not."""
    internal, lost = problem.structure.internal, problem.structure.lost
    value = problem.settle(value)
    q = np.where(internal, -np.inf, problem.mdp.q(value, 1.0))
    with np.errstate(invalid="ignore"):
        spare = value - q.max(axis=1)
    holds = lost | (spare > 2 * _rounding(problem.mdp, value)) | np.isposinf(value) | np.isposinf(spare)
    return np.where(lost, problem.outside, value if holds.all() else np.inf)


def _verified_below(mdp: MDP, structure: Structure, policy: np.ndarray, below: np.ndarray, scale: float) -> np.ndarray:
    """(S,) a lower bound on the value of `policy`, which ends or rests; minus infinity where that fails."""
    chain, states = mdp.chain(policy), np.arange(policy.size)
    rests = structure.internal[states, policy] & (chain.classes >= 0)
    e = _rounding(mdp, np.array([scale]))
    value = chain.with_reward(np.where(rests, 0.0, chain.reward - 20 * e)).value(1.0)
    value = np.where(structure.lost | np.isnan(value), -np.inf, value)
    finite = np.isfinite(value)
    inner = chain.P[:, np.flatnonzero(finite)] @ value[finite]
    holds = rests | (chain.reward + inner - value > 2 * e) | ~finite
    return np.where(structure.lost, below, value if holds.all() else -np.inf)


def ending_policy(problem: Bonus, value: np.ndarray) -> np.ndarray:
    """(S,) a policy greedy for `value` that does end or rest: among ties, actions in the order they come nearer."""
    structure, mdp = problem.structure, problem.mdp
    plain = Bonus(mdp, structure, problem.amount, problem.outside)
    q = plain.q(value)
    with np.errstate(invalid="ignore"):
        tie = problem.amount + 1e-9 * np.maximum(1.0, np.abs(value))
        greedy = (q >= (value - tie)[:, None]) | structure.internal
    resting = (structure.component >= 0) & (value <= tie)
    joined, action = attract(mdp.rows, greedy.reshape(-1), resting)
    policy = np.where(resting, structure.internal.argmax(axis=1), action)
    return np.where(joined, policy, structure.ending)
