"""Dense blocks: each layer reads what all the layers before it made.

    x_l = W_l relu([x_0, x_1, ..., x_(l-1)])                         3x3, k planes: the growth rate

x_0 is made by a 3x3 convolution with 2 k planes. Behind each block a transition, ReLU and a 1x1 convolution, halves the
planes, and the mean of 2x2 halves the sides; boards of symbols are not pooled (see `boards`). The batch normalisation
of the original is left out: the features of an observation would depend on which others are in the batch.

Source: Huang et al. (2017), "Densely connected convolutional networks", section 3, equation 2.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders.options import sizes
from rltk.encoders.parts import Shape
from rltk.encoders.trunks.boards import OnBoards, convolution


class Dense(OnBoards):
    """The trunk "dense". growth: k. layers: of a block. Raises ArgumentError and SpaceError."""

    def __init__(self, shapes: Sequence[Shape], growth: int = 12, layers: int = 4, blocks: int = 2) -> None:
        sizes(growth=growth, layers=layers, blocks=blocks)
        self.growth, self.layers, self.blocks = growth, layers, blocks
        width = 2 * growth
        for _ in range(blocks):
            width = (width + layers * growth) // 2
        super().__init__(shapes, partial(_convolved, growth, layers, blocks), width, blocks)

    def config(self) -> dict[str, Any]:
        return {"growth": self.growth, "layers": self.layers, "blocks": self.blocks}


class Block(nn.Module):
    """(B, inputs, H, W) -> (B, inputs + layers * growth, H, W)."""

    def __init__(self, inputs: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(convolution(inputs + number * growth, growth) for number in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x.relu())], dim=1)
        return x


def _convolved(growth: int, layers: int, blocks: int, planes: int, halve: bool) -> nn.Sequential:
    width = 2 * growth
    made: list[nn.Module] = [convolution(planes, width)]
    for _ in range(blocks):
        made.append(Block(width, growth, layers))
        width += layers * growth
        made += [nn.ReLU(), convolution(width, width // 2, 1)]
        made += [nn.AvgPool2d(2, ceil_mode=True)] if halve else []
        width //= 2
    return nn.Sequential(*made, nn.ReLU())
