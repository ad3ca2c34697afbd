"""The ground of a map: one small picture per kind of cell, and a whole map of them in one numpy gather."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rltk.drawing import sprites
from rltk.drawing.colours import CELLS, GRID, PIT_RIM, RING
from rltk.drawing.scene import Cell

GRID_FROM = 10  # the smallest cell, in pixels, that can spare one for a grid line
_MARKS_FROM = 4  # the smallest cell that shows a ring; below, a start is one plain colour


def has_grid(cell_size: int) -> bool:
    """Say whether cells of this size are drawn with a line of one pixel above and left of them."""
    return cell_size >= GRID_FROM


def ring_size(cell_size: int) -> int:
    """Return the diameter in pixels of a start's ring: even in even cells, so that it is centred."""
    size = round(cell_size * 0.86)
    return max(2, size - (size - cell_size) % 2)


def ring_thickness(cell_size: int) -> float:
    """Return how thick a start's ring is, in pixels."""
    return max(1.0, cell_size / 24)


@lru_cache(16)
def tiles(cell_size: int) -> NDArray[np.uint8]:
    """Return (7, cell_size, cell_size, 3): the picture of each kind of `Cell`, grid lines included."""
    pictures = np.empty((len(Cell), cell_size, cell_size, 3), np.uint8)
    for kind in Cell:
        pictures[kind] = CELLS[kind]
    rim = max(1, cell_size // 12)
    if cell_size >= 6:
        inside = pictures[Cell.PIT, rim:-rim, rim:-rim].copy()
        pictures[Cell.PIT] = PIT_RIM
        pictures[Cell.PIT, rim:-rim, rim:-rim] = inside
    if cell_size >= _MARKS_FROM:
        size = ring_size(cell_size)
        share = sprites.coverage(sprites.ring(size, ring_thickness(cell_size), RING))[..., None]
        low = (cell_size - size) // 2
        spot = pictures[Cell.START, low : low + size, low : low + size]
        spot[...] = np.rint(spot * (1 - share) + np.array(RING) * share)
    else:
        pictures[Cell.START] = RING
    if has_grid(cell_size):
        for kind in Cell:
            if kind != Cell.WALL:  # walls are one solid body
                pictures[kind, 0] = GRID
                pictures[kind, :, 0] = GRID
    pictures.flags.writeable = False
    return pictures


def lay(cells: NDArray[np.uint8], cell_size: int, out: NDArray[np.uint8]) -> None:
    """Fill out (H * cell_size, W * cell_size, 3) with the tiles of cells (H, W)."""
    height, width = cells.shape
    pictures = tiles(cell_size)
    for row in range(height):  # row by row: no second picture-sized array is needed
        strip = pictures[cells[row]].transpose(1, 0, 2, 3)  # (cell_size, W, cell_size, 3)
        out[row * cell_size : (row + 1) * cell_size] = strip.reshape(cell_size, width * cell_size, 3)
    if has_grid(cell_size):  # close the grid at the bottom and on the right
        out[-1, np.repeat(cells[-1] != Cell.WALL, cell_size)] = GRID
        out[np.repeat(cells[:, -1] != Cell.WALL, cell_size), -1] = GRID
