"""The general form in canonical order, so that two descriptions of one MDP give the same arrays.

A row's outcomes stand by next state; those that are equal in everything but probability are merged; those that can't
happen are dropped. The compact form's rows are made here too.
"""

import numpy as np

from rltk.mdp.jit import jit
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows
from rltk.mdp.validation import check_rows, refuse_size

_BYTES_AN_OUTCOME = 4 + 8 + 8 + 1


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
    row = np.repeat(np.arange(row_start.size - 1), np.diff(rows.row_start))
    # Here, since a sort inside a kernel takes the compiler seconds.
    by_next_state = np.argsort(row * rows.n_states + rows.next_state, kind="stable")  # row by row
    count = _merge(rows.row_start, by_next_state, *arrays, row_start, order, probability)
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
def _merge(
    row_start, by_next_state, next_state, probability, reward, terminated, success, noise, new_start, order, merged
):
    """Fill `order` with what stands for each merged outcome, `merged` with its probability; return the count."""
    count = 0
    new_start[0] = 0
    for row in range(row_start.size - 1):
        run = count  # where the outcomes with the present next state begin
        for place in range(row_start[row], row_start[row + 1]):
            i = by_next_state[place]
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
