"""Encoders: from any observation space to features, in torch.

Names are loaded when they are first used, so `import rltk.encoders` does not read torch.
"""

from typing import TYPE_CHECKING

from rltk.lazy import lazily

if TYPE_CHECKING:
    from rltk.encoders.attention import Decoder, sinusoidal
    from rltk.encoders.choosing import config_of, encoder_from, encoder_of
    from rltk.encoders.encoder import STEMS, Encoder
    from rltk.encoders.flat import Flat
    from rltk.encoders.frozen import feature_table
    from rltk.encoders.likelihood import Likelihood
    from rltk.encoders.observing import EncodeObservation, EncodeVectorObservation
    from rltk.encoders.parts import Part, Shape, exchanged, parts_of
    from rltk.encoders.plain import Plain, PlainObservations, hashed_words
    from rltk.encoders.planes import Planes, has_layout, is_picture
    from rltk.encoders.readout import READOUTS
    from rltk.encoders.saving import load_encoder, save_encoder
    from rltk.encoders.seq2seq import RecurrentDecoder
    from rltk.encoders.trunks import TRUNKS, Trunk

_HOMES = {
    "Decoder": "attention",
    "EncodeObservation": "observing",
    "EncodeVectorObservation": "observing",
    "Encoder": "encoder",
    "Flat": "flat",
    "Likelihood": "likelihood",
    "Part": "parts",
    "Plain": "plain",
    "PlainObservations": "plain",
    "Planes": "planes",
    "READOUTS": "readout",
    "RecurrentDecoder": "seq2seq",
    "STEMS": "encoder",
    "Shape": "parts",
    "TRUNKS": "trunks",
    "Trunk": "trunks",
    "config_of": "choosing",
    "encoder_from": "choosing",
    "encoder_of": "choosing",
    "exchanged": "parts",
    "feature_table": "frozen",
    "has_layout": "planes",
    "hashed_words": "plain",
    "is_picture": "planes",
    "load_encoder": "saving",
    "parts_of": "parts",
    "save_encoder": "saving",
    "sinusoidal": "attention",
    "sb3_kwargs": "sb3",
}

__all__ = [
    "READOUTS",
    "STEMS",
    "TRUNKS",
    "Decoder",
    "EncodeObservation",
    "EncodeVectorObservation",
    "Encoder",
    "Flat",
    "Likelihood",
    "Part",
    "Plain",
    "PlainObservations",
    "Planes",
    "RecurrentDecoder",
    "Shape",
    "Trunk",
    "config_of",
    "encoder_from",
    "encoder_of",
    "exchanged",
    "feature_table",
    "has_layout",
    "hashed_words",
    "is_picture",
    "load_encoder",
    "parts_of",
    "save_encoder",
    "sb3_kwargs",
    "sinusoidal",
]

__getattr__, __dir__ = lazily(__name__, _HOMES)
