"""TD(0): learning what a policy is worth from one step at a time.

    V(s) <- V(s) + alpha * [ r + gamma * V(s') - V(s) ]

A terminated transition has no bootstrap term; a truncated one has.

Source: Sutton (1988); Sutton and Barto (2018), section 6.1, equation 6.2.
"""

from rltk.agents.tabular.prediction import PredictionLearner
from rltk.mdp import jit


@jit(_nrt=False)
def td_update(
    value, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Move `value[state]` one step towards its target, in place, and return the TD error."""
    target = reward
    if not terminated:
        target += gamma * value[next_state]
    error = target - value[state]
    value[state] += alpha * error
    return error


class TD(PredictionLearner):
    """Learn a policy's state values with the update above. `PredictionLearner` owns the options."""

    name = "td"
    update = staticmethod(td_update)
