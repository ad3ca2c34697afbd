"""The general form from listed outcomes: Gymnasium's P table, or a transition function over hashable states."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from rltk.errors import MDPError, SizeError
from rltk.mdp.canonical import canonical
from rltk.mdp.rows import Rows

_MAX_ACTIONS = 2**20  # a larger number in a P table is a mistake, not an action

Outcome = tuple[float, Any, float, bool]


def rows_from_lists(
    outcomes: Iterable[Iterable[Outcome]], n_states: int, n_actions: int, reached: np.ndarray | None = None
) -> Rows:
    """Rows from, for each state and in it each action, a list of (probability, next_state, reward, terminated).

    `reached` (S,) bool: entering that state is a success, except by staying in a final one.
    """
    counts: list[int] = []
    flat: list[Outcome] = []
    for number, row in enumerate(outcomes):
        entries = [_four(entry, *divmod(number, n_actions)) for entry in _listed(row, *divmod(number, n_actions))]
        counts.append(len(entries))
        flat.extend(entries)
    row_start = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    columns: Any = zip(*flat, strict=True) if flat else ((), (), (), ())
    probability, next_state, rewards, ends = (
        _column(values, kind, row_start, n_actions) for values, kind in zip(columns, _COLUMNS, strict=True)
    )
    _check_range(next_state, n_states, row_start, n_actions)
    success = None
    if reached is not None:
        source = np.repeat(np.arange(n_states), np.diff(row_start[::n_actions]))
        success = reached[next_state] & (next_state != source)
    return canonical(
        Rows(n_states, n_actions, row_start, next_state.astype(np.int32), probability, rewards, ends, success)
    )


# What stands in each place of an outcome: its name, dtype, the kinds of array and the types taken for it.
_COLUMNS: tuple[Any, ...] = (
    ("probability", np.float64, "iuf", Real, "a number"),
    ("next state", np.int64, "i", Integral, "the number of a state"),
    ("reward", np.float64, "iuf", Real, "a number"),
    ("terminated", np.bool_, "b", (bool, np.bool_), "True or False"),
)


def _listed(row: Any, state: Any, action: int) -> list[Any]:
    try:
        return list(row)
    except TypeError:
        raise MDPError(f"state {state!r}, action {action}: {row!r} is no list of outcomes") from None


def _four(entry: Any, state: Any, action: int) -> Outcome:
    try:
        probability, next_state, reward, terminated = entry
    except (TypeError, ValueError):
        raise MDPError(
            f"state {state!r}, action {action}: the outcome is {entry!r}; "
            "expected four entries: (probability, next_state, reward, terminated)"
        ) from None
    return probability, next_state, reward, terminated


def _column(values: tuple[Any, ...], kind: Any, row_start: np.ndarray, n_actions: int) -> np.ndarray:
    """One place of every outcome as an array, or an MDPError that names the first state and action where it is not."""
    name, dtype, letters, allowed, expected = kind
    if not values:
        return np.zeros(0, dtype=dtype)
    try:
        array = np.array(values)
        if array.ndim == 1 and array.dtype.kind in letters:
            return array.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        pass
    converted = np.empty(len(values), dtype=dtype)
    for i, value in enumerate(values):
        try:
            known = isinstance(value, allowed)
            if known:
                converted[i] = dtype(value)
        except (TypeError, ValueError, OverflowError):
            known = False
        if not known:
            s, a = divmod(int(np.searchsorted(row_start, i, side="right")) - 1, n_actions)
            raise MDPError(f"state {s}, action {a}: the {name} of an outcome is {value!r}; expected {expected}")
    return converted


def _check_range(next_state: np.ndarray, n_states: int, row_start: np.ndarray, n_actions: int) -> None:
    outside = np.flatnonzero((next_state < 0) | (next_state >= n_states))
    if outside.size:
        s, a = divmod(int(np.searchsorted(row_start, outside[0], side="right")) - 1, n_actions)
        raise MDPError(
            f"T(s' | s={s}, a={a}): outcome to state {next_state[outside[0]]}: there is no such state; "
            f"expected 0 to {n_states - 1}"
        )


def rows_from_table(P: Mapping[int, Mapping[int, Sequence[Outcome]]]) -> Rows:
    """Rows from Gymnasium's `P[state][action] = [(probability, next_state, reward, done), ...]`.

    `done` is of the outcome. Success is taken to be the endings that pay the most.
    """
    if not isinstance(P, Mapping):
        raise MDPError(f"P is a {type(P).__name__}; expected a dict from states to dicts from actions to outcomes")
    n_states = len(P)
    for s in range(n_states):
        if s not in P:
            raise MDPError(f"P has {n_states} states but not the state {s}; expected the keys 0 to {n_states - 1}")
        if not isinstance(P[s], Mapping):
            raise MDPError(f"P[{s}] is a {type(P[s]).__name__}; expected a dict from actions to lists of outcomes")
        for a in P[s]:
            if not isinstance(a, int | np.integer) or not 0 <= a < _MAX_ACTIONS:
                raise MDPError(f"P[{s}] has the action {a!r}; expected the numbers 0, 1, 2, ...")
    n_actions = 1 + max((max(P[s], default=-1) for s in range(n_states)), default=-1)
    lists = (P[s].get(a, ()) for s in range(n_states) for a in range(n_actions))
    rows = rows_from_lists(lists, n_states, n_actions)
    ends, rewards = rows.terminated, rows.reward
    return replace(rows, success=ends & (rewards == rewards[ends].max())) if ends.any() else rows


def rows_from_function(
    transition: Callable[[Hashable, int], Iterable[Outcome] | None],
    starts: Sequence[Hashable],
    n_actions: int,
    max_states: int,
    success: Callable[[Any], bool] | None = None,
) -> tuple[Rows, list[Hashable]]:
    """Enumerate breadth-first what can be reached from `starts`; returns the rows and the states in their order.

    `success` says of a state whether entering it counts as reaching the goal.
    """
    index: dict[Hashable, int] = {}
    for state in starts:
        index.setdefault(state, len(index))
    states = list(index)
    expanded: dict[int, list[list[Outcome]]] = {}
    queue = list(range(len(states)))
    for s in queue:  # grows while it is read
        if s in expanded:
            continue
        rows = []
        for a in range(n_actions):
            row = []
            outcomes = transition(states[s], a)
            for entry in _listed(() if outcomes is None else outcomes, states[s], a):
                probability, successor, reward, terminated = _four(entry, states[s], a)
                if not _known(successor, index, states[s], a):
                    if len(index) >= max_states:
                        raise SizeError(
                            f"more than {max_states:,} states can be reached; the last new one is {successor!r}. "
                            "Raise max_states=, or check that the transition function does not invent states"
                        )
                    index[successor] = len(states)
                    states.append(successor)
                if not terminated:
                    queue.append(index[successor])
                row.append((probability, index[successor], reward, terminated))
            rows.append(row)
        expanded[s] = rows
    # A state that is only entered at an end is never left: it keeps its place and pays nothing.
    final = [[(1.0, s, 0.0, True)] for s in range(len(states))]
    lists = (expanded[s][a] if s in expanded else final[s] for s in range(len(states)) for a in range(n_actions))
    reached = None if success is None else np.array([bool(success(state)) for state in states])
    return rows_from_lists(lists, len(states), n_actions, reached), states


def _known(successor: Any, index: dict[Hashable, int], state: Any, action: int) -> bool:
    try:
        return successor in index
    except TypeError:
        raise MDPError(
            f"state {state!r}, action {action}: the next state {successor!r} is not hashable; use tuples, not lists"
        ) from None
