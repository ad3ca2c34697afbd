"""The whole board as MiniGrid's triples, and triples as planes of ones.

A cell is (object, colour, state), x first; the agent's cell is (10, 0, direction), whatever it stands on. In planes,
one number of k is a row of k bytes, 1 at the number and 0 elsewhere:

    (object, colour, state) -> 11 planes of objects | 6 of colours | 3 of states

An agent's third number is one of four directions, so where the agent is shown the last part has a fourth plane.

Source: minigrid 3.2.0, wrappers.py (`FullyObsWrapper`, `OneHotPartialObsWrapper`) and core/constants.py.
"""

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.cells import N_COLOURS, PALETTE, STATES, TYPES
from rltk.envs.minigrid.level import DIRECTION, HEIGHT, ORIGIN, STRIDE, WIDTH, X, Y, level_of
from rltk.envs.minigrid.view import put_triple
from rltk.mdp import jit

N_TYPES, N_STATES, N_DIRECTIONS = len(TYPES), len(STATES), 4
_AGENT = TYPES.index("agent")


def _rows(last: int) -> NDArray[np.uint8]:
    """(triples, planes) uint8: the planes of each triple, whose third number is below `last`."""
    sizes = N_TYPES, N_COLOURS, last
    parts = np.indices(sizes).reshape(3, -1)
    return np.concatenate([np.eye(size, dtype=np.uint8)[part] for size, part in zip(sizes, parts, strict=True)], axis=1)


PLANES = _rows(N_STATES)  # of what the agent sees: (198, 20)
BOARD_PLANES = _rows(N_DIRECTIONS)  # of a board with the agent on it: (264, 21)


@jit(_nrt=False)
def draw_symbols(levels, which, images, directions):
    """The boards of the levels `which` (K,) int64, into images (K, W * H * 3) uint8 and directions (K,) int64."""
    width, height, stride = levels.board[WIDTH], levels.board[HEIGHT], levels.board[STRIDE]
    for k in range(which.size):
        level, image = level_of(levels, which[k]), images[k]
        body = level.body
        directions[k] = body[DIRECTION]
        pixel = 0
        for x in range(width):
            at = levels.board[ORIGIN] + x
            for _ in range(height):
                put_triple(image, pixel, PALETTE[np.uint64(level.grid[np.uint64(at)])])
                pixel += 3
                at += stride
        put_triple(image, 3 * (body[X] * height + body[Y]), np.uint32(_AGENT) | (np.uint32(body[DIRECTION]) << 16))


@jit(_nrt=False)
def draw_planes(triples, rows, images):
    """images (K, n * planes) uint8 of triples (K, n * 3); rows: `PLANES` or `BOARD_PLANES`."""
    planes = rows.shape[1]
    last = planes - N_TYPES - N_COLOURS
    for k in range(triples.shape[0]):
        triple, image = triples[k], images[k]
        for i in range(triple.size // 3):
            row = (np.int64(triple[3 * i]) * N_COLOURS + triple[3 * i + 1]) * last + triple[3 * i + 2]
            for plane in range(planes):
                image[np.uint64(i * planes + plane)] = rows[np.uint64(row), np.uint64(plane)]
