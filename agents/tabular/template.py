"""A learner of your own: copy this file, change the update, and train.

The one here is SARSA's expected form under the epsilon-greedy policy's limit, a softened maximum:

    Q(s, a) <- Q(s, a) + alpha * [ r + gamma * ((1 - w) max_b Q(s', b) + w mean_b Q(s', b)) - Q(s, a) ],    w = 0.05

An update kernel takes what `rltk.agents.tabular.loop.Kernels` lists, changes `q` in place, and returns the TD error.
The loops, exploration, schedules, checkpoints, `predict` and exact evaluation come from `ControlLearner`:

    import gymnasium as gym, rltk
    from my_learner import Softened

    env = gym.make("rltk/FourRooms-v0")
    agent = Softened(env, gamma=0.99, seed=0).learn(200_000, progress_bar=True)
    print(rltk.evaluate(agent, env))

A kernel may call other kernels and NumPy; it must not touch Python objects (numba compiles it). One that makes arrays
is compiled with plain `@jit`; `_nrt=False`, which counts no references, is for those that make none, and quicker.
"""

import numpy as np

from rltk.agents.tabular.control import ControlLearner
from rltk.mdp import jit

WEIGHT = 0.05


@jit(_nrt=False)
def softened_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Move `q[state, action]` one step towards its target, in place, and return the TD error."""
    target = reward
    if not terminated:
        best, total, count = -np.inf, 0.0, 0
        for b in range(q.shape[1]):
            if q[next_state, b] > -np.inf:  # -inf marks an action that is not available
                best = max(best, q[next_state, b])
                total += q[next_state, b]
                count += 1
        target += gamma * ((1 - WEIGHT) * best + WEIGHT * total / count)
    error = target - q[state, action]
    q[state, action] += alpha * error
    return error


class Softened(ControlLearner):
    """Q-learning with a softened maximum."""

    name = "softened"
    update = staticmethod(softened_update)
