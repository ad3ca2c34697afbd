"""What the graph of T says without its numbers: where one can rest, and what surely ends.

Source: de Alfaro (1997), Formal Verification of Probabilistic Systems, sections 3.3 (end components) and 5 (almost sure
reachability); Baier and Katoen (2008), Principles of Model Checking, algorithms 45 and 47.
"""

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from rltk.agents.planning.structure.predecessors import find_predecessors
from rltk.mdp import jit
from rltk.mdp.rows import Rows


def resting_components(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """(component (S,) int, internal (S, A) bool): the largest sets of states that can be kept for ever for nothing.

    Within a component every state is reached from every other by `internal` actions, which pay 0, never end and never
    leave it. A state in none has component -1.
    """
    n_pairs = rows.n_states * rows.n_actions
    pair = np.repeat(np.arange(n_pairs), np.diff(rows.row_start))
    source = pair // rows.n_actions
    paid = rows.terminated | (rows.reward != 0)
    active = np.diff(rows.row_start) > 0
    active[pair[paid]] = False
    while True:
        on = active[pair]
        edges = (np.ones(on.sum(), dtype=bool), (source[on], rows.next_state[on]))
        _, component = connected_components(
            sp.coo_array(edges, shape=(rows.n_states, rows.n_states)), directed=True, connection="strong"
        )
        leaving = on & (component[source] != component[rows.next_state])
        if not leaving.any():
            break
        active[pair[leaving]] = False
    internal = active.reshape(rows.n_states, rows.n_actions)
    inside = internal.any(axis=1)
    numbered = np.full(rows.n_states, -1)
    numbered[inside] = np.unique(component[inside], return_inverse=True)[1]
    return numbered, internal


def attract(rows: Rows, allowed: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(joined (S,) bool, action (S,) int): the states from which some policy of `allowed` (S * A,) bool pairs surely
    ends or comes to `targets` (S,) bool, and one: each action can bring the end nearer and never leaves the set.
    """
    inside = np.ones(rows.n_states, dtype=bool)
    action = np.zeros(rows.n_states, dtype=np.int64)
    against = find_predecessors(rows)
    while True:
        joined = targets & inside
        arrays = rows.row_start, rows.next_state, rows.terminated, against.start, against.state
        _attract(*arrays, allowed, inside, joined, action)
        if (joined == inside).all():
            return joined, action
        inside = joined


@jit
def _attract(row_start, next_state, terminated, start, predecessors, allowed, inside, joined, action):
    n_states = inside.size
    queue, count = np.empty(n_states, dtype=np.int32), 0  # those who joined, whose predecessors are still to be asked
    for s in range(n_states):
        if joined[s] or (inside[s] and _joins(row_start, next_state, terminated, allowed, inside, joined, action, s)):
            joined[s] = True
            queue[count] = s
            count += 1
    head = 0
    while head < count:
        t = queue[head]
        head += 1
        for p in predecessors[start[t] : start[t + 1]]:
            if inside[p] and not joined[p]:
                joined[p] = _joins(row_start, next_state, terminated, allowed, inside, joined, action, p)
                if joined[p]:
                    queue[count] = p
                    count += 1


@jit
def _joins(row_start, next_state, terminated, allowed, inside, joined, action, s):
    """Whether an action of `s` comes nearer, which is then entered."""
    n_actions = (row_start.size - 1) // inside.size
    for a in range(n_actions):
        row = s * n_actions + a
        if allowed[row] and _comes_nearer(row_start, next_state, terminated, inside, joined, row):
            action[s] = a
            return True
    return False


@jit
def _comes_nearer(row_start, next_state, terminated, inside, joined, row):
    """Whether all outcomes of a row end or stay inside, and one of them ends or is in a state that has joined."""
    nearer = False
    for i in range(row_start[row], row_start[row + 1]):
        if terminated[i]:
            nearer = True
        elif not inside[next_state[i]]:
            return False
        elif joined[next_state[i]]:
            nearer = True
    return nearer
