"""One look ahead that keeps what a planner needs of it, without the (S, A) array of action values.

best(s) = max_a q(s, a),     policy(s) = the first action whose q is within a margin of it
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from rltk.mdp.jit import jit
from rltk.mdp.threads import in_chunks


class Look(NamedTuple):
    """What one look ahead from a value v (S,) finds. Changes are ranges over all states."""

    best: np.ndarray  # (S,) float64: max_a q(s, a)
    policy: np.ndarray  # (S,) integers
    least_change: float  # of best - v
    most_change: float
    least_of_policy: float  # of q(s, policy(s)) - v
    largest_tie: float  # of best - q(s, policy(s))


@jit(inline="always")
def choose(q, v, tie, s, best, policy, extremes):
    """One state's part of a look ahead: enter `s` with its action values `q` (A,) and the value `v` it had before."""
    top = -np.inf
    for a in range(q.size):
        top = max(top, q[a])
    margin = tie * max(abs(top), 1.0) if np.isfinite(top) else 0.0
    chosen = 0
    while q[chosen] < top - margin:
        chosen += 1
    best[s], policy[s] = top, chosen
    extremes[0], extremes[1] = min(extremes[0], top - v), max(extremes[1], top - v)
    extremes[2], extremes[3] = min(extremes[2], q[chosen] - v), max(extremes[3], top - q[chosen])


@cache
def rows_kernel(n_actions: int) -> Callable[..., None]:
    """The look ahead over general rows with A actions: known when it is compiled, so that the loop unrolls."""

    @jit(nogil=True)
    def look(
        row_start, next_state, probability, reward, terminated, value, gamma, tie, best, policy, extremes, begin, stop
    ):
        q = np.empty(n_actions)
        for s in range(begin, stop):
            for a in range(n_actions):
                first, last = row_start[s * n_actions + a], row_start[s * n_actions + a + 1]
                total = 0.0 if first < last else -np.inf
                for i in range(first, last):
                    target = reward[i]
                    if not terminated[i]:
                        target += gamma * value[next_state[i]]
                    total += probability[i] * target
                q[a] = total
            choose(q, value[s], tie, s, best, policy, extremes)

    return look


@cache
def moves_kernel(n_moves: int, n_actions: int) -> Callable[..., None]:
    """The look ahead over the compact form with M moves and A actions."""

    @jit(nogil=True)
    def look(
        moves,
        noise,
        reward,
        reward_by_move,
        terminated,
        by_move,
        value,
        gamma,
        tie,
        best,
        policy,
        extremes,
        begin,
        stop,
    ):
        q, targets = np.empty(n_actions), np.empty(n_moves)
        for s in range(begin, stop):
            over = not by_move and terminated[s]
            for m in range(n_moves):
                t = moves[s, m]
                target = 0.0
                if not over:
                    target = reward[s * n_moves + m] if reward_by_move else reward[t]
                    if not (terminated[s * n_moves + m] if by_move else terminated[t]):
                        target += gamma * value[t]
                targets[m] = target
            for a in range(n_actions):
                total = 0.0
                for m in range(n_moves):
                    if noise[a, m] > 0.0:  # an infinite target that can't happen must not turn the sum into a NaN
                        total += noise[a, m] * targets[m]
                q[a] = total
            choose(q, value[s], tie, s, best, policy, extremes)

    return look


def look_ahead(
    kernel: Callable[..., None],
    arrays: tuple,
    value: np.ndarray,
    gamma: float,
    tie: float,
    dtype: Any = np.int64,
    threads: int = 1,
) -> Look:
    """Run a look-ahead kernel over the arrays of its form; the policy has the `dtype`. The bits don't depend on how
    many threads share it."""
    best, policy = np.empty(value.size), np.empty(value.size, dtype=dtype)

    def work(begin: int, stop: int) -> np.ndarray:
        extremes = np.array([np.inf, -np.inf, np.inf, 0.0])
        kernel(*arrays, value, gamma, tie, best, policy, extremes, begin, stop)
        return extremes

    low, high, of_policy, ties = np.array(in_chunks(work, value.size, threads)).T
    return Look(best, policy, float(low.min()), float(high.max()), float(of_policy.min()), float(ties.max()))
