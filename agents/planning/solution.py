"""A planner's answer: values between certified bounds, a policy, and the truth about how it went."""

import itertools
import textwrap
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp import MDP, Criterion


@dataclass(frozen=True, eq=False)
class Solution:
    """The answer key of an MDP.

    The optimal value of every state lies in [lower, upper]; `value` is the midpoint. `converged` says whether
    (upper - lower) / 2 is within the tolerance asked for in every state. `policy_loss` bounds V* - V^policy in every
    state. A Solution is an agent that acts on the state index (`info["state"]` of rltk's environments).
    """

    mdp: MDP = field(repr=False)
    criterion: Criterion
    tolerance: float
    lower: np.ndarray = field(repr=False)  # (S,) float64
    upper: np.ndarray = field(repr=False)  # (S,) float64
    policy: np.ndarray = field(repr=False)  # (S,) int64
    policy_loss: float
    sweeps: int
    seconds: float
    method: str
    note: str = ""

    acts_on_states = True

    @cached_property
    def value(self) -> np.ndarray:
        """(S,) float64: the midpoint of the bounds; infinite where both are, nan where one of them is open."""
        with np.errstate(invalid="ignore"):
            middle = self.lower + (self.upper - self.lower) / 2
        known = np.isfinite(self.lower) & np.isfinite(self.upper)
        return np.where(known, middle, np.where(self.lower == self.upper, self.lower, np.nan))

    @cached_property
    def q(self) -> np.ndarray:
        """(S, A) float64 action values, one look ahead from `value`; -inf where an action is not available."""
        return self.mdp.q(self.value, self.criterion.gamma)

    @cached_property
    def half_width(self) -> float:
        """The largest (upper - lower) / 2 over the states; infinite where a bound is missing."""
        return half_width(self.lower, self.upper)

    @property
    def converged(self) -> bool:
        """Whether every state is known to within the tolerance."""
        return self.half_width <= self.tolerance

    @property
    def start_bounds(self) -> tuple[float, float]:
        """(lower, upper) of the optimal value over the start distribution."""
        return self.mdp.over_start(self.lower), self.mdp.over_start(self.upper)

    @property
    def start_value(self) -> float:
        """The optimal value over the start distribution."""
        return self.mdp.over_start(self.value)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, Any]:
        """The optimal action of a state index, or of an array of them: (action, state), as SB3's agents answer."""
        index = self._states(observation)
        action = self.policy[index]
        return (int(action) if index.ndim == 0 else action), state

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: the policy of (N,) state indices."""
        index = np.atleast_1d(self._states(observations))
        probabilities = np.zeros((index.size, self.mdp.n_actions))
        probabilities[np.arange(index.size), self.policy[index]] = 1.0
        return probabilities

    def _states(self, observation: Any) -> np.ndarray:
        index = np.asarray(observation)
        if not np.issubdtype(index.dtype, np.integer) or (index < 0).any() or (index >= self.mdp.n_states).any():
            raise ArgumentError(
                f"a Solution acts on the state index, 0 to {self.mdp.n_states - 1}; it got {observation!r}. "
                'rltk\'s environments hand it out as info["state"]'
            )
        return index

    def __str__(self) -> str:
        low, high = self.start_bounds
        state = "converged" if self.converged else "NOT converged"
        lines = [
            f"{self.method}, {self.criterion}: {state} after {self.sweeps:,} sweeps, {self.seconds:.3g} s",
            f"optimum over the start distribution: {self.start_value:.10g}",
            f"  certified between {low:.12g} and {high:.12g}",
            f"largest half-width {self.half_width:.2g} (asked: {self.tolerance:g}); "
            f"policy loss <= {self.policy_loss:.2g}",
        ]
        wrapped = [textwrap.wrap(line, 80, subsequent_indent="  ") for line in [*lines, *self.note.splitlines()]]
        return "\n".join(itertools.chain.from_iterable(wrapped))


def half_width(lower: np.ndarray, upper: np.ndarray) -> float:
    """The largest distance between the bounds, halved; 0 where both are the same infinity.

    Bounds that cross, by more than was asked for, are as far from an answer as bounds that leave a gap.
    """
    with np.errstate(invalid="ignore"):
        width = np.where(lower == upper, 0.0, np.abs(upper - lower))
    return float(np.max(width, initial=0.0) / 2) if not np.isnan(width).any() else np.inf
