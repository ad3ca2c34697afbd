"""The Transformer encoder: every place attends to every other.

    x = tokens + positions;   x <- layer(x), `layers` times;   norm x

The layer is that of `rltk.encoders.attention`. Positions number all places in turn, boards row by row; they are
sinusoidal or learnt. The Vision Transformer puts a token of its own before the places, the class token, and asks it
alone for the features; the stem "tokens" makes its patches.

The readout is the mean, whose weights don't grow with the places. For "flatten" learned positions are the better
choice, since they begin small: on a small task it learnt with sinusoids scaled down and not with those of full size,
the mean the other way round (one seed each).

Sources: Vaswani et al. (2017), "Attention is all you need", section 3; Dosovitskiy et al. (2021), "An image is worth
16x16 words", section 3.1, equations 1 to 4, where positions are learnt.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders.attention import Layer, sinusoidal
from rltk.encoders.options import chosen, sizes
from rltk.encoders.parts import Shape
from rltk.encoders.trunks.trunk import Trunk, one_width, places_of

POSITIONS = ("sinusoidal", "learned")


class Transformer(Trunk):
    """The trunk "transformer". layers: how many. heads: of each, divides the token width. positions: "sinusoidal" or
    "learned". Raises ArgumentError."""

    readout = "mean"

    def __init__(self, shapes: Sequence[Shape], layers: int = 2, heads: int = 4, positions: str = "sinusoidal") -> None:
        super().__init__(shapes)
        sizes(layers=layers)
        chosen("positions", positions, POSITIONS)
        self.heads, self.kind = heads, positions
        width, places = one_width(self, shapes), self._places(shapes)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.positions: Tensor
        if positions == "learned":
            self.positions = nn.Parameter(0.02 * torch.randn(places, width))
        else:
            self.register_buffer("positions", sinusoidal(places, width), persistent=False)
        self.shapes = [Shape(places, width)]

    def _places(self, shapes: Sequence[Shape]) -> int:
        return sum(shape.places for shape in shapes)

    def _sequence(self, tensors: Any) -> Tensor:
        return places_of(tensors)

    def forward(self, tensors: Any) -> list[Tensor]:
        """Whatever the stem gives, N places in all -> [(B, N, width)]."""
        x = self._sequence(tensors) + self.positions  # (B, N, D)
        for layer in self.layers:
            x = layer(x)
        return [self.norm(x)]

    def config(self) -> dict[str, Any]:
        return {"layers": len(self.layers), "heads": self.heads, "positions": self.kind}


class VisionTransformer(Transformer):
    """The trunk "vit": `class_token` first, then the places. Raises ArgumentError and SpaceError."""

    needs = "layout"
    readout = "class"
    keeps_places = False

    def __init__(self, shapes: Sequence[Shape], layers: int = 2, heads: int = 4, positions: str = "learned") -> None:
        super().__init__(shapes, layers, heads, positions)
        self.class_token = nn.Parameter(0.02 * torch.randn(self.shapes[0].width))

    def _places(self, shapes: Sequence[Shape]) -> int:
        return 1 + super()._places(shapes)

    def _sequence(self, tensors: Any) -> Tensor:
        places = places_of(tensors)
        return torch.cat([self.class_token.expand(len(places), 1, -1), places], dim=1)
