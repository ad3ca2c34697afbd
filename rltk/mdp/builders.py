"""Ways to make the general form: from arrays, from Gymnasium's P table, from a transition function.

Each sorts a row's outcomes by next state, merges those that are equal in everything but probability, and drops those
that can't happen, so that two descriptions of one MDP give the same arrays.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from rltk.errors import MDPError, SizeError
from rltk.mdp.jit import jit
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows
from rltk.mdp.validation import MAX_STATES, check_rows, refuse_size

_BYTES_AN_OUTCOME = 4 + 8 + 8 + 1

Outcome = tuple[float, Any, float, bool]


def canonical(rows: Rows) -> Rows:
    """Check `rows`, sort and merge its outcomes, and freeze it."""
    check_rows(rows)
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
def _merge(row_start, next_state, probability, reward, terminated, success, noise, new_start, order, merged):
    """Fill `order` with the outcome that stands for each merged one, `merged` with its probability; return the count."""
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
    T = _as_float(T, "T")
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
    matrices = [sp.csr_array(matrix, dtype=np.float64, copy=True) for matrix in T]
    n_states, n_actions = matrices[0].shape[0], len(matrices)
    for a, matrix in enumerate(matrices):
        if matrix.shape != (n_states, n_states):
            raise MDPError(
                f"T of action {a} has shape {matrix.shape}; expected ({n_states}, {n_states}) as for action 0"
            )
        matrix.sum_duplicates()
    parts = [matrix.tocoo() for matrix in matrices]
    state = np.concatenate([part.coords[0] for part in parts])
    action = np.repeat(np.arange(n_actions), [part.nnz for part in parts])
    next_state = np.concatenate([part.coords[1] for part in parts])
    order = np.lexsort((next_state, action, state))
    pairs = (state[order], action[order], next_state[order])
    probability = np.concatenate([part.data for part in parts])[order]
    if _is_sparse_list(R):
        rewards = [sp.csr_array(matrix, dtype=np.float64) for matrix in R]
        if [matrix.shape for matrix in rewards] != [matrix.shape for matrix in matrices]:
            raise MDPError("R as a list of sparse matrices has one of the same shape for each of T's")
        flat = np.concatenate([r[p.coords[0], p.coords[1]] for r, p in zip(rewards, parts, strict=True)])[order]
        spread: Any = lambda pairs: flat  # noqa: E731
    else:
        spread = _spread_dense(R, (n_states, n_actions, n_states), "R")
    return _assemble(n_states, n_actions, pairs, probability, spread, terminated, available, success)


def _is_sparse_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(sp.issparse(matrix) for matrix in value)


def _as_float(value: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MDPError(f"{name} is no array of numbers: {error}") from None


def _spread_dense(value: Any, shape: tuple[int, int, int], name: str) -> Callable[[Any], np.ndarray]:
    """A function from (state, action, next_state) index arrays to the entries of (S, A) or (S, A, S) `value`."""
    array = _as_float(value, name)
    if array.shape not in (shape[:2], shape):
        raise MDPError(f"{name} has shape {array.shape}; expected (S, A) = {shape[:2]} or (S, A, S) = {shape}")
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        where = ", ".join(f"{letter}={i}" for letter, i in zip(("s", "a", "s'"), bad[0], strict=False))
        raise MDPError(f"{name}({where}) is {array[tuple(bad[0])]}; expected a finite number")
    return lambda pairs: array[pairs[: array.ndim]]


def _flags(value: Any, shape: tuple[int, int, int], pairs: Any, name: str) -> np.ndarray | None:
    """(nnz,) bool from None, (S,) by the state entered, or (S, A, S)."""
    if value is None:
        return None
    if _is_sparse_list(value):
        value = np.stack([matrix.toarray() for matrix in value], axis=1)
    array = np.asarray(value)
    if array.dtype != bool:
        raise MDPError(f"{name} is an array of bool; its dtype is {array.dtype}")
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
    expected = np.ones(shape[:2], dtype=bool) if available is None else np.asarray(available, dtype=bool)
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
    counts, flat = [], []
    for row in outcomes:
        entries = list(row)
        counts.append(len(entries))
        flat.extend(entries)
    if any(len(entry) != 4 for entry in flat):
        raise MDPError("each outcome is (probability, next_state, reward, terminated): four entries")
    probability, next_state, reward, terminated = zip(*flat, strict=True) if flat else ((), (), (), ())
    ends = np.array(terminated, dtype=bool)
    rewards = np.array(reward, dtype=np.float64)
    if success == "best ending":
        success = ends & (rewards == rewards[ends].max()) if ends.any() else None
    return canonical(
        Rows(
            n_states,
            n_actions,
            np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            np.array(next_state, dtype=np.int64).clip(-1, MAX_STATES).astype(np.int32),
            np.array(probability, dtype=np.float64),
            rewards,
            ends,
            success,
        )
    )


def rows_from_table(P: Mapping[int, Mapping[int, Sequence[Outcome]]]) -> Rows:
    """Rows from Gymnasium's `P[state][action] = [(probability, next_state, reward, done), ...]`.

    `done` is of the outcome. Success is taken to be the endings that pay the most.
    """
    n_states = len(P)
    if sorted(P) != list(range(n_states)):
        raise MDPError(f"P has {n_states} states; expected the keys 0 to {n_states - 1}")
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
            for probability, successor, reward, terminated in transition(states[s], a) or ():
                if successor not in index:
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
