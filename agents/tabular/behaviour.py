"""Epsilon-greedy: explore with probability epsilon, else take a best action, ties broken at random.

    pi(a | s) = epsilon / |A(s)| + (1 - epsilon) [a is greedy] / #greedy        over the available actions A(s)

One random word decides it all: which branch, which action in it. So a step of behaviour spends one word of its stream,
however it turns out, and every loop that follows this rule draws the same actions.

Source: Sutton and Barto (2018), section 2.2.
"""

import numpy as np

from rltk.mdp import jit
from rltk.mdp.streams import random


@jit
def epsilon_greedy(q, state, epsilon, u):
    """The action that u in [0, 1) picks in `state`. `q`: (S, A) float64; an unavailable action has -inf."""
    n_available, n_greedy, best = 0, 0, -np.inf
    for a in range(q.shape[1]):
        value = q[state, a]
        if value > -np.inf:
            n_available += 1
            if value > best:
                best, n_greedy = value, 1
            elif value == best:
                n_greedy += 1
    explore = u < epsilon
    count = n_available if explore else n_greedy
    share = u / epsilon if explore else (u - epsilon) / (1.0 - epsilon)
    k = min(int(share * count), count - 1)  # rounding must not step past the last
    for a in range(q.shape[1]):
        if q[state, a] == best or (explore and q[state, a] > -np.inf):
            if k == 0:
                return a
            k -= 1
    return 0


@jit
def choose(q, state, epsilon, stream):
    """An epsilon-greedy action from one word of `stream` (6,) uint64."""
    return epsilon_greedy(q, state, epsilon, random(stream))


def behaviour_probabilities(q: np.ndarray, epsilon: float) -> np.ndarray:
    """(N, A) float64: the epsilon-greedy policy of rows of action values `q` (N, A)."""
    available = q > -np.inf
    greedy = q == q.max(axis=1, keepdims=True)
    uniform = available / available.sum(axis=1, keepdims=True)
    return epsilon * uniform + (1 - epsilon) * greedy / greedy.sum(axis=1, keepdims=True)
