"""Whether states that behave alike lie near each other: features against exact bisimulation.

    e(s, t) = |phi(s) - phi(t)|,   scale = argmin_c sum (c e - d)^2,   error = mean |scale e - d| / mean d

over pairs of states, d the bisimulation metric; and Spearman's correlation of e with d, which no scale changes. The
exact classes are held against clusters of the features, as many, by the adjusted Rand index:

    ARI = (N - E) / ((P + Q) / 2 - E),   E = P Q / all pairs

N pairs are together in both partitions, P in the one, Q in the other: 1 where they are the same, 0 by chance.

Source: Hubert and Arabie (1985), "Comparing partitions"; Arthur and Vassilvitskii (2007), "k-means++".
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from rltk.errors import ArgumentError
from rltk.evaluation.representation.checks import checked_features, checked_labels

_BATCH = 4096  # states whose distances to all centres are held at a time


class DistanceAgreement(NamedTuple):
    """scale: of Euclidean distances, so that they fit best. error: as a share of the mean distance. spearman: of the
    ranks. Each is nan where nothing varies."""

    scale: float
    error: float
    spearman: float


def distance_agreement(features: Any, distance: Any, *, pairs: int = 200_000, seed: int = 0) -> DistanceAgreement:
    """How well Euclidean distances between `features` (S, F) agree with `distance` (S, S). pairs: how many are looked
    at; drawn with `seed` where there are more."""
    features = checked_features(features)
    distance = np.asarray(distance)
    n = len(features)
    if distance.shape != (n, n):
        raise ArgumentError(f"distances between {n} states are ({n}, {n}); found {distance.shape}")
    if n * (n - 1) // 2 <= pairs:
        s, t = np.triu_indices(n, k=1)
    else:
        stream = np.random.default_rng(seed)
        s = stream.integers(n, size=pairs)
        t = (s + stream.integers(1, n, size=pairs)) % n  # never s itself
    d = distance[s, t].astype(np.float64)
    e = np.concatenate(
        [
            np.linalg.norm(features[s[i : i + _BATCH]] - features[t[i : i + _BATCH]], axis=1)
            for i in range(0, s.size, _BATCH)
        ]
        or [np.zeros(0)]
    )
    if not d.any() or not e.any():
        return DistanceAgreement(0.0 if d.any() else np.nan, 1.0 if d.any() else np.nan, np.nan)
    scale = float(e @ d / (e @ e))
    return DistanceAgreement(
        scale, float(np.abs(scale * e - d).mean() / d.mean()), _correlation(rankdata(e), rankdata(d))
    )


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else np.nan


def k_means(features: Any, k: int, *, seed: int = 0, sweeps: int = 100) -> np.ndarray:
    """(S,) int64: `features` (S, F) in at most `k` clusters by Lloyd's sweeps from k-means++'s centres; the same seed,
    the same clusters. A cluster that loses all its members keeps its centre."""
    features = checked_features(features)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= len(features):
        raise ArgumentError(f"k is a number of clusters, 1 to {len(features)}, the states; it is {k!r}")
    centres = _begun(features, int(k), np.random.default_rng(seed))
    label = np.full(len(features), -1)
    for _ in range(sweeps):
        nearest = _nearest(features, centres)
        if (nearest == label).all():
            break
        label = nearest
        order = np.argsort(label, kind="stable")
        kept, begin = np.unique(label[order], return_index=True)
        centres[kept] = np.add.reduceat(features[order], begin) / np.diff([*begin, len(order)])[:, None]
    return label.astype(np.int64)


def _begun(features: np.ndarray, k: int, stream: np.random.Generator) -> np.ndarray:
    """(k, F) centres: each a state, drawn in proportion to its squared distance to the nearest one drawn so far."""
    chosen = [int(stream.integers(len(features)))]
    away = ((features - features[chosen[0]]) ** 2).sum(axis=1)
    for u in stream.random(k - 1):
        sums = np.cumsum(away)
        # Where fewer states differ than clusters are asked for, the rest of the centres repeat and stay empty.
        chosen.append(min(int(np.searchsorted(sums, u * sums[-1], side="right")), len(features) - 1))
        away = np.minimum(away, ((features - features[chosen[-1]]) ** 2).sum(axis=1))
    return features[chosen].copy()


def _nearest(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(S,) the nearest of `centres` (k, F) to each state, the first of those that tie."""
    size = (centres**2).sum(axis=1)
    parts = range(0, len(features), _BATCH)
    return np.concatenate([(size - 2 * features[i : i + _BATCH] @ centres.T).argmin(axis=1) for i in parts])


def adjusted_rand_index(first: Any, second: Any) -> float:
    """How far two partitions, (S,) whole numbers each, agree: 1 where they are the same, about 0 by chance."""
    first = checked_labels(first, np.size(first), "first")
    second = checked_labels(second, first.size, "second")
    one, other = (np.unique(labels, return_inverse=True)[1].reshape(-1) for labels in (first, second))
    both = one * (other.max() + 1) + other
    together, P, Q = (_pairs(np.unique(labels, return_counts=True)[1]) for labels in (both, one, other))
    every = _pairs(np.array([first.size]))
    chance = P * Q / every if every else 0.0
    most = (P + Q) / 2
    return 1.0 if most == chance else (together - chance) / (most - chance)


def _pairs(counts: np.ndarray) -> float:
    return float((counts * (counts - 1.0) / 2).sum())
