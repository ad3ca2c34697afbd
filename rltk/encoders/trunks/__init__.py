"""The trunks by name."""

from rltk.encoders.trunks.convolutions import Convolutions
from rltk.encoders.trunks.perceptron import LinearTrunk, Perceptron
from rltk.encoders.trunks.trunk import Trunk

TRUNKS: dict[str, type[Trunk]] = {
    "linear": LinearTrunk,
    "mlp": Perceptron,
    "cnn": Convolutions,
}

__all__ = ["TRUNKS", "Trunk"]
