"""Encoders: from any observation space to features, in torch.

Names are loaded when they are first used, so `import rltk.encoders` does not read torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltk.encoders.choosing import ENCODERS, config_of, encoder_from, encoder_of
    from rltk.encoders.cnn import CNN
    from rltk.encoders.encoder import Encoder
    from rltk.encoders.flat import Flat
    from rltk.encoders.mlp import ACTIVATIONS, MLP
    from rltk.encoders.plain import Plain, PlainObservations, hashed_words
    from rltk.encoders.planes import Planes, has_layout, is_picture

_HOMES = {
    "ACTIVATIONS": "mlp",
    "CNN": "cnn",
    "ENCODERS": "choosing",
    "Encoder": "encoder",
    "Flat": "flat",
    "MLP": "mlp",
    "Plain": "plain",
    "PlainObservations": "plain",
    "Planes": "planes",
    "config_of": "choosing",
    "encoder_from": "choosing",
    "encoder_of": "choosing",
    "has_layout": "planes",
    "hashed_words": "plain",
    "is_picture": "planes",
}

__all__ = [
    "ACTIVATIONS",
    "CNN",
    "ENCODERS",
    "MLP",
    "Encoder",
    "Flat",
    "Plain",
    "PlainObservations",
    "Planes",
    "config_of",
    "encoder_from",
    "encoder_of",
    "has_layout",
    "hashed_words",
    "is_picture",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltk.encoders' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"rltk.encoders.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
