"""Encoder and decoder: N places are read, and m learnt queries are answered from them.

    memory = encoder(tokens)  (B, N, D);     answers = decoder(queries, memory)  (B, m, D)

What comes out is m places, however many went in; the queries learn what is worth asking. "encoder-decoder" is the
Transformer's, "seq2seq" the recurrent one with attention. Both decoders also serve by themselves: an objective that
guesses N places gives N queries.

Sources: Vaswani et al. (2017), figure 1; Carion et al. (2020), "End-to-end object detection with transformers",
section 3.2, for learnt queries; Bahdanau, Cho and Bengio (2015), see `rltk.encoders.seq2seq`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rltk.encoders.attention import Decoder
from rltk.encoders.options import sizes
from rltk.encoders.parts import Shape
from rltk.encoders.seq2seq import BothWays, RecurrentDecoder
from rltk.encoders.trunks.transformer import Transformer
from rltk.encoders.trunks.trunk import Trunk, one_width, places_of


class EncoderDecoder(Transformer):
    """The trunk "encoder-decoder". queries: m. layers: of the encoder and of the decoder, each. heads and positions:
    as in "transformer". Raises ArgumentError."""

    readout = "flatten"
    keeps_places = False

    def __init__(
        self,
        shapes: Sequence[Shape],
        queries: int = 8,
        layers: int = 1,
        heads: int = 4,
        positions: str = "sinusoidal",
    ) -> None:
        super().__init__(shapes, layers, heads, positions)
        width = self.shapes[0].width
        self.queries = _learnt(queries, width)
        self.decoder = Decoder(width, layers=layers, heads=heads)
        self.shapes = [Shape(queries, width)]

    def forward(self, tensors: Any) -> list[Tensor]:
        """Whatever the stem gives, N places in all -> [(B, m, width)]."""
        (memory,) = super().forward(tensors)
        return [self.decoder(self.queries.expand(len(memory), -1, -1), memory)]

    def config(self) -> dict[str, Any]:
        return {"queries": len(self.queries), **super().config()}


class SequenceToSequence(Trunk):
    """The trunk "seq2seq". queries: m. width: of the states, each way. Raises ArgumentError and SpaceError."""

    needs = "sequence"
    keeps_places = False

    def __init__(self, shapes: Sequence[Shape], queries: int = 8, width: int = 64) -> None:
        super().__init__(shapes)
        self.encoder = BothWays(one_width(self, shapes), width, places=sum(shape.places for shape in shapes))
        self.queries = _learnt(queries, width)
        self.decoder = RecurrentDecoder(width, 2 * width)
        self.shapes = [Shape(queries, width)]

    def forward(self, tensors: Any) -> list[Tensor]:
        """Whatever the stem gives, N places in all -> [(B, m, width)]."""
        memory = self.encoder(places_of(tensors))
        return [self.decoder(self.queries.expand(len(memory), -1, -1), memory)]

    def config(self) -> dict[str, Any]:
        return {"queries": len(self.queries), "width": self.decoder.width}


def _learnt(queries: int, width: int) -> nn.Parameter:
    """(m, width), of variance 1 as what a norm gives: as large as what the attention adds to them."""
    sizes(queries=queries, width=width)
    return nn.Parameter(torch.randn(queries, width))
