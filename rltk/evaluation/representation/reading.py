"""What a line reads off features: V*, the advantage, labels of a state.

    R^2 = 1 - sum (y - fitted)^2 / sum (y - mean(y))^2         on states that the line was not fitted on
    advantage error = sqrt(mean (A* - fitted)^2) / mean gap    below 1/2: most greedy choices are right

V* spreads far more than actions differ, so its R^2 hardly sees what control needs; the advantage's does. Labels are
classified by ridge regression onto one column a label; the largest fitted column is the answer.

Source: Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, section 4.2; the gap, Farahmand
(2011), "Action-gap phenomenon in reinforcement learning".
"""

from typing import Any

import numpy as np

from rltk.evaluation.representation.checks import checked_features, checked_labels, checked_states
from rltk.evaluation.representation.probes import r_squared, read_columns, ridge
from rltk.evaluation.representation.targets import Targets


def value_r2(features: Any, targets: Targets, train: Any, test: Any) -> float:
    """R^2 of V* on the states `test` (n,), read off `features` (S, F) by a line fitted on the states `train`."""
    features, train, test = _checked(features, targets.value.size, train, test)
    value = targets.value[:, None]
    return r_squared(value[test], ridge(features[train], value[train]).predict(features[test]))


def advantage_r2(features: Any, targets: Targets, train: Any, test: Any) -> float:
    """R^2 of A* over all available actions of the states `test`, each action about its own mean."""
    features, train, test = _checked(features, targets.value.size, train, test)
    read = read_columns(features, targets.advantage, targets.available, train)
    return r_squared(targets.advantage[test], read[test], targets.available[test])


def advantage_error(features: Any, targets: Targets, train: Any, test: Any) -> float:
    """The error of A*, root mean square over the available actions of the states `test`, in mean action gaps of all
    states; nan where no state has a gap."""
    features, train, test = _checked(features, targets.value.size, train, test)
    read = read_columns(features, targets.advantage, targets.available, train)
    missed = (targets.advantage - read)[test][targets.available[test]]
    return float(np.sqrt((missed**2).mean()) / targets.mean_gap)


def label_accuracy(features: Any, labels: Any, train: Any, test: Any) -> float:
    """The share of the states `test` whose label, `labels` (S,) whole numbers such as positions or headings, a linear
    classifier fitted on the states `train` gives. A label that no state of `train` has is never given."""
    features = checked_features(features)
    labels = checked_labels(labels, len(features))
    features, train, test = _checked(features, len(features), train, test)
    kinds, number = np.unique(labels[train], return_inverse=True)
    columns = (number.reshape(-1)[:, None] == np.arange(kinds.size)).astype(np.float64)  # (n, K)
    given = kinds[ridge(features[train], columns).predict(features[test]).argmax(axis=1)]
    return float((given == labels[test]).mean())


def _checked(features: Any, n_states: int, train: Any, test: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        checked_features(features, n_states),
        checked_states(train, n_states, "train"),
        checked_states(test, n_states, "test"),
    )
