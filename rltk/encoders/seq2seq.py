"""Sequence to sequence with attention: a recurrent encoder, and a recurrent decoder that looks where it wants.

    h_j = [forward state at j, backward state at j]                                      the encoder's annotations
    e_ij = v . tanh(W s_(i-1) + U h_j);   a_i = softmax(e_i);   c_i = sum_j a_ij h_j     what the i-th step looks at
    s_i = GRU([y_i, c_i], s_(i-1));   s_0 = tanh(W_0 h_1)

y_i is the query of step i: in translation the word before, here whatever is asked. The decoder gives s_i. The original
begins with the backward state at 1 alone, which has read everything; h_1 holds it.

Source: Bahdanau, Cho and Bengio (2015), "Neural machine translation by jointly learning to align and translate",
sections 3.1 and 3.2 and appendix A.
"""

import torch
from torch import Tensor, nn

from rltk.encoders.options import sizes
from rltk.encoders.recurrence import GRU


class BothWays(nn.Module):
    """The encoder: a GRU from the first place to the last and one back. places: how long sequences are."""

    def __init__(self, inputs: int, width: int, *, places: int) -> None:
        super().__init__()
        self.there, self.back = GRU(inputs, width), GRU(inputs, width)
        self.there.remember(places)
        self.back.remember(places)

    def forward(self, x: Tensor) -> Tensor:
        """(B, n, inputs) -> (B, n, 2 width)."""
        start = self.there.initial(len(x))
        there, _ = self.there.sequence(x, start)
        back, _ = self.back.sequence(x.flip(1), start)
        return torch.cat([there, back.flip(1)], dim=2)


class RecurrentDecoder(nn.Module):
    """The decoder. width: M, of queries and answers. memory_width: E, of what it looks at. Raises ArgumentError."""

    def __init__(self, width: int, memory_width: int) -> None:
        super().__init__()
        sizes(width=width, memory_width=memory_width)
        self.width = width
        self.begin = nn.Linear(memory_width, width)  # W_0
        self.of_state = nn.Linear(width, width, bias=False)  # W
        self.of_memory = nn.Linear(memory_width, width, bias=False)  # U
        self.score = nn.Linear(width, 1, bias=False)  # v
        self.cell = nn.GRUCell(width + memory_width, width)

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        """queries (B, m, M), memory (B, n, E) -> (B, m, M)."""
        keys = self.of_memory(memory)  # (B, n, M)
        state = self.begin(memory[:, 0]).tanh()
        states = []
        for query in queries.unbind(1):
            context = self.looked_at(state, keys, memory)
            state = self.cell(torch.cat([query, context], dim=1), state)
            states.append(state)
        return torch.stack(states, dim=1)

    def looked_at(self, state: Tensor, keys: Tensor, memory: Tensor) -> Tensor:
        """c of state (B, M), with keys = U memory -> (B, E)."""
        scores = self.score((self.of_state(state)[:, None] + keys).tanh())  # (B, n, 1)
        return (scores.softmax(1) * memory).sum(1)
