"""Monte Carlo control with exploring starts: every state and action begins an episode now and then.

    the first state and action of an episode are drawn, all states being equally likely, all actions of a state, too;
    from then on the greedy policy is followed, and
    Q(s, a) <- mean of the returns that followed (s, a)

With every pair tried again and again the policy itself need not explore, and so it can become optimal. A state in which
nothing can be done any more begins episodes, too; they are over at once.

The environment must let itself be put into any state. Where the greedy policy goes round in circles only a time limit
ends the episode (`truncated` says what it teaches then).

Source: Sutton and Barto (2018), section 5.3 (Monte Carlo ES) and Example 5.3.
"""

from typing import Any

import numpy as np

from rltk.agents.tabular.monte_carlo import MonteCarloControl
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.mdp.streams import integer_below


@jit(_nrt=False)
def any_pair(q, memory, state, stream):
    """(state, action) to begin with, uniform over the states, then over what can be done there: -inf marks the rest."""
    state = np.int64(integer_below(stream, q.shape[0]))
    n_available = 0
    for a in range(q.shape[1]):
        n_available += q[state, a] > -np.inf
    k = np.int64(integer_below(stream, n_available))
    action = np.int64(-1)
    while k >= 0:
        action += 1
        if q[state, action] > -np.inf:
            k -= 1
    return state, action


class MonteCarloExploringStarts(MonteCarloControl):
    """Learn optimal action values from episodes that begin anywhere: `MonteCarloExploringStarts(env)`.

    epsilon: 0 if not given; an exploration may be given as well. `MonteCarloControl` owns the options. Raises
    ArgumentError for an environment that can't be put into a state of one's choice.
    """

    name = "monte-carlo-exploring-starts"
    begin = staticmethod(any_pair)

    def __init__(self, env: Any, *, epsilon: Any = None, exploration: Any = None, **options: Any) -> None:
        if epsilon is None and exploration is None:
            epsilon = 0.0
        super().__init__(env, epsilon=epsilon, exploration=exploration, **options)
        if not (self.experience.captures and self.experience.sees_states):
            raise ArgumentError(
                f"{type(self).__name__} begins episodes in states of its own choice, and this environment can't be put "
                "into one: it has no set_state, or what it observes is no state's number. Take MonteCarloControl"
            )
