"""What the deeper convolutional trunks have in common.

A board that is as large as a picture is halved after each block, sides rounded up; a board of symbols keeps its size,
since what a cell holds decides what is best there (see `convolutions`). Parts without a layout go through a linear
layer, place by place, and a ReLU.

He's initialisation: weights of variance 2 / inputs keep the scale of what ReLUs hand on, at any depth. Torch's own,
of variance 1 / (3 inputs), shrinks it to about a sixth at each layer.

Source: He et al. (2015), "Delving deep into rectifiers", equation 10.
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from rltk.encoders.parts import Shape
from rltk.encoders.trunks.convolutions import is_large, linear
from rltk.encoders.trunks.trunk import Trunk


class OnBoards(Trunk):
    """`parts`, for each part a Sequential: convolutions where it lies on a board, else a linear layer and a ReLU."""

    needs = "layout"
    stem = "planes"

    def __init__(
        self, shapes: Sequence[Shape], convolved: Callable[[int, bool], nn.Module], width: int, halvings: int
    ) -> None:
        """convolved(planes, whether to halve) makes the layers of a board, which give `width` planes."""
        super().__init__(shapes)
        self.parts, self.shapes = nn.ModuleList(), []
        for shape in shapes:
            layers: nn.Module
            if shape.layout is None:
                layers, after = linear(shape, width)
            else:
                height, across = shape.layout
                for _ in range(halvings if is_large(shape) else 0):
                    height, across = (height + 1) // 2, (across + 1) // 2
                layers, after = convolved(shape.width, is_large(shape)), Shape(height * across, width, (height, across))
            self.parts.append(layers)
            self.shapes.append(after)
        self.keeps_places = not any(map(is_large, shapes))

    def forward(self, tensors: list[Tensor]) -> list[Tensor]:
        """Boards (B, planes, H, W) -> (B, width, h, w); rows (B, n, numbers) -> (B, n, width)."""
        return [layers(tensor) for layers, tensor in zip(self.parts, tensors, strict=True)]


def convolution(inputs: int, filters: int, side: int = 3) -> nn.Conv2d:
    """One that keeps height and width, with He's initialisation."""
    layer = nn.Conv2d(inputs, filters, side, padding=side // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def pooling(halve: bool) -> list[nn.Module]:
    """The largest of 3x3, at every second place; nothing where the size is kept."""
    return [nn.MaxPool2d(3, 2, 1)] if halve else []


def in_turn(make: Callable[..., list[Any]], inputs: int, filters: Sequence[int], halve: bool) -> list[Any]:
    """The layers of make(inputs, outputs, halve), one block for each of `filters`."""
    layers: list[Any] = []
    for outputs in filters:
        layers += make(inputs, outputs, halve)
        inputs = outputs
    return layers
