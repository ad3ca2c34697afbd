"""Dyna-Q: learn from each step, remember what it led to, and learn again from memories.

    a step:      Q(s, a) <- Q(s, a) + alpha * [ r + gamma * max_b Q(s', b) - Q(s, a) ],    Model(s, a) <- r, s'
    n memories:  s drawn from the states met, a from those taken in s; r, s' = Model(s, a); the same update

Dyna-Q+ adds kappa sqrt(tau) to the reward of a memory, tau the steps since (s, a) was last taken, so that it looks
again at what it has not tried for long. Actions never taken in a state that was met are remembered, too: as leading
back to it for nothing.

The model holds the latest outcome of each (s, a): it is made for worlds without chance.

Source: Sutton (1990); Sutton and Barto (2018), section 8.2 (the tabular Dyna-Q algorithm) and 8.3 (Dyna-Q+).
"""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from rltk.agents.tabular.control import ControlLearner
from rltk.agents.tabular.q_learning import q_learning_update
from rltk.mdp import jit
from rltk.mdp.streams import integer_below
from rltk.runs.checks import checked_count, checked_number


class Model(NamedTuple):
    """What each state and action led to when it was last taken."""

    next_state: np.ndarray  # (S, A) int64
    reward: np.ndarray  # (S, A) float64
    terminated: np.ndarray  # (S, A) bool
    last: np.ndarray  # (S, A) int64: the step at which it was last taken, -1 if never
    states: np.ndarray  # (S,) int64: the states that were met, `n_states[0]` of them
    n_states: np.ndarray  # (1,) int64
    actions: np.ndarray  # (S, A) int64: the actions remembered in each state, `n_actions[s]` of them
    n_actions: np.ndarray  # (S,) int64
    clock: np.ndarray  # (1,) int64: steps so far
    planning: np.ndarray  # (1,) int64: memories a step
    kappa: np.ndarray  # (1,) float64: below 0 in plain Dyna-Q


@jit(_nrt=False)
def dyna_q_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Learn from one step and from `planning` memories, in place; returns the TD error of the step, or the first of a
    memory that is not finite."""
    model_next, model_reward, model_terminated, last = memory[:4]
    clock, planning, kappa = memory[8:]
    error = q_learning_update(
        q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
    )
    clock[0] += 1
    meet(q, memory, state, action)
    model_next[state, action], model_reward[state, action] = next_state, reward
    model_terminated[state, action], last[state, action] = terminated, clock[0]
    for _ in range(planning[0]):
        s, a = recall(memory, stream)
        r = model_reward[s, a]
        if kappa[0] >= 0.0:
            r += kappa[0] * np.sqrt(clock[0] - max(last[s, a], 0))
        of_memory = q_learning_update(
            q, memory, s, a, r, model_next[s, a], -1, model_terminated[s, a], False, alpha, gamma, behaviour, stream
        )
        if not np.isfinite(of_memory):
            return of_memory
    return error


@jit(_nrt=False)
def meet(q, memory, state, action):
    """Let `state` and `action` be among what is recalled; in Dyna-Q+ all actions of the state."""
    model_next, model_reward, model_terminated, last = memory[:4]
    states, n_states, actions, n_actions, clock, planning, kappa = memory[4:]
    curious = kappa[0] >= 0.0
    new = n_actions[state] == 0
    if new:
        states[n_states[0]] = state
        n_states[0] += 1
    for b in range(q.shape[1]):
        if (new and q[state, b] > -np.inf) if curious else (b == action and last[state, b] < 0):
            model_next[state, b] = state
            actions[state, n_actions[state]] = b
            n_actions[state] += 1


@jit(_nrt=False)
def recall(memory, stream):
    """A state that was met, and one of its actions, each as likely as any other."""
    states, n_states, actions, n_actions = memory[4:8]
    s = states[integer_below(stream, n_states[0])]
    return s, actions[s, integer_below(stream, n_actions[s])]


class DynaQ(ControlLearner):
    """Q-learning with n memories a step: `DynaQ(env, n=50)`. `ControlLearner` owns the other options."""

    name = "dyna-q"
    update = staticmethod(dyna_q_update)
    own_options: ClassVar[tuple[str, ...]] = ("n",)
    kappa = -1.0

    def __init__(self, env: Any, *, n: int = 10, **options: Any) -> None:
        self.n = checked_count("n", n, 0)
        super().__init__(env, **options)

    def _new_memory(self) -> Any:
        n_states, n_actions = self.table.shape
        return Model(
            next_state=np.zeros(self.table.shape, dtype=np.int64),
            reward=np.zeros(self.table.shape),
            terminated=np.zeros(self.table.shape, dtype=bool),
            last=np.full(self.table.shape, -1),
            states=np.zeros(n_states, dtype=np.int64),
            n_states=np.zeros(1, dtype=np.int64),
            actions=np.zeros(self.table.shape, dtype=np.int64),
            n_actions=np.zeros(n_states, dtype=np.int64),
            clock=np.zeros(1, dtype=np.int64),
            planning=np.array([self.n]),
            kappa=np.array([self.kappa]),
        )


class DynaQPlus(DynaQ):
    """Dyna-Q that is curious about what it has not tried for long: `DynaQPlus(env, n=50, kappa=1e-3)`."""

    name = "dyna-q-plus"
    own_options = ("n", "kappa")

    def __init__(self, env: Any, *, n: int = 10, kappa: float = 1e-3, **options: Any) -> None:
        self.kappa = checked_number("kappa", kappa, np.inf)
        super().__init__(env, n=n, **options)
