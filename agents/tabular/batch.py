"""Batch TD and batch Monte Carlo: all experience so far, gone through again and again until nothing changes.

    a sweep    V(s) <- V(s) + mean over the visits of s of [ target - V(s) ]

    batch TD            target = r + gamma V(s')
    batch Monte Carlo   target = G, the return that followed

It stops when no value moves by more than `tolerance` times the largest of them. The book adds up the errors times a
small step size; their mean is that sum with 1 / N(s) for a step size, so both come to rest at the same values, and
with the mean each sweep is as long as can be without overshooting.

Batch TD comes to what the policy would be worth if the world were just as it was seen (the certainty-equivalence
estimate: T and R the frequencies and means of the steps). Batch Monte Carlo comes to the mean of the returns seen,
the least squared error on the experience, though not on what is to come. The sweeps begin anew from `initial_value`
whenever the table is looked at, at a callback and at the end of `learn`, so the values depend on the experience alone.

Source: Sutton and Barto (2018), section 6.3, Examples 6.3 and 6.4.
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from rltk.agents.tabular.averages import NoStepSize
from rltk.agents.tabular.episodes import checked_truncated, with_room
from rltk.agents.tabular.prediction import PredictionLearner
from rltk.errors import LearningError
from rltk.mdp import jit
from rltk.runs.checks import checked_count, checked_number

GOES_ON, TERMINATED, TRUNCATED = 0, 1, 2


class Experienced(NamedTuple):
    """All steps so far, `size[0]` of them, in order."""

    states: np.ndarray  # (room,) int64
    next_states: np.ndarray  # (room,) int64
    rewards: np.ndarray  # (room,) float64
    ends: np.ndarray  # (room,) int64: GOES_ON, TERMINATED or TRUNCATED
    size: np.ndarray  # (1,) int64
    ended: np.ndarray  # (1,) int64: how many of them belong to episodes that have ended
    discard: np.ndarray  # (1,) bool: whether truncated episodes are forgotten
    sweeps: np.ndarray  # (1,) int64: how many the last settling took


@jit(_nrt=False)
def batch_update(
    value, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Note the step; the values move in `sweep`."""
    states, next_states, rewards, ends, size, ended, discard, sweeps = memory
    at = size[0]
    states[at], next_states[at], rewards[at] = state, next_state, reward
    ends[at] = TERMINATED if terminated else TRUNCATED if over else GOES_ON
    size[0] += 1
    if over and discard[0] and not terminated:
        size[0] = ended[0]
    elif over:
        ended[0] = size[0]
    return reward * 0.0  # what is not finite stops learning at once


@jit(_nrt=False)
def sweep(value, memory, n, whole_returns, gamma, sums, visits):
    """One sweep over the first n steps, in place. Returns (largest change, largest value).

    whole_returns: targets are returns, else one-step ones. sums, visits: (S,) float64, room.
    """
    states, next_states, rewards, ends, size, ended, discard, sweeps = memory
    sums[:] = 0.0
    visits[:] = 0.0
    target = 0.0
    for t in range(n - 1, -1, -1):
        if not (whole_returns and ends[t] == GOES_ON):
            target = 0.0 if ends[t] == TERMINATED else value[next_states[t]]
        target = rewards[t] + gamma * target
        sums[states[t]] += target
        visits[states[t]] += 1.0
    change, largest = 0.0, 0.0
    for s in range(value.size):
        if visits[s] > 0.0:
            mean = sums[s] / visits[s]
            change = max(change, abs(mean - value[s]))
            value[s] = mean
            largest = max(largest, abs(mean))
    return change, largest


@jit
def settle(value, memory, n, whole_returns, gamma, tolerance, most):
    """Sweep until the values rest, at most `most` times. Returns the number of sweeps."""
    sums, visits = np.empty(value.size), np.empty(value.size)
    for i in range(most):
        change, largest = sweep(value, memory, n, whole_returns, gamma, sums, visits)
        if change <= tolerance * largest:
            return i + 1
    return most


class SettlingLearner(NoStepSize, PredictionLearner):
    """A learner whose values follow, all at once, from what it has seen. There is no alpha."""

    def _settle(self) -> None:
        self._follow()
        if not np.isfinite(self.table).all():
            self._fault = (
                f"{type(self).__name__}: the values after step {self.timestep} are not finite (NaN or infinity)"
            )
            raise LearningError(f"{self._fault}. The rewards so far overflow where they are added up: look at them")

    def _follow(self) -> None:
        """Bring the table up to date with the memory, whatever it held before."""
        raise NotImplementedError


class BatchLearner(SettlingLearner):
    """What batch TD and batch Monte Carlo share: all experience is kept.

    tolerance: of the largest value. sweeps: the most that settling takes; `agent.converged` says whether they were
    enough. They never are at gamma = 1 where the experience holds no way to an end.
    """

    update = staticmethod(batch_update)
    own_options: ClassVar[tuple[str, ...]] = ("tolerance", "sweeps", *PredictionLearner.own_options)
    _discard = False

    def __init__(
        self, env: Any, policy: Any = None, *, tolerance: float = 1e-12, sweeps: int = 10_000, **options: Any
    ) -> None:
        self.tolerance, self.sweeps = checked_number("tolerance", tolerance), checked_count("sweeps", sweeps)
        super().__init__(env, policy, **options)

    @property
    def converged(self) -> bool:
        """Whether the values have come to rest."""
        return int(self.memory.sweeps[0]) < self.sweeps

    def _new_memory(self) -> Any:
        steps = (np.zeros(0, dtype=kind) for kind in (np.int64, np.int64, np.float64, np.int64))
        counters = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
        return Experienced(*steps, *counters, np.array([self._discard]), np.zeros(1, dtype=np.int64))  # type: ignore[call-arg]

    def _reserve(self, count: int) -> None:
        self.memory = with_room(self.memory, count)

    def _settle_on(self, steps: int, whole_returns: bool) -> None:
        self.table[:] = self.initial_value
        numbers = self.gamma, self.tolerance, self.sweeps
        self.memory.sweeps[0] = settle(self.table, tuple(self.memory), steps, whole_returns, *numbers)


class BatchTD(BatchLearner):
    """Learn a policy's state values by batch TD: `BatchTD(env, policy)`. `BatchLearner` owns the options."""

    name = "batch-td"

    def _follow(self) -> None:
        self._settle_on(int(self.memory.size[0]), False)


class BatchMonteCarlo(BatchLearner):
    """Learn a policy's state values by batch Monte Carlo: `BatchMonteCarlo(env, policy)`.

    Every visit counts, of episodes that have ended. truncated: "discard" or "bootstrap", what an episode that was cut
    short teaches. `BatchLearner` owns the other options.
    """

    name = "batch-monte-carlo"
    own_options = ("truncated", *BatchLearner.own_options)

    def __init__(self, env: Any, policy: Any = None, *, truncated: str = "discard", **options: Any) -> None:
        self.truncated = checked_truncated(truncated)
        self._discard = truncated == "discard"
        super().__init__(env, policy, **options)

    def _follow(self) -> None:
        self._settle_on(int(self.memory.ended[0]), True)
