"""The part of T that a heuristic search has looked at, as arrays that grow: from an MDP's rows, or from a function.

A node is a state that was met; to expand it is to look at the outcomes of all its actions. U(n) is an upper bound on
what n is worth. One backup lowers it to

    U(s) <- min( U(s), max_a sum_i p_i [ r_i + gamma (1 - terminated_i) U(s'_i) ] ),       rounded upwards,

and T is monotone, so U >= V* stays true if it was true at first: that is what an admissible heuristic says.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from rltk.agents.planning.bounds import TINY, UNIT
from rltk.errors import ArgumentError, MDPError
from rltk.mdp import MDP, jit

_FIRST_ROOM = 1024
Outcome = tuple[float, Hashable, float, bool]
Heuristic = Callable[[Any], float]


@runtime_checkable
class SuccessorModel(Protocol):
    """T as a function over hashable states, for worlds too large to be enumerated."""

    n_actions: int

    def successors(self, state: Any, action: int) -> Iterable[Outcome]:
        """(probability, next_state, reward, terminated) of every outcome; empty where the action is not available."""
        ...


class Graph(NamedTuple):
    """N nodes, of which some are expanded; what kernels see. Row `first_row[n] + a` is action a of node n."""

    n_actions: int
    row_start: np.ndarray  # (rows + 1,) int64
    next_node: np.ndarray  # (nnz,) int32
    probability: np.ndarray  # (nnz,) float64
    reward: np.ndarray  # (nnz,) float64
    terminated: np.ndarray  # (nnz,) bool
    first_row: np.ndarray  # (N,) int64; -1 where `Explored.expand` has to be asked first
    value: np.ndarray  # (N,) float64: U
    expanded: np.ndarray  # (N,) bool
    solved: np.ndarray  # (N,) bool: LRTDP's labels
    policy: np.ndarray  # (N,) int64: the action of a policy whose value is known, or -1
    lower: np.ndarray  # (N,) float64: that policy's value from below
    stack: np.ndarray  # (N,) int64, scratch
    closed: np.ndarray  # (N,) int64, scratch
    stamp: np.ndarray  # (N,) int64: in which pass a node was met last


# What a column holds of a node that was not met yet.
_BLANK: dict[str, Any] = {"first_row": -1, "value": np.nan, "expanded": False, "solved": False, "policy": -1}
_BLANK |= {"lower": -np.inf, "stack": 0, "closed": 0, "stamp": 0}


def _columns(room: int) -> dict[str, np.ndarray]:
    return {name: np.full(room, blank) for name, blank in _BLANK.items()}


class ExploredMDP:
    """The explored part of an MDP: a node is a state. heuristic: (S,) numbers, or a callable of the state's number."""

    def __init__(self, mdp: MDP, heuristic: np.ndarray | Heuristic, cap: float) -> None:
        self.mdp, self.cap = mdp, cap
        self._heuristic = heuristic if callable(heuristic) else None
        columns = _columns(mdp.n_states)
        if not callable(heuristic):
            columns["value"] = np.minimum(np.broadcast_to(heuristic, mdp.n_states), cap)
            columns["first_row"] = np.arange(mdp.n_states) * mdp.n_actions
        rows = mdp.rows
        self.graph = Graph(
            mdp.n_actions,
            *(_read_only(rows.row_start, rows.next_state, rows.probability, rows.reward, rows.terminated)),
            **columns,
        )

    def node(self, state: Any) -> int:
        """The node of a state number."""
        number = np.asarray(state)
        if number.ndim or number.dtype.kind not in "iu" or not 0 <= number < self.mdp.n_states:
            raise ArgumentError(f"a state is a number from 0 to {self.mdp.n_states - 1}; it is {state!r}")
        self._appraise(int(number))
        return int(number)

    def state(self, node: int) -> int:
        """The state of a node."""
        return node

    def expand(self, nodes: np.ndarray) -> None:
        """Let kernels see the outcomes of (n,) `nodes`."""
        rows, n_actions = self.mdp.rows, self.mdp.n_actions
        for node in nodes.tolist():
            first = node * n_actions
            for successor in rows.next_state[rows.row_start[first] : rows.row_start[first + n_actions]].tolist():
                self._appraise(successor)
            self.graph.first_row[node] = first
            self.graph.expanded[node] = True

    def _appraise(self, node: int) -> None:
        if self._heuristic is not None and np.isnan(self.graph.value[node]):
            self.graph.value[node] = min(_admitted(self._heuristic(node), node), self.cap)


class ExploredModel:
    """The explored part of a `SuccessorModel`: nodes are numbered as they are met."""

    def __init__(self, model: SuccessorModel, n_actions: int, heuristic: Heuristic) -> None:
        self.model, self.n_actions, self._heuristic = model, n_actions, heuristic
        self._node_of: dict[Hashable, int] = {}
        self._states: list[Hashable] = []
        self._columns = _columns(_FIRST_ROOM)
        self._rows, self._outcomes = 0, 0
        self._row_start = np.zeros(_FIRST_ROOM, dtype=np.int64)
        dtypes = (np.int32, np.float64, np.float64, np.bool_)
        self._arrays = [np.zeros(_FIRST_ROOM, dtype=dtype) for dtype in dtypes]
        self._refresh()

    def _refresh(self) -> None:
        self.graph = Graph(self.n_actions, *_read_only(self._row_start, *self._arrays), **self._columns)

    def node(self, state: Hashable) -> int:
        """The node of a state, a new one where it was not met before."""
        try:
            known = self._node_of.get(state)
        except TypeError:
            raise ArgumentError(f"a state is hashable, such as a number or a tuple; it is {state!r}") from None
        if known is not None:
            return known
        new = len(self._states)
        if new == self._columns["value"].size:
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, np.full(new, _BLANK[name])])
            self._refresh()
        self._columns["value"][new] = _admitted(self._heuristic(state), state)
        self._node_of[state] = new
        self._states.append(state)
        return new

    def state(self, node: int) -> Hashable:
        """The state of a node."""
        return self._states[node]

    def expand(self, nodes: np.ndarray) -> None:
        """Ask the model for every outcome of (n,) `nodes`."""
        for node in nodes.tolist():
            state = self._states[node]
            rows = [self._row(state, action) for action in range(self.n_actions)]
            if not any(rows):
                raise MDPError(f"state {state!r}: no action is available; end the episode on the way into it")
            first = self._rows
            self._grow(len(rows), sum(map(len, rows)))
            for row in rows:
                end = self._outcomes + len(row)
                for array, values in zip(self._arrays, zip(*row, strict=True), strict=False):
                    array[self._outcomes : end] = values
                self._rows, self._outcomes = self._rows + 1, end
                self._row_start[self._rows] = end
            self._columns["first_row"][node] = first
            self._columns["expanded"][node] = True

    def _row(self, state: Hashable, action: int) -> list[tuple[int, float, float, bool]]:
        """The outcomes that can happen as (next node, probability, reward, terminated)."""
        where, row, mass = f"state {state!r}, action {action}", [], 0.0
        outcomes = self.model.successors(state, action)
        if not isinstance(outcomes, Iterable):
            raise MDPError(f"{where}: successors gave {outcomes!r}; expected outcomes, none if it is not available")
        for outcome in outcomes:
            try:
                probability, successor, reward, terminated = outcome
                probability, reward = float(probability), float(reward)
            except (TypeError, ValueError):
                raise MDPError(
                    f"{where}: the outcome is {outcome!r}; expected (probability, next_state, reward, terminated)"
                ) from None
            if not 0 <= probability <= 1 + 1e-9 or not np.isfinite(reward):
                raise MDPError(f"{where}: probability {probability} and reward {reward}; expected [0, 1] and finite")
            mass += probability
            if probability > 0:
                # Where an episode ends is never expanded, nor told from other ends.
                row.append((0 if terminated else self.node(successor), probability, reward, bool(terminated)))
        if row and abs(mass - 1) > 1e-9:
            raise MDPError(f"{where}: the probabilities sum to {mass:.12g}; expected 1")
        return row

    def _grow(self, rows: int, outcomes: int) -> None:
        grown = False
        while self._rows + rows >= self._row_start.size:
            self._row_start, grown = np.concatenate([self._row_start, np.zeros_like(self._row_start)]), True
        while self._outcomes + outcomes > self._arrays[0].size:
            self._arrays, grown = [np.concatenate([array, np.zeros_like(array)]) for array in self._arrays], True
        if grown:
            self._refresh()


def _read_only(*arrays: np.ndarray) -> list[np.ndarray]:
    """Views that can't be written through, as an MDP's are: so kernels are compiled once."""
    views = [array.view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views


def _admitted(number: Any, state: Any) -> float:
    try:
        number = float(number)
    except (TypeError, ValueError):
        raise ArgumentError(f"heuristic of state {state!r} is {number!r}; expected a number") from None
    if np.isnan(number) or number == np.inf:
        raise ArgumentError(f"heuristic of state {state!r} is {number}; expected a number that bounds its value")
    return number


@jit
def row_bound(graph, row, gamma):
    """sum_i p_i [ r_i + gamma U(s'_i) ] of one row, rounded upwards; -inf where the row is empty."""
    begin, end = graph.row_start[row], graph.row_start[row + 1]
    if begin == end:
        return -np.inf
    total, size = 0.0, 0.0
    for i in range(begin, end):
        target, magnitude = graph.reward[i], abs(graph.reward[i])
        if not graph.terminated[i]:
            beyond = gamma * graph.value[graph.next_node[i]] if gamma > 0.0 else 0.0
            target += beyond
            magnitude += abs(beyond)
        total += graph.probability[i] * target
        size += graph.probability[i] * magnitude
    if total == -np.inf:
        return total
    return total + ((end - begin + 6) * UNIT * 1.001 * size + TINY)


@jit
def best_action(graph, node, gamma):
    """(max over actions of `row_bound`, the first action that has it) of a node that was expanded."""
    best, chosen = -np.inf, -1
    for a in range(graph.n_actions):
        row = graph.first_row[node] + a
        if graph.row_start[row] == graph.row_start[row + 1]:
            continue
        q = row_bound(graph, row, gamma)
        if chosen < 0 or q > best:
            best, chosen = q, a
    return best, chosen


@jit
def action_bounds(graph, node, gamma, out):
    """Fill `out` (A,) with the bounds on a node's action values."""
    for a in range(graph.n_actions):
        out[a] = row_bound(graph, graph.first_row[node] + a, gamma)
