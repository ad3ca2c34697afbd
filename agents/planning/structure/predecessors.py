"""Who leads to a state, and how strongly at most: T's graph against its arrows.

    weight(p, s) = max_a sum_{i of row (p, a) that goes on to s} T_i        for p != s

By how much v(s) changes, the Bellman backup of p changes by gamma weight(p, s) times that at most.
"""

from typing import NamedTuple

import numpy as np

from rltk.mdp import jit
from rltk.mdp.rows import Rows


class Predecessors(NamedTuple):
    """Compressed rows: the predecessors of s are `state[start[s]:start[s + 1]]`, in rising order, s itself left out."""

    start: np.ndarray  # (S + 1,) int64
    state: np.ndarray  # (n,) int32
    weight: np.ndarray  # (n,) float64


def find_predecessors(rows: Rows) -> Predecessors:
    """The predecessors of every state of `rows`."""
    return Predecessors(
        *_predecessors(rows.row_start, rows.next_state, rows.probability, rows.terminated, rows.n_states)
    )


@jit
def _predecessors(row_start, next_state, probability, terminated, n_states):
    n_actions = (row_start.size - 1) // n_states
    start = np.zeros(n_states + 2, dtype=np.int64)
    last = np.full(n_states, -1, dtype=np.int64)
    for p in range(n_states):
        for i in range(row_start[p * n_actions], row_start[(p + 1) * n_actions]):
            s = next_state[i]
            if not terminated[i] and s != p and last[s] != p:
                last[s] = p
                start[s + 2] += 1
    for s in range(2, n_states + 2):
        start[s] += start[s - 1]
    state = np.empty(start[n_states + 1], dtype=np.int32)
    weight = np.empty(start[n_states + 1])
    last[:] = -1
    last_row = np.full(n_states, -1, dtype=np.int64)
    of_row = np.zeros(n_states)
    for row in range(row_start.size - 1):
        p = row // n_actions
        for i in range(row_start[row], row_start[row + 1]):
            s = next_state[i]
            if terminated[i] or s == p:
                continue
            if last[s] != p:
                last[s] = p
                state[start[s + 1]] = p
                weight[start[s + 1]] = 0.0
                start[s + 1] += 1
            if last_row[s] != row:
                last_row[s] = row
                of_row[s] = 0.0
            of_row[s] += probability[i]
            at = start[s + 1] - 1  # p is the latest predecessor of s
            weight[at] = max(weight[at], of_row[s])
    return start[: n_states + 1], state, weight
