"""Checks of arguments that several modules of this room share."""

from operator import index
from typing import Any

import numpy as np

from rltk.errors import ArgumentError


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
