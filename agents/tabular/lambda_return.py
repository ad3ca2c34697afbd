"""The off-line lambda-return algorithm: what TD(lambda) approaches, seen from the front.

    G_t = r_t+1 + gamma [ (1 - lambda) V(s_t+1) + lambda G_t+1 ],         G_T = 0 where the episode terminates
    V(s_t) <- V(s_t) + alpha * [ G_t - V(s_t) ]          for t = 0, 1, ... T - 1, at the end of the episode

The lambda-returns are those of the values that the episode began with. Where it is cut short, G_T is the value of the
state that it was cut at. lambda = 0 is TD(0), one episode late; lambda = 1 is Monte Carlo on every visit.

Source: Watkins (1989); Sutton and Barto (2018), section 12.1, equations 12.2, 12.3 and 12.4.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.tabular.episodes import with_room
from rltk.agents.tabular.prediction import PredictionLearner
from rltk.mdp import jit
from rltk.runs.checks import checked_number


class StatesAndRewards(NamedTuple):
    """The steps of the episode under way, `size[0]` of them."""

    states: np.ndarray  # (room,) int64
    rewards: np.ndarray  # (room,) float64
    size: np.ndarray  # (1,) int64
    lambda_: np.ndarray  # (1,) float64


@jit(_nrt=False)
def lambda_return_update(
    value, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Note the step; at an end update every state of the episode, in place. Returns the sum of the errors."""
    states, rewards, size, lambda_ = memory
    at = size[0]
    states[at], rewards[at] = state, reward
    size[0] += 1
    errors = reward * 0.0  # what is not finite stops learning at once
    if not over:
        return errors
    ahead = 0.0 if terminated else value[next_state]
    for t in range(at, -1, -1):
        rewards[t] += gamma * ahead  # the lambda-return from here on
        ahead = (1.0 - lambda_[0]) * value[states[t]] + lambda_[0] * rewards[t]
    for t in range(size[0]):
        error = rewards[t] - value[states[t]]
        value[states[t]] += alpha * error
        errors += error
    size[0] = 0
    return errors


class LambdaReturn(PredictionLearner):
    """Learn a policy's state values from the lambda-returns of whole episodes: `LambdaReturn(env, lambda_=0.9)`.

    `PredictionLearner` owns the other options.
    """

    name = "lambda-return"
    update = staticmethod(lambda_return_update)
    own_options = ("lambda_", *PredictionLearner.own_options)

    def __init__(self, env: Any, policy: Any = None, *, lambda_: float = 0.9, **options: Any) -> None:
        self.lambda_ = checked_number("lambda_", lambda_)
        super().__init__(env, policy, **options)

    def _new_memory(self) -> Any:
        counters = np.zeros(1, dtype=np.int64), np.array([self.lambda_])
        return StatesAndRewards(np.zeros(0, dtype=np.int64), np.zeros(0), *counters)

    def _reserve(self, count: int) -> None:
        self.memory = with_room(self.memory, count)
