"""Rows of named arrays: NumPy arrays where the device is the CPU, torch tensors on any other device.

Sizes are known before memory is taken, so that a replay that can't fit is refused with the number.
"""

import os
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch

from rltk.errors import ArgumentError, SizeError, SpaceError

SINGLE = "observation"  # The name of an observation that is no dict.


class Form(NamedTuple):
    """One row of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def bytes(self) -> int:
        """How many bytes a row takes."""
        return prod(self.shape) * self.dtype.itemsize


def forms_of(space: gym.Space) -> dict[str, Form]:
    """The arrays that hold observations of a plain `space`: one of `SINGLE`, or one for each key of a Dict.

    Raises SpaceError at any other space.
    """
    if isinstance(space, gym.spaces.Dict):
        return {name: _form(part, f"observation_space[{name!r}]") for name, part in space.spaces.items()}
    return {SINGLE: _form(space, "observation_space")}


def _form(space: gym.Space, where: str) -> Form:
    plain = gym.spaces.Box | gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary
    if not isinstance(space, plain):
        raise SpaceError(
            f"{where} is {space}, but a replay keeps Box, Discrete, MultiDiscrete, MultiBinary, or one Dict of these; "
            "pass rltk.encoders.Plain(space).space and what its one() and many() make of observations"
        )
    assert space.shape is not None
    return Form(tuple(space.shape), np.dtype(space.dtype))


def zeros(length: int, form: Form, device: torch.device) -> Any:
    """An array on the CPU, else a tensor on `device`: (length, *form.shape), all zero."""
    if on_host(device):
        return np.zeros((length, *form.shape), form.dtype)
    return torch.zeros((length, *form.shape), dtype=getattr(torch, form.dtype.name), device=device)


def on_host(device: torch.device) -> bool:
    """Whether rows live in NumPy arrays, whose single rows are written ten times faster than a tensor's."""
    return device.type == "cpu"


def put(array: Any, rows: np.ndarray, values: Any) -> None:
    """Write `values` (M, ...) into `rows` (M,) of an array or tensor."""
    if isinstance(array, np.ndarray):
        array[rows] = values
    else:
        array[as_index(rows, array.device)] = torch.as_tensor(values, device=array.device).to(array.dtype)


def take(array: Any, rows: Any) -> torch.Tensor:
    """`rows` of an array or tensor, in a tensor of its own where `array` is."""
    if isinstance(array, np.ndarray):
        return torch.from_numpy(array.take(rows, axis=0))
    return array[rows]


def as_index(rows: np.ndarray, device: torch.device) -> torch.Tensor:
    """Rows (M,) as a tensor of int64 on `device`."""
    return torch.from_numpy(np.asarray(rows, np.int64)).to(device)


def index(rows: np.ndarray, device: torch.device) -> Any:
    """Rows (any shape) as what indexes the arrays that live on `device`."""
    return rows if on_host(device) else as_index(rows, device)


def tensor(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """An array as a tensor on `device`."""
    return torch.from_numpy(values).to(device)


def to_numpy(array: Any, copy: bool) -> np.ndarray:
    """An array or tensor as a NumPy array: a copy, or the array itself where it is one and `copy` is False."""
    if isinstance(array, np.ndarray):
        return array.copy() if copy else array
    return array.cpu().numpy()


def load(array: Any, values: np.ndarray) -> None:
    """Overwrite all of an array or tensor."""
    if isinstance(array, np.ndarray):
        array[...] = values
    else:
        array.copy_(torch.from_numpy(values))


def checked_rows(name: str, values: Any, count: int, form: Form) -> Any:
    """`values`, proved to be `count` rows of `form`: an array, or a tensor as it is.

    Raises ArgumentError that calls them `name`.
    """
    rows = values if isinstance(values, torch.Tensor) else np.asarray(values)
    if tuple(rows.shape) != (count, *form.shape):
        raise ArgumentError(
            f"{name} has the shape {tuple(rows.shape)}, but {(count, *form.shape)} was expected: one row for each of "
            f"the {count} environments"
        )
    return rows


def total_bytes(parts: Iterable[tuple[int, Mapping[str, Form]]]) -> int:
    """The size of arrays of so many rows of such forms."""
    return sum(length * form.bytes for length, forms in parts for form in forms.values())


def refuse_if_too_large(needed: int, device: torch.device) -> None:
    """Raise SizeError with the number, where `device` has less memory than that."""
    has = _memory(device)
    if has is not None and needed > has:
        raise SizeError(
            f"the replay would take {needed / 1e9:.1f} GB, and {device} has {has / 1e9:.1f} GB; make capacity smaller, "
            "or the observations (uint8 pictures rather than floats, a smaller picture)"
        )


def _memory(device: torch.device) -> int | None:
    """All the bytes that `device` has; None where it does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    if device.type != "cpu" or not hasattr(os, "sysconf"):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
