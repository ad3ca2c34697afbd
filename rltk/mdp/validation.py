"""Arrays are checked once, when an MDP is made; after that they are frozen and everything downstream trusts them."""

from typing import Any

import numpy as np

from rltk.errors import MDPError, SizeError
from rltk.mdp.jit import jit
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows

ROW_SUM_TOLERANCE = 1e-9
# What one MDP may take, in bytes; above it a builder refuses before it takes any memory.
MEMORY_LIMIT = 12 * 2**30
MAX_STATES = 2**31 - 1

_OK, _SUM, _PROBABILITY, _NEXT, _REWARD, _NOISE = range(6)


def refuse_size(what: str, nbytes: float, mend: str) -> None:
    """Raise SizeError where `nbytes` would not fit, with the number in it."""
    if nbytes > MEMORY_LIMIT:
        raise SizeError(
            f"{what} would take {min(nbytes, 1e30) / 2**30:,.1f} GiB; the limit is "
            f"{MEMORY_LIMIT / 2**30:.0f} GiB. {mend}"
        )


def as_numbers(value: Any, name: str) -> np.ndarray:
    """`value` as float64, the same memory where it is that already; MDPError where it holds no real numbers."""
    try:
        array = np.asarray(value)
        if array.dtype.kind in "biufO":
            return array.astype(np.float64, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise MDPError(f"{name} is no array of numbers: {error}") from None
    raise MDPError(f"{name} is no array of numbers: its dtype is {array.dtype}; expected real numbers")


def as_flags(value: Any, name: str) -> np.ndarray:
    """`value` as an array of bool; MDPError where it holds anything else."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise MDPError(f"{name} is no array of bool: {error}") from None
    if array.dtype != bool:
        raise MDPError(f"{name} is an array of bool; its dtype is {array.dtype}")
    return array


def as_states(value: Any, name: str) -> np.ndarray:
    """`value` as int32, or as the integers it holds where they are too large for it; MDPError where it holds others."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise MDPError(f"{name} is no array of integers: {error}") from None
    if array.dtype.kind not in "iu":
        raise MDPError(f"{name} holds numbers of states; its dtype is {array.dtype}, expected integers")
    fits = array.size == 0 or (array.min() >= -1 and array.max() <= MAX_STATES)
    return array.astype(np.int32, copy=False) if fits else array


def own(array: np.ndarray, given: Any) -> np.ndarray:
    """`array`, made from `given`, as an array in C order that nobody else can change: a copy where it is needed."""
    mine = array is not given and not np.may_share_memory(array, given) if isinstance(given, np.ndarray) else True
    frozen = array.flags.owndata and not array.flags.writeable
    return array if (mine or frozen) and array.flags.c_contiguous else np.array(array, order="C")


def freeze(*arrays: np.ndarray | None) -> None:
    """Make arrays read-only."""
    for array in arrays:
        if array is not None:
            array.flags.writeable = False


def check_start(start: np.ndarray, n_states: int) -> np.ndarray:
    """`start` (S,) as frozen float64 that sums to 1, or an MDPError."""
    start = np.array(as_numbers(start, "start"))
    if start.shape != (n_states,):
        raise MDPError(f"start is a probability for each of the {n_states} states, (S,); its shape is {start.shape}")
    bad = np.flatnonzero(~((start >= 0) & (start <= 1)))
    if bad.size:
        raise MDPError(f"start of state {bad[0]} is {start[bad[0]]}; expected a probability in [0, 1]")
    if abs(start.sum() - 1) > ROW_SUM_TOLERANCE:
        raise MDPError(f"start sums to {start.sum():.12g}; expected 1. Divide it by its sum if it holds weights")
    freeze(start)
    return start


def check_rows(rows: Rows) -> None:
    """Raise an MDPError that names state, action, what was found and what was expected; else freeze the arrays."""
    if rows.n_states < 1 or rows.n_actions < 1:
        raise MDPError(f"an MDP has at least one state and one action; this has {rows.n_states} and {rows.n_actions}")
    _check_shapes(rows)
    code, row, i = _check(
        rows.row_start,
        rows.next_state,
        rows.probability,
        rows.reward,
        np.zeros(0) if rows.reward_noise is None else rows.reward_noise,
        rows.n_states,
        ROW_SUM_TOLERANCE,
    )
    if code != _OK:
        raise MDPError(
            f"T(s' | s={row // rows.n_actions}, a={row % rows.n_actions}): " + _row_fault(rows, code, row, i)
        )
    stuck = np.flatnonzero(~rows.available.any(axis=1))
    if stuck.size:
        raise MDPError(
            f"state {stuck[0]} has no action (nor have {stuck.size - 1} others); every state needs at least one. "
            "Give a final state an action that ends the episode and pays 0"
        )
    freeze(*(value for value in vars(rows).values() if isinstance(value, np.ndarray)))


def _check_shapes(rows: Rows) -> None:
    row_start, nnz = rows.row_start, rows.next_state.size
    if row_start.shape != (rows.n_states * rows.n_actions + 1,):
        raise MDPError(
            f"row_start has shape {row_start.shape}; expected (S * A + 1,) = ({rows.n_states * rows.n_actions + 1},)"
        )
    if row_start[0] != 0 or row_start[-1] != nnz or (np.diff(row_start) < 0).any():
        raise MDPError(f"row_start rises from 0 to the number of outcomes, {nnz}; it does not")
    for name in ("next_state", "probability", "reward", "terminated", "success", "reward_noise"):
        array = getattr(rows, name)
        if array is not None and array.shape != (nnz,):
            raise MDPError(f"{name} has shape {array.shape}; expected one entry an outcome, ({nnz},)")


def _row_fault(rows: Rows, code: int, row: int, i: int) -> str:
    if code == _SUM:
        total = rows.probability[rows.row_start[row] : rows.row_start[row + 1]].sum()
        return (
            f"the probabilities sum to {total:.12g}; expected 1 within {ROW_SUM_TOLERANCE:g}. "
            "Add the missing outcome, or pass available= if the action is not there"
        )
    to = f"outcome to state {rows.next_state[i]}: "
    return {
        _PROBABILITY: lambda: to + f"the probability is {rows.probability[i]}; expected a number in [0, 1]",
        _NEXT: lambda: to + f"there is no such state; expected 0 to {rows.n_states - 1}",
        _REWARD: lambda: to + f"the reward is {rows.reward[i]}; expected a finite number",
        _NOISE: lambda: to + "the reward noise is a standard deviation: expected a finite number, at least 0",
    }[code]()


@jit
def _check(row_start, next_state, probability, reward, noise, n_states, tolerance):
    """The first fault as (code, row, outcome)."""
    for row in range(row_start.size - 1):
        begin, end = row_start[row], row_start[row + 1]
        total = 0.0
        for i in range(begin, end):
            if not (probability[i] >= 0.0 and probability[i] <= 1.0 + tolerance):
                return 2, row, i
            if next_state[i] < 0 or next_state[i] >= n_states:
                return 3, row, i
            if not np.isfinite(reward[i]):
                return 4, row, i
            if noise.size > 0 and not (noise[i] >= 0.0 and np.isfinite(noise[i])):
                return 5, row, i
            total += probability[i]
        if end > begin and abs(total - 1.0) > tolerance:
            return 1, row, begin
    return 0, 0, 0


def check_moves(form: Moves) -> None:
    """The same as `check_rows` for the compact form."""
    if form.moves.ndim != 2 or form.noise.ndim != 2 or form.moves.shape[1] != form.noise.shape[1]:
        raise MDPError(
            f"moves is (S, M) and noise (A, M) with the same M; their shapes are {form.moves.shape}, {form.noise.shape}"
        )
    if 0 in form.moves.shape or 0 in form.noise.shape:
        raise MDPError("an MDP has at least one state, one move and one action")
    low, high = int(form.moves.min()), int(form.moves.max())
    if low < 0 or high >= form.n_states:
        s, m = np.argwhere((form.moves < 0) | (form.moves >= form.n_states))[0]
        raise MDPError(f"move {m} of state {s} leads to {form.moves[s, m]}; expected 0 to {form.n_states - 1}")
    for a, row in enumerate(form.noise):
        if not ((row >= 0) & (row <= 1)).all() or abs(row.sum() - 1) > ROW_SUM_TOLERANCE:
            raise MDPError(
                f"noise of action {a} is {row.tolist()}, which sums to {row.sum():.12g}; expected a distribution"
            )
    for name in ("reward", "terminated", "success"):
        array = getattr(form, name)
        if array is not None and array.shape not in (form.moves.shape, form.moves.shape[:1]):
            raise MDPError(
                f"{name} has shape {array.shape}; expected {form.moves.shape}, ({form.n_states},) or a scalar"
            )
    bad = np.argwhere(~np.isfinite(form.reward))
    if bad.size:
        where = "entering state {}".format(*bad[0]) if form.reward.ndim == 1 else "state {}, move {}".format(*bad[0])
        raise MDPError(f"the reward of {where} is {form.reward[tuple(bad[0])]}; expected a finite number")
    freeze(form.moves, form.noise, form.reward, form.terminated, form.success)
