"""What no representation of an observation can do, however good: states that look alike are told apart by none.

    conflict rate = share of states s for which some t looks the same and shares no optimal action with s
    explainable variance = 1 - mean_s [ V*(s) - mean of V* over what looks like s ]^2 / variance of V*

In a conflict an agent without memory is wrong in one of the two states. The second figure is the largest R^2 of V* that
any function of the observation has, on these states.

Source: Singh, Jaakkola and Jordan (1994), "Learning without state-estimation in partially observable Markovian decision
processes"; the decomposition of variance, Hastie, Tibshirani and Friedman (2009), section 2.4.
"""

from typing import Any

import numpy as np

from rltk.evaluation.representation.checks import checked_labels
from rltk.evaluation.representation.probes import ROUNDING
from rltk.evaluation.representation.targets import Targets


def conflict_rate(classes: Any, targets: Targets) -> float:
    """The share of states in conflict. classes: (S,) numbers, the same where states look alike, as
    `rltk.evaluation.alikeness.observation_classes` gives them."""
    classes = checked_labels(classes, targets.value.size, "classes")
    sets, own = np.unique(targets.optimal, axis=0, return_inverse=True)  # (K, A): sets of optimal actions
    apart = sets.astype(np.int64) @ sets.T.astype(np.int64) == 0  # (K, K)
    number = np.unique(classes, return_inverse=True)[1].reshape(-1)
    occurs = np.zeros((number.max() + 1, len(sets)), dtype=np.int64)
    occurs[number, own.reshape(-1)] = 1
    return float((occurs @ apart > 0)[number, own.reshape(-1)].mean())


def explainable_variance(classes: Any, targets: Targets) -> tuple[float, float]:
    """(the mean variance of V* among states that look alike, the largest R^2 of V* that this leaves; nan where V* does
    not vary)."""
    value = targets.value
    number = np.unique(checked_labels(classes, value.size, "classes"), return_inverse=True)[1].reshape(-1)
    mean = np.bincount(number, value) / np.bincount(number)
    within, total = float(((value - mean[number]) ** 2).mean()), float(value.var())
    varies = total > (ROUNDING * np.abs(value).max()) ** 2
    return within, 1.0 - within / total if varies else np.nan
