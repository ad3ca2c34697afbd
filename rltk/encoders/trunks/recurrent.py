"""Recurrent networks over the places of an observation, one after the other; boards row by row.

    h_i = f(x_i, h_(i-1)),   i = 1 ... N

`rltk.encoders.recurrence` has f for each, and says how gates are set to keep for up to N places: the readout "last"
asks of the last state what the first place held.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from rltk.encoders.parts import Shape
from rltk.encoders.recurrence import GRU, LSTM, SRU, Elman, Recurrence
from rltk.encoders.trunks.trunk import Trunk, one_width, places_of


class OverPlaces(Trunk):
    """`cells` over all places as one sequence. width: of a state. Raises ArgumentError and SpaceError."""

    needs = "sequence"
    readout = "last"
    kind: ClassVar[type[Recurrence]]

    def __init__(self, shapes: Sequence[Shape], width: int = 64) -> None:
        super().__init__(shapes)
        places = sum(shape.places for shape in shapes)
        make: Any = self.kind
        self.cells: Recurrence = make(one_width(self, shapes), width)
        self.cells.remember(places)
        self.shapes = [Shape(places, width)]

    def forward(self, tensors: list[Tensor]) -> list[Tensor]:
        """Whatever the stem gives, N places in all -> [(B, N, width)]."""
        x = places_of(tensors)
        return [self.cells.sequence(x, self.cells.initial(len(x)))[0]]

    def config(self) -> dict[str, Any]:
        return {"width": self.cells.features_dim}


class RNNTrunk(OverPlaces):
    """The trunk "rnn", Elman's network."""

    kind = Elman


class LSTMTrunk(OverPlaces):
    """The trunk "lstm"."""

    kind = LSTM


class GRUTrunk(OverPlaces):
    """The trunk "gru"."""

    kind = GRU


class SRUTrunk(OverPlaces):
    """The trunk "sru"."""

    kind = SRU
