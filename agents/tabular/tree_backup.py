"""n-step tree backup: off-policy learning from n steps without importance sampling.

    G_t = r_t+1 + gamma * [ sum_{b != a_t+1} pi(b | s_t+1) Q(s_t+1, b) + pi(a_t+1 | s_t+1) G_t+1 ]
    Q(s_t, a_t) <- Q(s_t, a_t) + alpha * [ G_t - Q(s_t, a_t) ]

pi is greedy (its ties share the weight), whatever the behaviour: where the behaviour leaves it, the actions not taken
stand in by their values. The last step of the n, and one that was cut short, bootstraps from sum_b pi(b | s) Q(s, b).

Source: Precup, Sutton and Singh (2000); Sutton and Barto (2018), section 7.5, equations 7.15 and 7.16.
"""

from typing import Any

import numpy as np

from rltk.agents.tabular.control import ControlLearner
from rltk.agents.tabular.n_step import forget_oldest, remember, window_of
from rltk.mdp import jit
from rltk.runs.checks import checked_count


@jit(_nrt=False)
def greedy_value(q, state, action):
    """(max_b Q(s, b), the greedy policy's probability of `action` in s)."""
    best, ties = -np.inf, 0
    for b in range(q.shape[1]):
        if q[state, b] > best:
            best, ties = q[state, b], 1
        elif q[state, b] == best:
            ties += 1
    return best, 1.0 / ties if q[state, action] == best else 0.0


@jit(_nrt=False)
def tree_backup_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Update the state and action of n steps ago, or at an end all that wait; returns the sum of the errors."""
    states, actions, rewards, begin, size = memory
    remember(memory, state, action, reward)
    errors = reward * 0.0  # an infinite reward stops learning at once
    while size[0] == states.size or (over and size[0] > 0):
        target = reward
        if not terminated:
            target += gamma * greedy_value(q, next_state, 0)[0]
        for k in range(size[0] - 2, -1, -1):
            after = (begin[0] + k + 1) % states.size
            best, chance = greedy_value(q, states[after], actions[after])
            left = best - chance * q[states[after], actions[after]]  # of the actions not taken
            target = rewards[(begin[0] + k) % states.size] + gamma * (left + chance * target)
        s, a = states[begin[0]], actions[begin[0]]
        error = target - q[s, a]
        q[s, a] += alpha * error
        errors += error
        forget_oldest(memory)
    return errors


class TreeBackup(ControlLearner):
    """Learn optimal action values from n steps at a time: `TreeBackup(env, n=4)`. `ControlLearner` owns the rest."""

    name = "tree-backup"
    update = staticmethod(tree_backup_update)
    own_options = ("n",)

    def __init__(self, env: Any, *, n: int = 4, **options: Any) -> None:
        self.n = checked_count("n", n)
        super().__init__(env, **options)

    def _new_memory(self) -> Any:
        return window_of(self.n)
