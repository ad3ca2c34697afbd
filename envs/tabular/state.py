"""Checks of what `set_state` is given: arrays that a person may have edited, or read from a file."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rltk.errors import ArgumentError


def checked_state(state: Any, dtypes: Mapping[str, type], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """`state` as a dict of new arrays of these dtypes and shapes; ArgumentError names the entry that is wrong."""
    if not isinstance(state, Mapping) or set(state) != set(shapes):
        found = sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
        raise ArgumentError(f"state: what get_state() gave, a dict with {', '.join(shapes)}; found {found}")
    out: dict[str, Any] = {}
    for name, shape in shapes.items():
        array = np.asarray(state[name])
        right_kind = array.dtype == bool if dtypes[name] is bool else np.issubdtype(array.dtype, np.integer)
        if array.shape != shape or not right_kind:
            raise ArgumentError(
                f"state[{name!r}]: an array of {dtypes[name].__name__} of shape {shape}; "
                f"found {array.dtype} of shape {array.shape}"
            )
        out[name] = array.astype(dtypes[name])
    return out


def check_range(name: str, array: Any, low: int, high: int | None) -> None:
    """Raise ArgumentError unless every entry is at least `low` and below `high`."""
    if (array < low).any() or (high is not None and (array >= high).any()):
        expected = f"at least {low}" if high is None else f"from {low} to {high - 1}"
        raise ArgumentError(f"state[{name!r}]: numbers {expected}; found {np.array(array).tolist()}")


def check_stream(stream: Any) -> None:
    """Raise ArgumentError unless (..., 6) uint64 can be the words of PCG64 generators."""
    words = stream.reshape(-1, 6)
    if not (words[:, 3] & np.uint64(1)).all() or (words[:, 4] > 1).any() or (words[:, 5] >> np.uint64(32)).any():
        raise ArgumentError(
            "state['stream']: these six words are no PCG64 stream (an odd increment, a flag of 0 or 1, a 32-bit half); "
            "take them from get_state() or rltk.mdp.stream_of"
        )
