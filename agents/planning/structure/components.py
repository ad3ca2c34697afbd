"""The strongly connected components of T's graph, in an order in which each comes after all that it leads to.

An edge goes from s to s' where some action leads from s to s' and the episode goes on. Within a component the states
stand in breadth-first order against the edges, from those that lead out of it or end: values travel that way.

Source: Tarjan (1972), "Depth-first search and linear graph algorithms", SIAM Journal on Computing 1.
"""

from typing import NamedTuple

import numpy as np

from rltk.agents.planning.structure.predecessors import find_predecessors
from rltk.mdp import jit
from rltk.mdp.rows import Rows


class Components(NamedTuple):
    """Component c of C holds `state[begin[c]:begin[c + 1]]`; its edges lead to itself and to components before it."""

    state: np.ndarray  # (S,) int32
    begin: np.ndarray  # (C + 1,) int64


def find_components(rows: Rows) -> Components:
    """The components of `rows`; no recursion, so a chain of millions of states is as good as any graph."""
    edge_start = rows.row_start[:: rows.n_actions].copy()
    component, count = _components(edge_start, rows.next_state, rows.terminated)
    state, begin = _by_component(component, count)
    if count < rows.n_states:
        exits = _exits(edge_start, rows.next_state, rows.terminated, component)
        against = find_predecessors(rows)
        state = _exits_first(state, begin, component, exits, against.start, against.state)
    return Components(state, begin)


@jit
def _components(edge_start, next_state, terminated):
    """(component (S,), the number of components)."""
    n_states = edge_start.size - 1
    number = np.zeros(n_states, dtype=np.int32)  # in order of discovery, from 1
    lowest = np.zeros(n_states, dtype=np.int32)  # the lowest number known to be in the same component
    component = np.full(n_states, -1, dtype=np.int32)
    edge = edge_start[:-1].copy()  # the next edge of each state to look at
    path = np.empty(n_states, dtype=np.int32)
    waiting = np.empty(n_states, dtype=np.int32)  # discovered, component not known yet
    found, n_waiting, count = 0, 0, 0
    for root in range(n_states):
        if number[root] > 0:
            continue
        depth, new = 0, root
        while depth > 0 or new >= 0:
            if new >= 0:
                found += 1
                number[new] = lowest[new] = found
                path[depth] = waiting[n_waiting] = new
                depth += 1
                n_waiting += 1
                new = -1
            s = path[depth - 1]
            while edge[s] < edge_start[s + 1] and new < 0:
                i = edge[s]
                edge[s] += 1
                t = next_state[i]
                if terminated[i] or component[t] >= 0:
                    continue
                if number[t] == 0:
                    new = t
                else:
                    lowest[s] = min(lowest[s], number[t])
            if new >= 0:
                continue
            depth -= 1
            if depth > 0:
                lowest[path[depth - 1]] = min(lowest[path[depth - 1]], lowest[s])
            if lowest[s] == number[s]:
                while component[s] < 0:
                    n_waiting -= 1
                    component[waiting[n_waiting]] = count
                count += 1
    return component, count


@jit
def _by_component(component, count):
    """The states component by component, and where each component begins."""
    begin = np.zeros(count + 2, dtype=np.int64)
    for s in range(component.size):
        begin[component[s] + 2] += 1
    for c in range(2, count + 2):
        begin[c] += begin[c - 1]
    state = np.empty(component.size, dtype=np.int32)
    for s in range(component.size):
        state[begin[component[s] + 1]] = s
        begin[component[s] + 1] += 1
    return state, begin[: count + 1]


@jit
def _exits(edge_start, next_state, terminated, component):
    """(S,) bool: the states that can end or lead to another component."""
    exits = np.zeros(component.size, dtype=np.bool_)
    for s in range(component.size):
        for i in range(edge_start[s], edge_start[s + 1]):
            if terminated[i] or component[next_state[i]] != component[s]:
                exits[s] = True
    return exits


@jit
def _exits_first(state, begin, component, exits, start, predecessors):
    """The states in breadth-first order within each component, from its exits or, without any, from its first state."""
    order = np.empty_like(state)
    seen = np.zeros(state.size, dtype=np.bool_)
    for c in range(begin.size - 1):
        count = head = begin[c]
        for s in state[begin[c] : begin[c + 1]]:
            if exits[s]:
                seen[s] = True
                order[count] = s
                count += 1
        if count == head:
            s = state[head]
            seen[s] = True
            order[count] = s
            count += 1
        while head < count:
            s = order[head]
            head += 1
            for p in predecessors[start[s] : start[s + 1]]:
                if component[p] == c and not seen[p]:
                    seen[p] = True
                    order[count] = p
                    count += 1
    return order
