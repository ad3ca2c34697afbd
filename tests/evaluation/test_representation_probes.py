"""Linear probes: closed forms against their definitions, features of which the answer is known, rank deficiency."""

import numpy as np
import pytest

from rltk.errors import ArgumentError, CriterionError
from rltk.evaluation.representation import (
    Targets,
    advantage_error,
    advantage_r2,
    closedness_error,
    dead_dimensions,
    dormant_fraction,
    effective_rank,
    label_accuracy,
    least_squares,
    r_squared,
    reward_error,
    ridge,
    value_r2,
)
from rltk.evaluation.representation.probes import PENALTIES
from rltk.mdp import MDP, union


@pytest.fixture
def stream():
    return np.random.default_rng(0)


def random_mdp(stream, n_states=40, n_actions=3, available=None):
    T = stream.dirichlet(np.full(n_states, 0.2), size=(n_states, n_actions))
    R = stream.normal(size=(n_states, n_actions))
    if available is not None:
        T, R = T * available[:, :, None], R * available
    return MDP.from_arrays(T, R, terminated=stream.random(n_states) < 0.1, available=available)


@pytest.mark.parametrize("n", [9, 30])
def test_the_penalty_has_the_least_generalised_cross_validation(stream, n):
    """GCV by explicit hat matrices over the same penalties, and the weights by the normal equations; many draws, for
    with few states the choice hangs on each degree of freedom."""
    for _ in range(30):
        X, W = stream.normal(size=(n, 6)) * [1, 2, 3, 4, 5, 6] + 7, stream.normal(size=(6, 2))
        Y = X @ W + 6 * stream.normal(size=(n, 2))
        Z = (X - X.mean(axis=0)) / X.std(axis=0)
        penalties, scores = PENALTIES * np.linalg.svd(Z, compute_uv=False)[0] ** 2, []
        for penalty in penalties:
            hat = Z @ np.linalg.solve(Z.T @ Z + penalty * np.eye(6), Z.T) + 1 / n
            scores.append(n * ((Y - hat @ Y) ** 2).sum() / (n - np.trace(hat)) ** 2)
        probe, best = ridge(X, Y), penalties[np.argmin(scores)]

        assert probe.penalty == pytest.approx(best)
        expected = np.linalg.solve(Z.T @ Z + best * np.eye(6), Z.T @ (Y - Y.mean(axis=0)))
        np.testing.assert_allclose(probe.weights, expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(probe.predict(X), Y.mean(axis=0) + Z @ expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("fit", [ridge, least_squares])
def test_features_of_any_rank_will_do(stream, fit):
    """Copies, sums and constants of features change nothing, and more features than states are no trouble."""
    X = stream.normal(size=(50, 4))
    Y = X @ stream.normal(size=(4, 1)) + 2
    wide = np.hstack([X, X[:, :2], X.sum(axis=1, keepdims=True) * 1e4, np.full((50, 3), 0.1)])

    np.testing.assert_allclose(fit(wide, Y).predict(wide), Y, atol=1e-6)
    assert np.isfinite(fit(stream.normal(size=(5, 90)), Y[:5]).predict(stream.normal(size=(9, 90)))).all()
    assert (fit(np.ones((50, 3)), Y).predict(np.full((2, 3), 8.0)) == Y.mean()).all()


def test_r_squared_by_hand():
    """1 for the truth, 0 for the mean, below 0 for worse; nan where nothing varies; only what is known counts."""
    truth = np.array([[1.0, -np.inf], [2, 5], [3, 7]])
    known = np.isfinite(truth)

    assert r_squared(truth, truth, known) == 1
    assert r_squared(truth, np.array([[2.0, 0], [2, 6], [2, 6]]), known) == 0
    assert r_squared(truth[:, :1], np.array([[3.0], [2], [1]])) == -3
    assert np.isnan(r_squared(np.full((4, 1), 0.1), np.zeros((4, 1))))


def test_features_that_hold_the_answer_get_full_marks(stream):
    """V*, A* and R as features; the grades of noise are far below."""
    available = stream.random((40, 3)) < 0.7
    available[:, 0] = True
    mdp = random_mdp(stream, available=available)
    targets = Targets.of(mdp, 0.9)
    held = np.where(mdp.available, targets.advantage, 0.0)
    known = np.column_stack([targets.value, held, mdp.expected_reward()])
    train, test = np.arange(0, 40, 2), np.arange(1, 40, 2)
    noise = stream.normal(size=(40, 3))

    assert value_r2(known, targets, train, test) > 1 - 1e-6
    assert advantage_r2(known, targets, train, test) > 1 - 1e-6
    assert advantage_error(known, targets, train, test) < 1e-3
    assert reward_error(known, mdp, train, test) < 1e-6
    assert value_r2(noise, targets, train, test) < 0.3
    assert advantage_r2(noise, targets, train, test) < 0.3
    assert reward_error(noise, mdp, train, test) > 0.7


def test_the_advantage_error_is_in_action_gaps():
    """A constant feature reads the mean: A* is 0 and -2 where the gap is 2, so the error is that of an action that is
    right half the time: sqrt(mean of 0, 1, 1, 0...) by hand."""
    T = np.zeros((2, 2, 2))
    T[0, :, 0] = T[1, :, 1] = 1
    mdp = MDP.from_arrays(T, np.array([[2.0, 0.0], [0.0, 2.0]]))
    targets = Targets.of(mdp, 0.5)

    assert targets.value == pytest.approx([4, 4])
    assert targets.gap == pytest.approx([2, 2])
    assert targets.optimal.tolist() == [[True, False], [False, True]]
    both = np.arange(2)
    assert advantage_error(np.ones((2, 1)), targets, both, both) == pytest.approx(0.5)  # 1 wrong everywhere, gap 2


def test_ties_are_optimal_and_gamma_1_is_refused():
    """Two actions alike are both optimal and leave no gap."""
    mdp = MDP.from_arrays(np.ones((1, 2, 1)), np.ones((1, 2)))
    targets = Targets.of(mdp, 0.9)

    assert targets.optimal.all()
    assert np.isnan(targets.gap).all()
    assert np.isnan(targets.mean_gap)
    with pytest.raises(CriterionError, match="gamma < 1"):
        Targets.of(mdp, 1.0)


def test_labels_that_a_line_tells_apart(stream):
    """One-hot positions are read exactly; a label that was never seen is always missed; noise is at chance."""
    labels = stream.integers(0, 4, 400)
    train, test = np.arange(200), np.arange(200, 400)

    assert label_accuracy(np.eye(4)[labels], labels, train, test) == 1
    assert label_accuracy(stream.normal(size=(400, 5)), labels, train, test) < 0.4
    strange = np.where(np.arange(400) == 399, 77, labels)
    assert label_accuracy(np.eye(4)[labels], strange, train, test) == 1 - 1 / 200


def test_tables_are_closed_and_a_shuffle_is_not():
    """One-hot states, each in two levels, are closed under any T; a feature that says nothing of what comes
    next has an error of 1. Scale, copies and dead dimensions don't matter."""
    mdp, level = union([random_mdp(np.random.default_rng(1))] * 2)
    table, states = np.tile(np.eye(40), (2, 1)), np.arange(80)

    assert closedness_error(table, mdp, states, states) < 1e-6
    assert reward_error(table, mdp, states, states) < 1e-6
    T = np.zeros((60, 1, 60))
    T[np.arange(60), 0, (np.arange(60) * 7 + 3) % 60] = 1
    shuffled = MDP.from_arrays(T, np.zeros((60, 1)))
    wave = np.cos(2 * np.pi * np.arange(60) / 60)[:, None]
    error = closedness_error(wave, shuffled, np.arange(60), np.arange(60))
    assert error == pytest.approx(1, abs=0.01)  # cos(7 x) does not go with cos(x)
    scaled = np.hstack([1e5 * wave, -wave, np.full((60, 2), 3.0)])
    assert closedness_error(scaled, shuffled, np.arange(60), np.arange(60)) == pytest.approx(error)
    T = np.zeros((60, 1, 60))
    T[np.arange(60), 0, (np.arange(60) + 1) % 60] = 1
    ring = MDP.from_arrays(T, np.zeros((60, 1)))
    both = np.column_stack([wave, np.sin(2 * np.pi * np.arange(60) / 60)])
    assert closedness_error(both, ring, np.arange(0, 60, 2), np.arange(1, 60, 2)) < 1e-6  # a step is a rotation
    assert np.isnan(reward_error(both, ring, np.arange(30), np.arange(30, 60)))


def test_outcomes_that_end_have_no_next_features():
    """A chain whose last state ends: what is behind the end is not asked for, and where all ends there is no error."""
    T = np.zeros((4, 1, 4))
    T[[0, 1, 2, 3], 0, [1, 2, 3, 0]] = 1
    ends = np.zeros((4, 1, 4), dtype=bool)
    ends[3, 0, 0] = True
    line = np.arange(4.0)[:, None]  # going on, a step adds 1; the end would break the line

    states = np.arange(4)
    assert closedness_error(line, MDP.from_arrays(T, np.zeros((4, 1)), terminated=ends), states, states) < 1e-6
    assert closedness_error(line, MDP.from_arrays(T, np.zeros((4, 1))), states, states) > 0.1
    all_ends = MDP.from_arrays(T, np.zeros((4, 1)), terminated=np.ones((4, 1, 4), bool))
    assert np.isnan(closedness_error(line, all_ends, states, states))


def test_spectra_by_hand():
    """k equal singular values have effective rank k; p = (3/4, 1/4) has exp(H) = 1.7548 (Roy and Vetterli 2007)."""
    assert effective_rank(np.eye(5)) == pytest.approx(5)
    assert effective_rank(np.outer(np.arange(1, 6), np.ones(3))) == pytest.approx(1)
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(4 / 3**0.75)
    assert np.isnan(effective_rank(np.zeros((3, 2))))


def test_dormant_and_dead_units():
    """Of means 0, 0.025 x average, a constant and an active one, two are dormant (Sokar et al. 2023) and two dead."""
    active = np.tile([1.0, 3.0], 10)
    features = np.column_stack([np.zeros(20), 0.005 * active, np.ones(20), active])

    assert dormant_fraction(features) == 0.5
    assert dormant_fraction(features, tau=0.0) == 0.25
    assert dead_dimensions(features) == 2


@pytest.mark.parametrize(
    ("features", "train", "words"),
    [
        (np.zeros((2, 3, 4)), [0], r"\(S, F\), a row a state; found float64 of shape \(2, 3, 4\)"),
        (np.zeros((3, 1)), [0], "a row for each of 2 states; found 3 rows"),
        (np.array([[0.0], [np.nan]]), [0], "feature 0 of state 1 is nan"),
        (np.zeros((2, 1)), [True, False], "np.flatnonzero"),
        (np.zeros((2, 1)), [0, 2], "indices from 0 to 1; found 0 to 2"),
        (np.zeros((2, 1)), [0, 0], "some state twice"),
    ],
)
def test_bad_input_is_named(features, train, words):
    """Features and splits that can't be used."""
    mdp = MDP.from_arrays(np.ones((2, 1, 2)) / 2, np.array([[0.0], [1.0]]))
    with pytest.raises(ArgumentError, match=words):
        value_r2(features, Targets.of(mdp, 0.5), train, [1])
