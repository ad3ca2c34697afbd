"""From an upper bound U to a policy and what it is worth: the part of T that greedy actions meet, solved by a planner.

From the roots the actions greedy for U are followed until nothing new is met. Where that stays among expanded states,
they are an MDP of their own, T restricted: its certified optimum is the value of a policy of the whole, so a lower
bound on V*. Discounted, one action a state is kept. At gamma = 1 all nearly greedy ones are, for among ties there may
be ways that never end; the planner chooses those that do.

At gamma = 1 U may also stay too high for ever, where nothing is paid for going round. Such a resting component is worth
the best way out of it, or 0 for staying: `deflate` brings U down to that.

Source: Hansen and Zilberstein (2001) for solution graphs; Brazdil et al. (2014), "Verification of Markov decision
processes using learning algorithms", and Kelmendi et al. (2018), "Value iteration for simple stochastic games: stopping
criterion and learning algorithm", for end components and deflation.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rltk.agents.planning import PolicyIteration, Solution
from rltk.agents.planning.structure.graph import resting_components
from rltk.agents.search.successors import TINY, UNIT, Graph, best_action, row_bound
from rltk.mdp import MDP, jit
from rltk.mdp.rows import Rows


class Envelope(NamedTuple):
    """A policy's reach: its nodes (n,), the restricted MDP's solution; node k is its state k."""

    nodes: np.ndarray
    solution: Solution


def envelope(graph: Graph, root: int, gamma: float, slack: float, tolerance: float, mark: int) -> Envelope | None:
    """What the actions within `slack` of greedy meet from `root`, solved; None where that leaves the expanded part.

    Nodes with a policy of their own (`graph.policy`) keep to it.
    """
    count, _, tips, _ = meet(graph, root, gamma, slack, True, mark)
    if tips > 0:
        return None
    nodes = graph.stack[:count].copy()
    kept = np.zeros((count, graph.n_actions), dtype=np.bool_)
    keep(graph, nodes, gamma, slack, kept)
    return Envelope(nodes, PolicyIteration(gamma, tolerance=tolerance).solve(MDP(_rows(graph, nodes, kept))))


def _rows(graph: Graph, nodes: np.ndarray, kept: np.ndarray) -> Rows:
    """The rows of `nodes` (n,) as those of an MDP with n states, with the actions of `kept` (n, A); the others are
    empty. Every next node must be one of `nodes`, or end."""
    row = (graph.first_row[nodes][:, None] + np.arange(graph.n_actions)).reshape(-1)
    length = np.where(kept.reshape(-1), graph.row_start[row + 1] - graph.row_start[row], 0)
    row_start = np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    outcome = _outcomes(graph, nodes, row_start)
    place = np.full(graph.value.size, 0, dtype=np.int32)  # an end may lie anywhere: it is never looked at
    place[nodes] = np.arange(nodes.size)
    return Rows(
        nodes.size,
        graph.n_actions,
        row_start,
        place[graph.next_node[outcome]],
        graph.probability[outcome],
        graph.reward[outcome],
        graph.terminated[outcome],
    )


def _outcomes(graph: Graph, nodes: np.ndarray, row_start: np.ndarray) -> np.ndarray:
    """Where in the graph's arrays the outcomes stand that `row_start` (n A + 1,) counts for `nodes` (n,)."""
    begin = graph.row_start[(graph.first_row[nodes][:, None] + np.arange(graph.n_actions)).reshape(-1)]
    return np.repeat(begin - row_start[:-1], np.diff(row_start)) + np.arange(row_start[-1])


@jit
def _keeps(graph, node, gamma, slack, certain, bounds, kept):
    """Fill `kept` (A,) with the actions of `node` that are followed, and return U - max_a q_U. bounds: (A,) scratch."""
    kept[:] = False
    best, greedy = -np.inf, -1
    for a in range(bounds.size):
        row = graph.first_row[node] + a
        bounds[a] = row_bound(graph, row, gamma)
        if graph.row_start[row] < graph.row_start[row + 1] and (greedy < 0 or bounds[a] > best):
            best, greedy = bounds[a], a
    residual = graph.value[node] - best if graph.value[node] > -np.inf else 0.0
    if certain and graph.policy[node] >= 0:
        kept[graph.policy[node]] = True
        return residual
    kept[greedy] = True
    if slack > 0.0:
        for a in range(bounds.size):
            row = graph.first_row[node] + a
            if graph.row_start[row] < graph.row_start[row + 1] and bounds[a] >= best - slack:
                kept[a] = kept[a] or not certain or _is_known(graph, row)
    return residual


@jit
def _is_known(graph, row):
    """Whether a row leads to expanded nodes only."""
    for i in range(graph.row_start[row], graph.row_start[row + 1]):
        if not graph.terminated[i] and not graph.expanded[graph.next_node[i]]:
            return False
    return True


@jit
def meet(graph, root, gamma, slack, certain, mark):
    """Follow the actions within `slack` of greedy from `root`: (nodes found, nodes to be expanded, tips, residual).

    The nodes found stand in `graph.stack`, those that must be expanded before they are backed up in `graph.closed`. A
    tip is a node that was not expanded; it is marked as expanded and not gone beyond. residual: the largest
    U - max_a q_U of the other nodes. certain: nodes keep to `graph.policy`, ties that lead to tips are left alone, and
    tips stay what they are.
    """
    bounds, kept = np.empty(graph.n_actions), np.empty(graph.n_actions, dtype=np.bool_)
    graph.stack[0] = root
    graph.stamp[root] = mark
    count, missing, tips, residual = 1, 0, 0, 0.0
    k = 0
    while k < count:
        node = graph.stack[k]
        k += 1
        if not graph.expanded[node]:
            tips += 1
            if not certain:
                graph.expanded[node] = True
                if graph.first_row[node] < 0:
                    graph.closed[missing] = node
                    missing += 1
            continue
        residual = max(residual, _keeps(graph, node, gamma, slack, certain, bounds, kept))
        for a in range(graph.n_actions):
            if not kept[a]:
                continue
            row = graph.first_row[node] + a
            for i in range(graph.row_start[row], graph.row_start[row + 1]):
                other = graph.next_node[i]
                if not graph.terminated[i] and graph.stamp[other] != mark:
                    graph.stamp[other] = mark
                    graph.stack[count] = other
                    count += 1
    return count, missing, tips, residual


@jit
def keep(graph, nodes, gamma, slack, kept):
    """Fill `kept` (n, A) with the actions that the envelope follows in (n,) `nodes`."""
    bounds = np.empty(graph.n_actions)
    for k in range(nodes.size):
        _keeps(graph, nodes[k], gamma, slack, True, bounds, kept[k])


@jit
def back_up(graph, found, gamma):
    """Back up the first `found` nodes of `graph.stack`, last first."""
    for k in range(found - 1, -1, -1):
        node = graph.stack[k]
        graph.value[node] = min(graph.value[node], best_action(graph, node, gamma)[0])


def deflate(graph: Graph) -> float:
    """Bring U of resting components down to their best way out, or 0; returns the largest change. For gamma = 1.

    Minus infinity where there are none.
    """
    nodes = np.flatnonzero(graph.expanded)
    component, internal = resting_components(_looked_at(graph, nodes))
    component, internal = component[:-1], internal[:-1]
    inside = component >= 0
    if not inside.any():
        return -np.inf
    best = np.zeros(component.max() + 1)
    place = np.full(graph.value.size, -1)
    place[nodes] = component
    leave(graph, nodes, internal, place, best)
    members = nodes[inside]
    lower = np.minimum(graph.value[members], best[component[inside]])
    change = float((graph.value[members] - lower).max())
    graph.value[members] = lower
    return change


def _looked_at(graph: Graph, nodes: np.ndarray) -> Rows:
    """The rows of the expanded `nodes` (n,); all others are one state more, which no action leaves."""
    rows = _rows(graph, nodes, np.ones((nodes.size, graph.n_actions), dtype=np.bool_))
    outcome = _outcomes(graph, nodes, rows.row_start)
    inner = graph.terminated[outcome] | graph.expanded[graph.next_node[outcome]]
    row_start = np.concatenate([rows.row_start, np.full(graph.n_actions, rows.row_start[-1])])
    next_state = np.where(inner, rows.next_state, nodes.size).astype(np.int32)
    return replace(rows, n_states=nodes.size + 1, row_start=row_start, next_state=next_state)


@jit
def leave(graph, nodes, internal, component, best):
    """Raise `best` (n_components,) to the best way out of each, among the actions of `nodes` that are not `internal`.

    An action that may fall back into the component is repeated until it does not: what it leads to outside, divided by
    the probability to get there. component: (N,) of each node, or -1.
    """
    for k in range(nodes.size):
        own = component[nodes[k]]
        if own < 0:
            continue
        for a in range(graph.n_actions):
            row = graph.first_row[nodes[k]] + a
            begin, end = graph.row_start[row], graph.row_start[row + 1]
            if internal[k, a] or begin == end:
                continue
            out, total, size = 0.0, 0.0, 0.0
            for i in range(begin, end):
                target, magnitude = graph.reward[i], abs(graph.reward[i])
                other = graph.next_node[i]
                if graph.terminated[i] or component[other] != own:
                    out += graph.probability[i]
                    if not graph.terminated[i]:
                        target += graph.value[other]
                        magnitude += abs(graph.value[other])
                total += graph.probability[i] * target
                size += graph.probability[i] * magnitude
            if out > 0.0 and total > -np.inf:
                bound = (total + (end - begin + 6) * UNIT * 1.001 * size + TINY) / out
                best[own] = max(best[own], bound + abs(bound) * (end - begin + 4) * UNIT)
            elif out == 0.0 and total > 0.0:
                best[own] = np.inf
