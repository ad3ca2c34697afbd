"""A level as arrays, and a batch of levels as the same arrays with one more axis.

- `grid`: a byte a cell (`cells.py`), row by row, with a margin of grey wall: the view never asks whether it looks
  beyond the board. The margin to the right of a row is also the one to the left of the next.
- `body`: the registers below: where the agent is, what it carries, and what the family remembers of its mission.
- `memory`: as many more registers as the family asks for (`Plan.memory`): rooms, obstacles, a list to shuffle. A
  generator finds there whatever the last level left.
- `board`: what all levels of a batch share: sizes, the view, the rule that ends an episode.

The arrays' types never change, so every kernel is compiled once for all families and sizes.

Things are told apart by their code, or by code and place (`rules.py`, CARRY_RULE). That is enough for all MiniGrid-*
families: of things that look the same, one at most matters. BabyAI follows single things about, and will bring one more
layer, `identity` (cells,) uint8 with the number of the thing that stands there (0: none), that moves with `grid` in
`act` and is asked by its rules.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.cells import EMPTY, OUTSIDE
from rltk.mdp import jit

# Registers of `body`. A family's rule (`rules.py`) says what target and other mean to it.
X, Y, DIRECTION, CARRYING, STEPS, MAX_STEPS, MISSION, TARGET, TARGET_X, TARGET_Y, OTHER, OTHER_X, OTHER_Y = range(13)
BODY = 16  # a cache line
FOREVER = 2**31 - 1  # MAX_STEPS where no time limit is set; the steps themselves are counted up to one less

# Entries of `board`. ORIGIN is the index of the cell (0, 0) in `grid`; LIMIT is MAX_STEPS of a new level.
WIDTH, HEIGHT, STRIDE, ORIGIN, VIEW, SEES_THROUGH, RULE, LIMIT = range(8)
BOARD = 8

# Directions: right, down, left, up.
RIGHT, DOWN, LEFT, UP = range(4)

# What a generator returns: 0 (`FINE`), or why there is no level.
FINE, NO_ROOM, NOT_CONNECTED, NOT_BUILT = range(4)
FAULTS = {
    NO_ROOM: "no free cell was found for a thing or for the agent",
    NOT_CONNECTED: "the rooms could not be connected",
    NOT_BUILT: "the rooms did not fit on the board",
}


class Levels(NamedTuple):
    """N levels. A `Level` is the same without the first axis."""

    grid: NDArray[np.uint8]  # (N, cells)
    body: NDArray[np.int32]  # (N, BODY)
    memory: NDArray[np.int32]  # (N, M)
    board: NDArray[np.int64]  # (BOARD,)


class Level(NamedTuple):
    """One level: views of its rows."""

    grid: NDArray[np.uint8]  # (cells,)
    body: NDArray[np.int32]  # (BODY,)
    memory: NDArray[np.int32]  # (M,)
    board: NDArray[np.int64]  # (BOARD,)


def make_levels(
    count: int, width: int, height: int, *, view: int, sees_through: bool, rule: int, limit: int, memory: int
) -> Levels:
    """`count` boards of width x height cells without a level on them."""
    margin = view - 1  # as far as the agent sees ahead
    stride = width + margin
    cells = (height + 2 * margin) * stride + margin
    board = np.zeros(BOARD, dtype=np.int64)
    board[[WIDTH, HEIGHT, STRIDE, ORIGIN]] = width, height, stride, margin * stride + margin
    board[[VIEW, SEES_THROUGH, RULE, LIMIT]] = view, sees_through, rule, limit
    return Levels(
        np.full((count, cells), OUTSIDE, dtype=np.uint8),
        np.zeros((count, BODY), dtype=np.int32),
        np.zeros((count, memory), dtype=np.int32),
        board,
    )


def inner(levels: Levels) -> NDArray[np.uint8]:
    """(N, height, width): a view of the boards without their margins."""
    width, height, stride, origin = (int(levels.board[entry]) for entry in (WIDTH, HEIGHT, STRIDE, ORIGIN))
    rows = levels.grid[:, origin : origin + height * stride].reshape(-1, height, stride)
    return rows[:, :, :width]


def copied(level: Level) -> Level:
    """A level of its own with what `level` holds now."""
    return Level(level.grid.copy(), level.body.copy(), level.memory.copy(), level.board)


def equal(one: Level, other: Level) -> bool:
    """Whether two levels hold the same."""
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in Level._fields)


@jit(_nrt=False)
def level_of(levels, i):
    """Level `i` of a batch."""
    return Level(levels.grid[i], levels.body[i], levels.memory[i], levels.board)


@jit(_nrt=False)
def clear(level):
    """An empty board, and an agent that is nowhere: what a generator finds."""
    grid, body, board = level.grid, level.body, level.board
    for y in range(board[HEIGHT]):
        row = board[ORIGIN] + y * board[STRIDE]
        for x in range(board[WIDTH]):
            grid[row + x] = EMPTY
    body[:] = 0
    body[X], body[Y] = -1, -1
    body[MAX_STEPS] = board[LIMIT]
