"""The residual network of IMPALA.

    sequence   convolution 3x3; the largest of 3x3, stride 2; two residual blocks
    block      x <- x + W_2 relu(W_1 relu(x)),   convolutions 3x3

and a ReLU behind the last sequence. Three sequences of 16, 32 and 32 filters are 15 convolutions. Boards of symbols are
not pooled (see `boards`). W_2 begins at zero, so that each block begins as the identity, and the depth costs nothing
before it is of use.

Sources: Espeholt et al. (2018), "IMPALA: scalable distributed deep-RL", figure 3, on the right; Goyal et al. (2017),
section 5.1, for the zero.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from torch import Tensor, nn

from rltk.encoders.options import widths
from rltk.encoders.parts import Shape
from rltk.encoders.trunks.boards import OnBoards, convolution, in_turn, pooling


class Residual(OnBoards):
    """The trunk "impala". filters: of each sequence. Raises ArgumentError and SpaceError."""

    def __init__(self, shapes: Sequence[Shape], filters: Sequence[int] = (16, 32, 32)) -> None:
        self.filters = widths("filters", filters, least=1)
        super().__init__(shapes, partial(_convolved, self.filters), self.filters[-1], len(self.filters))

    def config(self) -> dict[str, Any]:
        return {"filters": list(self.filters)}


class Block(nn.Module):
    """x + W_2 relu(W_1 relu(x))."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        last = nn.Conv2d(filters, filters, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(cast(Tensor, last.bias))
        self.layers = nn.Sequential(nn.ReLU(), convolution(filters, filters), nn.ReLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, filters, H, W) -> the same."""
        out: Tensor = x + self.layers(x)
        return out


def _convolved(filters: Sequence[int], planes: int, halve: bool) -> nn.Sequential:
    return nn.Sequential(*in_turn(_sequence, planes, filters, halve), nn.ReLU())


def _sequence(inputs: int, filters: int, halve: bool) -> list[nn.Module]:
    return [convolution(inputs, filters), *pooling(halve), Block(filters), Block(filters)]
