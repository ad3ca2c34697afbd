"""The inception module: convolutions of several sizes side by side, so that the network need not choose one.

    1x1  |  1x1, then 3x3  |  1x1, then 5x5  |  the largest of 3x3, then 1x1            side by side as planes

each with a ReLU. Of the F planes that a module gives they make F/4, F/2, F/8 and F/8, and the 1x1 before 3x3 and 5x5
leave 3F/8 and F/16: the shares of the first module of GoogLeNet, where F is 256. Modules are followed by the largest of
3x3, stride 2; boards of symbols are not pooled (see `boards`).

Source: Szegedy et al. (2015), "Going deeper with convolutions", figure 2(b) and table 1, row "inception (3a)".
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders.options import widths
from rltk.encoders.parts import Shape
from rltk.encoders.trunks.boards import OnBoards, convolution, in_turn, pooling
from rltk.errors import ArgumentError


class Inception(OnBoards):
    """The trunk "inception". filters: F of each module, multiples of 16. Raises ArgumentError and SpaceError."""

    def __init__(self, shapes: Sequence[Shape], filters: Sequence[int] = (32, 64)) -> None:
        self.filters = widths("filters", filters, least=1)
        if any(number % 16 for number in self.filters):
            raise ArgumentError(f"filters is {filters!r}, but a module shares its planes out in sixteenths: (32, 64)")
        super().__init__(shapes, partial(_convolved, self.filters), self.filters[-1], len(self.filters))

    def config(self) -> dict[str, Any]:
        return {"filters": list(self.filters)}


class Module(nn.Module):
    """(B, inputs, H, W) -> (B, F, H, W)."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        f = filters // 16
        self.branches = nn.ModuleList(
            [
                nn.Sequential(convolution(inputs, 4 * f, 1), nn.ReLU()),
                nn.Sequential(convolution(inputs, 6 * f, 1), nn.ReLU(), convolution(6 * f, 8 * f), nn.ReLU()),
                nn.Sequential(convolution(inputs, f, 1), nn.ReLU(), convolution(f, 2 * f, 5), nn.ReLU()),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(inputs, 2 * f, 1), nn.ReLU()),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _convolved(filters: Sequence[int], planes: int, halve: bool) -> nn.Sequential:
    return nn.Sequential(*in_turn(_module, planes, filters, halve))


def _module(inputs: int, filters: int, halve: bool) -> list[nn.Module]:
    return [Module(inputs, filters), *pooling(halve)]
