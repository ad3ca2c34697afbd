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
def expected_sarsa_update(weigh: Callable[..., Any]) -> Callable[..., Any]:
    """The update under the policy that the kernel `weigh` fills in (`exploration`)."""

    @jit(inline="always")
    def update(
        q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
    ):
        """Move `q[state, action]` one step towards its target, in place, and return the TD error."""
        target = reward
        if not terminated:
            (policy,) = memory
            rate, habits = behaviour
            weigh(q[next_state], next_state, rate, habits, policy)
            expected = 0.0
            for b in range(policy.size):
                chance, worth = policy[b], q[next_state, b]
                expected += chance * worth if chance > 0.0 else 0.0  # what can't be taken has the value -inf
            target += gamma * expected
        error = target - q[state, action]
        q[state, action] += alpha * error
        return error

    return update


class ExpectedSARSA(ControlLearner):
    """Learn the action values of the behaviour with the update above. `ControlLearner` owns the options."""

    name = "expected-sarsa"

    def _update(self) -> Callable[..., Any]:
        return expected_sarsa_update(self.exploration.weigh)

    def _new_memory(self) -> Any:
        return Policy(np.zeros(self.n_actions))


class Policy(NamedTuple):
    """Room for the policy in one state."""

    policy: np.ndarray  # (A,) float64
