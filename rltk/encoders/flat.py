"""The flat stem: any plain observation as one row of numbers, a single token.

Box              its numbers as they are; pixels / 255
MultiBinary      its zeros and ones
Discrete         one-hot: entry x - start is 1
MultiDiscrete    a one-hot for each of its indices, side by side
Dict             its parts side by side, in the space's order
"""

import math
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rltk.encoders.parts import parts_of
from rltk.encoders.planes import pixel_scale
from rltk.errors import SpaceError


class Flat(nn.Module):
    """Observations of a plain space -> (B, `width`) of the module's float type.

    Indices that come as floats are one-hot already, as Stable-Baselines3 gives them.

    `kind` is "numbers" (Box, MultiBinary: row = `scale` * numbers), "indices" (Discrete, MultiDiscrete: the row's
    column `offsets[j]` + x[j] is 1 for each index j; offsets (k,) int64 has `start` subtracted) or "mixed" (Dict).
    pictures: True or False overrides what is taken for pixels; see `planes`. Raises SpaceError.
    """

    width: int
    offsets: Tensor
    unit: Tensor
    place: Tensor  # (width,) the place that each column is of, see `parts`

    def __init__(self, space: spaces.Space[Any], *, pictures: bool | None = None, channels: str | None = None) -> None:
        super().__init__()
        self.kind, self.scale = "numbers", 1.0
        self.parts = nn.ModuleList()
        offsets = np.zeros(0, np.int64)
        if isinstance(space, spaces.Dict):
            self.kind = "mixed"
            self.names = list(space.spaces)
            self.parts.extend(Flat(part, pictures=pictures, channels=channels) for part in space.spaces.values())
            self.width = sum(part.width for part in self.parts if isinstance(part, Flat))
        elif isinstance(space, spaces.Discrete | spaces.MultiDiscrete):
            self.kind = "indices"
            counts, starts = _indices(space)
            offsets = np.cumsum(counts) - counts - starts
            self.width = int(counts.sum())
        elif isinstance(space, spaces.Box | spaces.MultiBinary):
            self.width = math.prod(space.shape)
            self.scale = pixel_scale(space, pictures) if isinstance(space, spaces.Box) else 1.0
        else:
            raise SpaceError(f"{space} is not plain; give its plain form, rltk.encoders.Plain(space).space")
        # None is a weight: they follow from the space, but for the one that tells type and device of what is made.
        columns, before = [np.zeros(0, np.int64)], 0
        for part in parts_of(space, pictures=pictures, channels=channels) if self.width else ():
            columns.append(before + part.columns())
            before += part.places
        self.register_buffer("place", torch.from_numpy(np.concatenate(columns)), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(offsets), persistent=False)
        self.register_buffer("unit", torch.ones(()), persistent=False)

    def forward(self, observations: Tensor | dict[str, Tensor], hidden: Tensor | None = None) -> Tensor:
        """(B, *shape), or a dict of such, -> (B, width), with zeros for the places that hidden (B, N) bool names."""
        row = self._row(observations)
        return row if hidden is None else row.masked_fill(hidden[:, self.place], 0.0)

    def _row(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        if isinstance(observations, dict):
            rows = [part(observations[name]) for name, part in zip(self.names, self.parts, strict=True)]
            return torch.cat(rows, dim=1)
        batch = len(observations)
        if self.kind == "indices" and not observations.is_floating_point():
            columns = observations.reshape(batch, len(self.offsets)) + self.offsets  # (B, k)
            return self.unit.new_zeros(batch, self.width).scatter_(1, columns, 1.0)
        numbers = observations.reshape(batch, self.width).to(self.unit.dtype)
        return numbers if self.scale == 1.0 else numbers * self.scale


def _indices(space: spaces.Discrete | spaces.MultiDiscrete) -> tuple[np.ndarray, np.ndarray]:
    """How many values each index has, and the first of them: two (k,) int64."""
    if isinstance(space, spaces.Discrete):
        return np.array([space.n], np.int64), np.array([space.start], np.int64)
    return space.nvec.astype(np.int64).ravel(), space.start.astype(np.int64).ravel()
