"""Recurrence: a state of fixed size that each step changes.

Steps are those of an episode, or the places of an observation, one after the other.

    Elman  h <- tanh(W x + U h + b)                                                 gives h, keeps h
    LSTM   i, f, o = sigmoid(W x + U h + b), each with its own;   g = tanh(W_g x + U_g h + b_g)
           c <- f c + i g;   h <- o tanh(c)                                         gives h, keeps h and c
    GRU    r, z = sigmoid(W x + U h + b), each with its own;   n = tanh(W_n x + b_n + r (U_n h + c_n))
           h <- (1 - z) n + z h                                                     gives h, keeps h
    SRU    f = sigmoid(W_f x + v_f c + b_f);   r = sigmoid(W_r x + v_r c + b_r)
           c <- f c + (1 - f) W x;   h = r c + (1 - r) H x                          gives h, keeps c

Products of vectors are entry by entry, and on the right of an arrow stands the state of the step before; so does the
SRU's c in both its gates. LSTM and GRU are torch's, whose kernels take many steps at once. In this GRU the reset gate
acts after the matrix product; Cho et al. have W_n x + U_n (r h) there, and z the other way round. The SRU's matrix
products are all with x, so they are made for all steps at once; H, its highway, is the identity where x is as wide as
the memory.

Sources: Hochreiter and Schmidhuber (1997), "Long short-term memory", with the forget gate of Gers, Schmidhuber and
Cummins (2000); Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder", section 2.3; Lei et al.
(2018), "Simple recurrent units for highly parallelizable recurrence", equations 1 to 4; Elman (1990), "Finding
structure in time", whose logistic function is a tanh here.
"""

import math
from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders.options import sizes

State = Tensor | tuple[Tensor, ...]


class Memory(nn.Module, ABC):
    """Features (B, F) of a step -> (B, M), which may depend on the steps before; `features_dim` is M.

    A state is a tensor or a tuple of tensors whose first axis is the batch. `start` marks the first steps of episodes:
    what was before them is forgotten. `sequence` gives what `step` gives one after the other.
    """

    features_dim: int

    @abstractmethod
    def initial(self, batch: int) -> State:
        """The state of `batch` agents that have seen nothing, in the type and on the device of the weights."""

    def step(self, x: Tensor, state: State, start: Tensor) -> tuple[Tensor, State]:
        """One step: x (B, F), start (B,) bool -> (B, M) and the next state."""
        out, state = self.sequence(x[:, None], state, start[:, None])
        return out[:, 0], state

    @abstractmethod
    def sequence(self, x: Tensor, state: State, start: Tensor) -> tuple[Tensor, State]:
        """L steps: x (B, L, F), start (B, L) bool -> (B, L, M) and the state after them."""


class Recurrence(Memory):
    """A memory that may also run without episodes: `start` None says that none begins."""

    @abstractmethod
    def sequence(self, x: Tensor, state: State, start: Tensor | None = None) -> tuple[Tensor, State]:
        """L steps: x (B, L, F), start (B, L) bool or None -> (B, L, M) and the state after them."""

    @abstractmethod
    def remember(self, steps: int) -> None:
        """Set the weights anew for sequences of `steps`: what it keeps, it keeps for up to that long.

        A gate f keeps a state for about 1 / (1 - f) steps. Its bias b is drawn so that these are spread evenly up to
        `steps`: b = ln u, u uniform from 1 to steps - 1. Torch's own biases, near 0, forget half of it at each step.

        Source: Tallec and Ollivier (2018), "Can recurrent neural networks warp time?", section 2.
        """


class Elman(Recurrence):
    """The simple recurrent network. inputs: F. width: M. Its state is h (B, M). Raises ArgumentError."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        sizes(inputs=inputs, width=width)
        self.features_dim = width
        self.cells = nn.RNN(inputs, width, batch_first=True)

    def initial(self, batch: int) -> State:
        """Zeros."""
        return next(self.parameters()).new_zeros(batch, self.features_dim)

    def step(self, x: Tensor, state: Any, start: Tensor) -> tuple[Tensor, State]:
        """(B, F), h, (B,) -> (B, M), h. For one step the kernel of a cell is the quicker one."""
        hidden = torch.rnn_tanh_cell(x, _forgotten(state, start), *self.cells.parameters())
        return hidden, hidden

    def sequence(self, x: Tensor, state: Any, start: Tensor | None = None) -> tuple[Tensor, State]:
        """(B, L, F), h, (B, L) -> (B, L, M), h."""
        return _run(self.cells, x, state, start)

    def remember(self, steps: int) -> None:
        """There is no gate. A rotation U neither fades nor swells what it carries (Saxe et al., 2014, section 3)."""
        weight: Any = self.cells.weight_hh_l0
        nn.init.orthogonal_(weight)


class LSTM(Recurrence):
    """Long short-term memory. inputs: F. width: M. Its state is (h, c), two (B, M). Raises ArgumentError."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        sizes(inputs=inputs, width=width)
        self.features_dim = width
        self.cells = nn.LSTM(inputs, width, batch_first=True)

    def initial(self, batch: int) -> State:
        """Zeros."""
        return tuple(next(self.parameters()).new_zeros(2, batch, self.features_dim))

    def step(self, x: Tensor, state: Any, start: Tensor) -> tuple[Tensor, State]:
        """(B, F), (h, c), (B,) -> (B, M), (h, c). For one step the kernel of a cell is the quicker one."""
        before = [_forgotten(one, start) for one in state]
        hidden, cell = torch.lstm_cell(x, before, *self.cells.parameters())
        return hidden, (hidden, cell)

    def sequence(self, x: Tensor, state: Any, start: Tensor | None = None) -> tuple[Tensor, State]:
        """(B, L, F), (h, c), (B, L) -> (B, L, M), (h, c)."""
        return _run(self.cells, x, state, start)

    def remember(self, steps: int) -> None:
        """b_f = ln u, b_i = -b_f."""
        bias = _kept(self.features_dim, steps)
        _set_bias(self.cells, [-bias, bias, *2 * [torch.zeros_like(bias)]])  # torch's order is i, f, g, o


class GRU(Recurrence):
    """The gated recurrent unit. inputs: F. width: M. Its state is h (B, M). Raises ArgumentError."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        sizes(inputs=inputs, width=width)
        self.features_dim = width
        self.cells = nn.GRU(inputs, width, batch_first=True)

    def initial(self, batch: int) -> State:
        """Zeros."""
        return next(self.parameters()).new_zeros(batch, self.features_dim)

    def step(self, x: Tensor, state: Any, start: Tensor) -> tuple[Tensor, State]:
        """(B, F), h, (B,) -> (B, M), h. For one step the kernel of a cell is the quicker one."""
        hidden = torch.gru_cell(x, _forgotten(state, start), *self.cells.parameters())
        return hidden, hidden

    def sequence(self, x: Tensor, state: Any, start: Tensor | None = None) -> tuple[Tensor, State]:
        """(B, L, F), h, (B, L) -> (B, L, M), h."""
        return _run(self.cells, x, state, start)

    def remember(self, steps: int) -> None:
        """b_z = ln u."""
        bias = _kept(self.features_dim, steps)
        _set_bias(self.cells, [torch.zeros_like(bias), bias, torch.zeros_like(bias)])  # torch's order is r, z, n


class SRU(Recurrence):
    """The simple recurrent unit. inputs: F. width: M. Its state is c (B, M). Raises ArgumentError."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        sizes(inputs=inputs, width=width)
        self.features_dim = width
        bound = 1 / math.sqrt(width)
        self.from_input = nn.Linear(inputs, 3 * width, bias=False)  # rows of W, W_f, W_r
        self.forget_cell = nn.Parameter(torch.empty(width).uniform_(-bound, bound))  # v_f
        self.reset_cell = nn.Parameter(torch.empty(width).uniform_(-bound, bound))  # v_r
        self.forget_bias = nn.Parameter(torch.zeros(width))
        self.reset_bias = nn.Parameter(torch.zeros(width))
        self.highway = nn.Identity() if inputs == width else nn.Linear(inputs, width, bias=False)

    def initial(self, batch: int) -> State:
        """Zeros."""
        return self.forget_cell.new_zeros(batch, self.features_dim)

    def sequence(self, x: Tensor, state: Any, start: Tensor | None = None) -> tuple[Tensor, State]:
        """(B, L, F), c, (B, L) -> (B, L, M), c."""
        candidate, forget, reset = self.from_input(x).chunk(3, dim=-1)  # (B, L, M) each
        forget = forget + self.forget_bias
        before, cells = [], []
        for t in range(x.shape[1]):
            before.append(state if start is None else _forgotten(state, start[:, t]))
            f = torch.addcmul(forget[:, t], self.forget_cell, before[t]).sigmoid()
            state = torch.lerp(candidate[:, t], before[t], f)  # (1 - f) W x + f c
            cells.append(state)
        r = torch.addcmul(reset + self.reset_bias, self.reset_cell, torch.stack(before, dim=1)).sigmoid()
        return torch.lerp(self.highway(x), torch.stack(cells, dim=1), r), state

    def remember(self, steps: int) -> None:
        """b_f = ln u."""
        with torch.no_grad():
            self.forget_bias.copy_(_kept(self.features_dim, steps))


def _run(cells: nn.RNNBase, x: Tensor, state: Any, start: Tensor | None) -> tuple[Tensor, Any]:
    """torch's cells over x (B, L, F), from a state of (B, M) tensors, which starts set back to zeros."""
    if x.is_cuda:
        cells.flatten_parameters()  # copies of a network have lost the layout that cuDNN wants, and it warns
    several = isinstance(state, tuple)
    states: tuple[Tensor, ...] = state if several else (state,)
    outs = []
    for part in [slice(None)] if start is None else _parts(start):
        if start is not None:
            states = tuple(_forgotten(one, start[:, part.start]) for one in states)
        given = tuple(one[None] for one in states)  # (1, B, M) each
        out, after = cells(x[:, part], given if several else given[0])
        states = tuple(one[0] for one in (after if several else (after,)))
        outs.append(out)
    return outs[0] if len(outs) == 1 else torch.cat(outs, dim=1), states if several else states[0]


def _parts(start: Tensor) -> list[slice]:
    """The sequence cut where an episode starts in any member of the batch: torch's cells can't forget on their way.

    Sequences from replay start nowhere but at their beginning, so there is one part.
    """
    # "meta" holds no numbers to look at.
    cuts = [] if start.is_meta else (start[:, 1:].any(dim=0).nonzero()[:, 0] + 1).tolist()
    return [slice(first, last) for first, last in pairwise([0, *cuts, start.shape[1]])]


def _forgotten(state: Tensor, start: Tensor) -> Tensor:
    """`state` (B, M) with zeros where an episode starts, (B,) bool."""
    return state.masked_fill(start[:, None], 0.0)


def _kept(width: int, steps: int) -> Tensor:
    """(width,) biases of gates that keep for 1 to `steps` steps."""
    return torch.empty(width).uniform_(1, max(steps - 1, 1)).log()


def _set_bias(cells: Any, gates: list[Tensor]) -> None:
    """Torch adds two biases: all of it goes into one."""
    with torch.no_grad():
        cells.bias_ih_l0.copy_(torch.cat(gates))
        cells.bias_hh_l0.zero_()
