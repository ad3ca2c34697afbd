"""What objectives do to the boards of an observation, cell by cell, leaving its other parts as they are.

A board is (B, C, H, W) here, wherever the channels stood and however many frames lay behind each other.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from rltk.encoders import Part
from rltk.encoders.parts import Board, of_part
from rltk.objectives.objective import Observations


def boards_of(parts: Sequence[Part]) -> list[Board]:
    """Those of `parts` that lie on a board."""
    return [part for part in parts if isinstance(part, Board)]


def changed(boards: Sequence[Board], observations: Observations, change: Callable[[Board, Tensor], Tensor]) -> Any:
    """`observations`, with change(board, cells (B, C, H, W)) in place of the cells of each of `boards`."""
    made = dict(observations) if isinstance(observations, dict) else {}
    for board in boards:
        cells = board.planes.arranged(of_part(observations, board))
        made[board.name] = board.planes.restored(change(board, cells))
    return made if isinstance(observations, dict) else made.get("", observations)


def rearranged(cells: Tensor, sources: Tensor) -> Tensor:
    """cells (B, C, H, W), where cell j shows what was in cell `sources[b, j]`; sources (B, H W) int64."""
    flat = cells.flatten(2)  # (B, C, H W)
    return flat.gather(2, sources[:, None].expand_as(flat)).view_as(cells)
