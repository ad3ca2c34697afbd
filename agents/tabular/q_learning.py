"""Q-learning: off-policy control, learning the optimal action values while behaving otherwise.

    Q(s, a) <- Q(s, a) + alpha * [ r + gamma * max_b Q(s', b) - Q(s, a) ]

A terminated transition has no bootstrap term.

Source: Watkins (1989); Sutton and Barto (2018), section 6.5, equation 6.8.
"""

from rltk.agents.tabular.control import ControlLearner
from rltk.agents.tabular.exploration import highest_of
from rltk.mdp import jit


@jit(inline="always")
def q_learning_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Move `q[state, action]` one step towards its target, in place, and return the TD error.

    q: (S, A) float64, -inf where an action is not available. A truncated transition is passed as not terminated: it
    bootstraps.
    """
    target = reward
    if not terminated:
        target += gamma * highest_of(q[next_state])
    error = target - q[state, action]
    q[state, action] += alpha * error
    return error


class QLearning(ControlLearner):
    """Learn optimal action values with the update above. `ControlLearner` owns the options."""

    name = "q-learning"
    update = staticmethod(q_learning_update)
