"""Double Q-learning: two tables, one choosing the best next action, the other saying what it is worth.

    with probability 1/2:  Q1(s, a) <- Q1(s, a) + alpha * [ r + gamma * Q2(s', argmax_b Q1(s', b)) - Q1(s, a) ]
    otherwise the same with Q1 and Q2 exchanged

The maximum of noisy values is too high on average; the value that another table gives the same action is not. The
behaviour follows the mean of both, which is what `q` holds.

Source: van Hasselt (2010), "Double Q-learning"; Sutton and Barto (2018), section 6.7, equation 6.10.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.tabular.control import ControlLearner
from rltk.mdp import jit
from rltk.mdp.streams import random


class TwoTables(NamedTuple):
    """The tables whose mean is `q`."""

    first: np.ndarray  # (S, A) float64
    second: np.ndarray  # (S, A) float64


@jit(_nrt=False)
def double_q_learning_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Move one of the two tables one step towards its target, in place, and return the TD error."""
    first, second = memory
    mine, other = (first, second) if random(stream) < 0.5 else (second, first)
    target = reward
    if not terminated:
        best = 0
        for b in range(1, q.shape[1]):
            if mine[next_state, b] > mine[next_state, best]:
                best = b
        target += gamma * other[next_state, best]
    error = target - mine[state, action]
    mine[state, action] += alpha * error
    q[state, action] = first[state, action] / 2 + second[state, action] / 2  # their sum may overflow
    return error


class DoubleQLearning(ControlLearner):
    """Learn optimal action values without the maximisation bias. `ControlLearner` owns the options."""

    name = "double-q-learning"
    update = staticmethod(double_q_learning_update)

    def _new_memory(self) -> Any:
        return TwoTables(self.table.copy(), self.table.copy())
