"""Blocks of VGG: 3x3 convolutions, each with a ReLU, and then the largest of 2x2.

Two convolutions of 3x3 see as far as one of 5x5 with fewer weights and a ReLU more. Boards of symbols are not pooled
(see `boards`).

Source: Simonyan and Zisserman (2015), "Very deep convolutional networks for large-scale image recognition", section 2
and table 1.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from rltk.encoders.options import sizes, widths
from rltk.encoders.parts import Shape
from rltk.encoders.trunks.boards import OnBoards, convolution, in_turn


class VGG(OnBoards):
    """The trunk "vgg". filters: of each block. convolutions: in each block. Raises ArgumentError and SpaceError."""

    def __init__(self, shapes: Sequence[Shape], filters: Sequence[int] = (16, 32, 32), convolutions: int = 2) -> None:
        self.filters, self.convolutions = widths("filters", filters, least=1), convolutions
        sizes(convolutions=convolutions)
        make = partial(_block, convolutions)
        super().__init__(shapes, partial(_convolved, make, self.filters), self.filters[-1], len(self.filters))

    def config(self) -> dict[str, Any]:
        return {"filters": list(self.filters), "convolutions": self.convolutions}


def _convolved(make: Any, filters: Sequence[int], planes: int, halve: bool) -> nn.Sequential:
    return nn.Sequential(*in_turn(make, planes, filters, halve))


def _block(convolutions: int, inputs: int, filters: int, halve: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(convolutions):
        layers += [convolution(inputs, filters), nn.ReLU()]
        inputs = filters
    return [*layers, nn.MaxPool2d(2, ceil_mode=True)] if halve else layers
