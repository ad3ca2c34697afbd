"""What an observation consists of: its parts, and in each of them places that hold ids or numbers.

    part of the space             places                     each holds
    Discrete                      1                          an id
    MultiDiscrete                 one for each index         an id
    MultiBinary                   1                          an id of two values for each bit
    Box, no layout                1, or T where it is (T, k) numbers
    Box, a board of H x W cells   H W                        an id for each channel of symbols, numbers for the others
    Box, a picture                patches of p x p           p p C numbers

A place is what a token stands for, what is hidden where something is to be guessed, and what a likelihood is over. The
places of a Dict are those of its parts, in the space's order. A picture is what `planes` takes for one, and any board
of numbers alone with both sides of 36 or more. p is 8, 7 or 6, whichever covers it with the least beyond its edges,
where zeros stand that no likelihood counts.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rltk.encoders.planes import PICTURE_SIDE, Planes, has_layout
from rltk.errors import SpaceError

_PATCHES = (8, 7, 6)


class Shape(NamedTuple):
    """The form of one tensor between stem and readout: (B, places, width), or (B, width, *layout) where it lies on a
    board of height x width, places then height * width."""

    places: int
    width: int
    layout: tuple[int, int] | None = None


class Part(nn.Module):
    """One part of a plain space. `name` is its key in the Dict, "" of a lone one.

    `places` n; `layout` (height, width) in places, None where there is none; `values` how many values each of a place's
    ids can have, one number for each id; `numbers` K how many numbers a place holds. `raw` is the form of `read`.
    `place` is an int array of an observation's own shape: the place of each entry. `beyond` (rows, columns) is how far
    patches reach beyond a picture, and `inside` (n, K) is then 0 for what they hold there and 1 for the rest.
    """

    values: tuple[int, ...] = ()
    numbers: int = 0
    layout: tuple[int, int] | None = None
    patch: int = 1
    beyond: tuple[int, int] = (0, 0)
    raw: Shape
    place: Tensor
    unit: Tensor
    inside: Tensor | None

    def __init__(self, name: str, place: np.ndarray) -> None:
        super().__init__()
        self.name, self.places = name, int(place.max(initial=0)) + 1
        # Neither weights nor state: one follows from the space, the other tells type and device of what is read.
        self.register_buffer("place", torch.from_numpy(place.astype(np.int64)), persistent=False)
        self.register_buffer("unit", torch.ones(()), persistent=False)
        self.register_buffer("inside", None, persistent=False)

    def read(self, x: Tensor) -> Tensor:
        """(B, *space.shape) -> (B, n, width) or (B, planes, height, width): numbers scaled, ids as one-hots."""
        raise NotImplementedError

    def ids(self, x: Tensor) -> Tensor:
        """(B, n, ids a place) int64, from 0 on."""
        raise NotImplementedError

    def scaled(self, x: Tensor) -> Tensor:
        """(B, n, K), as `read` scales them."""
        raise NotImplementedError

    def columns(self) -> np.ndarray:
        """The place of each number of the part's flat row (`flat`)."""
        return self.place.numpy().ravel()

    def exchanged(self, x: Tensor, other: Tensor, where: Tensor) -> Tensor:
        """x, but other's contents at the places where (B, n) bool says so."""
        return torch.where(where[:, self.place], other, x)

    def shown(self, read: Tensor, hidden: Tensor | None) -> Tensor:
        """What `read` gave, or tokens made of it, with zeros at the places that hidden (B, n) bool names."""
        if hidden is None:
            return read
        if self.layout is None:
            return read.masked_fill(hidden[..., None], 0.0)
        board = hidden.unflatten(1, self.layout)[:, None]  # (B, 1, h, w)
        if read.shape[2:] != self.layout:
            board = board.repeat_interleave(self.patch, 2).repeat_interleave(self.patch, 3)
            board = board[..., : read.shape[2], : read.shape[3]]
        return read.masked_fill(board, 0.0)


class Ids(Part):
    """Discrete, MultiDiscrete and MultiBinary. Floats are one-hot already, as Stable-Baselines3 gives them."""

    first: Tensor

    def __init__(self, name: str, space: spaces.Space[Any]) -> None:
        self.bits = isinstance(space, spaces.MultiBinary)
        shape = space.shape or ()
        count = math.prod(shape)
        super().__init__(name, np.zeros(shape, np.int64) if self.bits else np.arange(count).reshape(shape))
        first = np.zeros(1, np.int64)
        if self.bits:
            self.counts, self.values = np.full(count, 2), (2,) * count
            self.raw = Shape(1, count)
        else:
            of: Any = space
            self.counts = np.atleast_1d(of.nvec if isinstance(space, spaces.MultiDiscrete) else of.n).ravel()
            first = np.atleast_1d(of.start).ravel()
            self.values = (int(self.counts.max()),)
            self.raw = Shape(self.places, self.values[0])
        self.register_buffer("first", torch.from_numpy(first.astype(np.int64)), persistent=False)

    def read(self, x: Tensor) -> Tensor:
        dtype = self.unit.dtype
        if self.bits:
            return x.reshape(len(x), 1, -1).to(dtype)
        return nn.functional.one_hot(self.ids(x)[..., 0], self.values[0]).to(dtype)

    def columns(self) -> np.ndarray:
        places = self.place.numpy().ravel()
        return places if self.bits else places.repeat(self.counts)

    def ids(self, x: Tensor) -> Tensor:
        rows = x.flatten(1) if x.ndim > 1 else x[:, None]
        if self.bits:
            return rows[:, None].long()
        if self.values[0] == 1:  # there is nothing else that it could be, and its one-hot is 1
            return torch.zeros_like(rows, dtype=torch.int64)[..., None]
        if x.is_floating_point() and rows.shape[1] == self.counts.sum() > len(self.counts):
            hot = rows.split(self.counts.tolist(), dim=1)
            return torch.stack([part.argmax(1) for part in hot], dim=1)[..., None]
        return (rows.long() - self.first)[..., None]


class Numbers(Part):
    """A Box without a layout: one place, or a sequence of them where it has two axes."""

    def __init__(self, name: str, space: spaces.Box) -> None:
        length = space.shape[0] if len(space.shape) == 2 else 1
        self.numbers = math.prod(space.shape) // max(length, 1)
        place = np.repeat(np.arange(length), self.numbers).reshape(space.shape)
        super().__init__(name, place)
        self.raw = Shape(self.places, self.numbers)

    def read(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), self.places, self.numbers).to(self.unit.dtype)

    def scaled(self, x: Tensor) -> Tensor:
        return self.read(x)


class Board(Part):
    """A Box with a layout: cells of symbols and numbers, or pixels in patches."""

    def __init__(self, name: str, space: spaces.Box, *, pictures: bool | None, channels: str | None) -> None:
        planes = Planes(space, pictures=pictures, channels=channels)
        sides = planes.height, planes.width
        pixels = planes.is_picture or (not planes.symbol_counts and min(sides) >= PICTURE_SIDE)
        self.patch = patch = _patch(sides) if pixels else 1
        self.layout = layout = -(-sides[0] // patch), -(-sides[1] // patch)
        self.beyond = layout[0] * patch - sides[0], layout[1] * patch - sides[1]
        cells = np.arange(math.prod(layout)).reshape(layout).repeat(patch, 0).repeat(patch, 1)
        super().__init__(name, planes.spread(cells[: sides[0], : sides[1]]))
        self.planes = planes
        self.values = planes.symbol_counts
        self.numbers = patch * patch * len(planes.numeric)
        self.raw = Shape(math.prod(sides), planes.channels, sides)
        if any(self.beyond):
            self.inside = self._patches(torch.ones(1, len(planes.numeric), *sides))[0]

    def read(self, x: Tensor) -> Tensor:
        read: Tensor = self.planes(x)
        return read

    def ids(self, x: Tensor) -> Tensor:
        return self.planes.ids(x).flatten(2).mT  # (B, n, C)

    def scaled(self, x: Tensor) -> Tensor:
        numbers = self.planes.numbers(x)  # (B, K, H, W)
        return numbers.flatten(2).mT if self.patch == 1 else self._patches(numbers)

    def _patches(self, numbers: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, n, C p p)."""
        rows, columns = self.beyond
        whole = nn.functional.pad(numbers, (0, columns, 0, rows))
        return nn.functional.unfold(whole, self.patch, stride=self.patch).mT


def parts_of(space: spaces.Space[Any], *, pictures: bool | None = None, channels: str | None = None) -> list[Part]:
    """The parts of a plain space, in its order, without those that hold nothing. SpaceError if all do.

    A Box of two axes with large sides may be a picture or a long sequence of rows: pictures=False says the latter.
    """
    several = space.spaces if isinstance(space, spaces.Dict) else {"": space}
    parts: list[Part] = []
    for name, one in several.items():
        if not math.prod(one.shape or ()):
            continue
        rows = pictures is False and len(one.shape or ()) == 2
        if isinstance(one, spaces.Box) and has_layout(one) and not rows:
            parts.append(Board(name, one, pictures=pictures, channels=channels))
        elif isinstance(one, spaces.Box):
            parts.append(Numbers(name, one))
        else:
            parts.append(Ids(name, one))
    if not parts:
        raise SpaceError(f"{space} holds no numbers, so there is nothing to learn from")
    return parts


def of_part(observations: Tensor | dict[str, Tensor], part: Part) -> Tensor:
    """The tensor that `part` reads."""
    return observations[part.name] if isinstance(observations, dict) else observations


def exchanged(parts: Any, observations: Any, others: Any, where: Tensor) -> Any:
    """`observations` with the contents of `others` at the places where (B, N) bool says so, N over all parts."""
    pieces = {}
    for part, there in zip(parts, where.split([part.places for part in parts], dim=1), strict=True):
        pieces[part.name] = part.exchanged(of_part(observations, part), of_part(others, part), there)
    return pieces if isinstance(observations, dict) else pieces[parts[0].name]


def _patch(sides: tuple[int, int]) -> int:
    """The side of patches: what covers the picture with the least beyond it, the larger of two that do."""
    return min(_PATCHES, key=lambda p: (sides[0] + -sides[0] % p) * (sides[1] + -sides[1] % p))
