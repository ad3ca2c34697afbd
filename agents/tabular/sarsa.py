"""SARSA: on-policy control, learning the action values of the policy that is followed.

    Q(s, a) <- Q(s, a) + alpha * [ r + gamma * Q(s', a') - Q(s, a) ],        a' the action that is taken next

A terminated transition has no bootstrap term. Named after the five things that it uses, (s, a, r, s', a').

Source: Rummery and Niranjan (1994); Sutton and Barto (2018), section 6.4, equation 6.7.
"""

from rltk.agents.tabular.control import ControlLearner
from rltk.mdp import jit


@jit(_nrt=False)
def sarsa_update(
    q, memory, state, action, reward, next_state, next_action, terminated, over, alpha, gamma, behaviour, stream
):
    """Move `q[state, action]` one step towards its target, in place, and return the TD error."""
    target = reward
    if not terminated:
        target += gamma * q[next_state, next_action]
    error = target - q[state, action]
    q[state, action] += alpha * error
    return error


class SARSA(ControlLearner):
    """Learn the action values of the behaviour with the update above. `ControlLearner` owns the options."""

    name = "sarsa"
    update = staticmethod(sarsa_update)
    looks_ahead = True
