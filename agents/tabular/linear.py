"""Linear function approximation: one weight vector an action, and what is learnt of a state holds for others like it.

    q(s, a) = w_a . x(s)                                          x(s): the features of s, d of them

    semi-gradient SARSA        w_a <- w_a + alpha * [ r + gamma q(s', a') - q(s, a) ] x(s)
    semi-gradient Q-learning   w_a <- w_a + alpha * [ r + gamma max_b q(s', b) - q(s, a) ] x(s)

x(s) is the gradient of q(s, a) with respect to w_a. A terminated transition has no bootstrap term. With one feature for
each state these are SARSA and Q-learning. Off-policy, semi-gradient methods may diverge: learning then stops with an
error that names the step.

Source: Sutton and Barto (2018), sections 9.3, 10.1 (episodic semi-gradient SARSA) and 11.1 (off-policy).
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from rltk.agents.tabular.checks import available_actions
from rltk.agents.tabular.control import ControlLearner
from rltk.agents.tabular.exploration import highest_of
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.mdp.validation import refuse_size


class Features(NamedTuple):
    """What the weights are multiplied with."""

    features: np.ndarray  # (S, d) float64
    available: np.ndarray  # (S, A) bool
    row: np.ndarray  # (A,) float64: room for the action values of one state


@jit(inline="always")
def linear_row(weights, memory, state):
    """(A,) the action values of `state`, in the memory's own room; -inf where an action is not available."""
    features, available, row = memory[:3]
    for a in range(row.size):
        row[a] = linear_value(weights, features, state, a) if available[state, a] else -np.inf
    return row


@jit(_nrt=False)
def linear_value(weights, features, state, action):
    """w_a . x(s), summed from the first feature to the last."""
    total = 0.0
    for j in range(weights.shape[1]):
        total += weights[action, j] * features[state, j]
    return total


@jit
def linear_values(weights, memory, out):
    """Fill `out` (S, A) with the action values of all states."""
    for s in range(out.shape[0]):
        row = linear_row(weights, memory, s)
        for a in range(row.size):
            out[s, a] = row[a]


@jit(_nrt=False)
def move(weights, features, state, action, step):
    """Add `step` times the features of `state` to w_action; 0, or nan where a weight is not finite any more."""
    check = 0.0
    for j in range(weights.shape[1]):
        weights[action, j] += step * features[state, j]
        check += 0.0 * weights[action, j]
    return check


@jit(_nrt=False)
def linear_sarsa_update(
    weights, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Move `weights[action]` one step, in place, and return the TD error, nan where a weight is not finite."""
    features, available, row = memory
    target = reward
    if not terminated:
        target += gamma * linear_value(weights, features, next_state, next_action)
    error = target - linear_value(weights, features, state, action)
    return error + move(weights, features, state, action, alpha * error)


@jit(_nrt=False)
def linear_q_learning_update(
    weights, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Move `weights[action]` one step, in place, and return the TD error, nan where a weight is not finite."""
    features, available, row = memory
    target = reward
    if not terminated:
        target += gamma * highest_of(linear_row(weights, memory, next_state))
    error = target - linear_value(weights, features, state, action)
    return error + move(weights, features, state, action, alpha * error)


class LinearLearner(ControlLearner):
    """A learner of weights (A, d) for features: `agent.weights`, and `agent.q` (S, A), which they make.

    features: (S, d) finite numbers, or a function of all observations (S,) that gives them; one feature for each state
    if None. initial_value: what all weights start with. `ControlLearner` owns the other options.
    """

    values = staticmethod(linear_row)
    own_options: ClassVar[tuple[str, ...]] = ("features",)

    def __init__(self, env: Any, *, features: Any = None, **options: Any) -> None:
        self._available = available_actions(env, type(self).__name__)
        self.features = checked_features(features, len(self._available), int(env.observation_space.start))
        super().__init__(env, **options)

    @property
    def weights(self) -> np.ndarray:
        """(A, d) float64: the weights learnt so far."""
        return self.table

    @property
    def q(self) -> np.ndarray:
        """(S, A) float64: the action values that the weights make, -inf where an action is barred."""
        out = np.empty((self.n_states, self.n_actions))
        linear_values(self.table, tuple(self.memory)[:3], out)
        return out

    def _new_table(self) -> np.ndarray:
        return np.full((self.n_actions, self.features.shape[1]), self.initial_value)

    def _new_memory(self) -> Any:
        return Features(self.features, self._available.copy(), np.zeros(self.n_actions))


class LinearSARSA(LinearLearner):
    """Semi-gradient SARSA: `LinearSARSA(env, features=X)`. `LinearLearner` owns the options."""

    name = "linear-sarsa"
    update = staticmethod(linear_sarsa_update)
    looks_ahead = True


class LinearQLearning(LinearLearner):
    """Semi-gradient Q-learning: `LinearQLearning(env, features=X)`. `LinearLearner` owns the options."""

    name = "linear-q-learning"
    update = staticmethod(linear_q_learning_update)


def checked_features(features: Any, n_states: int, first: int = 0) -> np.ndarray:
    """(S, d) float64, a new array. features: as of `LinearLearner`; first: the first observation.

    Raises ArgumentError for what is no such array, SizeError where one feature for each state takes too much.
    """
    if features is None:
        mend = "Give features= (S, d), or use a learner that keeps a table"
        refuse_size(f"one feature for each of {n_states:,} states", 8.0 * n_states**2, mend)
        return np.eye(n_states)
    found = features(first + np.arange(n_states)) if callable(features) else features
    try:
        array = np.asarray(found)
        if array.dtype.kind not in "biufO":
            raise TypeError(f"their type is {array.dtype}")
        array = array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ArgumentError(f"features: ({n_states}, d) numbers were expected ({error})") from None
    if array.ndim != 2 or array.shape[0] != n_states or array.shape[1] == 0:
        raise ArgumentError(
            f"features: ({n_states}, d) numbers, a row for each observation, or a function of all observations "
            f"({n_states},) that gives them; found the shape {array.shape}"
        )
    if not np.isfinite(array).all():
        state, j = np.argwhere(~np.isfinite(array))[0]
        raise ArgumentError(f"features: finite numbers were expected; found {array[state, j]} at row {state}, {j}")
    return array
