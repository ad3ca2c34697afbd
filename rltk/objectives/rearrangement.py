"""Rotation and jigsaw: by which of K ways were the cells of the board moved?

    L = -ln softmax(W phi(moved by k) + b)[k],    k uniform

rotation    by 0, 90, 180 or 270 degrees: K = 4; a board that is square
jigsaw      two by two tiles, each in another's place: K = 4! = 24; a row or a column that is left over stays

Source: Gidaris, Singh and Komodakis (2018), "Unsupervised representation learning by predicting image rotations",
section 2; Noroozi and Favaro (2016), "Unsupervised learning of visual representations by solving jigsaw puzzles",
section 3 (three by three tiles and 100 of their permutations there).
"""

from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders import Encoder
from rltk.encoders.parts import Board
from rltk.errors import SpaceError
from rltk.objectives.boards import boards_of, changed, rearranged
from rltk.objectives.dynamics import agreement
from rltk.objectives.objective import Batch, Loss, Objective


class Rearrangement(Objective):
    """The base. `ways(height, width)`: (K, H W) int64, the cell that each cell shows, for each way."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.boards = [board for board in boards_of(encoder.parts) if self.fits(board)]
        if not self.boards:
            raise SpaceError(
                f'{type(self).__name__} needs {self.wanted}, and nothing observed is one; use "masked" or "temporal"'
            )
        for number, board in enumerate(self.boards):
            self.register_buffer(f"ways_{number}", self.ways(*_sides(board)), persistent=False)
        self.head = nn.Linear(encoder.features_dim, len(self.get_buffer("ways_0")))

    wanted: str

    @staticmethod
    def fits(board: Board) -> bool:
        """Whether this board can be moved so."""
        raise NotImplementedError

    @staticmethod
    def ways(height: int, width: int) -> Tensor:
        """The ways of such a board."""
        raise NotImplementedError

    def forward(self, encoder: Encoder, batch: Batch) -> Loss:
        way = torch.randint(self.head.out_features, (len(batch),), device=self.head.weight.device)
        logits = self.head(encoder(self.moved(batch.observations, way)))  # (B, K)
        loss = nn.functional.cross_entropy(logits, way)
        return Loss(loss, {"cross_entropy": loss.detach(), "accuracy": agreement(logits, way)})

    def moved(self, observations: Any, way: Tensor) -> Any:
        """`observations`, each with its boards moved by its way (B,)."""
        tables = {board.name: self.get_buffer(f"ways_{number}") for number, board in enumerate(self.boards)}
        return changed(self.boards, observations, lambda board, cells: rearranged(cells, tables[board.name][way]))


class Rotation(Rearrangement):
    """Way k turns by k times 90 degrees, against the clock."""

    wanted = "a square board, a Box such as (7, 7, 3)"

    @staticmethod
    def fits(board: Board) -> bool:
        height, width = _sides(board)
        return height == width > 1

    @staticmethod
    def ways(height: int, width: int) -> Tensor:
        cells = torch.arange(height * width).reshape(height, width)
        return torch.stack([cells.rot90(k).flatten() for k in range(4)])


class Jigsaw(Rearrangement):
    """Way k is the k-th permutation of the four tiles; way 0 leaves all as it is."""

    wanted = "a board of two by two cells or more, a Box such as (7, 7, 3)"

    @staticmethod
    def fits(board: Board) -> bool:
        return min(_sides(board)) > 1

    @staticmethod
    def ways(height: int, width: int) -> Tensor:
        h, w = height // 2, width // 2
        corners = [(0, 0), (0, w), (h, 0), (h, w)]
        cells = torch.arange(height * width).reshape(height, width)
        moved = cells.repeat(24, 1, 1)
        for k, order in enumerate(permutations(corners)):
            for (i, j), (from_i, from_j) in zip(corners, order, strict=True):
                moved[k, i : i + h, j : j + w] = cells[from_i : from_i + h, from_j : from_j + w]
        return moved.flatten(1)


def _sides(board: Board) -> tuple[int, int]:
    return board.planes.height, board.planes.width
