"""Control by linear Q, geometry, aliasing, and all grades in one: against slow references and cases known by hand."""

import json
from itertools import combinations

import numpy as np
import pytest

from rltk.errors import ArgumentError
from rltk.evaluation.representation import (
    Splits,
    Targets,
    adjusted_rand_index,
    conflict_rate,
    control,
    distance_agreement,
    epsilon_greedy,
    explainable_variance,
    grade_representation,
    greedy,
    k_means,
    linear_q,
    softmax,
    state_distribution,
)
from rltk.mdp import MDP, bisimulation_metric
from rltk.mdp.unions import union


def corridor(n=6):
    """States 0 to n - 1 in a row; actions left and right; 1 for leaving it on the right."""
    T, end = np.zeros((n, 2, n)), np.zeros((n, 2, n), dtype=bool)
    places = np.arange(n)
    T[places, 0, np.maximum(places - 1, 0)] = T[places, 1, np.minimum(places + 1, n - 1)] = 1
    R = np.zeros((n, 2))
    R[-1, 1], end[-1, 1] = 1, True
    return MDP.from_arrays(T, R, terminated=end, start=np.eye(n)[0])


@pytest.fixture
def targets():
    return Targets.of(corridor(), 0.9)


# Control


def test_a_table_acts_optimally(targets):
    """One-hot features hold Q* exactly: nothing is lost, and every action is optimal."""
    q = linear_q(np.eye(6), targets, np.arange(6))
    graded = control(targets, greedy(q), state_distribution(targets, "start"))

    np.testing.assert_allclose(q, targets.q, atol=1e-9)
    assert graded.value == pytest.approx(0.9**5)
    assert graded.suboptimality == pytest.approx(0, abs=1e-9)
    assert graded.agreement == 1


def test_a_wrong_step_in_a_corridor_costs_everything(targets):
    """Left in one state alone: from the start nothing is ever reached, though five actions in six are optimal."""
    actions = np.array([1, 1, 0, 1, 1, 1])
    at_start = control(targets, actions, state_distribution(targets, "start"))
    anywhere = control(targets, actions, state_distribution(targets, "uniform"))

    assert at_start.value == 0
    assert at_start.suboptimality == at_start.optimum == pytest.approx(0.9**5)
    assert at_start.normalised > 1  # chance does better
    assert anywhere.agreement == pytest.approx(5 / 6)
    assert anywhere.value == pytest.approx((0.9**2 + 0.9 + 1) / 6)


def test_softened_policies_by_hand():
    """Half the epsilon on each of two available actions; exp(1) : 1 at temperature 1; the first of those that tie."""
    q = np.array([[1.0, 0.0, -np.inf], [2.0, 2.0, 2.0]])

    assert greedy(q).tolist() == [[1, 0, 0], [1, 0, 0]]
    np.testing.assert_allclose(epsilon_greedy(q, 0.3), [[0.85, 0.15, 0], [0.8, 0.1, 0.1]])
    np.testing.assert_allclose(softmax(q, 1.0), [[np.e / (1 + np.e), 1 / (1 + np.e), 0], [1 / 3] * 3])
    with pytest.raises(ArgumentError, match="epsilon is a probability"):
        epsilon_greedy(q, 2)
    with pytest.raises(ArgumentError, match="temperature is a positive number"):
        softmax(q, 0.0)


def test_distributions_are_named(targets):
    """Visits of an optimal policy fall by gamma a step; a part without any weight is refused."""
    np.testing.assert_allclose(
        state_distribution(targets, "optimal"), 0.9 ** np.arange(6) / (0.9 ** np.arange(6)).sum()
    )
    assert state_distribution(targets, "uniform", [1, 2]).tolist() == [0, 0.5, 0.5, 0, 0, 0]
    with pytest.raises(ArgumentError, match="none of the 2 states has any weight under 'start'"):
        state_distribution(targets, "start", [1, 2])
    with pytest.raises(ArgumentError, match="weighting is one of"):
        state_distribution(targets, "visits")
    with pytest.raises(ArgumentError, match="sums to 1; found shape"):
        control(targets, np.zeros(6, dtype=int), np.ones(6))


# Geometry


def test_features_that_are_the_metric_agree_with_it():
    """Points on a line at distances that are d up to scale: no error, rank correlation 1; a permutation has both."""
    x = np.array([0.0, 1, 3, 7, 15])
    d = 2.5 * np.abs(x[:, None] - x)
    found = distance_agreement(x[:, None], d)
    other = distance_agreement(x[[2, 0, 4, 1, 3], None], d)

    assert found == pytest.approx((2.5, 0, 1))
    assert other.error > 0.3
    assert other.spearman < 0.5


def test_distances_by_hand():
    """e = (1, 1, 2), d = (1, 1, 1): the scale is 4 / 6, the errors 1/3, 1/3, 1/3; d has no ranks."""
    scale, error, spearman = distance_agreement(np.array([[0.0], [1.0], [2.0]]), 1 - np.eye(3))

    assert scale == pytest.approx(2 / 3)
    assert error == pytest.approx(1 / 3)
    assert np.isnan(spearman)
    assert distance_agreement(np.zeros((3, 1)), 1 - np.eye(3))[:2] == (0, 1)


def test_pairs_are_drawn_where_there_are_too_many():
    """A tenth of the pairs tells the same but for chance; the same seed, the same bits."""
    stream = np.random.default_rng(0)
    x = stream.normal(size=(300, 4))
    d = np.linalg.norm(x[:, None] - x, axis=2) + stream.random((300, 300))
    whole, part = distance_agreement(x, d), distance_agreement(x, d, pairs=5000)

    assert part == pytest.approx(whole, abs=0.03)
    assert part != whole
    assert part == distance_agreement(x, d, pairs=5000)


def rand_index_by_pairs(first, second):
    """Hubert and Arabie (1985) from a count of all pairs."""
    pairs = list(combinations(range(len(first)), 2))
    one, other = ([labels[i] == labels[j] for i, j in pairs] for labels in (first, second))
    both = sum(a and b for a, b in zip(one, other, strict=True))
    chance = sum(one) * sum(other) / len(pairs)
    return (both - chance) / ((sum(one) + sum(other)) / 2 - chance)


def test_the_adjusted_rand_index_counts_pairs():
    """Against all pairs counted one by one; 1 for the same partition by other names, 0 where one says nothing."""
    stream = np.random.default_rng(0)
    for _ in range(30):
        first, second = stream.integers(0, 4, 25), stream.integers(0, 3, 25)
        assert adjusted_rand_index(first, second) == pytest.approx(rand_index_by_pairs(first, second), abs=1e-12)
    assert adjusted_rand_index([0, 0, 1, 2], [5, 5, 3, 9]) == 1
    assert adjusted_rand_index([0, 0, 0, 0], [0, 0, 1, 1]) == 0
    assert adjusted_rand_index([0, 1, 2], [2, 1, 0]) == 1


def test_clusters_that_lie_apart_are_found():
    """Every seed finds three that are far from each other; more clusters than places leave some empty."""
    stream = np.random.default_rng(0)
    truth = stream.integers(0, 3, 90)
    points = 100 * np.array([[0, 0], [1, 0], [0, 1]])[truth] + stream.normal(size=(90, 2))

    for seed in range(5):
        assert adjusted_rand_index(k_means(points, 3, seed=seed), truth) == 1
    assert np.unique(k_means(np.eye(3)[truth], 10)).size == 3
    assert (k_means(points, 4, seed=1) == k_means(points, 4, seed=1)).all()
    with pytest.raises(ArgumentError, match="k is a number of clusters, 1 to 90"):
        k_means(points, 91)


# What is observed


def test_conflicts_and_variance_of_what_looks_alike():
    """Two squares between whose ends the goal lies: left is best in one, right in the other, and both look the same."""
    T = np.zeros((4, 2, 4))
    T[0, :, 0] = T[3, :, 3] = 1
    T[1, 0, 0] = T[1, 1, 2] = T[2, 0, 1] = T[2, 1, 3] = 1
    R = np.zeros((4, 2))
    R[1, 0], R[2, 1] = 1, 3
    targets = Targets.of(MDP.from_arrays(T, R), 0.5)  # V* = 0, 1.5, 3, 0

    assert targets.value == pytest.approx([0, 1.5, 3, 0])
    assert targets.optimal.tolist() == [[True, True], [False, True], [False, True], [True, True]]
    assert conflict_rate([0, 1, 1, 0], targets) == 0
    R[1, 0] = 2
    targets = Targets.of(MDP.from_arrays(T, R), 0.5)  # V* = 0, 2, 3, 0
    assert targets.optimal[1].tolist() == [True, False]
    assert conflict_rate([0, 1, 1, 2], targets) == 0.5
    assert conflict_rate([0, 0, 0, 0], targets) == 0.5  # with an end, which any action suits, nobody is in conflict
    assert conflict_rate([0, 1, 2, 3], targets) == 0
    within, ceiling = explainable_variance([0, 1, 1, 2], targets)
    assert within == pytest.approx(0.125)
    assert ceiling == pytest.approx(1 - 0.125 / np.var([0, 2, 3, 0]))


# All of it


def test_all_grades_of_a_table(tmp_path):
    """One-hot features of two corridors, a third unseen: full marks where they were fitted; text and JSON hold it."""
    mdp, level = union([corridor(), corridor(), corridor()])
    splits = Splits(np.arange(10), np.array([10, 11]), np.flatnonzero(level == 2))
    graded = grade_representation(
        np.eye(18),
        mdp,
        splits,
        gamma=0.9,
        labels={"position": np.tile(np.arange(6), 3)},
        observed=np.arange(18),
        distance=bisimulation_metric(mdp, 0.9),
    )

    assert graded.value_r2["train"] == pytest.approx(1, abs=0.1)
    assert graded.value_r2["unseen"] < 0.1
    assert graded.states == {"train": 10, "held_out": 2, "unseen": 6}
    assert graded.n_classes == 6
    assert graded.control["uniform"]["greedy"].agreement == pytest.approx(10 / 12, abs=0.2)
    assert set(graded.control) == {"start", "uniform", "unseen start", "unseen uniform"}
    assert graded.conflict_rate == 0
    assert graded.explainable_r2 == 1
    assert graded.effective_rank == pytest.approx(18)
    assert max(map(len, str(graded).splitlines())) <= 80
    assert "position accuracy" in str(graded)
    read = json.loads(graded.save(tmp_path / "grades.json").read_text())
    assert read["control"]["start"]["greedy"]["optimum"] == pytest.approx(0.9**5)
    assert read["distance"]["scale"] == graded.distance.scale
    assert read["distance"]["spearman"] == "nan"  # one-hot features are all equally far apart


def test_features_that_generalise_do_so():
    """Features that fold each level into its classes are read in levels that were never seen."""
    mdp, level = union([corridor()] * 4)
    place = np.tile(np.arange(6), 4)
    graded = grade_representation(
        np.eye(6)[place],
        mdp,
        Splits(np.arange(12), np.arange(12, 18), np.flatnonzero(level == 3)),
        gamma=0.9,
        distance=bisimulation_metric(mdp, 0.9),
    )

    assert graded.value_r2["unseen"] > 0.98
    assert graded.advantage_r2["unseen"] > 0.98
    assert graded.closedness_error["unseen"] < 0.02
    assert graded.rand_index == 1
    assert graded.control["unseen start"]["greedy"].suboptimality == pytest.approx(0, abs=1e-9)
    assert graded.control["unseen uniform"]["epsilon"].agreement == pytest.approx(0.975)
    assert graded.conflict_rate is None


def test_splits_that_overlap_are_refused():
    """A state on which the line was fitted tells nothing about states on which it was not."""
    with pytest.raises(ArgumentError, match=r"state 1 .* is in two of train, held_out"):
        grade_representation(np.eye(6), corridor(), Splits(np.arange(2), np.arange(1, 6)))
