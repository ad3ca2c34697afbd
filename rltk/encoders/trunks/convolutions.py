"""The convolutional network: for pictures the one of the first DQN, for boards of symbols a small one.

    pictures (both sides 36 or more)   32 of 8x8, stride 4;  64 of 4x4, stride 2;  64 of 3x3
    boards                             16 of 3x3, padding 1; 16 of 3x3, padding 1

each followed by a ReLU. A board keeps its size: with a stride of 2 the best actions of neighbouring cells came out
alike more often, given the same time. Each part that lies on a board has convolutions of its own; the others go through
a linear layer of the same width, place by place, and a ReLU.

Source: Mnih et al. (2015), "Human-level control through deep reinforcement learning", Methods, model architecture.
"""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from rltk.encoders.parts import Shape
from rltk.encoders.planes import PICTURE_SIDE
from rltk.encoders.trunks.trunk import Trunk

# Filters, side, stride and padding of each convolution.
_PICTURE = ((32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0))
_BOARD = ((16, 3, 1, 1), (16, 3, 1, 1))


class Convolutions(Trunk):
    """The trunk "cnn": `parts`, for each part a Sequential of convolutions, or of a linear layer, and ReLUs."""

    needs = "layout"
    stem = "planes"

    def __init__(self, shapes: Sequence[Shape]) -> None:
        super().__init__(shapes)
        large = any(map(is_large, shapes))
        made = [_convolved(shape) if shape.layout else linear(shape, 64 if large else 16) for shape in shapes]
        self.parts = nn.ModuleList(layers for layers, _ in made)
        self.shapes = [shape for _, shape in made]
        self.keeps_places = all(a.layout == b.layout for a, b in zip(shapes, self.shapes, strict=True))

    def forward(self, tensors: list[Tensor]) -> list[Tensor]:
        """Boards (B, planes, H, W) -> (B, filters, h, w); rows (B, n, width) -> (B, n, filters)."""
        return [layers(tensor) for layers, tensor in zip(self.parts, tensors, strict=True)]

    def config(self) -> dict[str, Any]:
        return {}


def is_large(shape: Shape) -> bool:
    """Whether it has the sides of a picture."""
    return shape.layout is not None and min(shape.layout) >= PICTURE_SIDE


def _convolved(shape: Shape) -> tuple[nn.Sequential, Shape]:
    layers: list[nn.Module] = []
    assert shape.layout is not None
    inputs, sides = shape.width, list(shape.layout)
    for filters, side, stride, padding in _PICTURE if is_large(shape) else _BOARD:
        layers += [nn.Conv2d(inputs, filters, side, stride, padding), nn.ReLU()]
        sides = [(length + 2 * padding - side) // stride + 1 for length in sides]
        inputs = filters
    return nn.Sequential(*layers), Shape(math.prod(sides), inputs, (sides[0], sides[1]))


def linear(shape: Shape, width: int) -> tuple[nn.Sequential, Shape]:
    """For a part without a layout: a linear layer for each place and a ReLU, and the shape of what they give."""
    return nn.Sequential(nn.Linear(shape.width, width), nn.ReLU()), Shape(shape.places, width)
