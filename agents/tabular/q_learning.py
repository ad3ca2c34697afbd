"""Q-learning: off-policy control, learning the optimal action values while behaving otherwise.

    Q(s, a) <- Q(s, a) + alpha * [ r + gamma * max_b Q(s', b) - Q(s, a) ]

A terminated transition has no bootstrap term.

Source: Watkins (1989); Sutton and Barto (2018), section 6.5, equation 6.8.
"""

from rltk.agents.tabular.learner import TabularLearner
from rltk.mdp import jit


@jit
def q_learning_update(q, state, action, reward, next_state, terminated, alpha, gamma):
    """Move `q[state, action]` one step towards its target, in place, and return the TD error.

    q: (S, A) float64, -inf where an action is not available. A truncated transition is passed as not terminated: it
    bootstraps.
    """
    target = reward
    if not terminated:
        best = q[next_state, 0]
        for b in range(1, q.shape[1]):
            if q[next_state, b] > best:
                best = q[next_state, b]
        target += gamma * best
    error = target - q[state, action]
    q[state, action] += alpha * error
    return error


class QLearning(TabularLearner):
    """Learn optimal action values with the update above. `TabularLearner` owns the loop and the options."""

    name = "q-learning"
    update = staticmethod(q_learning_update)
