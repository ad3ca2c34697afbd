"""All grades of a representation at once, from its features of all states of an MDP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rltk.errors import ArgumentError
from rltk.evaluation.representation import aliasing, closedness, geometry, reading, spectrum
from rltk.evaluation.representation.checks import checked_features, checked_labels, checked_states
from rltk.evaluation.representation.control import (
    Control,
    control,
    epsilon_greedy,
    greedy,
    linear_q,
    softmax,
    state_distribution,
)
from rltk.evaluation.representation.grades import RepresentationGrades
from rltk.evaluation.representation.targets import Targets
from rltk.mdp import MDP, bisimulation_classes

EPSILON = 0.05
_MOST_CLUSTERS = 256  # with more, most classes are single states, and k-means takes minutes to say nothing of them


@dataclass(frozen=True, eq=False)
class Splits:
    """Which states lines are fitted on, and which they are asked about: indices (n,), no state in two of them.

    train and held_out: states of the same levels. unseen: states of other levels, or None.
    """

    train: np.ndarray
    held_out: np.ndarray
    unseen: np.ndarray | None = None

    def checked(self, n_states: int) -> dict[str, np.ndarray]:
        """The splits by name, as int64; ArgumentError where they are no indices or overlap."""
        given = {name: part for name, part in vars(self).items() if part is not None}
        parts = {name: checked_states(part, n_states, name) for name, part in given.items()}
        shared = np.flatnonzero(np.bincount(np.concatenate(list(parts.values())), minlength=n_states) > 1)
        if shared.size:
            raise ArgumentError(
                f"state {shared[0]} ({shared.size:,} such) is in two of {', '.join(parts)}; "
                "a figure is of states that the line was not fitted on: put each in one"
            )
        return parts


def grade_representation(
    features: Any,
    mdp: MDP,
    splits: Splits,
    *,
    gamma: float = 0.99,
    labels: Mapping[str, Any] | None = None,
    observed: Any = None,
    distance: Any = None,
    seed: int = 0,
) -> RepresentationGrades:
    """Grade `features` (S, F), a row for each state of `mdp`. Several levels are one MDP by `rltk.mdp.union`.

    labels: names to (S,) whole numbers, such as {"position": ..., "heading": ...}. observed: (S,) numbers, the same
    where states look alike (`observation_classes`). distance: (S, S), `bisimulation_metric(mdp, gamma)`. seed: of
    k-means and of pairs of states.
    """
    if not isinstance(mdp, MDP):
        raise ArgumentError(f"an MDP was expected; found {type(mdp).__name__}. Of an environment: env.unwrapped.mdp()")
    features, parts = checked_features(features, mdp.n_states), splits.checked(mdp.n_states)
    labels = {name: checked_labels(label, mdp.n_states, name) for name, label in (labels or {}).items()}
    targets, train = Targets.of(mdp, gamma), parts["train"]

    def by_split(grade: Callable[..., float], *given: Any) -> dict[str, float]:
        return {name: grade(features, *given, train, part) for name, part in parts.items()}

    temperature = 1.0 if np.isnan(targets.mean_gap) else targets.mean_gap
    classes = bisimulation_classes(mdp)
    n_classes = int(classes.max()) + 1
    aliased = None if observed is None else aliasing.explainable_variance(observed, targets)
    return RepresentationGrades(
        criterion=targets.criterion,
        n_states=mdp.n_states,
        n_features=features.shape[1],
        states={name: part.size for name, part in parts.items()},
        value_r2=by_split(reading.value_r2, targets),
        advantage_r2=by_split(reading.advantage_r2, targets),
        advantage_error=by_split(reading.advantage_error, targets),
        closedness_error=by_split(closedness.closedness_error, mdp),
        reward_error=by_split(closedness.reward_error, mdp),
        accuracy={name: by_split(reading.label_accuracy, label) for name, label in labels.items()},
        control=_controls(targets, linear_q(features, targets, train), parts, temperature),
        epsilon=EPSILON,
        temperature=temperature,
        effective_rank=spectrum.effective_rank(features),
        dormant_fraction=spectrum.dormant_fraction(features),
        dead_dimensions=spectrum.dead_dimensions(features),
        n_classes=n_classes,
        rand_index=None if n_classes > _MOST_CLUSTERS else _rand_index(features, classes, n_classes, seed),
        distance=None if distance is None else geometry.distance_agreement(features, distance, seed=seed),
        conflict_rate=None if observed is None else aliasing.conflict_rate(observed, targets),
        explainable_r2=None if aliased is None else aliased[1],
    )


def _rand_index(features: np.ndarray, classes: np.ndarray, n_classes: int, seed: int) -> float:
    return geometry.adjusted_rand_index(classes, geometry.k_means(features, n_classes, seed=seed))


def _controls(
    targets: Targets, q: np.ndarray, parts: dict[str, np.ndarray], temperature: float
) -> dict[str, dict[str, Control]]:
    """The greedy and both softened policies of `q` (S, A), over starts and over all states, of seen levels and not."""
    policies = {"greedy": greedy(q), "epsilon": epsilon_greedy(q, EPSILON), "softmax": softmax(q, temperature)}
    unseen = parts.get("unseen", np.zeros(0, dtype=np.int64))
    seen = np.setdiff1d(np.arange(targets.value.size), unseen)
    controls: dict[str, dict[str, Control]] = {}
    for where, states in (("", seen), ("unseen ", unseen)):
        if states.size and targets.mdp.start[states].any():
            mu = state_distribution(targets, "start", states)
            controls[f"{where}start"] = {name: control(targets, policy, mu) for name, policy in policies.items()}
        if states.size:
            mu = state_distribution(targets, "uniform", states)
            controls[f"{where}uniform"] = {name: control(targets, policy, mu) for name, policy in policies.items()}
    return controls
