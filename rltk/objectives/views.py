"""Views: the same observation seen a little differently, for objectives that have to find out which belong together.

    picture                  a random window of it, 0.7 to 1 of each side, stretched to its size; and, unless colour is
                             False: brightness, contrast and saturation times 0.6 to 1.4, and a random share of a blur
    board of symbols         moved by up to an eighth of its sides, one cell or more; its edges are repeated
    numbers                  each times 0.8 to 1.2
    places in a sequence     15% of them are hidden: indices, and rows of numbers, where there are two places or more

A lone index has no second view.

Source: Chen, Kornblith, Norouzi and Hinton (2020), "A simple framework for contrastive learning of visual
representations", section 3 (crop, colour, blur); Yarats, Kostrikov and Fergus (2021), "Image augmentation is all you
need", section 3.1 (shifts, edges repeated); Laskin et al. (2020), "Reinforcement learning with augmented data", section
3 (scaled numbers).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rltk.encoders import Part
from rltk.encoders.parts import Board, Numbers, of_part
from rltk.errors import SpaceError
from rltk.objectives.boards import boards_of, changed
from rltk.objectives.objective import Observations, tensors_of

_WINDOW, _JITTER, _SCALED, _HIDDEN = 0.7, 0.4, 0.2, 0.15
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


class Views:
    """Makes views of observations that consist of `parts`. Raises SpaceError where these have none."""

    def __init__(self, parts: Sequence[Part], *, colour: bool = True) -> None:
        self.colour = colour
        self.boards = boards_of(parts)
        self.numbers = [part for part in parts if isinstance(part, Numbers)]
        self.counts = [part.places for part in parts]
        self.hides = [not isinstance(part, Board) and sum(self.counts) > 1 for part in parts]
        if not (self.boards or self.numbers or any(self.hides)):
            raise SpaceError(
                "two views of one observation are needed, and a lone index or row of bits has none; use "
                '"temporal", which takes the next observation instead'
            )

    def __call__(self, observations: Observations) -> tuple[Observations, Tensor | None]:
        """A random view of each of them, and which of its places (B, N) bool are hidden, None for none."""
        view = changed(self.boards, observations, self._board)
        for part in self.numbers:
            row = of_part(view, part).to(part.unit.dtype)
            row = row * _uniform(row, 1 - _SCALED, 1 + _SCALED, *row.shape)
            view = {**view, part.name: row} if isinstance(view, dict) else row
        return view, self._hidden(tensors_of(observations)[0])

    def _board(self, board: Board, cells: Tensor) -> Tensor:
        if not board.planes.is_picture:
            return shifted(cells)
        brightest = board.planes.brightest
        pixels = windowed(cells.to(board.unit.dtype) / brightest)
        if self.colour:
            pixels = blurred(jittered(pixels, board.planes.frames))
        pixels = pixels.clamp(0, 1) * brightest
        return (pixels if cells.is_floating_point() else pixels.round()).to(cells.dtype)

    def _hidden(self, like: Tensor) -> Tensor | None:
        if not any(self.hides):
            return None
        may = [
            torch.full((count,), hides, device=like.device)
            for count, hides in zip(self.counts, self.hides, strict=True)
        ]
        return (torch.rand(len(like), sum(self.counts), device=like.device) < _HIDDEN) & torch.cat(may)


def shifted(cells: Tensor) -> Tensor:
    """cells (B, C, H, W), each moved by its own number of cells, edges repeated."""
    for axis in (2, 3):
        side = cells.shape[axis]
        most = max(side // 8, 1)
        by = torch.randint(-most, most + 1, (len(cells), 1), device=cells.device)
        source = (torch.arange(side, device=cells.device) + by).clamp(0, side - 1)  # (B, side)
        source = source[:, None, :, None] if axis == 2 else source[:, None, None]
        cells = cells.gather(axis, source.expand_as(cells))
    return cells


def windowed(pixels: Tensor) -> Tensor:
    """pixels (B, C, H, W) -> as many, of a random window of each."""
    size = _uniform(pixels, _WINDOW, 1, len(pixels))
    corner = _uniform(pixels, -1, 1, len(pixels), 2) * (1 - size)[:, None]  # the window stays inside
    theta = torch.cat([torch.diag_embed(size[:, None].expand(-1, 2)), corner[..., None]], dim=2)  # (B, 2, 3)
    where = nn.functional.affine_grid(theta, list(pixels.shape), align_corners=False)
    return nn.functional.grid_sample(pixels, where, padding_mode="border", align_corners=False)


def jittered(pixels: Tensor, frames: int) -> Tensor:
    """pixels (B, C, H, W) in 0..1, with another brightness, contrast and saturation; alike in all `frames`."""
    brightness, contrast, saturation = _uniform(pixels, 1 - _JITTER, 1 + _JITTER, 3, len(pixels), 1, 1, 1)
    pixels = pixels * brightness
    mean = pixels.mean((1, 2, 3), keepdim=True)
    pixels = mean + contrast * (pixels - mean)
    if pixels.shape[1] != 3 * frames:
        return pixels
    colours = pixels.unflatten(1, (frames, 3))  # (B, frames, 3, H, W)
    grey = colours.mean(2, keepdim=True)
    return (grey + saturation[..., None] * (colours - grey)).flatten(1, 2)


def blurred(pixels: Tensor) -> Tensor:
    """pixels (B, C, H, W), of each a random share replaced by itself under a binomial kernel of five by five."""
    share = _uniform(pixels, 0, 1, len(pixels), 1, 1, 1)
    line = torch.tensor(_BINOMIAL, dtype=pixels.dtype, device=pixels.device)
    kernel = torch.outer(line, line).expand(pixels.shape[1], 1, 5, 5)
    padded = nn.functional.pad(pixels, (2, 2, 2, 2), mode="replicate")
    return pixels + share * (nn.functional.conv2d(padded, kernel, groups=pixels.shape[1]) - pixels)


def _uniform(like: Tensor, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, dtype=like.dtype, device=like.device)
