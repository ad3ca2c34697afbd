"""How a cell is divided among its actions: by direction, the four of the compass giving four triangles.

Every pixel belongs to the action whose direction is nearest in angle. Actions that share a direction split their sector
by distance from the middle; those that do not move share a disc in the middle, or the whole cell where none moves.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Direction

MOST_ACTIONS = 12  # more than this can't be told apart in one cell
_DISC = 0.3  # the radius of the middle disc, as a share of the cell


@dataclass(frozen=True, eq=False)
class Sectors:
    """owner: (c, c) int, the action of each pixel. rim: (c, c) bool, pixels along a sector's edge, two deep in large
    cells. seam: (c, c) bool, pixels that part two sectors. middles: per action the (row, column) of its centre."""

    owner: NDArray[np.intp]
    rim: NDArray[np.bool_]
    seam: NDArray[np.bool_]
    middles: tuple[tuple[int, int], ...]

    def spot(self, action: int, width: int, height: int) -> tuple[int, int] | None:
        """Return the (row, column) about which a box of these pixels lies in the sector with 3 to spare; None if none.

        Looked for on the line from the cell's middle through the sector's, nearest to the sector's first.
        """
        free = (self.owner == action) & ~self.rim
        centre = (len(self.owner) - 1) / 2
        row, column = self.middles[action]
        for share in sorted(np.arange(0.5, 1.5, 0.05), key=lambda share: abs(share - 1)):
            y, x = round(centre + share * (row - centre)), round(centre + share * (column - centre))
            top, left = y - height // 2 - 3, x - width // 2 - 3
            bottom, right = top + height + 6, left + width + 6
            if min(top, left) >= 0 and max(bottom, right) <= len(free) and free[top:bottom, left:right].all():
                return y, x
        return None


@lru_cache(64)
def sectors(actions: tuple[Direction | None, ...], cell_size: int) -> Sectors:
    """Return the division of a cell of cell_size pixels among the actions (at least one)."""
    position = (np.arange(cell_size) + 0.5) / cell_size - 0.5
    y, x = np.meshgrid(position, position, indexing="ij")  # (c, c) from -0.5 to 0.5
    angle = np.arctan2(y, x)
    moving = [action for action, heading in enumerate(actions) if heading is not None and heading != (0, 0)]
    staying = [action for action in range(len(actions)) if action not in moving]
    owner = np.zeros((cell_size, cell_size), np.intp)
    if moving:
        _share_by_angle(owner, angle, np.maximum(abs(y), abs(x)) * 2, moving, actions)
    if staying:
        # From the top, clockwise, in the order of the actions.
        turn = ((angle + math.pi / 2) % (2 * math.pi)) / (2 * math.pi)
        slot = np.minimum((turn * len(staying)).astype(int), len(staying) - 1)
        inside = np.hypot(x, y) < _DISC if moving else np.ones_like(owner, bool)
        owner[inside] = np.array(staying)[slot][inside]
    seam = _edges(owner, outside=False)
    rim = _edges(owner, outside=True)
    for _ in range(max(0, round(cell_size / 36) - 1)):
        rim = rim | _edges(np.where(rim, -1, owner), outside=False)
    middles = tuple(_middle(owner == action) for action in range(len(actions)))
    return Sectors(owner, rim, seam, middles)


def _share_by_angle(
    owner: NDArray[np.intp],
    angle: NDArray[np.float64],
    radius: NDArray[np.float64],
    moving: list[int],
    actions: tuple[Direction | None, ...],
) -> None:
    groups: dict[float, list[int]] = {}
    for action in moving:
        heading = actions[action]
        assert heading is not None
        groups.setdefault(round(math.atan2(heading[0], heading[1]), 6), []).append(action)
    angles = np.array(list(groups))
    gap = np.abs((angle[..., None] - angles + math.pi) % (2 * math.pi) - math.pi)  # (c, c, groups)
    # Rounded, so that a pixel on the diagonal goes to the same side in every quadrant.
    nearest = np.round(gap, 9).argmin(-1)
    for index, members in enumerate(groups.values()):
        band = np.minimum((radius * len(members)).astype(int), len(members) - 1)
        mine = nearest == index
        owner[mine] = np.array(members)[band][mine]


def _edges(owner: NDArray[np.intp], outside: bool) -> NDArray[np.bool_]:
    """Mark pixels with a neighbour of another owner; outside counts the cell's border as another."""
    padded = np.pad(owner, 1, constant_values=-1) if outside else np.pad(owner, 1, mode="edge")
    centre = padded[1:-1, 1:-1]
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return np.logical_or.reduce([centre != neighbour for neighbour in neighbours])


def _middle(mine: NDArray[np.bool_]) -> tuple[int, int]:
    rows, columns = np.nonzero(mine)
    if rows.size == 0:
        return mine.shape[0] // 2, mine.shape[1] // 2
    return round(float(rows.mean())), round(float(columns.mean()))
