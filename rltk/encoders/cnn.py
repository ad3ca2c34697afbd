"""The convolutional network: for pictures the one of the first DQN, for boards of symbols a small one.

    pictures (both sides 36 or more)   32 of 8x8, stride 4;  64 of 4x4, stride 2;  64 of 3x3;   then 512 features
    boards                             16 of 3x3, padding 1; 16 of 3x3, padding 1;              then 128 features

each convolution and the last, fully connected layer followed by a ReLU. A board keeps its size: with a stride of 2 the
best actions of neighbouring cells came out alike more often, given the same time. In a Dict, each part that lies on a
board has convolutions of its own; the others join their flat row before the last layer.

Source: Mnih et al. (2015), "Human-level control through deep reinforcement learning", Methods, model architecture.
"""

import math
from operator import index
from typing import Any

from gymnasium import spaces
from torch import Tensor, cat, nn

from rltk.encoders.encoder import Encoder
from rltk.encoders.flat import Flat
from rltk.encoders.planes import PICTURE_SIDE, Planes, has_layout
from rltk.errors import ArgumentError, SpaceError


class CNN(Encoder):
    """`boards` (planes, then convolutions) and `rest` (Flat), then `readout` (Linear, ReLU).

    features_dim: 512 if there is a picture and 128 else, unless given. pictures: True says that numbers on boards are
    pixels, to be divided by 255, False that they are not; None asks the space. channels: "first", "last", or None for
    the axis that looks like it. Raises SpaceError where nothing in the space has a 2-D layout.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        features_dim: int | None = None,
        *,
        pictures: bool | None = None,
        channels: str | None = None,
    ) -> None:
        super().__init__(observation_space)
        space = self.observation_space
        parts = dict(space.spaces) if isinstance(space, spaces.Dict) else {"": space}
        self.names = [name for name, part in parts.items() if has_layout(part)]
        if not self.names:
            raise SpaceError(
                "convolutions need a 2-D layout, a Box such as (height, width, channels), and nothing in "
                f'{space} has one; use encoder="mlp"'
            )
        planes = [Planes(parts.pop(name), pictures=pictures, channels=channels) for name in self.names]
        boards = [_convolved(board) for board in planes]
        self.boards = nn.ModuleList(layers for layers, _ in boards)
        self.rest = Flat(spaces.Dict(parts), pictures=pictures)
        self.pictures, self.channels = pictures, channels
        default = 512 if any(map(_is_large, planes)) else 128
        self.features_dim = default if features_dim is None else _checked(features_dim)
        width = sum(width for _, width in boards) + self.rest.width
        self.readout = nn.Sequential(nn.Linear(width, self.features_dim), nn.ReLU())

    def forward(self, observations: Tensor | dict[str, Tensor]) -> Tensor:
        """A batch of plain observations -> (B, features_dim)."""
        if isinstance(observations, dict):
            rows = [board(observations[name]) for name, board in zip(self.names, self.boards, strict=True)]
            if self.rest.width:
                rows.append(self.rest(observations))
            row = cat(rows, dim=1)
        else:
            row = self.boards[0](observations)
        features: Tensor = self.readout(row)  # (B, features_dim)
        return features

    def config(self) -> dict[str, Any]:
        return {
            "encoder": "cnn",
            "features_dim": self.features_dim,
            "pictures": self.pictures,
            "channels": self.channels,
        }


# Filters, side, stride and padding of each convolution.
_PICTURE = ((32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0))
_BOARD = ((16, 3, 1, 1), (16, 3, 1, 1))


def _is_large(planes: Planes) -> bool:
    return min(planes.height, planes.width) >= PICTURE_SIDE


def _convolved(planes: Planes) -> tuple[nn.Sequential, int]:
    """A board's planes and their convolutions, flattened, and how many numbers these leave."""
    layers: list[nn.Module] = [planes]
    inputs, sides = planes.channels, [planes.height, planes.width]
    for filters, side, stride, padding in _PICTURE if _is_large(planes) else _BOARD:
        layers += [nn.Conv2d(inputs, filters, side, stride, padding), nn.ReLU()]
        sides = [(length + 2 * padding - side) // stride + 1 for length in sides]
        inputs = filters
    return nn.Sequential(*layers, nn.Flatten()), inputs * math.prod(sides)


def _checked(features_dim: Any) -> int:
    try:
        width = index(features_dim)
    except TypeError:
        width = 0
    if width < 1:
        raise ArgumentError(f"features_dim is {features_dim!r}, but an integer of at least 1 was expected")
    return width
