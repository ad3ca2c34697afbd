"""The general form from arrays: T dense or one SciPy sparse matrix an action, R likewise or (S, A)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from rltk.errors import MDPError
from rltk.mdp.canonical import canonical
from rltk.mdp.rows import Rows
from rltk.mdp.validation import as_flags, as_numbers


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
