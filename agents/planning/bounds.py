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

from rltk.mdp import MDP, first_best
from rltk.mdp.model import TIE

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
    """The bounds of one MDP under one gamma; measures the rows once."""

    def __init__(self, mdp: MDP, gamma: float) -> None:
        self.mdp, self.gamma = mdp, gamma
        low, high = mdp.form.mass_range()
        self.terms = mdp.form.longest_row()
        self.low_mass, self.high_mass = max(low - self.terms * UNIT, 0.0), high * (1 + 2 * self.terms * UNIT)
        self.largest_reward = float(np.abs(mdp.form.reward).max(initial=0.0))

    def rounding(self, value: np.ndarray) -> float:
        """How far a computed backup of `value` can be from the exact one, in any state."""
        largest = self.largest_reward + self.gamma * float(np.abs(value).max())
        return (self.terms + 5) * UNIT * (1 + 1e-6) * largest + TINY  # a row sums to 1 within 1e-9

    def shift(self, value: np.ndarray, backup: np.ndarray) -> Shift:
        """Bounds from one backup: `backup` is T `value` as computed."""
        e = self.rounding(value)
        change = backup - value
        return Shift(-self._slack(-float(change.min()), e), self._slack(float(change.max()), e))

    def _slack(self, change: float, e: float) -> float:
        # The subtraction that gave `change` rounds too; e covers it, as it covers the sum that the caller makes.
        change = change + e
        need = 2 * e + self.gamma * (self.high_mass if change > 0 else self.low_mass) * change
        mass = self.high_mass if need > 0 else self.low_mass
        if self.gamma * mass >= 1:
            return np.inf
        return need / (1 - self.gamma * mass) * (1 + 8 * UNIT if need > 0 else 1 - 8 * UNIT)

    def bounds(self, value: np.ndarray) -> dict:
        """lower, upper, policy and policy_loss from one look ahead at `value` (S,)."""
        q = self.mdp.q(value, self.gamma)
        # Ties are relative to the problem's numbers, where these are small.
        scale = min(1.0, self.largest_reward + self.gamma * float(np.abs(value).max()))
        backup, policy = q.max(axis=1), first_best(q, TIE * scale)
        shift = self.shift(value, backup)
        lower, upper = backup + shift.below, backup + shift.above
        resting = self.mdp.form.resting()
        lower[resting] = upper[resting] = 0.0
        of_policy = np.take_along_axis(q, policy[:, None], axis=1)[:, 0]
        policy_lower = of_policy + self.shift(value, of_policy).below
        policy_lower[resting] = 0.0
        return {
            "lower": lower,
            "upper": upper,
            "policy": policy,
            "policy_loss": max(float((upper - policy_lower).max()), 0.0),
        }
