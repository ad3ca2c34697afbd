"""Recurrent memories: a state of fixed size that each step changes.

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
(2018), "Simple recurrent units for highly parallelizable recurrence", equations 1 to 4.
"""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from rltk.agents.deep.networks.memory import Memory, State, check_widths


class LSTM(Memory):
    """Long short-term memory. inputs: F. width: M. Its state is (h, c), two (B, M). Raises ArgumentError."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        check_widths(inputs=inputs, width=width)
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

    def sequence(self, x: Tensor, state: Any, start: Tensor) -> tuple[Tensor, State]:
        """(B, L, F), (h, c), (B, L) -> (B, L, M), (h, c)."""
        outs, (hidden, cell) = [], state
        for part in _parts(self.cells, start):
            before = tuple(_forgotten(one, start[:, part.start])[None] for one in (hidden, cell))  # (1, B, M) each
            out, ((hidden,), (cell,)) = self.cells(x[:, part], before)
            outs.append(out)
        return _joined(outs), (hidden, cell)


class GRU(Memory):
    """The gated recurrent unit. inputs: F. width: M. Its state is h (B, M). Raises ArgumentError."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        check_widths(inputs=inputs, width=width)
        self.features_dim = width
        self.cells = nn.GRU(inputs, width, batch_first=True)

    def initial(self, batch: int) -> State:
        """Zeros."""
        return next(self.parameters()).new_zeros(batch, self.features_dim)

    def step(self, x: Tensor, state: Any, start: Tensor) -> tuple[Tensor, State]:
        """(B, F), h, (B,) -> (B, M), h. For one step the kernel of a cell is the quicker one."""
        hidden = torch.gru_cell(x, _forgotten(state, start), *self.cells.parameters())
        return hidden, hidden

    def sequence(self, x: Tensor, state: Any, start: Tensor) -> tuple[Tensor, State]:
        """(B, L, F), h, (B, L) -> (B, L, M), h."""
        outs = []
        for part in _parts(self.cells, start):
            out, (state,) = self.cells(x[:, part], _forgotten(state, start[:, part.start])[None])
            outs.append(out)
        return _joined(outs), state


class SRU(Memory):
    """The simple recurrent unit. inputs: F. width: M. Its state is c (B, M). Raises ArgumentError."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        check_widths(inputs=inputs, width=width)
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

    def sequence(self, x: Tensor, state: Any, start: Tensor) -> tuple[Tensor, State]:
        """(B, L, F), c, (B, L) -> (B, L, M), c."""
        candidate, forget, reset = self.from_input(x).chunk(3, dim=-1)  # (B, L, M) each
        forget = forget + self.forget_bias
        before, cells = [], []
        for t in range(x.shape[1]):
            before.append(_forgotten(state, start[:, t]))
            f = torch.addcmul(forget[:, t], self.forget_cell, before[t]).sigmoid()
            state = torch.lerp(candidate[:, t], before[t], f)  # (1 - f) W x + f c
            cells.append(state)
        r = torch.addcmul(reset + self.reset_bias, self.reset_cell, torch.stack(before, dim=1)).sigmoid()
        return torch.lerp(self.highway(x), torch.stack(cells, dim=1), r), state


def _parts(cells: nn.RNNBase, start: Tensor) -> list[slice]:
    """The sequence cut where an episode starts in any member of the batch: torch's cells can't forget on their way.

    Sequences from replay start nowhere but at their beginning, so there is one part.
    """
    if start.is_cuda:
        cells.flatten_parameters()  # copies of a network have lost the layout that cuDNN wants, and it warns
    length = start.shape[1]
    # "meta" holds no numbers to look at.
    cuts = [] if start.is_meta else (start[:, 1:].any(dim=0).nonzero()[:, 0] + 1).tolist()
    return [slice(first, last) for first, last in pairwise([0, *cuts, length])]


def _joined(outs: list[Tensor]) -> Tensor:
    return outs[0] if len(outs) == 1 else torch.cat(outs, dim=1)


def _forgotten(state: Tensor, start: Tensor) -> Tensor:
    """`state` (B, M) with zeros where an episode starts, (B,) bool."""
    return state.masked_fill(start[:, None], 0.0)
