"""Fully connected layers over the whole observation.

linear    W x + b
mlp       h_0 = x,   h_i = activation(W_i h_(i-1) + b_i)
"""

from collections.abc import Sequence
from itertools import pairwise
from operator import index
from typing import Any

from torch import Tensor, nn

from rltk.encoders.parts import Shape
from rltk.encoders.readout import flattened
from rltk.encoders.trunks.trunk import Trunk, sizes
from rltk.errors import ArgumentError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
}


class Perceptron(Trunk):
    """The trunk "mlp": `layers` (Linear, activation, Linear, activation ...). hidden: their widths; with none of them
    what it gives is the row itself. activation: "relu", "tanh", "gelu", "silu" or "elu". Raises ArgumentError."""

    stem = "flat"
    readout = "none"
    keeps_places = False

    def __init__(self, shapes: Sequence[Shape], hidden: Sequence[int] = (64, 64), activation: str = "relu") -> None:
        super().__init__(shapes)
        if activation not in ACTIVATIONS:
            raise ArgumentError(f"activation is {activation!r}, but one of {', '.join(ACTIVATIONS)} was expected")
        self.hidden, self.activation = checked_widths("hidden", hidden), activation
        inputs = sum(shape.places * shape.width for shape in shapes)
        self.layers = nn.Sequential()
        for before, after in pairwise((inputs, *self.hidden)):
            self.layers.extend([nn.Linear(before, after), ACTIVATIONS[activation]()])
        self.shapes = [Shape(1, self.hidden[-1] if self.hidden else inputs)]

    def forward(self, tensors: Any) -> list[Tensor]:
        """Whatever the stem gives -> [(B, 1, width)]."""
        return [self.layers(flattened(tensors))[:, None]]

    def config(self) -> dict[str, Any]:
        return {"hidden": list(self.hidden), "activation": self.activation}


class LinearTrunk(Trunk):
    """The trunk "linear". outputs: how many numbers it gives. Raises ArgumentError."""

    stem = "flat"
    readout = "none"
    keeps_places = False

    def __init__(self, shapes: Sequence[Shape], outputs: int = 64) -> None:
        super().__init__(shapes)
        sizes(outputs=outputs)
        self.layer = nn.Linear(sum(shape.places * shape.width for shape in shapes), outputs)
        self.shapes = [Shape(1, outputs)]

    def forward(self, tensors: Any) -> list[Tensor]:
        """Whatever the stem gives -> [(B, 1, width)]."""
        return [self.layer(flattened(tensors))[:, None]]

    def config(self) -> dict[str, Any]:
        return {"outputs": self.layer.out_features}


def checked_widths(name: str, widths: Sequence[int]) -> tuple[int, ...]:
    """`widths` as ints of at least 1. Raises ArgumentError that calls them `name`."""
    try:
        checked = tuple(index(width) for width in widths)
    except TypeError:
        checked = (0,)
    if any(width < 1 for width in checked):
        raise ArgumentError(f"{name} is {widths!r}, but widths of layers were expected, such as (64, 64)")
    return checked
