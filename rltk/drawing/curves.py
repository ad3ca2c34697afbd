"""Many seeds as one line and a band: the interquartile mean and its bootstrap interval.

The interquartile mean is the mean of the middle half of the seeds, the seeds at its two edges counting in part; few
outliers move it less than the mean, and it uses more of the data than the median (Agarwal et al., 2021, "Deep
reinforcement learning at the edge of the statistical precipice"). The interval resamples seeds with replacement and
takes the 2.5th and 97.5th percentile.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rltk.errors import ArgumentError, SizeError

_RESAMPLES = 1_000


def interquartile_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the middle half along the first axis: (seeds, ...) -> (...)."""
    seeds = len(values)
    ranks = np.arange(seeds)
    # How much of each rank's share [rank, rank + 1) lies between the quartiles, in units of seeds.
    weight = np.clip(np.minimum(ranks + 1, 0.75 * seeds) - np.maximum(ranks, 0.25 * seeds), 0, 1)
    return np.tensordot(weight / weight.sum(), np.sort(values, axis=0), axes=1)


def band(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the line, low and high, each (n,), of values (seeds, n); one seed's band has no width.

    The resampling has its own fixed stream, so the same values give the same picture.
    """
    middle = interquartile_mean(values)
    if len(values) == 1:
        return middle, middle, middle
    draws = np.random.default_rng(0).integers(len(values), size=(_RESAMPLES, len(values)))
    means = np.stack([interquartile_mean(values[draw]) for draw in draws])  # (resamples, n)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return middle, low, high


def checked(name: str, steps: ArrayLike, values: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return steps (n,) and values (seeds, n), or raise ArgumentError or SizeError that names the curve."""
    across, up = np.asarray(steps), np.asarray(values, dtype=float)
    if across.ndim != 1 or across.size == 0:
        raise SizeError(f"curve {name!r}: steps as (n,) with n of at least 1, found the shape {across.shape}")
    if up.ndim not in (1, 2) or up.shape[-1] != len(across) or up.size == 0:
        raise SizeError(
            f"curve {name!r}: values as ({len(across)},) or (seeds, {len(across)}) like its steps, found {up.shape}"
        )
    up = np.atleast_2d(up)
    if np.isnan(up).any():
        seed, point = np.argwhere(np.isnan(up))[0]
        raise ArgumentError(f"curve {name!r}: seed {seed} is not a number at point {point}; leave that point out")
    return across, up


def seeds_said(counts: Sequence[int]) -> str:
    """Return the caption's words about how many seeds there are and what line and band are."""
    if max(counts) == 1:
        return "one seed a curve" if len(counts) > 1 else "one seed"
    seeds = str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    return f"line: interquartile mean of {seeds} seeds; band: its 95% bootstrap interval"
