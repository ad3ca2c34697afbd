"""Readouts: from what a trunk gives to features (B, features_dim).

none      the only place's numbers as they are
flatten   ReLU(W [all numbers] + b)
mean      W (mean over all places) + b
class     W (the first place) + b
last      W (the last place) + b
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders.parts import Shape
from rltk.errors import ArgumentError

READOUTS = ("none", "flatten", "mean", "class", "last")


class Readout(nn.Module):
    """What `kind` says, of tensors with `shapes`; `layers` holds the linear layer, if any.

    features_dim: None for the number that fits: 512 where a picture was read, else 128; "none" keeps its own.
    Raises ArgumentError.
    """

    def __init__(self, kind: str, shapes: Sequence[Shape], features_dim: int) -> None:
        super().__init__()
        if kind not in READOUTS:
            raise ArgumentError(f"readout is {kind!r}, but one of {', '.join(READOUTS)} was expected")
        self.kind, self.features_dim = kind, features_dim
        self.layers = nn.Sequential()
        if kind == "none":
            if len(shapes) != 1 or shapes[0].places != 1:
                places = sum(shape.places for shape in shapes)
                raise ArgumentError(f'readout "none" takes a single place, and the trunk gives {places}: use "flatten"')
            self.features_dim = shapes[0].width
        elif kind == "flatten":
            numbers = sum(shape.places * shape.width for shape in shapes)
            self.layers.extend([nn.Linear(numbers, features_dim), nn.ReLU()])
        else:
            if len({shape.width for shape in shapes}) > 1:
                raise ArgumentError(f'readout "{kind}" needs places of one width: use stem="tokens", or "flatten"')
            self.layers.append(nn.Linear(shapes[0].width, features_dim))

    def forward(self, tensors: list[Tensor]) -> Tensor:
        """-> (B, features_dim)."""
        features: Tensor = self.layers(self._row(tensors))
        return features

    def _row(self, tensors: list[Tensor]) -> Tensor:
        if self.kind in ("none", "flatten"):
            return flattened(tensors)
        if self.kind == "mean":
            count = sum(_places(tensor) for tensor in tensors)
            total = torch.stack([t.flatten(2).sum(2) if t.ndim == 4 else t.sum(1) for t in tensors]).sum(0)
            return total / count
        one = tensors[0] if self.kind == "class" else tensors[-1]
        if one.ndim == 4:
            one = one.flatten(2).mT
        return one[:, 0] if self.kind == "class" else one[:, -1]


def flattened(tensors: Any) -> Tensor:
    """All numbers of a batch in one row each; a row stays as it is."""
    if isinstance(tensors, Tensor):
        return tensors
    rows = [tensor.flatten(1) for tensor in tensors]
    return rows[0] if len(rows) == 1 else torch.cat(rows, dim=1)


def _places(tensor: Tensor) -> int:
    return tensor.shape[2] * tensor.shape[3] if tensor.ndim == 4 else tensor.shape[1]
