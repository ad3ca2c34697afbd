"""The draw law: how a simulator's random words become outcomes, the same in every loop, compiled or not.

- A step spends one word, even where nothing is random; noise on a reward spends one more. A reset spends one.
- The word's number u in [0, 1) picks the first outcome at which the probabilities, summed left to right, exceed u;
  the last outcome takes what rounding leaves over.

So a learner's compiled loop and Gymnasium's `step` see the same episodes from the same seed, bit for bit.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.core.types import BaseNamedTuple  # type: ignore[attr-defined]
from numba.extending import overload

from rltk.mdp.jit import jit
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows
from rltk.mdp.streams import normal, random


class RowTables(NamedTuple):
    """What a kernel needs to sample the general form."""

    n_actions: int
    row_start: np.ndarray
    next_state: np.ndarray
    probability: np.ndarray
    reward: np.ndarray
    noise: np.ndarray  # (nnz,) or (0,) where rewards have none
    terminated: np.ndarray
    success: np.ndarray  # (nnz,) or (0,) where unknown
    start_states: np.ndarray  # (n,) int32: those with a positive probability
    start_cumulative: np.ndarray  # (n,) float64


class MoveTables(NamedTuple):
    """What a kernel needs to sample the compact form."""

    moves: np.ndarray
    cumulative: np.ndarray  # (A, M) float64: sums of the noise; inf from the last move that can happen on
    reward: np.ndarray
    reward_by_move: bool
    terminated: np.ndarray
    terminated_by_move: bool
    success: np.ndarray  # flat, or (0,) where unknown
    success_by_move: bool
    start_states: np.ndarray
    start_cumulative: np.ndarray


Tables = RowTables | MoveTables
_1 = np.uint64(1)


def tables_of(form: Rows | Moves, start: np.ndarray) -> Tables:
    """The arrays of `form` and the start distribution (S,), as kernels take them."""
    start_states = np.flatnonzero(start).astype(np.int32)
    starts = (start_states, np.cumsum(start[start_states]))
    if isinstance(form, Rows):
        noise = np.zeros(0) if form.reward_noise is None else form.reward_noise
        success = np.zeros(0, dtype=bool) if form.success is None else form.success
        tables: Any = (form.n_actions, form.row_start, form.next_state, form.probability, form.reward, noise)
        return RowTables(*_frozen(*tables, form.terminated, success, *starts))
    success = np.zeros(0, dtype=bool) if form.success is None else form.success
    reward, reward_by_move, terminated, terminated_by_move = form.flat
    arrays: Any = (form.moves, _cumulative(form.noise), reward, reward_by_move, terminated, terminated_by_move)
    return MoveTables(*_frozen(*arrays, success.reshape(-1), success.ndim == 2, *starts))


def _cumulative(noise: np.ndarray) -> np.ndarray:
    """(A, M): sums from left to right; inf from the last possible move on, which takes what rounding leaves over."""
    others_follow = np.cumsum(noise[:, ::-1] > 0, axis=1)[:, ::-1] - (noise > 0) > 0
    return np.where(others_follow, np.cumsum(noise, axis=1), np.inf)


def _frozen(*values: Any) -> tuple[Any, ...]:
    # numba compiles once for writeable and once for read-only arrays: all are read-only, so it compiles once.
    for value in values:
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return values


def draw(tables: Tables, state: int, action: int, stream: np.ndarray) -> tuple[int, float, bool, bool]:
    """One step from `state` by `action`: (next_state, reward, terminated, success). For use inside kernels.

    `success` is False where the MDP does not know. `stream`: (6,) uint64, advanced in place.
    """
    raise NotImplementedError("draw runs inside kernels; call rltk.mdp.sampling.step from Python")


@overload(draw, inline="always")
def _draw(tables, state, action, stream):  # unannotated, as numba compares signatures
    if not isinstance(tables, BaseNamedTuple):
        return None
    return _draw_row if tables.instance_class is RowTables else _draw_move


# Indices are counted without a sign below: a negative one would be taken from the end, which costs a test each time.


def _draw_row(tables, state, action, stream):
    u = random(stream)
    row = np.uint64(state * tables.n_actions + action)
    i = np.uint64(tables.row_start[row])
    last = np.uint64(tables.row_start[row + _1] - 1)
    total = tables.probability[i]
    while u >= total and i < last:
        i += _1
        total += tables.probability[i]
    reward = tables.reward[i]
    if tables.noise.size > 0:
        reward += tables.noise[i] * normal(stream)
    success = tables.success[i] if tables.success.size > 0 else False
    return np.int64(tables.next_state[i]), reward, tables.terminated[i], success


def _draw_move(tables, state, action, stream):
    u = random(stream)
    n_moves, s, a = tables.moves.shape[1], np.uint64(state), np.uint64(action)
    m = 0
    for k in range(n_moves):  # no early end: where chance decides, a processor guesses wrong, which costs more
        m += u >= tables.cumulative[a, k]
    if not tables.terminated_by_move and tables.terminated[s]:
        return np.int64(state), 0.0, True, False
    t = np.int64(tables.moves[s, np.uint64(m)])
    at = state * n_moves + m
    reward = tables.reward[np.uint64(at if tables.reward_by_move else t)]
    terminated = tables.terminated[np.uint64(at if tables.terminated_by_move else t)]
    success = False
    if tables.success.size > 0:
        success = tables.success[np.uint64(at if tables.success_by_move else t)]
    return t, reward, terminated, success


@jit
def draw_start(tables, stream):
    """A start state from one word."""
    u = random(stream)
    i = np.searchsorted(tables.start_cumulative, u, side="right")
    return np.int64(tables.start_states[min(i, tables.start_states.size - 1)])


@jit
def step(tables, state, action, stream):
    """`draw`, callable from Python."""
    return draw(tables, state, action, stream)


@jit
def steps(tables, states, actions, stream, next_states, rewards, terminated, successes):
    """`draw` for each pair of (N,) `states` and `actions`, from one stream, into the four (N,) arrays."""
    for i in range(states.size):
        next_states[i], rewards[i], terminated[i], successes[i] = draw(tables, states[i], actions[i], stream)
