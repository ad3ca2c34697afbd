"""n-step methods: between one step and the whole episode.

    G_t = r_t+1 + gamma r_t+2 + ... + gamma^(n-1) r_t+n + gamma^n B(s_t+n)

    n-step TD        V(s_t) <- V(s_t) + alpha * [ G_t - V(s_t) ],                  B = V
    n-step SARSA     Q(s_t, a_t) <- Q(s_t, a_t) + alpha * [ G_t - Q(s_t, a_t) ],   B(s) = Q(s, a), a the action taken

Each update waits for n steps. Where the episode ends the sum does, without a bootstrap; where it is cut short, what is
left bootstraps from the state that it was cut at. n = 1 is TD(0) and SARSA.

Source: Sutton and Barto (2018), sections 7.1 and 7.2, equations 7.1, 7.2, 7.4 and 7.5.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.tabular.control import ControlLearner
from rltk.agents.tabular.prediction import PredictionLearner
from rltk.mdp import jit
from rltk.mdp.validation import refuse_size
from rltk.runs.checks import checked_count


class Window(NamedTuple):
    """The last steps of the episode, at most n, the oldest at `begin[0]`; n is the arrays' size."""

    states: np.ndarray  # (n,) int64
    actions: np.ndarray  # (n,) int64
    rewards: np.ndarray  # (n,) float64
    begin: np.ndarray  # (1,) int64
    size: np.ndarray  # (1,) int64


def window_of(n: int) -> Window:
    """An empty window of n steps."""
    refuse_size(f"a window of n = {n:,} steps", 24.0 * n, "Take a smaller n, or a Monte Carlo method")
    whole = (np.zeros(room, dtype=np.int64) for room in (n, n, 1, 1))
    states, actions, begin, size = whole
    return Window(states, actions, np.zeros(n), begin, size)


@jit(_nrt=False)
def remember(memory, state, action, reward):
    """Add a step to the window, which has room for it."""
    states, actions, rewards, begin, size = memory
    at = (begin[0] + size[0]) % states.size
    states[at], actions[at], rewards[at] = state, action, reward
    size[0] += 1


@jit(_nrt=False)
def oldest_return(memory, gamma, bootstrap):
    """G of the oldest step in the window, whose last step is followed by the value `bootstrap`."""
    states, actions, rewards, begin, size = memory
    total = bootstrap
    for k in range(size[0] - 1, -1, -1):
        total = rewards[(begin[0] + k) % states.size] + gamma * total
    return total


@jit(_nrt=False)
def forget_oldest(memory):
    """Take the oldest step out of the window."""
    states, actions, rewards, begin, size = memory
    begin[0] = (begin[0] + 1) % states.size
    size[0] -= 1


@jit(_nrt=False)
def n_step_td_update(
    value, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Update the state of n steps ago, or at an end all that wait; returns the sum of the errors."""
    states, actions, rewards, begin, size = memory
    remember(memory, state, action, reward)
    errors = reward * 0.0  # an infinite reward stops learning at once
    while size[0] == states.size or (over and size[0] > 0):
        target = oldest_return(memory, gamma, 0.0 if terminated else value[next_state])
        error = target - value[states[begin[0]]]
        value[states[begin[0]]] += alpha * error
        errors += error
        forget_oldest(memory)
    return errors


@jit(_nrt=False)
def n_step_sarsa_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Update the state and action of n steps ago, or at an end all that wait; returns the sum of the errors."""
    states, actions, rewards, begin, size = memory
    remember(memory, state, action, reward)
    errors = reward * 0.0  # an infinite reward stops learning at once
    while size[0] == states.size or (over and size[0] > 0):
        target = oldest_return(memory, gamma, 0.0 if terminated else q[next_state, next_action])
        s, a = states[begin[0]], actions[begin[0]]
        error = target - q[s, a]
        q[s, a] += alpha * error
        errors += error
        forget_oldest(memory)
    return errors


class NStepTD(PredictionLearner):
    """Learn a policy's state values from n steps at a time. `PredictionLearner` owns the other options."""

    name = "n-step-td"
    update = staticmethod(n_step_td_update)
    own_options = ("n", *PredictionLearner.own_options)

    def __init__(self, env: Any, policy: Any = None, *, n: int = 4, **options: Any) -> None:
        self.n = checked_count("n", n)
        super().__init__(env, policy, **options)

    def _new_memory(self) -> Any:
        return window_of(self.n)


class NStepSARSA(ControlLearner):
    """Learn the action values of the behaviour from n steps at a time. `ControlLearner` owns the other options."""

    name = "n-step-sarsa"
    update = staticmethod(n_step_sarsa_update)
    looks_ahead = True
    own_options = ("n",)

    def __init__(self, env: Any, *, n: int = 4, **options: Any) -> None:
        self.n = checked_count("n", n)
        super().__init__(env, **options)

    def _new_memory(self) -> Any:
        return window_of(self.n)
