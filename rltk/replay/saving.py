"""Taking up the state of a replay: everything is checked before anything is overwritten."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rltk.errors import ArgumentError
from rltk.replay import storage

RINGS = ("observations", "transitions")


def restored_arrays(
    state: Mapping[str, Any], observations: Mapping[str, Any], transitions: Mapping[str, Any], plain: Mapping[str, Any]
) -> tuple[int, int, int]:
    """Overwrite the arrays of a replay from `state` and return the three counts: shown, written, oldest.

    Raises ArgumentError, with nothing changed, if names, shapes or dtypes differ.
    """
    expected = {*RINGS, "oldest", *plain}
    if state.keys() != expected:
        raise ArgumentError(f"the replay's state holds {sorted(state)}, but {sorted(expected)} was expected; {_MEND}")
    rings = [state[name] for name in RINGS]
    for name, ring, arrays in zip(RINGS, rings, (observations, transitions), strict=True):
        if not hasattr(ring, "arrays") or not hasattr(ring, "written"):
            raise ArgumentError(f"the replay's {name} are a {type(ring).__name__}, but a Ring was expected; {_MEND}")
        _check(ring.arrays, arrays, name)
    _check({name: state[name] for name in plain}, plain, "state")
    for saved, arrays in ((rings[0].arrays, observations), (rings[1].arrays, transitions), (state, plain)):
        for name, array in arrays.items():
            storage.load(array, saved[name])
    return rings[0].written, rings[1].written, int(state["oldest"])


_MEND = "restore it into a replay that was made with the same arguments"


def _check(saved: Mapping[str, Any], arrays: Mapping[str, Any], what: str) -> None:
    found = {name: _description(array) for name, array in saved.items()}
    expected = {name: _description(array) for name, array in arrays.items()}
    if found != expected:
        raise ArgumentError(f"the replay's {what} are {found}, but {expected} was expected; {_MEND}")


def _description(array: Any) -> str:
    dtype = array.dtype if isinstance(array, np.ndarray) else str(array.dtype).removeprefix("torch.")
    return f"{dtype}{list(array.shape)}"
