"""Stems: from plain observations to what a trunk reads, a list of tensors, one for each part of the space.

    flat     no weights    the whole observation as one row (`flat`): numbers as they are, a one-hot for each index
    planes   no weights    boards as planes, a one-hot for each symbol; rows of numbers and one-hots for all else
    tokens   W x + b       the same, each place brought to one width D; patches of pictures, rows of a table for ids

Planes times W is a sum of embeddings, one for each symbol that a cell holds: a 1x1 convolution says the same. In a Dict
each part has weights of its own, which also tell the parts apart. Hidden places are zeros, in each of the three.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders.parts import Board, Ids, Part, Shape, of_part


class Stem(nn.Module):
    """Observations -> one tensor a part, of the form that `shapes` says. Its N places are those of `parts`, in turn."""

    shapes: list[Shape]

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.counts = [part.places for part in parts]

    def forward(self, observations: Tensor | dict[str, Tensor], hidden: Tensor | None = None) -> list[Tensor]:
        """A batch of plain observations, and which places (B, N) bool are hidden."""
        there = [None] * len(self.counts) if hidden is None else hidden.split(self.counts, dim=1)
        made = []
        for number, (each, one) in enumerate(zip(self.parts, there, strict=True)):
            part: Any = each
            made.append(part.shown(self._made(number, part, of_part(observations, part)), one))
        return made

    def _made(self, number: int, part: Part, x: Tensor) -> Tensor:
        raise NotImplementedError


class AsPlanes(Stem):
    """The stem "planes"."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__(parts)
        self.shapes = [part.raw for part in parts]

    def _made(self, number: int, part: Part, x: Tensor) -> Tensor:
        return part.read(x)


class AsTokens(Stem):
    """The stem "tokens". width: D."""

    def __init__(self, parts: Sequence[Part], width: int) -> None:
        super().__init__(parts)
        self.shapes = [Shape(part.places, width, part.layout) for part in parts]
        self.embeddings = nn.ModuleList(_embedding(part, width) for part in parts)

    def _made(self, number: int, part: Part, x: Tensor) -> Tensor:
        embedding = self.embeddings[number]
        made: Tensor = embedding(part.ids(x)[..., 0] if isinstance(embedding, Table) else part.read(x))
        return made


class Table(nn.Module):
    """A row of weights for each value at each place: (B, n) ids -> (B, n, width)."""

    first: Tensor

    def __init__(self, counts: Sequence[int], width: int) -> None:
        super().__init__()
        self.rows = nn.Embedding(sum(counts), width)
        nn.init.normal_(self.rows.weight, std=width**-0.5)
        first = torch.tensor([0, *counts]).cumsum(0)[:-1]
        self.register_buffer("first", first, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """(B, n) -> (B, n, width)."""
        rows: Tensor = self.rows(ids + self.first)
        return rows


def _embedding(part: Part, width: int) -> nn.Module:
    if isinstance(part, Board):
        patches = nn.Conv2d(part.raw.width, width, part.patch, stride=part.patch)
        rows, columns = part.beyond
        return nn.Sequential(nn.ZeroPad2d((0, columns, 0, rows)), patches) if rows or columns else patches
    if isinstance(part, Ids) and not part.bits:
        return Table(part.counts.tolist(), width)
    return nn.Linear(part.raw.width, width)
