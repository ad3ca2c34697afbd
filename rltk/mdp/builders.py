"""Ways to make the general form: from arrays, from Gymnasium's P table, from a transition function.

Each sorts a row's outcomes by next state, merges those that are equal in everything but probability, and drops those
that can't happen, so that two descriptions of one MDP give the same arrays.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp

from rltk.errors import MDPError, SizeError
from rltk.mdp.jit import jit
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows
from rltk.mdp.validation import as_flags, as_numbers, check_rows, refuse_size

_BYTES_AN_OUTCOME = 4 + 8 + 8 + 1
_MAX_ACTIONS = 2**20  # a larger number in a P table is a mistake, not an action

Outcome = tuple[float, Any, float, bool]


def canonical(rows: Rows) -> Rows:
    """Check `rows`, sort and merge its outcomes, and freeze it."""
    check_rows(rows)
    if _is_canonical(rows.row_start, rows.next_state, rows.probability):
        return rows
    noise = rows.reward_noise if rows.reward_noise is not None else np.zeros(0)
    success = rows.success if rows.success is not None else np.zeros(0, dtype=bool)
    row_start = np.empty_like(rows.row_start)
    order = np.empty(rows.next_state.size, dtype=np.int64)
    probability = np.empty(rows.next_state.size)
    arrays = (rows.next_state, rows.probability, rows.reward, rows.terminated, success, noise)
    count = _merge(rows.row_start, *arrays, row_start, order, probability)
    if count == rows.next_state.size and (order[1:] > order[:-1]).all():
        return rows
    order, probability = order[:count], probability[:count].copy()
    merged = Rows(
        rows.n_states,
        rows.n_actions,
        row_start,
        rows.next_state[order],
        probability,
        rows.reward[order],
        rows.terminated[order],
        None if rows.success is None else rows.success[order],
        None if rows.reward_noise is None else rows.reward_noise[order],
    )
    check_rows(merged)
    return merged


@jit
def _is_canonical(row_start, next_state, probability):
    """Whether next states rise strictly in every row and all can happen: the usual case, seen without sorting."""
    for row in range(row_start.size - 1):
        for i in range(row_start[row], row_start[row + 1]):
            if probability[i] == 0.0 or (i > row_start[row] and next_state[i] <= next_state[i - 1]):
                return False
    return True


@jit
def _merge(row_start, next_state, probability, reward, terminated, success, noise, new_start, order, merged):
    """Fill `order` with what stands for each merged outcome, `merged` with its probability; return the count."""
    count = 0
    new_start[0] = 0
    for row in range(row_start.size - 1):
        begin, end = row_start[row], row_start[row + 1]
        ranks = np.argsort(next_state[begin:end], kind="mergesort") if end - begin > 1 else np.zeros(1, dtype=np.int64)
        run = count  # where the outcomes with the present next state begin
        for rank in ranks[: end - begin]:
            i = begin + rank
            if probability[i] == 0.0:
                continue
            if count > run and next_state[order[run]] != next_state[i]:
                run = count
            twin = -1
            for j in range(run, count):
                k = order[j]
                if (
                    reward[k] == reward[i]
                    and terminated[k] == terminated[i]
                    and (success.size == 0 or success[k] == success[i])
                    and (noise.size == 0 or noise[k] == noise[i])
                ):
                    twin = j
                    break
            if twin >= 0:
                merged[twin] += probability[i]
            else:
                order[count] = i
                merged[count] = probability[i]
                count += 1
        new_start[row + 1] = count
    return count


def rows_from_arrays(T: Any, R: Any, *, terminated: Any = None, available: Any = None, success: Any = None) -> Rows:
    """Rows from T (S, A, S) dense or one sparse (S, S) an action, and R (S, A) or like T. See `MDP.from_arrays`."""
    if _is_sparse_list(T):
        return _rows_from_sparse(T, R, terminated, available, success)
    T = as_numbers(T, "T")
    if T.ndim != 3 or T.shape[0] != T.shape[2]:
        raise MDPError(f"T has shape {T.shape}; expected (S, A, S), or a list with one sparse (S, S) matrix an action")
    n_states, n_actions, _ = T.shape
    bad = np.argwhere(~((T >= 0) & (T <= 1 + 1e-9)))
    if bad.size:
        s, a, t = bad[0]
        raise MDPError(f"T(s'={t} | s={s}, a={a}) is {T[s, a, t]}; expected a probability in [0, 1]")
    state, action, next_state = np.nonzero(T)
    pairs = (state, action, next_state)
    return _assemble(
        n_states, n_actions, pairs, T[pairs], _spread_dense(R, T.shape, "R"), terminated, available, success
    )


def _rows_from_sparse(T: Any, R: Any, terminated: Any, available: Any, success: Any) -> Rows:
    # A copy: summing duplicates in place would change the caller's matrix.
    matrices = [_sparse_numbers(matrix, "T", a).copy() for a, matrix in enumerate(T)]
    n_states, n_actions = matrices[0].shape[0], len(matrices)
    for a, matrix in enumerate(matrices):
        if matrix.shape != (n_states, n_states):
            raise MDPError(
                f"T of action {a} has shape {matrix.shape}; expected ({n_states}, {n_states}) as for action 0"
            )
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    parts = [matrix.tocoo() for matrix in matrices]
    state = np.concatenate([part.coords[0] for part in parts])
    action = np.repeat(np.arange(n_actions), [part.nnz for part in parts])
    next_state = np.concatenate([part.coords[1] for part in parts])
    order = np.lexsort((next_state, action, state))
    pairs = (state[order], action[order], next_state[order])
    probability = np.concatenate([part.data for part in parts])[order]
    if _is_sparse_list(R):
        rewards = [_sparse_numbers(matrix, "R", a) for a, matrix in enumerate(R)]
        if [matrix.shape for matrix in rewards] != [matrix.shape for matrix in matrices]:
            raise MDPError("R as a list of sparse matrices has one of the same shape for each of T's")
        flat = np.concatenate([_entries(r, *p.coords) for r, p in zip(rewards, parts, strict=True)])[order]
        spread: Any = lambda pairs: flat  # noqa: E731
    else:
        spread = _spread_dense(R, (n_states, n_actions, n_states), "R")
    return _assemble(n_states, n_actions, pairs, probability, spread, terminated, available, success)


def _is_sparse_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(sp.issparse(matrix) for matrix in value)


def _sparse_numbers(matrix: Any, name: str, action: int) -> sp.csr_array:
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise MDPError(
            f"{name} of action {action} has shape {matrix.shape}, dtype {matrix.dtype}; expected (S, S), real numbers"
        )
    return sp.csr_array(matrix, dtype=np.float64)


def _entries(matrix: sp.csr_array, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """(n,) entries; SciPy itself gives something else than an empty array where none is asked for."""
    return np.asarray(matrix[row, column]) if row.size else np.zeros(0, dtype=matrix.dtype)


def _spread_dense(value: Any, shape: tuple[int, int, int], name: str) -> Callable[[Any], np.ndarray]:
    """A function from (state, action, next_state) index arrays to the entries of (S, A) or (S, A, S) `value`."""
    array = as_numbers(value, name)
    if array.shape not in (shape[:2], shape):
        raise MDPError(f"{name} has shape {array.shape}; expected (S, A) = {shape[:2]} or (S, A, S) = {shape}")
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        where = ", ".join(f"{letter}={i}" for letter, i in zip(("s", "a", "s'"), bad[0], strict=False))
        raise MDPError(f"{name}({where}) is {array[tuple(bad[0])]}; expected a finite number")
    return lambda pairs: array[pairs[: array.ndim]]


def _flags(value: Any, shape: tuple[int, int, int], pairs: Any, name: str) -> np.ndarray | None:
    """(nnz,) bool from None, (S,) by the state entered, (S, A, S), or one sparse (S, S) an action."""
    if value is None:
        return None
    if _is_sparse_list(value):
        if len(value) != shape[1] or any(m.shape != (shape[0], shape[0]) or m.dtype != bool for m in value):
            raise MDPError(f"{name} as sparse matrices is one of bool and shape {(shape[0], shape[0])} an action")
        flags = np.zeros(pairs[0].size, dtype=bool)
        for a, matrix in enumerate(value):
            own = pairs[1] == a
            flags[own] = _entries(sp.csr_array(matrix), pairs[0][own], pairs[2][own])
        return flags
    array = as_flags(value, name)
    if array.shape == shape[:1]:
        return array[pairs[2]]
    if array.shape == shape:
        return array[pairs]
    raise MDPError(f"{name} has shape {array.shape}; expected (S,) = {shape[:1]} (entering it ends) or {shape}")


def _assemble(
    n_states: int,
    n_actions: int,
    pairs: Any,
    probability: Any,
    reward: Any,
    terminated: Any,
    available: Any,
    success: Any,
) -> Rows:
    shape = (n_states, n_actions, n_states)
    row = pairs[0].astype(np.int64) * n_actions + pairs[1]
    count = np.bincount(row, minlength=n_states * n_actions).reshape(n_states, n_actions)
    expected = np.ones(shape[:2], dtype=bool) if available is None else as_flags(available, "available")
    if expected.shape != shape[:2]:
        raise MDPError(f"available has shape {expected.shape}; expected (S, A) = {shape[:2]}")
    for s, a in np.argwhere((count > 0) != expected)[:1]:
        if count[s, a]:
            raise MDPError(f"action {a} is not available in state {s}, but T has outcomes for it; expected none")
        raise MDPError(
            f"T(s' | s={s}, a={a}): the probabilities sum to 0; expected 1. "
            "If the action is not there, say so with available= (S, A)"
        )
    ends = _flags(terminated, shape, pairs, "terminated")
    rows = Rows(
        n_states,
        n_actions,
        np.concatenate(([0], np.cumsum(count.reshape(-1)))).astype(np.int64),
        pairs[2].astype(np.int32),
        np.array(probability, dtype=np.float64),
        np.array(reward(pairs), dtype=np.float64),
        np.zeros(row.size, dtype=bool) if ends is None else ends,
        _flags(success, shape, pairs, "success"),
    )
    return canonical(rows)


def rows_from_lists(outcomes: Iterable[Iterable[Outcome]], n_states: int, n_actions: int, success: Any = None) -> Rows:
    """Rows from, for each state and in it each action, a list of (probability, next_state, reward, terminated)."""
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
    if success == "best ending":
        success = ends & (rewards == rewards[ends].max()) if ends.any() else None
    return canonical(
        Rows(
            n_states,
            n_actions,
            row_start,
            next_state.astype(np.int32),
            probability,
            rewards,
            ends,
            success,
        )
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
    return rows_from_lists(lists, n_states, n_actions, success="best ending")


def rows_from_function(
    transition: Callable[[Hashable, int], Iterable[Outcome] | None],
    starts: Sequence[Hashable],
    n_actions: int,
    max_states: int,
) -> tuple[Rows, list[Hashable]]:
    """Enumerate breadth-first what can be reached from `starts`; returns the rows and the states in their order."""
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
    return rows_from_lists(lists, len(states), n_actions), states


def _known(successor: Any, index: dict[Hashable, int], state: Any, action: int) -> bool:
    try:
        return successor in index
    except TypeError:
        raise MDPError(
            f"state {state!r}, action {action}: the next state {successor!r} is not hashable; use tuples, not lists"
        ) from None


def rows_from_moves(form: Moves) -> Rows:
    """The general form of the compact one, refused by size where it would not fit."""
    nnz = form.n_states * int(np.count_nonzero(form.noise))
    refuse_size(
        f"the row arrays of {form.n_states:,} states and {form.n_actions} actions",
        4 * nnz * _BYTES_AN_OUTCOME,
        "The compact form answers q, backup, greedy and sample without them",
    )
    reward, terminated = form.per_move(form.reward), form.per_move(form.terminated)
    success = None if form.success is None else form.per_move(form.success)
    absorbing = form.absorbing
    moves = np.where(absorbing[:, None], np.arange(form.n_states)[:, None], form.moves)
    action, move = np.nonzero(form.noise)
    rows = Rows(
        form.n_states,
        form.n_actions,
        np.arange(form.n_states * form.n_actions + 1, dtype=np.int64) * 0,
        moves[:, move].reshape(-1).astype(np.int32),
        np.tile(form.noise[action, move], form.n_states),
        reward[:, move].reshape(-1),
        (terminated[:, move] | absorbing[:, None]).reshape(-1),
        None if success is None else success[:, move].reshape(-1),
    )
    counts = np.tile(np.count_nonzero(form.noise, axis=1), form.n_states)
    np.cumsum(counts, out=rows.row_start[1:])
    return canonical(rows)
