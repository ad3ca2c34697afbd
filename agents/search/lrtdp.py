"""Labelled real-time dynamic programming: walk greedily from the start, back up what is met, label what is settled.

U starts from an admissible heuristic, U >= V*, and only comes down. A trial walks from the start by the action greedy
for U, drawing outcomes, backing up each state it leaves, until the episode ends or a solved state is met. Then the
states of the trial are checked, last first: the states that can be met from s by greedy actions are gathered, as far as
they change by at most epsilon,

    U(s) - max_a q_U(s, a) <= epsilon,

and if all do, all are labelled solved; else they are backed up. The search ends when the start is solved: what greedy
actions never meet is never looked at. How bounds come of it is told in `rltk.agents.search.heuristic`.

Source: Bonet and Geffner (2003), "Labeled RTDP: improving the convergence of real-time dynamic programming", with
rewards for costs.
"""

from typing import Any, ClassVar

import numpy as np

from rltk.agents.search.heuristic import HeuristicSearch
from rltk.agents.search.successors import best_action
from rltk.mdp import jit, stream_of
from rltk.mdp.streams import random
from rltk.runs import Streams

_WALK, _LABEL = 0, 1


class LRTDP(HeuristicSearch):
    """Labelled RTDP: `LRTDP(env, gamma=0.99).predict(state)`, or `.search()` from where episodes start.

    seed: of the trials' random numbers. The rest is told in `HeuristicSearch`.
    """

    name: ClassVar[str] = "lrtdp"

    def __init__(self, env_or_model: Any, *, seed: int = 0, **options: Any) -> None:
        self._stream = stream_of(Streams(seed).generator("trials"))
        super().__init__(env_or_model, **options)

    def _settle(self, root: int, epsilon: float, end: int) -> None:
        # Where the present trial stands: [walking or labelling, node, nodes on the stack, steps, pass, backups]
        cursor = np.array([_WALK, root, 0, 0, self._next_pass(), 0])
        limit, allowed = 1_000 + 10 * self._expanded(), end - self._backups
        while True:
            count = lrtdp(self._explored.graph, root, self.gamma, epsilon, allowed, limit, self._stream, cursor)
            if count == 0:
                break
            self._explored.expand(self._explored.graph.closed[:count].copy())
        self._next_pass(int(cursor[4]))
        self._backups += int(cursor[5])


@jit
def lrtdp(graph, root, gamma, epsilon, allowed, limit, stream, cursor):
    """Run trials until `root` is solved or `allowed` backups are done; changes graph, stream and cursor in place.

    Returns 0 when done, else the number of nodes at the head of `graph.closed` that must be expanded before it is
    called again. A trial is cut short after `limit` steps.
    """
    while not graph.solved[root] and cursor[5] < allowed:
        if cursor[0] == _WALK:
            if _walk(graph, gamma, limit, stream, cursor):
                return 1
            cursor[0] = _LABEL
        while cursor[2] > 0:
            missing, settled = _check(graph, graph.stack[cursor[2] - 1], gamma, epsilon, cursor)
            if missing > 0:
                return missing
            cursor[2] -= 1
            if not settled:
                break
        cursor[0], cursor[1], cursor[2], cursor[3] = _WALK, root, 0, 0
        cursor[4] += 1
    return 0


@jit
def _walk(graph, gamma, limit, stream, cursor):
    """Go on with the trial; True where the node on which it stands, `graph.closed[0]`, must be expanded first."""
    node, trial = cursor[1], cursor[4]
    while node >= 0 and not graph.solved[node] and cursor[3] < limit:
        if graph.first_row[node] < 0:
            cursor[1] = node
            graph.closed[0] = node
            return True
        graph.expanded[node] = True
        if graph.stamp[node] != trial:
            graph.stamp[node] = trial
            graph.stack[cursor[2]] = node
            cursor[2] += 1
        best, action = best_action(graph, node, gamma)
        graph.value[node] = min(graph.value[node], best)
        cursor[3] += 1
        cursor[5] += 1
        if graph.value[node] == -np.inf:
            break
        node = _draw(graph, graph.first_row[node] + action, stream)
    return False


@jit
def _draw(graph, row, stream):
    """The node that a row leads to, drawn; -1 where that ends the episode."""
    u, i = random(stream), graph.row_start[row]
    total = graph.probability[i]
    while u >= total and i < graph.row_start[row + 1] - 1:
        i += 1
        total += graph.probability[i]
    return -1 if graph.terminated[i] else np.int64(graph.next_node[i])


@jit
def _check(graph, root, gamma, epsilon, cursor):
    """(how many nodes must be expanded first, whether all that greedy actions meet from `root` is settled)."""
    if graph.solved[root]:
        return 0, True
    cursor[4] += 1
    mark, settled = cursor[4], True
    opened = np.empty(64, dtype=np.int64)
    opened[0] = root
    n_open, n_closed, missing = 1, 0, 0
    graph.stamp[root] = mark
    while n_open > 0:
        n_open -= 1
        node = opened[n_open]
        if graph.first_row[node] < 0:
            # Nodes to be expanded gather at the head of `closed`; the check then begins anew.
            graph.closed[missing] = node
            missing += 1
            continue
        if missing == 0:
            graph.closed[n_closed] = node
            n_closed += 1
        graph.expanded[node] = True
        best, action = best_action(graph, node, gamma)
        cursor[5] += 1
        if graph.value[node] == -np.inf:
            continue
        if graph.value[node] - best > epsilon:
            settled = False
            continue
        row = graph.first_row[node] + action
        for i in range(graph.row_start[row], graph.row_start[row + 1]):
            other = np.int64(graph.next_node[i])
            if graph.terminated[i] or graph.solved[other] or graph.stamp[other] == mark:
                continue
            graph.stamp[other] = mark
            if n_open == opened.size:
                opened = np.concatenate((opened, np.empty(n_open, dtype=np.int64)))
            opened[n_open] = other
            n_open += 1
    if missing > 0:
        return missing, False
    for k in range(n_closed - 1, -1, -1):
        node = graph.closed[k]
        if settled:
            graph.solved[node] = True
        else:
            best, action = best_action(graph, node, gamma)
            graph.value[node] = min(graph.value[node], best)
            cursor[5] += 1
    return 0, settled
