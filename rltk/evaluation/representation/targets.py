"""The answer key that features are held against: V*, Q*, which actions are optimal, and by how much.

    A*(s, a) = Q*(s, a) - V*(s),    gap(s) = V*(s) - max { Q*(s, a) : a available and not optimal }

Source: Farahmand (2011), "Action-gap phenomenon in reinforcement learning".
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rltk.errors import CriterionError
from rltk.evaluation.exact import answer_key
from rltk.mdp import MDP, Criterion

# V* is known to within 1e-7; actions whose values differ by less than this share of the largest value are ties.
TIE = 1e-6


@dataclass(frozen=True, eq=False)
class Targets:
    """What is optimal in an MDP under a discounted criterion. value: (S,) V*. q: (S, A) Q*, -inf where an action is not
    available. optimal: (S, A) bool, ties included."""

    mdp: MDP
    criterion: Criterion
    value: np.ndarray
    q: np.ndarray
    optimal: np.ndarray

    @classmethod
    def of(cls, mdp: MDP, gamma: float) -> "Targets":
        """Solve `mdp`. CriterionError for gamma 1: there values may be infinite, which no line reads."""
        criterion = Criterion(gamma)
        if criterion.kind != "discounted":
            raise CriterionError(f"[{criterion}]: representations are graded under a discount; ask for gamma < 1")
        value = answer_key(mdp, criterion).optimum
        q = mdp.q(value, criterion.gamma)
        slack = TIE * max(float(np.abs(value).max()), float(np.abs(mdp.expected_reward()).max()))
        return cls(mdp, criterion, value, q, q >= q.max(axis=1, keepdims=True) - slack)

    @property
    def available(self) -> np.ndarray:
        """(S, A) bool."""
        return self.mdp.available

    @cached_property
    def advantage(self) -> np.ndarray:
        """(S, A) A*; -inf where an action is not available."""
        return self.q - self.value[:, None]

    @cached_property
    def gap(self) -> np.ndarray:
        """(S,) the action gap; nan where every available action is optimal."""
        second = np.where(self.optimal, -np.inf, self.q).max(axis=1)
        return np.where(np.isfinite(second), self.value - second, np.nan)

    @cached_property
    def mean_gap(self) -> float:
        """The mean action gap of the states that have one; nan where none has."""
        gaps = self.gap[~np.isnan(self.gap)]
        return float(gaps.mean()) if gaps.size else np.nan
