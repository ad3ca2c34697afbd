"""A state (nested dicts and lists of arrays and plain values) as strict JSON plus named arrays, and back, bit for bit.

What JSON can't hold is written as a dict with one key that starts with "$":

    {"$array": "/q"}                 the array of that name; names are JSON pointers (RFC 6901), so no two meet
    {"$float": "7ff8000000000000"}   NaN or an infinity: the eight bytes of the double, most significant first
    {"$ring": "/replay"}             the ring of that name (see `rltk.ring`), whose arrays have names of their own
    {"$int": "-1f..."}               an integer too long for decimal digits (Python refuses more than 4300)

A key of the user's that starts with "$" gets one more "$".
"""

import struct
from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from rltk.errors import ArgumentError
from rltk.ring import Ring

DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)
_DEEPEST = 64  # Levels: far beyond any real state, far below Python's recursion limit.
_DECIMAL_BITS = 4096


class Arrays(NamedTuple):
    """What a tree holds that is no JSON, by name; arrays are C-contiguous and little-endian."""

    single: dict[str, np.ndarray]
    rings: dict[str, Ring]


def split(tree: Mapping[str, Any], what: str = "state") -> tuple[dict[str, Any], Arrays]:
    """`tree` as (strict JSON, what is none). `what` names it in errors.

    Takes dict (with str keys), list, str, int, float, bool, None, NumPy scalars (they come back as Python's) and
    arrays of the dtypes in `DTYPES` and rings of such. Raises ArgumentError, naming the place, at anything else.
    """
    if not isinstance(tree, Mapping):
        raise ArgumentError(f"{what} is a {type(tree).__name__}, but a dict was expected")
    arrays = Arrays({}, {})
    return _split(dict(tree), "", arrays, what, 0), arrays


def join(plain: Any, arrays: Arrays) -> dict[str, Any]:
    """The tree that `split` took apart. Raises ValueError at anything that `split` does not write."""
    left = Arrays(dict(arrays.single), dict(arrays.rings))
    tree = _join(plain, left, 0)
    if not isinstance(tree, dict):
        raise ValueError("its top is not an object")
    if left.single or left.rings:
        raise ValueError(f"no value refers to the arrays {sorted([*left.single, *left.rings])}")
    return tree


def _split(value: Any, pointer: str, arrays: Arrays, what: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ArgumentError(f"{what} at {pointer[:80]}... is nested deeper than {_DEEPEST}: does it contain itself?")
    if isinstance(value, np.ndarray):
        arrays.single[pointer] = _plain_array(value, f"{what} at {pointer}")
        return {"$array": pointer}
    if isinstance(value, Ring):
        arrays.rings[pointer] = _plain_ring(value, f"{what} at {pointer}")
        return {"$ring": pointer}
    if isinstance(value, np.generic):
        value = value.item()
    kind = type(value)
    if kind is dict:
        plain = {}
        for key, item in value.items():
            token = _checked_key(key, f"{what} at {pointer or '/'}")
            name = f"{pointer}/{token.replace('~', '~0').replace('/', '~1')}"
            plain[f"${token}" if token.startswith("$") else token] = _split(item, name, arrays, what, depth + 1)
        return plain
    if kind is list:
        return [_split(item, f"{pointer}/{i}", arrays, what, depth + 1) for i, item in enumerate(value)]
    if kind is float and not isfinite(value):
        return {"$float": struct.pack(">d", value).hex()}
    if kind is int and value.bit_length() > _DECIMAL_BITS:
        return {"$int": f"{value:x}"}
    if value is None or kind in (str, int, float, bool):
        return value
    raise ArgumentError(
        f"{what} at {pointer} is a {kind.__module__}.{kind.__qualname__}, but a state holds NumPy arrays, Ring, dict, "
        f"list, str, int, float, bool and None; {_mend(kind)}"
    )


def _mend(kind: type) -> str:
    if issubclass(kind, tuple):
        return "make it a list"
    if kind.__module__.partition(".")[0] == "torch":
        return "make a tensor an array with .detach().cpu().numpy()"
    return "store what it is made of instead"


def _checked_key(key: Any, where: str) -> str:
    if type(key) is not str:
        raise ArgumentError(f"{where} has the key {key!r} of type {type(key).__name__}; make it a str")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"{where} has the key {key!r}, which is no valid Unicode text") from None
    return key


def _plain_array(array: np.ndarray, where: str) -> np.ndarray:
    if type(array) not in (np.ndarray, np.memmap):
        raise ArgumentError(f"{where} is a {type(array).__name__}; make it a plain array with numpy.asarray")
    if array.dtype.name not in DTYPES:
        raise ArgumentError(f"{where} is an array of dtype {array.dtype}, but expected was one of {', '.join(DTYPES)}")
    # Not ascontiguousarray: it gives an array without axes one.
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _plain_ring(ring: Ring, where: str) -> Ring:
    arrays = ring.arrays.items()
    return Ring(
        {_checked_key(key, where): _plain_array(array, f"{where}/{key}") for key, array in arrays}, ring.written
    )


def _join(plain: Any, arrays: Arrays, depth: int) -> Any:
    if depth > _DEEPEST + 1:
        raise ValueError(f"it is nested deeper than {_DEEPEST}")
    if isinstance(plain, list):
        return [_join(item, arrays, depth + 1) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if len(plain) == 1:
        (key, item), *_ = plain.items()
        if key.startswith("$") and not key.startswith("$$"):
            return _special(key, item, arrays)
    tree = {}
    for key, item in plain.items():
        if key.startswith("$") and not key.startswith("$$"):
            raise ValueError(f"it holds the key {key!r} beside others")
        tree[key.removeprefix("$")] = _join(item, arrays, depth + 1)
    return tree


def _special(key: str, item: Any, arrays: Arrays) -> Any:
    if not isinstance(item, str):
        raise ValueError(f"{key} holds {item!r}, but a string was expected")
    if key in ("$array", "$ring"):
        kept: dict[str, Any] = arrays.single if key == "$array" else arrays.rings
        if item not in kept:
            raise ValueError(f"the {key[1:]} {item!r} is missing or referred to twice")
        return kept.pop(item)
    if key == "$float":
        (number,) = struct.unpack(">d", _eight_bytes(item))
        return number
    if key == "$int":
        return int(item, 16)
    raise ValueError(f"the key {key!r} is unknown")


def _eight_bytes(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != 8:
        raise ValueError(f"$float holds {text!r}, but 16 hexadecimal digits were expected")
    return found
