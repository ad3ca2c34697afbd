"""Linear probes: what a straight line reads off features, in closed form.

    min over W, b of   sum_i |y_i - b - W' x_i|^2 + penalty |W|^2

on standardised features x; dimensions that never change are left out. With the singular values s and left vectors U of
the centred features, fitted = mean(y) + sum_k u_k f_k u_k' y with f_k = s_k^2 / (s_k^2 + penalty): directions whose
singular value is rounding are left out too, so that features of any rank will do. The penalty is the one with the least
generalised cross-validation, which no rotation of the rows changes:

    GCV = n |y - fitted|^2 / (n - 1 - sum_k f_k)^2

Source: Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, sections 3.4.1 and 7.10; Golub,
Heath and Wahba (1979), "Generalized cross-validation as a method for choosing a good ridge parameter".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rltk.errors import ArgumentError
from rltk.evaluation.representation.checks import checked_features

PENALTIES = 10.0 ** np.arange(-10, 1.5, 0.5)  # as shares of the largest squared singular value
STILL = 1e-6  # a dimension whose deviation is below this share of its size does not change
ROUNDING = 1e-9  # of the largest: singular values and deviations of targets below it are rounding


@dataclass(frozen=True, eq=False)
class Standard:
    """Features to mean 0 and deviation 1, as measured on some states; those that never change there are left out."""

    mean: np.ndarray  # (F,)
    deviation: np.ndarray  # (F,)
    alive: np.ndarray  # (F,) bool

    @classmethod
    def of(cls, features: np.ndarray) -> "Standard":
        """Measured on `features` (n, F)."""
        deviation = features.std(axis=0)
        return cls(features.mean(axis=0), deviation, deviation > STILL * np.abs(features).max(axis=0))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(N, F), F' of them alive -> (N, F')."""
        kept = self.alive
        return (features[:, kept] - self.mean[kept]) / self.deviation[kept]


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """y = intercept + weights' x on standardised features. weights: (F', K) of the dimensions that are alive."""

    standard: Standard
    weights: np.ndarray
    intercept: np.ndarray  # (K,)
    penalty: float

    def predict(self, features: Any) -> np.ndarray:
        """(N, F) -> (N, K)."""
        return self.intercept + self.standard(checked_features(features)) @ self.weights


def ridge(features: Any, targets: Any) -> LinearProbe:
    """The probe from `features` (n, F) to `targets` (n, K) whose penalty has the least generalised cross-validation."""
    return _fitted(features, targets, _least_gcv)


def least_squares(features: Any, targets: Any) -> LinearProbe:
    """The probe without a penalty; of several that fit alike, the one with the least weights."""
    return _fitted(features, targets, lambda s, projected, rest, n: 0.0)


def _fitted(features: Any, targets: Any, penalty_of: Callable[..., float]) -> LinearProbe:
    features, targets = checked_features(features), np.asarray(targets, dtype=np.float64)
    if targets.ndim != 2 or len(targets) != len(features) or not np.isfinite(targets).all():
        raise ArgumentError(
            f"targets are finite numbers, (n, K), for features (n, F); found {targets.shape} for {features.shape}"
        )
    standard, intercept = Standard.of(features), targets.mean(axis=0)
    U, s, Vt = decomposed(standard(features), ROUNDING)
    centred = targets - intercept
    projected = U.T @ centred  # (r, K)
    # What no direction explains: the squares by themselves, as a difference of squares would be rounding.
    rest = float(((centred - U @ projected) ** 2).sum())
    penalty = penalty_of(s, (projected**2).sum(axis=1), rest, len(features)) if s.size else 0.0
    weights = Vt.T @ ((s / (s**2 + penalty))[:, None] * projected)
    return LinearProbe(standard, weights, intercept, penalty)


def decomposed(matrix: np.ndarray, cut: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(U (n, r), s (r,), Vt (r, F)) of `matrix` (n, F), without singular values below `cut` times the largest."""
    U, s, Vt = np.linalg.svd(matrix, full_matrices=False)
    r = int((s > max(cut, max(matrix.shape) * np.finfo(float).eps) * s.max(initial=0.0)).sum())
    return U[:, :r], s[:r], Vt[:r]


def _least_gcv(s: np.ndarray, projected: np.ndarray, rest: float, n: int) -> float:
    """The penalty to take. `projected` (r,): squares of the targets along each direction; `rest`: along none."""
    penalties = PENALTIES * s[0] ** 2
    f = s**2 / (s**2 + penalties[:, None])  # (P, r)
    free = n - 1 - f.sum(axis=1)
    error = rest + (1 - f) ** 2 @ projected
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where(free > 1e-3 * n, n * error / free**2, np.inf)  # as good as interpolated: says nothing
    if np.isinf(score).all():
        return float(penalties[-1])
    return float(penalties[np.argmax(score <= score.min() * (1 + 1e-9))])  # the smallest of those that tie


def r_squared(truth: np.ndarray, predicted: np.ndarray, known: np.ndarray | None = None) -> float:
    """1 - sum (y - fitted)^2 / sum (y - mean)^2 over all columns of (n, K), each about its own mean; nan where the
    truth does not vary. known: (n, K) bool, the entries that count."""
    known = np.ones(truth.shape, dtype=bool) if known is None else known
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, truth, 0.0).sum(axis=0) / count
    with np.errstate(invalid="ignore"):  # infinities of actions that can't be taken
        spread = np.where(known, truth - mean, 0.0)
        missed = np.where(known, truth - predicted, 0.0)
    total, size = float((spread**2).sum()), float(np.abs(np.where(known, truth, 0.0)).max(initial=0.0))
    varies = total > (ROUNDING * size) ** 2 * known.sum()
    return 1.0 - float((missed**2).sum()) / total if varies else np.nan


def read_columns(features: np.ndarray, targets: np.ndarray, known: np.ndarray, states: np.ndarray) -> np.ndarray:
    """(S, K): columns of `targets` (S, K), read off `features` (S, F) by ridge on those of `states` where they are
    `known` (S, K); 0 where a column is known in none of them."""
    read = np.zeros(targets.shape)
    patterns, pattern = np.unique(known[states], axis=1, return_inverse=True)
    for number, rows in enumerate(patterns.T):
        columns = np.flatnonzero(pattern.reshape(-1) == number)
        if rows.any():
            own = states[rows]
            read[:, columns] = ridge(features[own], targets[np.ix_(own, columns)]).predict(features)
    return read
