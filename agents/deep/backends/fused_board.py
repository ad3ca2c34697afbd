"""The compiled backend for small convolutional Q-networks on one board: what `fused` is to plain MLPs.

It fits `rltk.encoders.CNN` on a Box that is no picture: planes, 3x3 convolutions with padding 1 and a ReLU each, then
linear layers with a ReLU each, then a linear head. Parameters and Adam's moments are shared with torch as in `fused`.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import as_strided
from torch import nn

from rltk.agents.deep.backends.fused import (
    Fused,
    boards_of,
    layers_of,
    padded,
    replayed,
    why_not_stored,
    why_not_trained,
    widths_of,
    zeros,
)
from rltk.agents.deep.backends.fused_board_network import CELLS, BoardExperience, BoardWork, Shape, values
from rltk.agents.deep.backends.fused_kernels import train_on_boards
from rltk.agents.deep.backends.fused_network import Work
from rltk.agents.deep.backends.listed_rows import SIDE
from rltk.encoders.planes import Planes
from rltk.encoders.stem import AsPlanes


def why_not(network: nn.Module, target: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """Why the kernels can't train `network`: one line; "" where they can."""
    for one in (network, target):
        if reason := _why_not_network(one):
            return reason
    return why_not_trained(network, target, optimizer)


def _why_not_network(network: Any) -> str:
    encoder: Any = getattr(network, "encoder", None)
    head = getattr(network, "head", None)
    boards, out = boards_of(encoder), getattr(head, "out", None)
    if not boards or type(out) is not nn.Linear:
        return "the network is not a CNN with a linear head"
    if getattr(head, "heads", 1) * getattr(head, "atoms", 1) != 1:
        return "the head gives more than one number an action"
    if type(encoder.stem) is not AsPlanes or encoder.readout.kind != "flatten":
        return "the board is not read as planes, or not flattened"
    if len(boards) != 1:
        return "there is more to observe than one board"
    planes, layers, readout = encoder.parts[0].planes, list(boards[0]), encoder.readout.layers
    return _why_not_layers(planes, layers, list(readout)) or why_not_stored(network, "the CNN's")


def _why_not_layers(planes: Planes, layers: list[Any], readout: list[Any]) -> str:
    convolutions, linear = layers[::2], readout[::2]
    others = [*layers[1::2], *readout[1::2]]
    if planes.width < 2:
        return "the board is narrower than two cells"
    if not convolutions or not linear or len(convolutions) + len(linear) != len(others):
        return "the encoder is not pairs of a layer and a rectifier"
    if any(type(layer) is not nn.Linear for layer in linear):
        return "the readout has other than linear layers"
    if any(type(layer) is not nn.ReLU for layer in others):
        return f"the activation is {next(type(a) for a in others if type(a) is not nn.ReLU).__name__}, not ReLU"
    if any(not _is_plain(layer) for layer in convolutions):
        return "a convolution is not 3x3 with stride 1 and padding 1"
    if len({layer.out_channels for layer in convolutions}) > 1:
        return "the convolutions differ in their number of filters"
    return ""


def _is_plain(layer: Any) -> bool:
    return (
        type(layer) is nn.Conv2d
        and layer.kernel_size == (SIDE, SIDE)
        and layer.stride == layer.padding == layer.dilation == (1, 1)
        and layer.groups == 1
        and layer.padding_mode == "zeros"
    )


class FusedBoard(Fused):
    """Trains and asks the Q-network that `network`, `target` and `optimizer` make up; `why_not` says "" of them.

    network: `encoder.stem` (AsPlanes of one Board), `encoder.trunk` (Convolutions: Conv2d and ReLU in turn),
    `encoder.readout` (Linear and ReLU in turn), `head.out` (Linear).
    """

    why_not, _train, _values = staticmethod(why_not), staticmethod(train_on_boards), staticmethod(values)

    def greedy_one(self, observation: Any) -> int:
        """The first of the best actions of one plain observation."""
        return int(self.greedy(observation[None])[0])

    def _prepare(self, network: Any) -> None:
        planes, layers = network.encoder.parts[0].planes, layers_of(network)
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        widths = widths_of(layers[len(convolutions) :])
        filters = convolutions[0].out_channels
        self._shape = Shape(planes.height, planes.width, planes.channels, filters, len(convolutions), widths)
        self._wide = max(widths[1:])
        self.n_actions = int(widths[-1])
        reading = planes.arrays()
        self._reading = reading._replace(scales=reading.scales.astype(self._number))

    def _experience(self, arrays: Any) -> Any:
        return BoardExperience(*replayed(arrays), *self._reading)

    def _working_space(self, size: int, features: int) -> Any:
        number, shape = self._parameters[0].dtype, self._shape
        widths, wide, samples = shape.widths, padded(self._wide), padded(size)
        read, channels = int(widths[0]), len(self._reading.scales)
        count = size * (shape.height + 1) * (shape.width + 1) + 2 * (shape.width + 2) + CELLS
        cells = zeros(number, 2, shape.convolutions, count, shape.filters)
        gradient = zeros(number, len(self._theta))
        head = sum((n + 1) * m for n, m in pairwise(widths))
        tail = Work(
            slots=zeros(torch.int64, size),
            inputs=zeros(number, size, read),
            columns=zeros(torch.int32, 0, 0),
            entries=zeros(number, 0, 0),
            counts=zeros(torch.int32, 0),
            rows=zeros(number, samples, wide),
            hidden=zeros(number, len(widths) - 2, wide, samples),
            errors=zeros(number, 2, wide, samples),
            q=zeros(number, self.n_actions, samples),
            choice=zeros(torch.int64, size),
            gradient=gradient[len(gradient) - head :],
        )
        taps = np.arange(SIDE * SIDE, dtype=np.int32) * shape.inputs
        return BoardWork(
            *(tail.slots, tail.rows, tail.errors, tail.q, tail.choice, gradient, tail),
            columns=zeros(torch.int32, count * channels),
            entries=zeros(number, count * channels),
            bases=np.repeat(taps, channels),
            cells=cells,
            windows=_windows(cells, shape.width),
            flipped=zeros(number, SIDE * SIDE * shape.filters, shape.filters),
            features=zeros(number, padded(read), samples),
            turned=zeros(number, samples, padded(read)),
        )


def _windows(cells: np.ndarray, width: int) -> np.ndarray:
    """(2, L, 3, N, 9 F) over the memory of `cells` (2, L, N, F); columns 3 F u and on of row u."""
    *outer, count, filters = cells.shape
    inner = (width - 2) * filters * cells.itemsize, filters * cells.itemsize, cells.itemsize
    shape = (*outer, SIDE, count, SIDE * SIDE * filters)
    return as_strided(cells, shape, (*cells.strides[:2], *inner))
