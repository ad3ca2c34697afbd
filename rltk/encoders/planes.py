"""Planes: anything that lies on a 2-D board, read as float planes (batch, planes, height, width).

What the numbers mean decides how they are read:

    pixels                        x / 255
    symbols, at most 64 of them   one plane a symbol: 1 where x equals it (two symbols need one plane)
    more symbols than that        x scaled; MiniGrid's spaces say 0..255 of numbers near 10, so by 1/10 there
    floats                        x

A Box is taken for a picture where its numbers go from 0 to 255, in bytes, and both sides have 36 pixels or more: an
environment that shows a board of 7x7 small numbers may well declare 0..255 too. One-hot planes are what lets a
convolution tell symbol 3 from 2 and 4 without treating it as something between them.

The axes are height, width, channels or channels, height, width; with a stack of frames before them the frames' channels
lie behind each other.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rltk.errors import ArgumentError, SpaceError

PICTURE_SIDE = 36  # the least that the convolutions for pictures can take
MOST_SYMBOLS = 64
_UNTIGHT_SCALE = 0.1


def has_layout(space: spaces.Space[Any]) -> bool:
    """Whether `space` lies on a 2-D board: a Box of 3 axes, of 4 (a stack of frames), or of 2 with large sides."""
    if not isinstance(space, spaces.Box):
        return False
    return len(space.shape) in (3, 4) or (len(space.shape) == 2 and min(space.shape) >= PICTURE_SIDE)


def is_picture(space: spaces.Space[Any]) -> bool:
    """Whether `space` holds pixels: bytes from 0 to 255 with both sides of 36 or more."""
    if not isinstance(space, spaces.Box) or not has_layout(space) or space.dtype != np.uint8:
        return False
    return bool((space.low == 0).all() and (space.high == 255).all() and min(_sides(space.shape)) >= PICTURE_SIDE)


def pixel_scale(space: spaces.Box, pictures: bool | None) -> float:
    """What numbers are multiplied by: 1/255 where they are pixels above 1, else 1. pictures: None asks `is_picture`.

    Raises SpaceError for pictures of floats from 0 to 255, which nobody said to scale.
    """
    if pictures is None:
        unscaled = (
            space.dtype.kind == "f" and has_layout(space) and (space.low == 0).all() and (space.high == 255).all()
        )
        if unscaled:
            raise SpaceError(
                f"a picture of floats from 0 to 255, {space.dtype} {space.shape}: declare it as uint8, scale it to "
                "0..1, or give the encoder pictures=True (divide by 255) or pictures=False (take it as it is)"
            )
        return 1 / 255 if is_picture(space) else 1.0
    largest = float(space.high.max(initial=0))
    return 1 / 255 if pictures and has_layout(space) and 1 < largest < np.inf else 1.0


class PlaneArrays(NamedTuple):
    """How `Planes` reads a flattened observation of C channels, as arrays, for compiled code.

    A channel from `low` to `high` is symbols: x has the plane `first` + x - `low`, none where it lies outside. One
    with `high` below `low` is a number: its plane is `first`, where x times the channel's scale stands.
    """

    sources: np.ndarray  # (height, width, C) int64: where in the flattened observation a cell's channels lie
    first: np.ndarray  # (C,) int64
    low: np.ndarray  # (C,) int64
    high: np.ndarray  # (C,) int64
    scales: np.ndarray  # (C,) float64


class Planes(nn.Module):
    """Reads observations (B, *space.shape) as (B, `channels`, `height`, `width`) of the module's float type.

    `frames` is how many lie behind each other; `brightest` the number that a full pixel of a picture has.

    space: a Box with a 2-D layout. pictures: True says that the numbers are pixels, False that they are not, None
    decides as above. channels: "first", "last", or None for the axis that looks like it. Raises SpaceError and
    ArgumentError.
    """

    source: Tensor  # (symbols' planes,) the channel that each is of
    symbol: Tensor  # (symbols' planes, 1, 1) and the symbol that it shows
    numeric: Tensor  # (numbers' planes,) channels that are taken as numbers
    scale: Tensor  # (numbers' planes, 1, 1)
    lowest: Tensor  # (channels of symbols, 1, 1)
    most: Tensor  # (channels of symbols, 1, 1), the largest minus the lowest

    def __init__(self, space: spaces.Space[Any], *, pictures: bool | None = None, channels: str | None = None) -> None:
        super().__init__()
        if not isinstance(space, spaces.Box) or not has_layout(space):
            raise SpaceError(
                f"convolutions need a 2-D layout, a Box such as (height, width, channels), and {space} has none; "
                'use encoder="mlp"'
            )
        if channels not in (None, "first", "last"):
            raise ArgumentError(f"channels is {channels!r}, but 'first', 'last' or None was expected")
        self.shape = space.shape
        self.frames = space.shape[0] if len(space.shape) == 4 else 1
        self._frame = space.shape[-3:] if len(space.shape) > 2 else (*space.shape, 1)
        self._last = _channels_last(self._frame) if channels is None else channels == "last"
        scale = pixel_scale(space, pictures)
        self.is_picture = scale != 1.0 or pictures is True
        self.brightest = round(1 / scale)
        bounds = self._bounds(space)
        source, symbol, numeric, scales = self._readings(space, bounds, scale)
        self.symbolic = sorted(set(source))
        self.symbol_counts = tuple(int(bounds[c][1]) - int(bounds[c][0]) + 1 for c in self.symbolic)
        # Not part of the weights: they follow from the space.
        self.register_buffer("source", torch.tensor(source, dtype=torch.int64), persistent=False)
        self.register_buffer("symbol", self._symbols(symbol, space), persistent=False)
        self.register_buffer("numeric", torch.tensor(numeric, dtype=torch.int64), persistent=False)
        self.register_buffer("scale", torch.tensor(scales).reshape(-1, 1, 1), persistent=False)
        lowest = torch.tensor([int(bounds[c][0]) for c in self.symbolic], dtype=torch.int64)
        self.register_buffer("lowest", lowest.reshape(-1, 1, 1), persistent=False)
        most = torch.tensor(self.symbol_counts, dtype=torch.int64).reshape(-1, 1, 1) - 1
        self.register_buffer("most", most, persistent=False)
        self._all_numeric = not source
        self.channels = len(source) + len(numeric)
        _, _, self.height, self.width = self.arranged(torch.empty(1, *space.shape, device="meta")).shape

    def forward(self, observations: Tensor) -> Tensor:
        """(B, *space.shape) -> (B, channels, height, width): the symbols' planes, then the numbers."""
        board = self.arranged(observations)  # (B, C, H, W)
        dtype = self.scale.dtype
        if self._all_numeric:
            # In place where a copy was made anyway: of pictures the memory costs more than the product.
            return board.to(dtype).mul_(self.scale) if board.dtype != dtype else board * self.scale
        planes = (board.index_select(1, self.source) == self.symbol).to(dtype)  # (B, symbols, H, W)
        if not len(self.numeric):
            return planes
        return torch.cat([planes, board.index_select(1, self.numeric).to(dtype) * self.scale], dim=1)

    def arrays(self) -> PlaneArrays:
        """How observations are read, for compiled code."""
        entries = torch.arange(math.prod(self.shape)).reshape(1, *self.shape)
        sources = self.arranged(entries)[0].permute(1, 2, 0)  # (H, W, C)
        first, low, high = (np.zeros(sources.shape[2], np.int64) for _ in range(3))
        scales = np.ones(sources.shape[2])
        source, symbols = self.source.cpu().numpy(), self.symbol.cpu().numpy().ravel()
        for channel in np.unique(source):
            mine = np.flatnonzero(source == channel)
            first[channel], low[channel], high[channel] = mine[0], symbols[mine[0]], symbols[mine[-1]]
        numbers = zip(self.numeric.tolist(), self.scale.flatten().tolist(), strict=True)
        for plane, (channel, scale) in enumerate(numbers, len(symbols)):
            first[channel], low[channel], high[channel], scales[channel] = plane, 0, -1, scale
        return PlaneArrays(np.ascontiguousarray(sources.numpy()), first, low, high, scales)

    def ids(self, observations: Tensor) -> Tensor:
        """(B, *space.shape) -> (B, channels of symbols, height, width) int64, each counted from its lowest on.

        A symbol beyond the space's bounds has no plane; here it counts as the nearest one that has.
        """
        ids = self.arranged(observations)[:, self.symbolic].long() - self.lowest
        return ids.clamp(min=0).minimum(self.most)

    def numbers(self, observations: Tensor) -> Tensor:
        """(B, *space.shape) -> (B, channels of numbers, height, width), scaled."""
        return self.arranged(observations).index_select(1, self.numeric).to(self.scale.dtype) * self.scale

    def spread(self, cells: np.ndarray) -> np.ndarray:
        """(height, width) -> an array of the observations' own shape that holds each cell's number in all channels."""
        frame = cells[..., None] if self._last else cells
        spread = np.broadcast_to(frame, (self.frames, *self._frame))
        return np.ascontiguousarray(spread).reshape(self.shape)

    def arranged(self, observations: Tensor) -> Tensor:
        """(B, *space.shape) -> (B, stack * channels, height, width)."""
        frames = observations.reshape(len(observations), self.frames, *self._frame)
        if self._last:
            frames = frames.permute(0, 1, 4, 2, 3)
        return frames.flatten(1, 2)

    def restored(self, board: Tensor) -> Tensor:
        """The inverse of `arranged`: (B, stack * channels, height, width) -> (B, *space.shape)."""
        frames = board.unflatten(1, (self.frames, -1))
        if self._last:
            frames = frames.permute(0, 1, 3, 4, 2)
        return frames.reshape(len(board), *self.shape)

    def _readings(
        self, space: spaces.Box, bounds: list[tuple[Any, Any]], scale: float
    ) -> tuple[list[int], list[int], list[int], list[float]]:
        """Channel and symbol of each one-hot plane, and channel and scale of each channel that is a number."""
        pixels = self.is_picture
        source, symbol, numeric, scales = [], [], [], []
        for channel, (low, high) in enumerate(bounds):
            symbols = [] if pixels or space.dtype.kind == "f" else _symbols_between(int(low), int(high))
            if symbols:
                source += [channel] * len(symbols)
                symbol += symbols
            else:
                numeric.append(channel)
                scales.append(scale if pixels or space.dtype.kind == "f" else _scale_between(int(low), int(high)))
        return source, symbol, numeric, scales

    def _bounds(self, space: spaces.Box) -> list[tuple[Any, Any]]:
        """The least and the largest number of each channel."""
        low, high = (self.arranged(torch.from_numpy(bound[None].copy()))[0] for bound in (space.low, space.high))
        return list(zip(low.amin((1, 2)).tolist(), high.amax((1, 2)).tolist(), strict=True))

    @staticmethod
    def _symbols(symbol: list[int], space: spaces.Box) -> Tensor:
        """(planes, 1, 1) in the observations' own type, which makes comparing quick."""
        return torch.from_numpy(np.array(symbol, dtype=space.dtype)).reshape(-1, 1, 1)


def _sides(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) == 2:
        return shape[0], shape[1]
    frame = shape[-3:]
    return (frame[0], frame[1]) if _channels_last(frame) else (frame[1], frame[2])


def _channels_last(frame: tuple[int, ...]) -> bool:
    """Which end of a frame's three axes are its channels: not one of the two that are alike; else the shorter one."""
    if frame[0] == frame[1]:
        return True
    if frame[1] == frame[2]:
        return False
    return frame[2] <= frame[0]


def _symbols_between(low: int, high: int) -> list[int]:
    """What gets a plane each; none where they are too many. Of two symbols one plane tells both."""
    if high - low >= MOST_SYMBOLS:
        return []
    return list(range(low, high + 1)) if high - low > 1 else [high]


def _scale_between(low: int, high: int) -> float:
    if max(abs(low), abs(high)) >= 2**31:
        raise SpaceError(
            f"a board of integers from {low} to {high} says nothing of how large they are; give its Box their bounds, "
            "or make them floats with gymnasium.wrappers.TransformObservation"
        )
    return _UNTIGHT_SCALE if (low, high) == (0, 255) else 1 / max(abs(low), abs(high))
