"""Certified bounds for discounted values, floating-point rounding included.

Let W be T V as computed, d = W - V, e a bound on the rounding of one backup, and m a row's mass that goes on
(1 minus its probability to end). For every c with c >= e + gamma m max(d) + gamma m c in all rows,

    T (W + c) <= W + c,     hence     V* <= W + c,

because T is monotone and gamma m < 1; the lower bound likewise. For rows that never end, m = 1, this is MacQueen's
bound c = gamma max(d) / (1 - gamma). The rows are those the caller gave: their masses are measured, not assumed.

A policy greedy for V obeys the same lower bound with its own W, so its loss is bounded too.

Source: MacQueen (1966); Porteus (1971); Puterman (1994), section 6.6.3. The allowance for rounding is the standard
bound on a sum of k products, (k + 2) u sum |p x| (Higham 2002, section 3.1).
"""

from typing import NamedTuple

import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp import MDP
from rltk.mdp.looking import Look
from rltk.mdp.model import TIE
from rltk.mdp.survey import Survey

UNIT = np.finfo(np.float64).eps / 2
TINY = float(np.finfo(np.float64).tiny)  # what underflow can cost, with much to spare


class Shift(NamedTuple):
    """What must be added to W to bound V* from below and from above."""

    below: float
    above: float

    @property
    def half_width(self) -> float:
        return (self.above - self.below) / 2


class Certifier:
    """The bounds of one MDP under one gamma; measures the rows once. threads: how many share the look ahead."""

    def __init__(self, mdp: MDP, gamma: float, survey: Survey | None = None, threads: int = 1) -> None:
        self.mdp, self.gamma, self.threads = mdp, gamma, threads
        facts = mdp.form.survey if survey is None else survey
        self.terms, self.largest_reward, self.resting = facts.longest_row, facts.largest_reward, facts.resting
        if gamma < 1 and not np.isfinite(8 * (facts.largest_reward / (1 - gamma))):
            raise ArgumentError(
                f"rewards of size {facts.largest_reward:g} at gamma {gamma:.16g} add up beyond what floats hold, "
                "1.8e308; count them in a larger unit"
            )
        self.low_mass = max(facts.low_mass - self.terms * UNIT, 0.0)
        self.high_mass = facts.high_mass * (1 + 2 * self.terms * UNIT)

    def backup(self, value: np.ndarray) -> np.ndarray:
        """(S,) float64: T `value`, the operator that the bounds are of."""
        return self.mdp.backup(value, self.gamma)

    def rounding(self, value: np.ndarray) -> float:
        """How far a computed backup of `value` can be from the exact one, in any state."""
        largest = self.largest_reward + self.gamma * _largest(value)
        return (self.terms + 5) * UNIT * (1 + 1e-6) * largest + TINY  # a row sums to 1 within 1e-9

    def tie(self, value: np.ndarray) -> float:
        """Within what margin actions are ties: relative to the problem's numbers, where these are small."""
        return TIE * min(1.0, self.largest_reward + self.gamma * _largest(value))

    def shift(self, value: np.ndarray, backup: np.ndarray) -> Shift:
        """Bounds from one backup: `backup` is T `value` as computed."""
        change = backup - value
        return self.shift_of(float(change.min()), float(change.max()), self.rounding(value))

    def shift_of(self, least: float, most: float, rounding: float) -> Shift:
        """The same from the least and the most change of any state."""
        return Shift(-self._slack(-least, rounding), self._slack(most, rounding))

    def _slack(self, change: float, e: float) -> float:
        # The subtraction that gave `change` rounds too; e covers it, as it covers the sum that the caller makes.
        if self.gamma * self.high_mass >= 1:  # what outgrows the discount has no fixed point on either side
            return np.inf
        change = change + e
        need = 2 * e + self.gamma * (self.high_mass if change > 0 else self.low_mass) * change
        mass = self.high_mass if need > 0 else self.low_mass
        return need / (1 - self.gamma * mass) * (1 + 8 * UNIT if need > 0 else 1 - 8 * UNIT)

    def bounds(self, value: np.ndarray) -> dict:
        """lower, upper, policy and policy_loss from one look ahead at `value` (S,)."""
        look = self.mdp.form.look(value, self.gamma, self.tie(value), self.threads)
        return self.judge(look, self.rounding(value), self.resting)

    def judge(self, look: Look, rounding: float, resting: np.ndarray) -> dict:
        """The same from the look ahead itself; `resting` (S,) bool: the states worth exactly 0. Takes `look` over."""
        shift = self.shift_of(look.least_change, look.most_change, rounding)
        of_policy = self.shift_of(look.least_of_policy, look.most_change, rounding).below
        upper = look.best + shift.above
        lower = look.best
        lower += shift.below
        lower[resting] = upper[resting] = 0.0
        loss = look.largest_tie + rounding + shift.above - of_policy
        return {"lower": lower, "upper": upper, "policy": look.policy, "policy_loss": max(float(loss), 0.0)}


def _largest(value: np.ndarray) -> float:
    """The largest size of a number in `value`, without an array of sizes."""
    return max(float(value.max()), -float(value.min()), 0.0)
