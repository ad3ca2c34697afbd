"""Checks of arguments that learners and the modules of this room share: numbers, rates, choices, masks."""

import math
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from rltk.errors import ArgumentError

Rate = float | Callable[[int], float]  # a number or a schedule

_MOST = 2**63 - 1


def whole(name: str, value: Any, least: int = 0) -> int:
    """`value` as an int of at least `least`; NumPy's integers are taken, bool and float are not.

    Raises ArgumentError that calls the value `name`.
    """
    try:
        number = least - 1 if isinstance(value, bool | np.bool_) else index(value)
    except TypeError:
        number = least - 1
    if number < least:
        raise ArgumentError(
            f"{name} is {value!r} of type {type(value).__name__}, but an integer of at least {least} was expected"
        )
    return number


def checked_rate(
    name: str, rate: float | Callable[[int], float], highest: float = 1.0
) -> float | Callable[[int], float]:
    """`rate` as a finite float in [0, highest] or a schedule, or an ArgumentError that names it."""
    return rate if callable(rate) else checked_number(name, rate, highest, " or a schedule, a callable of the timestep")


def checked_number(name: str, value: Any, highest: float = 1.0, otherwise: str = "") -> float:
    """`value` as a finite float in [0, highest], or an ArgumentError that names it and what else would do."""
    number = _as_float(value)
    if not 0 <= number <= highest or math.isinf(number):
        within = f"a number in [0, {highest:g}]" if np.isfinite(highest) else "a number, at least 0"
        raise ArgumentError(f"{name} is {within}{otherwise}; it is {value!r}")
    return number


def checked_finite(name: str, value: Any) -> float:
    """`value` as a finite float, or an ArgumentError that names it."""
    number = _as_float(value)
    if not math.isfinite(number):
        raise ArgumentError(f"{name} is a finite number; it is {value!r}")
    return number


def _as_float(value: Any) -> float:
    """Not finite where `value` is no real number that a float holds."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    try:
        return float(value) if real else math.nan
    except OverflowError:
        return math.inf


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """`value` as a whole number from `least` to what 64 bits hold, or an ArgumentError that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name} is a whole number, at least {least}; it is {value!r}")
    if value > _MOST:
        raise ArgumentError(f"{name} is a whole number, at most {_MOST}; it is larger")
    return int(value)


def checked_flag(name: str, value: Any) -> bool:
    """`value` as a bool, or an ArgumentError that names it."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name} is True or False; it is {value!r}")
    return bool(value)


def checked_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value` as one of `choices`, or an ArgumentError that names it and them."""
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"{name} is one of {', '.join(choices)}; it is {value!r}")
    return str(value)


def masked(values: np.ndarray, mask: Any) -> np.ndarray:
    """`values` (N, A), -inf where `mask` forbids: (N, A) or (A,) bool or 0 and 1; as they are where it is None.

    Raises ArgumentError for a mask of another shape or kind, and where it leaves a row without any action.
    """
    if mask is None:
        return values
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf" or array.shape not in (values.shape, values.shape[1:]):
        raise ArgumentError(
            f"mask: {values.shape} bool, which actions can be taken in each observation, or {values.shape[1:]} in all "
            f"of them; found {array.dtype} of shape {array.shape}"
        )
    left = np.where(array.astype(bool), values, -np.inf)
    stuck = np.flatnonzero((left == -np.inf).all(axis=1))
    if stuck.size:
        raise ArgumentError(f"mask: it leaves no action of those that are available in observation {stuck[0]} of these")
    return left
