"""SARSA(lambda) and Watkins's Q(lambda): control with traces (`traces`).

    SARSA(lambda)  delta = r + gamma Q(s', a') - Q(s, a)              a' the action that is taken next
    Q(lambda)      delta = r + gamma max_b Q(s', b) - Q(s, a),        traces end where a' is not greedy
    both           Q <- Q + alpha delta e

Q(lambda) learns what greedy behaviour is worth, so what follows an exploring action says nothing about the actions
before it.

Source: Rummery and Niranjan (1994); Watkins (1989); Sutton and Barto (2018), sections 12.7 and 12.10; (1998), Figures
7.11 and 7.14 for the tabular forms.
"""

from typing import Any

import numpy as np

from rltk.agents.tabular.control import ControlLearner
from rltk.agents.tabular.traces import teach, traces_of, visit
from rltk.mdp import jit
from rltk.runs.checks import checked_number


@jit(_nrt=False)
def sarsa_lambda_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Teach all states and actions that have a trace, in place, and return the TD error."""
    trace, rows, size, settings, kind = memory
    error = reward + (0.0 if terminated else gamma * q[next_state, next_action]) - q[state, action]
    visit(memory, state * q.shape[1] + action, alpha)
    return error + teach(q.reshape(-1), memory, alpha * error, 0.0 if over else gamma * settings[0])


@jit(_nrt=False)
def q_lambda_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Teach all states and actions that have a trace, in place, and return the TD error."""
    trace, rows, size, settings, kind = memory
    best = -np.inf
    for b in range(q.shape[1]):
        best = max(best, q[next_state, b])
    error = reward + (0.0 if terminated else gamma * best) - q[state, action]
    greedy = not terminated and q[next_state, next_action] == best  # as it was when a' was chosen
    visit(memory, state * q.shape[1] + action, alpha)
    return error + teach(q.reshape(-1), memory, alpha * error, gamma * settings[0] if greedy and not over else 0.0)


class SARSALambda(ControlLearner):
    """Learn the action values of the behaviour with traces: `SARSALambda(env, lambda_=0.9)`.

    traces: "accumulating", "replacing" or "dutch". cut: traces below it are dropped. `ControlLearner` owns the other
    options.
    """

    name = "sarsa-lambda"
    update = staticmethod(sarsa_lambda_update)
    looks_ahead = True
    own_options = ("lambda_", "traces", "cut")

    def __init__(
        self, env: Any, *, lambda_: float = 0.9, traces: str = "replacing", cut: float = 1e-4, **options: Any
    ) -> None:
        self.lambda_, self.traces = checked_number("lambda_", lambda_), traces
        self.cut = checked_number("cut", cut)
        super().__init__(env, **options)

    def _new_memory(self) -> Any:
        return traces_of(self.table.size, self.lambda_, self.traces, self.cut)


class QLambda(SARSALambda):
    """Watkins's Q(lambda): learn optimal action values with traces: `QLambda(env, lambda_=0.9)`."""

    name = "q-lambda"
    update = staticmethod(q_lambda_update)
