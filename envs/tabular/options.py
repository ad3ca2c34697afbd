"""Checks of the options that worlds take: each gives the value back, or an ArgumentError that names it."""

import math
from typing import Any

import numpy as np

from rltk.errors import ArgumentError


def check_integer(name: str, value: Any, least: int) -> int:
    """`value` as an int of at least `least`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name}: an integer, at least {least}; found {value!r}")
    return int(value)


def check_number(name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> float:
    """`value` as a finite float from `low` to `high`, both included."""
    number = not isinstance(value, bool | np.bool_) and isinstance(value, int | float | np.integer | np.floating)
    try:
        found = float(value) if number else math.nan
    except OverflowError:
        found = math.inf
    if not math.isfinite(found) or not low <= found <= high:
        limits = "" if np.isinf(low) and np.isinf(high) else f" from {low:g} to {high:g}"
        raise ArgumentError(f"{name}: a finite number{limits}; found {value!r}")
    return found


def check_flag(name: str, value: Any) -> bool:
    """`value` as a bool."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name}: True or False; found {value!r}")
    return bool(value)
