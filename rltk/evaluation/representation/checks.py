"""Features, states and labels are checked once, where they come in."""

from typing import Any

import numpy as np

from rltk.errors import ArgumentError


def checked_features(features: Any, n_states: int | None = None) -> np.ndarray:
    """`features` as (S, F) float64, finite, F at least 1."""
    array = np.asarray(features)
    if array.ndim != 2 or array.dtype.kind not in "biuf" or 0 in array.shape:
        raise ArgumentError(
            f"features are numbers, (S, F), a row a state; found {array.dtype} of shape {array.shape}. "
            "Flatten what has more axes; detach tensors and bring them to the CPU first"
        )
    if n_states is not None and len(array) != n_states:
        raise ArgumentError(f"features have a row for each of {n_states} states; found {len(array)} rows")
    array = array.astype(np.float64)
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        s, f = bad[0]
        raise ArgumentError(
            f"feature {f} of state {s} is {array[s, f]} (of {len(bad):,} such); expected finite numbers"
        )
    return array


def checked_states(states: Any, n_states: int, name: str) -> np.ndarray:
    """`states` as (n,) int64, indices below `n_states`, at least one, none twice."""
    array = np.asarray(states)
    if array.dtype.kind not in "iu" or array.ndim != 1 or array.size == 0:
        raise ArgumentError(
            f"{name} are indices of states, (n,), at least one; found {array.dtype} of shape {array.shape}. "
            "Of a mask: np.flatnonzero(mask)"
        )
    if array.min() < 0 or array.max() >= n_states:
        raise ArgumentError(f"{name} are indices from 0 to {n_states - 1}; found {array.min()} to {array.max()}")
    if np.unique(array).size < array.size:
        raise ArgumentError(f"{name} hold some state twice; give np.unique of them")
    return array.astype(np.int64)


def checked_labels(labels: Any, n_states: int, name: str = "labels") -> np.ndarray:
    """`labels` as (S,) int64."""
    array = np.asarray(labels)
    if array.shape != (n_states,) or array.dtype.kind not in "biu":
        raise ArgumentError(
            f"{name}: a whole number for each of {n_states} states; found {array.dtype} of shape {array.shape}"
        )
    return array.astype(np.int64)
