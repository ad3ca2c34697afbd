"""Fully connected layers over the whole observation.

linear    W x + b
mlp       h_0 = x,   h_i = activation(W_i h_(i-1) + b_i)
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from rltk.encoders.options import chosen, sizes, widths
from rltk.encoders.parts import Shape
from rltk.encoders.readout import flattened
from rltk.encoders.trunks.trunk import Trunk

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
        chosen("activation", activation, ACTIVATIONS)
        self.hidden, self.activation = widths("hidden", hidden), activation
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
