"""A plain observation space as JSON, and back: what a file of weights says about the observations that they are for.

    {"space": "Discrete", "n": 5, "start": 0}
    {"space": "MultiDiscrete", "nvec": [2, 3], "start": [0, 0]}
    {"space": "MultiBinary", "n": 4}
    {"space": "Box", "shape": [64, 64, 3], "dtype": "uint8", "low": [[[0]]], "high": [[[255]]]}
    {"space": "Dict", "parts": [["image", {...}], ["mission", {...}]]}

Bounds that are equal along an axis are written once for that axis. An infinity is "inf" or "-inf", which JSON lacks.
"""

import math
from typing import Any

import numpy as np
from gymnasium import spaces

_TYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)
_MOST_NUMBERS = 2**28  # of one observation: a damaged or hostile file does not make us take all memory


def described(space: spaces.Space[Any]) -> dict[str, Any]:
    """`space`, a plain one, as JSON. Raises TypeError for what is not plain."""
    if isinstance(space, spaces.Dict):
        return {"space": "Dict", "parts": [[name, described(part)] for name, part in space.spaces.items()]}
    if isinstance(space, spaces.Discrete):
        return {"space": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"space": "MultiDiscrete", "nvec": space.nvec.tolist(), "start": space.start.tolist()}
    if isinstance(space, spaces.MultiBinary):
        return {"space": "MultiBinary", "n": int(space.n) if isinstance(space.n, int) else list(space.shape)}
    if isinstance(space, spaces.Box):
        low, high = _written(space.low), _written(space.high)
        return {"space": "Box", "shape": list(space.shape), "dtype": str(space.dtype), "low": low, "high": high}
    raise TypeError(f"{space} is not plain")


def space_of(plain: Any) -> spaces.Space[Any]:
    """The space that `described` wrote. Raises ValueError at anything that it does not write."""
    try:
        return _space_of(plain)
    except (TypeError, ValueError, LookupError, AssertionError, OverflowError) as error:
        raise ValueError(f"it describes no space: {type(error).__name__}: {error}") from None


def _space_of(plain: dict[str, Any]) -> spaces.Space[Any]:
    kind = plain["space"]
    if kind == "Dict":
        # As a list of pairs: from a dict, Gymnasium would sort them.
        parts = [(name, _space_of(part)) for name, part in plain["parts"] if isinstance(name, str)]
        return spaces.Dict(parts)
    if kind == "Discrete":
        return spaces.Discrete(int(plain["n"]), start=int(plain["start"]))
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(np.array(plain["nvec"], np.int64), start=np.array(plain["start"], np.int64))
    if kind == "MultiBinary":
        return spaces.MultiBinary(plain["n"] if type(plain["n"]) is int else _shape(plain["n"]))
    if kind == "Box" and plain["dtype"] in _TYPES:
        shape, dtype = _shape(plain["shape"]), np.dtype(plain["dtype"])
        low, high = (_read(plain[name], shape, dtype) for name in ("low", "high"))
        return spaces.Box(low, high, shape, dtype.type)
    raise ValueError(f"{kind!r}, {plain.get('dtype')!r}")


def _shape(sides: Any) -> tuple[int, ...]:
    shape = tuple(sides)
    if any(type(side) is not int or side < 0 for side in shape) or math.prod(shape) > _MOST_NUMBERS:
        raise ValueError(f"the shape {shape}")
    return shape


def _written(bounds: np.ndarray) -> Any:
    for axis in range(bounds.ndim):
        first = bounds.take([0], axis) if bounds.shape[axis] else bounds
        if np.array_equal(np.broadcast_to(first, bounds.shape), bounds):
            bounds = first
    return _listed(bounds.tolist())


def _listed(value: Any) -> Any:
    if isinstance(value, list):
        return [_listed(one) for one in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _read(bounds: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    found = np.array(_unlisted(bounds), dtype)
    return np.broadcast_to(found, shape).copy()


def _unlisted(value: Any) -> Any:
    if isinstance(value, list):
        return [_unlisted(one) for one in value]
    if value in ("inf", "-inf"):
        return float(value)
    if type(value) not in (int, float, bool):
        raise ValueError(f"the bound {value!r}")
    return value
