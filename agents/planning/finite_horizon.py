"""Backward induction: the optimum of n steps, for a policy that knows how many are left.

    V_0 = 0,    V_k(s) = max_a sum_s' T(s' | s, a) [ r(s, a, s') + gamma V_{k-1}(s') ],    k = 1, ..., n

One sweep a step, for any gamma in [0, 1]; no limit is taken, so all that parts the computed V_n from the exact one is
rounding. With e_k the rounding of one backup and m the largest mass of a row that goes on, T being a contraction by
gamma m (at gamma m = 1, no expansion), errors add up over the steps:

    E_0 = 0,    E_k = gamma m E_{k-1} + e_k,    |computed V_k - exact V_k| <= E_k.

Actions within 4 e_k of the best can't be told apart, so the first of them is taken. By the same recursion, with 5 e_k
in place of e_k, the values of that policy lie within 5 E_n of the computed ones, hence within 6 E_n of the optimum.

Source: Bellman (1957); Puterman (1994), section 4.5. The rounding of one backup: `rltk.agents.planning.bounds`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.planner import Planner, Report
from rltk.agents.planning.solution import Solution, half_width
from rltk.errors import ArgumentError
from rltk.mdp import MDP, Criterion
from rltk.mdp.criterion import Kind
from rltk.mdp.validation import refuse_size


@dataclass(frozen=True, eq=False, kw_only=True)
class FiniteHorizonSolution(Solution):
    """The answer key of n steps. `value` and its bounds are those of all n steps, `policy` is what to do first.

    As an agent it follows the clock: `predict` returns how many steps have been taken as its `state`, and starts anew
    where `episode_start` says so. Past the horizon, of which the criterion says nothing, it keeps to the last stage.
    """

    stages: np.ndarray = field(repr=False)  # (m, S) m <= n: row k - 1 acts with k steps to go, the last row with more
    tail: np.ndarray = field(repr=False)  # (S,) float64: the optimum with one step less to go

    @property
    def horizon(self) -> int:
        """n, the number of steps."""
        assert self.criterion.horizon is not None
        return self.criterion.horizon

    @cached_property
    def q(self) -> np.ndarray:
        """(S, A) float64: what each first action is worth; -inf where it is not available."""
        return self.mdp.q(self.tail, self.criterion.gamma)

    @property
    def stage_policy(self) -> np.ndarray:
        """(n, S) int, a copy: row k - 1 is the policy with k steps to go. SizeError where it would not fit."""
        refuse_size(
            f"the policies of {self.horizon:,} steps", self.horizon * self.stages[0].nbytes, "Use `stages` instead"
        )
        return self.stages[np.minimum(np.arange(self.horizon), len(self.stages) - 1)]

    @cached_property
    def values(self) -> np.ndarray:
        """(n + 1, S) float64: row k is the optimum of k steps, computed anew when asked for. SizeError if too large."""
        shape = (self.horizon + 1, self.mdp.n_states)
        refuse_size(f"the values of {self.horizon:,} steps", 8 * math.prod(shape), "`value` and `tail` hold the last")
        values = np.zeros(shape)
        for k in range(1, self.horizon + 1):
            values[k] = self.mdp.backup(values[k - 1], self.criterion.gamma)
        return values

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[Any, np.ndarray]:
        """The optimal action of a state index, or of an array (N,) of them, and `state`: the steps taken, (N,) int64.

        state: what the last call returned; None, or True in `episode_start` (N,), for the first step of an episode.
        """
        index = self._states(observation)
        taken = self._clock(state, episode_start, index.size).reshape(index.shape)
        to_go = np.clip(self.horizon - taken, 1, len(self.stages))
        action = self.stages[to_go - 1, index]
        return (int(action) if index.ndim == 0 else action.astype(np.int64)), taken.reshape(-1) + 1

    def action_probabilities(self, observations: Any, mask: Any = None, deterministic: bool = True) -> np.ndarray:
        """(N, A) float64: what is done first in (N,) state indices; `predict` follows the clock."""
        return super().action_probabilities(observations, mask, deterministic)

    def _clock(self, state: Any, episode_start: Any, size: int) -> np.ndarray:
        """(N,) int64: how many steps have been taken."""
        taken = np.zeros(size, dtype=np.int64) if state is None else np.array(state).reshape(-1)
        if taken.dtype.kind not in "iu" or taken.size != size or (taken < 0).any():
            raise ArgumentError(
                f"state is the number of steps taken, one for each of {size} observations, as the last predict "
                f"returned it; it is {state!r}"
            )
        if episode_start is not None:
            begins = np.asarray(episode_start).reshape(-1)
            if begins.size != size:
                raise ArgumentError(f"episode_start holds a bool for each of {size} observations; it has {begins.size}")
            taken = np.where(begins.astype(bool), 0, taken)
        return taken.astype(np.int64)


class BackwardInduction(Planner):
    """Backward induction: `BackwardInduction(criterion=Criterion(1.0, horizon=100)).solve(mdp)`.

    One sweep a step of the horizon, so `max_sweeps` is that unless given; a smaller one is refused. Raises SizeError
    where the policies of all steps, n * S small integers, don't fit.
    """

    name = "backward induction"
    kinds: ClassVar[tuple[Kind, ...]] = ("discounted", "total")
    takes_horizon = True
    solution = FiniteHorizonSolution

    def __init__(
        self,
        gamma: float | None = None,
        *,
        criterion: Criterion | None = None,
        tolerance: float = 1e-6,
        max_sweeps: int | None = None,
    ) -> None:
        asked = 1 if max_sweeps is None else max_sweeps
        super().__init__(gamma, criterion=criterion, tolerance=tolerance, max_sweeps=asked)
        self.horizon = self.criterion.horizon or 0
        if max_sweeps is not None and self.max_sweeps < self.horizon:
            raise ArgumentError(
                f"backward induction takes a sweep a step, {self.horizon:,} here; max_sweeps is {max_sweeps}. Leave it"
            )
        self.max_sweeps = max(self.max_sweeps, self.horizon)

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        dtype, n = np.min_scalar_type(mdp.n_actions - 1), self.horizon
        refuse_size(
            f"the policies of {n:,} steps in {mdp.n_states:,} states",
            float(n) * mdp.n_states * dtype.itemsize,
            "Ask for a shorter horizon; with gamma < 1, or where episodes end, for none",
        )
        certifier = Certifier(mdp, self.criterion.gamma)
        stages = np.empty((n, mdp.n_states), dtype=dtype)

        def backup(value: np.ndarray, step: int) -> np.ndarray:
            if step % 64 == 63:
                report(step, np.inf)
            # `look` takes ties relative to a value's size where that is above 1.
            tie = 4 * certifier.rounding(value) / max(certifier.largest_reward + float(np.abs(value).max()), 1.0)
            ahead = mdp.form.look(value, certifier.gamma, tie)
            stages[step] = ahead.policy
            return ahead.best

        found = induce(certifier, n, backup)
        lower, upper = found.bounds(mdp)
        if found.steps < n:
            stages = stages[: found.steps].copy()
        width = half_width(lower, upper)
        rounding = "" if width <= self.tolerance else f"rounding stopped it at a half-width of {width:.2g}"
        return {
            "lower": lower,
            "upper": upper,
            "policy": stages[-1].astype(np.int64),
            "policy_loss": 6 * found.error,
            "sweeps": found.steps,
            "note": rounding,
            "stages": stages,
            "tail": found.tail,
        }


class Induced(NamedTuple):
    """The value of n steps. `steps` <= n of them were computed: the value no longer changed after that many."""

    value: np.ndarray  # (S,) float64
    tail: np.ndarray  # (S,) float64: with one step less to go
    error: float  # how far the value can be from the exact one
    steps: int

    def bounds(self, mdp: MDP) -> tuple[np.ndarray, np.ndarray]:
        """(lower, upper) (S,) each; known values are exact."""
        lower = np.nextafter(self.value - self.error, -np.inf)
        upper = np.nextafter(self.value + self.error, np.inf)
        resting = mdp.form.survey.resting
        lower[resting] = upper[resting] = 0.0
        return lower, upper


def induce(certifier: Certifier, n: int, backup: Callable[[np.ndarray, int], np.ndarray] | None = None) -> Induced:
    """The optimum of `n` steps and its error; `backup(value, step)` is the MDP's own unless given."""
    mdp, gamma = certifier.mdp, certifier.gamma
    value = tail = np.zeros(mdp.n_states)
    rate, error = gamma * certifier.high_mass, 0.0
    for step in range(n):
        longer = mdp.backup(value, gamma) if backup is None else backup(value, step)
        rounding = certifier.rounding(value)
        error = (rate * error + rounding) * (1 + 1e-15)
        if (longer == value).all():
            return Induced(longer, value, _later(error, rounding, rate, n - step - 1), step + 1)
        tail, value = value, longer
    return Induced(value, tail, error, n)


def _later(error: float, rounding: float, rate: float, steps: int) -> float:
    """A bound on `error` after `steps` times error <- rate * error + rounding; (1 + x)^k <= e^(k x)."""
    growth = math.exp(min(steps * max(rate - 1.0, 0.0), 700.0))
    later = growth * (error + steps * rounding)
    if rate < 1:
        later = min(later, max(error, rounding / (1 - rate)))
    return later * (1 + 1e-9)
