"""What the agent sees: V x V cells ahead of it, as MiniGrid's triples.

The view is a square with the agent at the middle of its last row, facing up. Rows are looked at from near to far. A
cell is visible if a visible neighbour lets light through; with bits for the cells of a row, `seen` and `clear`:

    rightward = the cells of `clear` that a run of `clear` joins to a cell of `seen & clear` on their left
    seen     |= rightward << 1,         above |= rightward | rightward << 1
    leftward  likewise from the right,  above |= leftward | leftward >> 1

where `above` becomes `seen` of the next row. Adding the start bits to `clear` lets the carry run through each run of
ones, so `rightward` costs a few instructions and no loop. MiniGrid leaves out the last cell of a row going right and
the first going left: what they would add, the other direction adds anyway; bits beyond the row are never looked at.
What the agent carries is shown where it stands.

Source: minigrid 3.2.0, minigrid_env.py (`gen_obs_grid`) and core/grid.py (`process_vis`, `encode`).
"""

import numpy as np

from rltk.envs.minigrid.board import AHEAD_X, AHEAD_Y, index
from rltk.envs.minigrid.cells import EMPTY, FLAGS, PALETTE, SEE_THROUGH, UNSEEN
from rltk.envs.minigrid.level import CARRYING, DIRECTION, SEES_THROUGH, STRIDE, VIEW, X, Y, level_of
from rltk.mdp import jit

COMMON_VIEW = 7  # MiniGrid's own size, for which the loops are unrolled


@jit(_nrt=False, inline="always")
def spread(seen, clear, view):
    """(cells seen in this row, cells seen in the next one), as bits from left to right."""
    start = seen & clear
    right = clear & (((clear + start) ^ clear) | start)
    seen |= right << 1
    left, run, shift = seen & clear, clear, 1
    while shift < view:
        left |= run & (left >> shift)
        run &= run >> shift
        shift <<= 1
    return seen | (left >> 1), right | (right << 1) | left | (left >> 1)


# Indices are unsigned here: numba asks of a signed one whether it counts from the end, which doubles the time.


@jit(_nrt=False, inline="always")
def put_triple(image, at, triple):
    """A triple, packed in a word, at `image[at:at + 3]`."""
    image[np.uint64(at)] = triple & 255
    image[np.uint64(at + 1)] = (triple >> 8) & 255
    image[np.uint64(at + 2)] = triple >> 16


@jit(_nrt=False, inline="always")
def paint(image, at, code):
    """The triple of `code` at `image[at:at + 3]`."""
    put_triple(image, at, PALETTE[np.uint64(code)])


@jit(_nrt=False, inline="always")
def look(level, image, view):
    """Fill `image` (view * view * 3,) uint8, x first, with what the agent sees."""
    grid, body, stride = level.grid, level.body, level.board[STRIDE]
    direction = body[DIRECTION]
    ahead = AHEAD_X[direction] + AHEAD_Y[direction] * stride
    right = AHEAD_X[direction] * stride - AHEAD_Y[direction]
    at = index(level, body[X], body[Y]) - (view // 2) * right  # the left end of a row
    column = 3 * view
    pixel = column
    seen = 1 << (view // 2)
    through = level.board[SEES_THROUGH]
    for _ in range(view):
        pixel -= 3
        if through:
            for i in range(view):
                paint(image, pixel + i * column, grid[np.uint64(at + i * right)])
        elif seen == 0:
            for i in range(view):
                paint(image, pixel + i * column, UNSEEN)
        else:
            clear = np.int64(0)
            for i in range(view):
                clear |= np.int64(FLAGS[grid[np.uint64(at + i * right)]] & SEE_THROUGH) << i
            seen, above = spread(seen, clear, view)
            for i in range(view):
                paint(image, pixel + i * column, grid[np.uint64(at + i * right)] * ((seen >> i) & 1))
            seen = above
        at += ahead
    carried = body[CARRYING]
    paint(image, (view // 2) * column + 3 * (view - 1), carried if carried else EMPTY)


@jit(_nrt=False)
def observe_some(levels, which, images, directions):
    """The views of the levels `which` (K,) int64, into images (K, V * V * 3) uint8 and directions (K,) int64."""
    view = levels.board[VIEW]
    for k in range(which.size):
        level = level_of(levels, which[k])
        directions[k] = level.body[DIRECTION]
        if view == COMMON_VIEW:
            look(level, images[k], COMMON_VIEW)
        else:
            look(level, images[k], view)
