"""Expected SARSA: SARSA without the noise of the next action.

    Q(s, a) <- Q(s, a) + alpha * [ r + gamma * sum_b pi(b | s') Q(s', b) - Q(s, a) ]

pi is the policy that is followed, at its rate of exploration now. A terminated transition has no bootstrap term.

Source: van Seijen, van Hasselt, Whiteson and Wiering (2009); Sutton and Barto (2018), section 6.6, equation 6.9.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from rltk.agents.tabular.control import ControlLearner
from rltk.mdp import jit


@cache
def expected_sarsa_update(mean: Callable[..., Any]) -> Callable[..., Any]:
    """The update under the policy by which the kernel `mean` averages (`Exploration.mean`)."""

    @jit(inline="always")
    def update(
        q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
    ):
        """Move `q[state, action]` one step towards its target, in place, and return the TD error."""
        target = reward
        if not terminated:
            (room,) = memory
            rate, habits = behaviour
            target += gamma * mean(q[next_state], next_state, rate, habits, room)
        error = target - q[state, action]
        q[state, action] += alpha * error
        return error

    return update


class ExpectedSARSA(ControlLearner):
    """Learn the action values of the behaviour with the update above. `ControlLearner` owns the options."""

    name = "expected-sarsa"

    def _update(self) -> Callable[..., Any]:
        return expected_sarsa_update(self.exploration.mean())

    def _new_memory(self) -> Any:
        return Room(np.zeros(self.n_actions))


class Room(NamedTuple):
    """Room for the policy in one state."""

    room: np.ndarray  # (A,) float64
