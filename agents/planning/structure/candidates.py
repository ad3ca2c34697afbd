"""Candidates: the (state, action) rows of an MDP, swept without looking at those that can't be the best.

    q(s, a) = r(s, a) + gamma sum_i w_i v(s'_i)          w_i = p_i, or 0 where the outcome ends
    (T v)(s) = max_a q(s, a)

When v has risen by at most d anywhere since q(s, a) was computed, q(s, a) has risen by at most gamma d. Where that
leaves it below an action already looked at, it is passed over, and keeps the raised value as its bound. An action that
is proved suboptimal is minus infinity for good.

The rewards of a row are summed once; next states and probabilities are the caller's. The rows of a policy are copied
side by side where they are short and about equally long, so that a sweep under it reads memory in order.

Source: MacQueen (1967), "A test for suboptimal actions in Markovian decision problems"; Hastings and van Nunen (1977),
"The action elimination algorithm for Markov decision processes", for passing over actions for a while.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from rltk.mdp import jit
from rltk.mdp.rows import Rows
from rltk.mdp.threads import in_chunks

LENGTHS = (1, 2, 4, 8)  # the row lengths that get a kernel of their own
FILLING = 1.25  # how much longer a policy's rows may get by being filled up to one of these


class Sweep(NamedTuple):
    """What one sweep from v (S,) found: the backup (S,), and the range of backup - v over all states."""

    backup: np.ndarray
    least: float
    most: float


class Candidates:
    """The rows of an MDP and what is known of each.

    q: (S * A,) float64, bounds of the action values from above, exact (to rounding) where looked at; -inf where an
    action is not available or eliminated. best: (S,) int64, the best row of each state, always looked at. To begin
    with, both are those of v = 0, and `backup` (S,) is T 0.
    """

    def __init__(self, rows: Rows, threads: int) -> None:
        self.threads, self.n_states, self.n_actions = threads, rows.n_states, rows.n_actions
        weight = rows.probability
        if rows.terminated.any():
            weight = np.where(rows.terminated, 0.0, weight)
        self.arrays = rows.row_start, rows.next_state, weight
        self.reward = np.empty(self.n_states * self.n_actions)
        self.q = np.empty_like(self.reward)
        self.best, self.backup = np.empty(self.n_states, dtype=np.int64), np.empty(self.n_states)
        outs = self.reward, self.q, self.best, self.backup

        def begin_with(begin: int, stop: int) -> int:
            return _at_zero(rows.row_start, rows.probability, rows.reward, self.n_actions, *outs, begin, stop)

        longest = max(in_chunks(begin_with, self.n_states, threads))
        length = min((n for n in LENGTHS if n >= longest), default=0)
        mean = rows.n_outcomes / np.count_nonzero(self.q > -np.inf)
        self._length = length if length <= FILLING * mean else 0
        self._is_held = False  # nothing is, at first: the next sweep will change most of it
        self._copied = np.full(self.n_states, -1)
        shape = self.n_states, self._length
        self._copy = np.empty(shape, np.int32), np.empty(shape), np.empty(self.n_states)

    def sweep(self, value: np.ndarray, gamma: float, rise: float, margin: float, out: np.ndarray) -> Sweep:
        """Apply T to `value` (S,), into `out` (S,): the policy `best` first, then the actions that may be better.

        rise: how much any action value may have risen since the last sweep. margin: how far below the best an action
        value of the last sweep may have been for the action to be optimal.
        """
        follow, arrays = self._follow()
        held = self.n_actions, self.q, self.best, self._is_held

        def work(begin: int, stop: int) -> tuple[float, float]:
            if self._is_held:
                follow(*arrays, value, gamma, out, begin, stop)
            return _challenge(*self.arrays, self.reward, value, gamma, rise, margin, out, *held, begin, stop)

        answer = self._swept(work, out)
        self._hold()
        return answer

    def follow(self, value: np.ndarray, gamma: float, out: np.ndarray) -> Sweep:
        """Apply T of the policy `best` to `value` (S,), into `out` (S,)."""
        follow, arrays = self._follow()

        def work(begin: int, stop: int) -> tuple[float, float]:
            return follow(*arrays, value, gamma, out, begin, stop)

        return self._swept(work, out)

    def _follow(self) -> tuple[Callable[..., tuple[float, float]], tuple[np.ndarray, ...]]:
        if self._length:
            return follow_kernel(self._length), self._copy
        return _follow, (*self.arrays, self.reward, self.best)

    def _hold(self) -> None:
        """Copy the rows of the policy `best` that have changed."""
        self._is_held = True
        if self._length:

            def work(begin: int, stop: int) -> None:
                _hold(*self.arrays, self.reward, self.best, self._copied, *self._copy, begin, stop)

            in_chunks(work, self.n_states, self.threads)

    def _swept(self, work: Callable[[int, int], tuple[float, float]], out: np.ndarray) -> Sweep:
        ranges = in_chunks(work, self.n_states, self.threads)
        return Sweep(out, min(low for low, _ in ranges), max(high for _, high in ranges))


@jit(nogil=True)
def _at_zero(row_start, probability, reward, n_actions, out, q, best, backup, begin, stop):
    """Fill the mean rewards and what a sweep from v = 0 finds; returns the length of the longest row."""
    longest = np.int64(0)
    for s in range(begin, stop):
        top, chosen = -np.inf, s * n_actions
        for k in range(s * n_actions, (s + 1) * n_actions):
            first, last = row_start[k], row_start[k + 1]
            longest = max(longest, last - first)
            total = 0.0 if first < last else -np.inf
            for i in range(first, last):
                total += probability[i] * reward[i]
            out[k] = q[k] = total
            if total > top:
                top, chosen = total, k
        best[s], backup[s] = chosen, top
    return longest


@jit(nogil=True)
def _challenge(
    row_start, next_state, weight, reward, value, gamma, rise, margin, out, n_actions, q, best, is_held, begin, stop
):
    """`out` (S,) holds the values of the policy's own actions (if `is_held`): raise it where another is better."""
    least, most = np.inf, -np.inf
    for s in range(begin, stop):
        held = best[s]
        least_optimal = q[held] - margin
        top, chosen = -np.inf, held
        if is_held:
            top = q[held] = out[s]
        for k in range(s * n_actions, (s + 1) * n_actions):
            bound = q[k] + rise if q[k] >= least_optimal else -np.inf
            if is_held and k == held:
                continue
            if bound < top:
                q[k] = bound
                continue
            total = 0.0
            for i in range(row_start[k], row_start[k + 1]):
                total += weight[i] * value[next_state[i]]
            total = reward[k] + gamma * total
            q[k] = total
            if total > top:
                top, chosen = total, k
        out[s], best[s] = top, chosen
        change = top - value[s]
        least, most = min(least, change), max(most, change)
    return least, most


@jit(nogil=True)
def _follow(row_start, next_state, weight, reward, best, value, gamma, out, begin, stop):
    least, most = np.inf, -np.inf
    for s in range(begin, stop):
        total = 0.0
        for i in range(row_start[best[s]], row_start[best[s] + 1]):
            total += weight[i] * value[next_state[i]]
        out[s] = reward[best[s]] + gamma * total
        change = out[s] - value[s]
        least, most = min(least, change), max(most, change)
    return least, most


@cache
def follow_kernel(length: int) -> Callable[..., tuple[float, float]]:
    """The sweep under a policy whose rows (S, L) are L = `length` long: known when compiled: the loop unrolls."""

    @jit(nogil=True)
    def follow(next_state, weight, reward, value, gamma, out, begin, stop):
        least, most = np.inf, -np.inf
        for s in range(begin, stop):
            total = 0.0
            for i in range(length):
                total += weight[s, i] * value[next_state[s, i]]
            out[s] = reward[s] + gamma * total
            change = out[s] - value[s]
            least, most = min(least, change), max(most, change)
        return least, most

    return follow


@jit(nogil=True)
def _hold(row_start, next_state, weight, reward, best, copied, next_copy, weight_copy, reward_copy, begin, stop):
    """Copy rows; what a row is filled up with weighs nothing and leads where its start does."""
    for s in range(begin, stop):
        if copied[s] == best[s]:
            continue
        copied[s], reward_copy[s] = best[s], reward[best[s]]
        first, last = row_start[best[s]], row_start[best[s] + 1]
        for i in range(next_copy.shape[1]):
            inside = first + i < last
            next_copy[s, i] = next_state[first + i if inside else first]
            weight_copy[s, i] = weight[first + i] if inside else 0.0
