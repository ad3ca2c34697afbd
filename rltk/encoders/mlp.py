"""The multilayer perceptron: the flat row of an observation, then fully connected layers.

h_0 = flat(observation),   h_i = activation(W_i h_(i-1) + b_i)
"""

from collections.abc import Sequence
from itertools import pairwise
from operator import index
from typing import Any

from gymnasium import spaces
from torch import Tensor, nn

from rltk.encoders.encoder import Encoder
from rltk.encoders.flat import Flat
from rltk.errors import ArgumentError, SpaceError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "elu": nn.ELU,
}


class MLP(Encoder):
    """`stem` (Flat), then `layers` (Linear, activation, Linear, activation ...).

    hidden: the layers' widths; with none of them the features are the flat row itself. activation: "relu", "tanh",
    "gelu", "silu" or "elu". pictures: True or False overrides what is taken for pixels and divided by 255.
    Raises SpaceError and ArgumentError.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        *,
        pictures: bool | None = None,
    ) -> None:
        super().__init__(observation_space)
        if activation not in ACTIVATIONS:
            raise ArgumentError(f"activation is {activation!r}, but one of {', '.join(ACTIVATIONS)} was expected")
        self.hidden, self.activation, self.pictures = checked_widths("hidden", hidden), activation, pictures
        self.stem = Flat(self.observation_space, pictures=pictures)
        if not self.stem.width:
            raise SpaceError(f"{self.observation_space} holds no numbers, so there is nothing to learn from")
        self.layers = nn.Sequential()
        for inputs, outputs in pairwise((self.stem.width, *self.hidden)):
            self.layers.extend([nn.Linear(inputs, outputs), ACTIVATIONS[activation]()])
        self.features_dim = self.hidden[-1] if self.hidden else self.stem.width

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        """A batch of plain observations -> (B, features_dim)."""
        features: Tensor = self.layers(self.stem(observations))
        return features

    def config(self) -> dict[str, Any]:
        return {
            "encoder": "mlp",
            "hidden": list(self.hidden),
            "activation": self.activation,
            "pictures": self.pictures,
        }


def checked_widths(name: str, widths: Sequence[int]) -> tuple[int, ...]:
    """`widths` as ints of at least 1. Raises ArgumentError that calls them `name`."""
    try:
        checked = tuple(index(width) for width in widths)
    except TypeError:
        checked = (0,)
    if any(width < 1 for width in checked):
        raise ArgumentError(f"{name} is {widths!r}, but widths of layers were expected, such as (64, 64)")
    return checked
