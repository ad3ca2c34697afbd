"""How many of the dimensions are used.

    effective rank = exp( - sum_k p_k ln p_k ),    p_k = s_k / sum_j s_j        s: singular values of the features
    dormant share  = share of dimensions i with mean |phi_i| <= tau * mean_j mean |phi_j|,    tau = 0.025

The effective rank lies between 1 and min(S, F); features enter as they are, not centred. A dead dimension is one that
never changes. A dormant one never does much: a unit that puts out 0 is both, a constant 1 is dead and not dormant.

Source: Roy and Vetterli (2007), "The effective rank: a measure of effective dimensionality"; Sokar, Agarwal, Castro and
Evci (2023), "The dormant neuron phenomenon in deep reinforcement learning", definition 3.1.
"""

from typing import Any

import numpy as np

from rltk.evaluation.representation.checks import checked_features
from rltk.evaluation.representation.probes import Standard

TAU = 0.025


def effective_rank(features: Any) -> float:
    """Of `features` (S, F); nan where all are 0."""
    s = np.linalg.svd(checked_features(features), compute_uv=False)
    if not s.any():
        return np.nan
    p = s[s > 0] / s.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def dormant_fraction(features: Any, tau: float = TAU) -> float:
    """The share of the dimensions of `features` (S, F), one layer's activations, that are `tau`-dormant."""
    size = np.abs(checked_features(features)).mean(axis=0)
    return float((size <= tau * size.mean()).mean())


def dead_dimensions(features: Any) -> int:
    """How many dimensions of `features` (S, F) are the same in all states, but for rounding."""
    return int((~Standard.of(checked_features(features)).alive).sum())
