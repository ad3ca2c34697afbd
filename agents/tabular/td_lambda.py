"""TD(lambda): learning what a policy is worth, with traces (`traces`).

    delta = r + gamma V(s') - V(s),    V <- V + alpha delta e

True online TD(lambda) uses dutch traces and takes back what the update between two visits of s changed,

    V <- V + alpha (delta + V(s) - V_old) e - alpha (V(s) - V_old) [s],    V_old the value of s when it was foreseen

and so computes, step by step, exactly what the online lambda-return algorithm would.

Source: Sutton (1988); van Seijen and Sutton (2014), "True online TD(lambda)"; Sutton and Barto (2018), sections 12.2
and 12.5.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.tabular.prediction import PredictionLearner
from rltk.agents.tabular.traces import teach, traces_of, visit
from rltk.mdp import jit
from rltk.runs.checks import checked_number


@jit(_nrt=False)
def td_lambda_update(
    value, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Teach all states that have a trace, in place, and return the TD error."""
    trace, rows, size, settings, kind = memory
    error = reward + (0.0 if terminated else gamma * value[next_state]) - value[state]
    visit(memory, state, alpha)
    return error + teach(value, memory, alpha * error, 0.0 if over else gamma * settings[0])


class TDLambda(PredictionLearner):
    """Learn a policy's state values with traces: `TDLambda(env, lambda_=0.9)`.

    traces: "accumulating", "replacing" or "dutch". cut: traces below it are dropped. `PredictionLearner` owns the other
    options.
    """

    name = "td-lambda"
    update = staticmethod(td_lambda_update)
    own_options = ("lambda_", "traces", "cut", *PredictionLearner.own_options)

    def __init__(
        self,
        env: Any,
        policy: Any = None,
        *,
        lambda_: float = 0.9,
        traces: str = "accumulating",
        cut: float = 1e-4,
        **options: Any,
    ) -> None:
        self.lambda_, self.traces = checked_number("lambda_", lambda_), traces
        self.cut = checked_number("cut", cut)
        super().__init__(env, policy, **options)

    def _new_memory(self) -> Any:
        return traces_of(self.n_states, self.lambda_, self.traces, self.cut)


class TrueOnline(NamedTuple):
    """Traces, and what the state now left was worth when it was entered."""

    trace: np.ndarray  # (S,) float64
    rows: np.ndarray  # (S,) int64
    size: np.ndarray  # (1,) int64
    settings: np.ndarray  # (2,) float64
    kind: np.ndarray  # (1,) int64
    foreseen: np.ndarray  # (1,) float64, nan at the beginning of an episode


@jit(_nrt=False)
def true_online_td_lambda_update(
    value, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Teach all states that have a trace, in place, and return the TD error."""
    trace, rows, size, settings, kind, foreseen = memory
    traces = (trace, rows, size, settings, kind)
    ahead = 0.0 if terminated else value[next_state]
    error = reward + gamma * ahead - value[state]
    drift = 0.0 if np.isnan(foreseen[0]) else value[state] - foreseen[0]
    if trace[state] == 0.0:
        rows[size[0]] = state
        size[0] += 1
    trace[state] += 1.0 - alpha * trace[state]
    check = teach(value, traces, alpha * (error + drift), 0.0 if over else gamma * settings[0])
    value[state] -= alpha * drift
    foreseen[0] = np.nan if over else ahead
    return error + check


class TrueOnlineTDLambda(TDLambda):
    """Learn a policy's state values as the online lambda-return does: `TrueOnlineTDLambda(env, lambda_=0.9)`."""

    name = "true-online-td-lambda"
    update = staticmethod(true_online_td_lambda_update)
    own_options = ("lambda_", "cut", *PredictionLearner.own_options)

    def __init__(
        self, env: Any, policy: Any = None, *, lambda_: float = 0.9, cut: float = 1e-4, **options: Any
    ) -> None:
        super().__init__(env, policy, lambda_=lambda_, traces="dutch", cut=cut, **options)

    def _new_memory(self) -> Any:
        return TrueOnline(*super()._new_memory(), np.full(1, np.nan))  # type: ignore[call-arg]
