"""Monte Carlo prediction and control: learning from the returns of whole episodes.

    prediction   V(s) <- V(s) + alpha * [ G - V(s) ]          for every visit of s, or the first in the episode
    control      Q(s, a) <- Q(s, a) + alpha * [ G - Q(s, a) ]

alpha = None averages the returns: V(s) is their mean. What a truncated episode teaches is an option (`episodes`).

Source: Sutton and Barto (2018), sections 5.1 (prediction) and 5.4 (on-policy control); Singh and Sutton (1996) for
first and every visit.
"""

from typing import Any

from rltk.agents.tabular.control import ControlLearner
from rltk.agents.tabular.episodes import note, size_of_step, steps_of, with_room
from rltk.agents.tabular.prediction import PredictionLearner
from rltk.mdp import jit
from rltk.runs import Schedule
from rltk.runs.checks import checked_flag


@jit(_nrt=False)
def monte_carlo_update(
    value, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Note the step; at an end update every state of the episode, in place. Returns the sum of the errors."""
    states, actions, rewards, size, first, visits, flags = memory
    note(memory, state, action, reward, state)
    if not over:
        return reward * 0.0  # what is not finite stops learning at once
    errors, target = reward * 0.0, 0.0  # what is not finite stops learning, discarded or not
    if not terminated and flags[1]:
        target = value[next_state]
    for t in range(size[0] - 1, -1, -1):
        target = rewards[t] + gamma * target
        row = states[t]
        if (terminated or flags[1]) and (not flags[0] or first[row] == t):
            error = target - value[row]
            value[row] += size_of_step(memory, row, alpha) * error
            errors += error
    for t in range(size[0]):
        first[states[t]] = -1
    size[0] = 0
    return errors


@jit(_nrt=False)
def monte_carlo_control_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Note the step; at an end update every state and action of the episode. Returns the sum of the errors."""
    states, actions, rewards, size, first, visits, flags = memory
    n_actions = q.shape[1]
    note(memory, state, action, reward, state * n_actions + action)
    if not over:
        return reward * 0.0
    errors, target = reward * 0.0, 0.0  # what is not finite stops learning, discarded or not
    if not terminated and flags[1]:
        target = q[next_state, next_action]
    for t in range(size[0] - 1, -1, -1):
        target = rewards[t] + gamma * target
        row = states[t] * n_actions + actions[t]
        if (terminated or flags[1]) and (not flags[0] or first[row] == t):
            error = target - q[states[t], actions[t]]
            q[states[t], actions[t]] += size_of_step(memory, row, alpha) * error
            errors += error
    for t in range(size[0]):
        first[states[t] * n_actions + actions[t]] = -1
    size[0] = 0
    return errors


class MonteCarlo(PredictionLearner):
    """Learn a policy's state values from whole episodes: `MonteCarlo(env, policy)`.

    alpha: a step size, or None for the mean of all returns. first_visit: only the first visit of a state in an episode
    counts. truncated: "discard" or "bootstrap". `PredictionLearner` owns the other options.
    """

    name = "monte-carlo"
    update = staticmethod(monte_carlo_update)
    own_options = ("first_visit", "truncated", *PredictionLearner.own_options)

    def __init__(
        self,
        env: Any,
        policy: Any = None,
        *,
        alpha: float | Schedule | None = None,
        first_visit: bool = True,
        truncated: str = "discard",
        **options: Any,
    ) -> None:
        self.first_visit, self.truncated = checked_flag("first_visit", first_visit), truncated
        self._averages = alpha is None
        super().__init__(env, policy, alpha=0.0 if alpha is None else alpha, **options)

    def _new_memory(self) -> Any:
        return steps_of(self.n_states, first_visit=self.first_visit, truncated=self.truncated, average=self._averages)

    def _reserve(self, count: int) -> None:
        self.memory = with_room(self.memory, count)

    def config(self) -> dict[str, Any]:
        """The hyper-parameters as plain JSON; alpha is None where returns are averaged."""
        return {**super().config(), **({"alpha": None} if self._averages else {})}


class MonteCarloControl(ControlLearner):
    """Learn the action values of the behaviour from whole episodes: `MonteCarloControl(env, epsilon=0.1)`.

    alpha, first_visit, truncated: as of `MonteCarlo`. `ControlLearner` owns the other options.
    """

    name = "monte-carlo-control"
    update = staticmethod(monte_carlo_control_update)
    looks_ahead = True  # what a truncated episode bootstraps from
    own_options = ("first_visit", "truncated")

    def __init__(
        self,
        env: Any,
        *,
        alpha: float | Schedule | None = None,
        first_visit: bool = True,
        truncated: str = "discard",
        **options: Any,
    ) -> None:
        self.first_visit, self.truncated = checked_flag("first_visit", first_visit), truncated
        self._averages = alpha is None
        super().__init__(env, alpha=0.0 if alpha is None else alpha, **options)

    def _new_memory(self) -> Any:
        return steps_of(self.table.size, first_visit=self.first_visit, truncated=self.truncated, average=self._averages)

    def _reserve(self, count: int) -> None:
        self.memory = with_room(self.memory, count)

    def config(self) -> dict[str, Any]:
        """The hyper-parameters as plain JSON; alpha is None where returns are averaged."""
        return {**super().config(), **({"alpha": None} if self._averages else {})}
