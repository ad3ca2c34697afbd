"""Prioritised sweeping: Dyna that recalls what is most in need of it, and then looks who depends on that.

    a step:      Model(s, a) <- r, s';    p(s, a) = | r + gamma max_b Q(s', b) - Q(s, a) |
    n times:     the (s, a) of the largest p:  r, s' = Model(s, a);  p(s, a) <- 0
                 Q(s, a) <- Q(s, a) + alpha * [ r + gamma * max_b Q(s', b) - Q(s, a) ]
                 for each (s-, a-) that the model leads to s:    p(s-, a-) anew, where it is larger than before

What has a p of no more than `threshold` does not wait in the queue. Where a reward is found, it travels backwards along
the ways that lead to it, instead of waiting until chance recalls them in the right order.

The model holds the latest outcome of each (s, a): it is made for worlds without chance. The planner of this name
(`rltk.agents.PrioritisedSweeping`) knows T and R; this learner does not.

Source: Moore and Atkeson (1993); Peng and Williams (1993), who call it Queue-Dyna; Sutton and Barto (2018), section 8.4
(prioritized sweeping for a deterministic environment).
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.planning.structure.heap import rise, take_top
from rltk.agents.tabular.control import ControlLearner
from rltk.mdp import jit
from rltk.runs.checks import checked_count, checked_number


class Sweep(NamedTuple):
    """The model, who leads where in it, and the queue. A pair of state and action is a row, s * A + a."""

    next_state: np.ndarray  # (S * A,) int64
    reward: np.ndarray  # (S * A,) float64
    goes_on: np.ndarray  # (S * A,) bool: it was taken, and did not terminate
    first: np.ndarray  # (S,) int64: a row that leads to the state, -1 where there is none
    following: np.ndarray  # (S * A,) int64: the next row that leads where this one does, -1 after the last
    preceding: np.ndarray  # (S * A,) int64
    priority: np.ndarray  # (S * A,) float64: 0 outside the queue
    heap: np.ndarray  # (S * A,) int64: the queue, `size[0]` rows (`planning.structure.heap`)
    place: np.ndarray  # (S * A,) int64: -1 outside the queue
    size: np.ndarray  # (1,) int64
    planning: np.ndarray  # (1,) int64: the most updates a step
    threshold: np.ndarray  # (1,) float64
    updates: np.ndarray  # (1,) int64: updates so far


@jit(_nrt=False)
def prioritised_sweeping_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Note one step and make up to `planning` updates, in place; returns the TD error of the step, or the first of an
    update that is not finite."""
    model_next, model_reward, goes_on = memory[:3]
    first, following, preceding = memory[3:6]
    priority, heap, place, size = memory[6:10]
    planning, threshold, updates = memory[10:]
    n_actions = q.shape[1]
    row = state * n_actions + action
    lead(memory, row, next_state, not terminated)
    model_reward[row] = reward
    error = error_of(q, memory, row, gamma)
    if not np.isfinite(error):
        return error
    queue(memory, row, abs(error))
    for _ in range(planning[0]):
        if size[0] == 0:
            break
        top = take_top(heap, place, priority, size[0])
        size[0] -= 1
        priority[top] = 0.0
        change = error_of(q, memory, top, gamma)
        s = top // n_actions
        q[s, top % n_actions] += alpha * change
        updates[0] += 1
        if not np.isfinite(change):
            return change
        before = first[s]
        while before >= 0:
            queue(memory, before, abs(error_of(q, memory, before, gamma)))
            before = following[before]
    return error


@jit(_nrt=False)
def error_of(q, memory, row, gamma):
    """r + gamma max_b Q(s', b) - Q(s, a) by the model."""
    model_next, model_reward, goes_on = memory[:3]
    target = model_reward[row]
    if goes_on[row]:
        best = -np.inf
        for b in range(q.shape[1]):
            best = max(best, q[model_next[row], b])
        target += gamma * best
    return target - q[row // q.shape[1], row % q.shape[1]]


@jit(_nrt=False)
def queue(memory, row, need):
    """Let `row` wait with priority `need`, where that is above the threshold and what it waits with already."""
    priority, heap, place, size, planning, threshold, updates = memory[6:]
    if need > threshold[0] and need > priority[row]:
        priority[row] = need
        size[0] = rise(heap, place, priority, size[0], row)


@jit(_nrt=False)
def lead(memory, row, next_state, going_on):
    """Let the model lead from `row` to `next_state`; the list of what leads there follows."""
    model_next, model_reward, goes_on, first, following, preceding = memory[:6]
    if goes_on[row]:  # out of the list that it is in
        after, before = following[row], preceding[row]
        if before >= 0:
            following[before] = after
        else:
            first[model_next[row]] = after
        if after >= 0:
            preceding[after] = before
    model_next[row], goes_on[row] = next_state, going_on
    if going_on:
        after = first[next_state]
        following[row], preceding[row], first[next_state] = after, -1, row
        if after >= 0:
            preceding[after] = row


class PrioritisedDynaQ(ControlLearner):
    """Dyna-Q by need instead of by chance: `PrioritisedDynaQ(env, n=5, threshold=1e-4)`.

    n: the most updates a step. `ControlLearner` owns the other options.
    """

    name = "prioritised-dyna-q"
    update = staticmethod(prioritised_sweeping_update)
    own_options = ("n", "threshold")

    def __init__(self, env: Any, *, n: int = 10, threshold: float = 1e-4, **options: Any) -> None:
        self.n, self.threshold = checked_count("n", n), checked_number("threshold", threshold, np.inf)
        super().__init__(env, **options)

    @property
    def updates(self) -> int:
        """How many updates were made so far."""
        return int(self.memory.updates[0])

    def _new_memory(self) -> Any:
        rows = self.table.size
        return Sweep(
            next_state=np.zeros(rows, dtype=np.int64),
            reward=np.zeros(rows),
            goes_on=np.zeros(rows, dtype=bool),
            first=np.full(self.n_states, -1),
            following=np.full(rows, -1),
            preceding=np.full(rows, -1),
            priority=np.zeros(rows),
            heap=np.zeros(rows, dtype=np.int64),
            place=np.full(rows, -1),
            size=np.zeros(1, dtype=np.int64),
            planning=np.array([self.n]),
            threshold=np.array([self.threshold]),
            updates=np.zeros(1, dtype=np.int64),
        )
