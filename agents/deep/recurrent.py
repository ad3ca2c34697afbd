"""Recurrent memories: a state of fixed size that each step changes.

    LSTM   i, f, o = sigmoid(W x + U h + b), each with its own;   g = tanh(W_g x + U_g h + b_g)
           c <- f c + i g;   h <- o tanh(c)                                         gives h, keeps h and c
    GRU    r, z = sigmoid(W x + U h + b), each with its own;   n = tanh(W_n x + b_n + r (U_n h + c_n))
           h <- (1 - z) n + z h                                                     gives h, keeps h
    SRU    f = sigmoid(W_f x + v_f c + b_f);   r = sigmoid(W_r x + v_r c + b_r)
           c <- f c + (1 - f) W x;   h = r c + (1 - r) H x                          gives h, keeps c

Products of vectors are entry by entry, and on the right of an arrow stands the state of the step before; so does the
SRU's c in both its gates. In this GRU, as in torch's, the reset gate acts after the matrix product; Cho et al. have
W_n x + U_n (r h) there, and z the other way round. H, the SRU's highway, is the identity where x is as wide as the
memory. Products with x are made for all steps of a sequence at once, which in the SRU is all matrix products there are.

Sources: Hochreiter and Schmidhuber (1997), "Long short-term memory", with the forget gate of Gers, Schmidhuber and
Cummins (2000); Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder", section 2.3; Lei et al.
(2018), "Simple recurrent units for highly parallelizable recurrence", equations 1 to 4.
"""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from rltk.agents.deep.memory import Memory, State, check_widths


class Recurrent(Memory):
    """What the three have in common: x is prepared for all steps at once, then one step follows another.

    inputs: F, the width of x. width: M. The state is one (B, M) unless a kind says otherwise. Raises ArgumentError.
    """

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__()
        check_widths(inputs=inputs, width=width)
        self.features_dim = width

    def initial(self, batch: int) -> State:
        """Zeros."""
        return next(self.parameters()).new_zeros(batch, self.features_dim)

    def sequence(self, x: Tensor, state: State, start: Tensor) -> tuple[Tensor, State]:
        """(B, L, F), state, (B, L) -> (B, L, M), state."""
        outs = []
        for prepared, begins in zip(self.prepared(x).unbind(1), start.unbind(1), strict=True):
            out, state = self.advance(prepared, _forgotten(state, begins))
            outs.append(out)
        return torch.stack(outs, dim=1), state

    @abstractmethod
    def prepared(self, x: Tensor) -> Tensor:
        """What of each step depends on x alone: (B, L, F) -> (B, L, P)."""

    @abstractmethod
    def advance(self, prepared: Tensor, state: Any) -> tuple[Tensor, State]:
        """One step from what was prepared of it, (B, P): (B, M) and the next state."""


class LSTM(Recurrent):
    """Long short-term memory. Its state is (h, c), two (B, M)."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__(inputs, width)
        self.from_input = nn.Linear(inputs, 4 * width)  # rows of i, f, g, o
        self.from_hidden = nn.Linear(width, 4 * width, bias=False)

    def initial(self, batch: int) -> State:
        """Zeros."""
        return tuple(self.from_input.weight.new_zeros(2, batch, self.features_dim))

    def prepared(self, x: Tensor) -> Tensor:
        """(B, L, F) -> (B, L, 4M)."""
        gates: Tensor = self.from_input(x)
        return gates

    def advance(self, prepared: Tensor, state: Any) -> tuple[Tensor, State]:
        """(B, 4M), (h, c) -> h, (h, c)."""
        hidden, cell = state
        i, f, g, o = (prepared + self.from_hidden(hidden)).chunk(4, dim=-1)  # (B, M) each
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return hidden, (hidden, cell)


class GRU(Recurrent):
    """The gated recurrent unit. Its state is h."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__(inputs, width)
        self.from_input = nn.Linear(inputs, 3 * width)  # rows of r, z, n
        self.from_hidden = nn.Linear(width, 3 * width)

    def prepared(self, x: Tensor) -> Tensor:
        """(B, L, F) -> (B, L, 3M)."""
        gates: Tensor = self.from_input(x)
        return gates

    def advance(self, prepared: Tensor, state: Any) -> tuple[Tensor, State]:
        """(B, 3M), h -> h, h."""
        r, z, n = prepared.chunk(3, dim=-1)  # (B, M) each
        hidden_r, hidden_z, hidden_n = self.from_hidden(state).chunk(3, dim=-1)
        new = (n + (r + hidden_r).sigmoid() * hidden_n).tanh()
        hidden = torch.lerp(new, state, (z + hidden_z).sigmoid())
        return hidden, hidden


class SRU(Recurrent):
    """The simple recurrent unit. Its state is c."""

    def __init__(self, inputs: int, width: int = 64) -> None:
        super().__init__(inputs, width)
        bound = 1 / math.sqrt(width)
        self.from_input = nn.Linear(inputs, 3 * width, bias=False)  # rows of W, W_f, W_r
        self.from_cell = nn.Parameter(torch.empty(2 * width).uniform_(-bound, bound))  # v_f, v_r
        self.bias = nn.Parameter(torch.zeros(2 * width))  # b_f, b_r
        self.highway = nn.Identity() if inputs == width else nn.Linear(inputs, width, bias=False)

    def prepared(self, x: Tensor) -> Tensor:
        """(B, L, F) -> (B, L, 4M)."""
        return torch.cat([self.highway(x), self.from_input(x)], dim=-1)

    def advance(self, prepared: Tensor, state: Any) -> tuple[Tensor, State]:
        """(B, 4M), c -> h, c."""
        highway, candidate, gates = prepared.tensor_split([self.features_dim, 2 * self.features_dim], dim=-1)
        f, r = (gates + self.from_cell * state.repeat(1, 2) + self.bias).sigmoid().chunk(2, dim=-1)  # (B, M) each
        cell = torch.lerp(candidate, state, f)
        return torch.lerp(highway, cell, r), cell


def _forgotten(state: State, start: Tensor) -> State:
    """`state` with zeros where an episode starts, (B,) bool."""
    if isinstance(state, tuple):
        return tuple(part.masked_fill(start[:, None], 0.0) for part in state)
    return state.masked_fill(start[:, None], 0.0)
