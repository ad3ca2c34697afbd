"""Prioritised replay: sums that stay exact, draws in proportion to priority, weights by the paper's formula."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError
from rltk.replay import PrioritisedReplay, Replay, SumTree

NUMBERS = gym.spaces.Discrete(1000)


def filled(count, capacity=16, **arguments):
    replay = PrioritisedReplay(NUMBERS, capacity, **arguments)
    replay.begin([0])
    for i in range(count):
        replay.add_one(0, float(i), i + 1, False, False)
    return replay


@given(seed=st.integers(0, 2**32), size=st.integers(1, 70))
@settings(max_examples=40, deadline=None)
def test_sums_are_those_of_the_leaves_after_any_number_of_updates(seed, size):
    """Values of sizes that no running sum would survive: every node is the sum of its two children, bit for bit."""
    chance, tree, leaves = np.random.default_rng(seed), SumTree(size), np.zeros(size)
    for _ in range(60):
        positions = chance.integers(0, size, chance.integers(0, 9))
        values = 10.0 ** chance.integers(-12, 12, len(positions)) * chance.integers(0, 2, len(positions))
        tree.set(positions, values)
        for position, value in zip(positions, values, strict=True):
            leaves[position] = value
    sums = np.zeros(1 << max(1, (size - 1).bit_length()))
    sums[:size] = leaves
    while len(sums) > 1:
        sums = sums[::2] + sums[1::2]

    np.testing.assert_array_equal(tree.values, leaves)
    assert tree.total == sums[0]


def test_a_mass_falls_into_its_leaf():
    tree = SumTree(5)
    tree.set([0, 2, 3], [1.0, 2.0, 4.0])

    np.testing.assert_array_equal(tree.find([0, 0.99, 1, 2.99, 3, 6.99]), [0, 0, 2, 2, 3, 3])


@given(seed=st.integers(0, 2**32), size=st.integers(1, 33))
@settings(max_examples=40, deadline=None)
def test_a_leaf_of_zero_is_never_found(seed, size):
    """Not even by a mass that rounding carried to the total or past it."""
    chance, tree = np.random.default_rng(seed), SumTree(size)
    values = chance.random(size) * (chance.random(size) < 0.4)
    values[chance.integers(size)] = 1e-9
    tree.set(np.arange(size), values)
    masses = np.append(chance.random(500) * tree.total, [0, tree.total, np.nextafter(tree.total, 0), tree.total * 1.1])

    assert (values[tree.find(masses)] > 0).all()


def test_what_is_no_priority_is_refused():
    tree = SumTree(4)
    for positions, values in (([4], [1.0]), ([-1], [1.0]), ([0], [-1.0]), ([0], [np.nan]), ([0, 1], [1.0])):
        with pytest.raises(ArgumentError):
            tree.set(positions, values)
    with pytest.raises(ArgumentError, match="all leaves of the tree are zero"):
        tree.find([0.0])


def test_draws_are_in_proportion_to_priority():
    """Frequencies of P(i) = p_i^alpha / sum p^alpha, by chi-squared; strata make them truer than chance, never less."""
    replay = filled(10, alpha=0.7)
    errors = np.array([0.1, 0.5, 1, 2, 3, 4, 8, 0.01, 0.3, -6])
    replay.update(np.arange(10), errors)
    chances = (np.abs(errors) + 1e-6) ** 0.7
    chances /= chances.sum()
    rng, draws = np.random.default_rng(0), 30_000
    counts = np.bincount(np.concatenate([replay.draw(rng, 1) for _ in range(draws)]), minlength=10)

    assert ((counts - draws * chances) ** 2 / (draws * chances)).sum() < 27.9  # 99.9th percentile, 9 degrees.
    counts = np.bincount(replay.draw(rng, draws), minlength=10)
    assert (np.abs(counts - draws * chances) <= 2).all(), "one draw from each of as many equal parts"


def test_a_draw_takes_one_call_of_as_many_numbers():
    replay = filled(10)
    rng, other = np.random.default_rng(3), np.random.default_rng(3)
    replay.draw(rng, 7)
    other.random(7)

    assert rng.bit_generator.state == other.bit_generator.state


def test_weights_are_the_papers():
    """w_i = (N P(i))^-beta / max_j w_j (Schaul et al. 2016, section 3.4)."""
    replay = filled(4, alpha=1.0)
    replay.update(np.arange(4), [1, 2, 3, 4])
    chances = (np.arange(1, 5) + 1e-6) / (10 + 4e-6)
    for beta in (0.0, 0.4, 1.0):
        weights = (4 * chances[[0, 2, 3]]) ** -beta
        found = replay.weights(np.array([0, 2, 3]), beta)
        np.testing.assert_allclose(found, weights / weights.max(), rtol=1e-6)
        assert found.dtype == np.float32
    batch = replay.sample(8, np.random.default_rng(0), beta=0.5)
    np.testing.assert_array_equal(batch.weights, replay.weights(batch.positions, 0.5))
    with pytest.raises(ArgumentError, match="hold no transition"):
        replay.weights(np.array([0, 9]), 0.5)
    with pytest.raises(ArgumentError, match="beta is 2"):
        replay.weights(np.array([0]), 2)


def test_the_new_enter_with_the_largest_priority_so_far():
    """Largest so far, not largest now: also after its transition was learned from, or has died."""
    replay = filled(3, capacity=8, alpha=0.5)
    np.testing.assert_array_equal(replay.priorities, [1, 1, 1, 0, 0, 0, 0, 0])
    replay.update(np.array([1]), [9.0])
    replay.add_one(0, 0.0, 1, False, False)
    replay.update(np.array([1]), [0.25])
    replay.add_one(0, 0.0, 1, False, False)
    largest = np.sqrt(9 + 1e-6)

    np.testing.assert_array_equal(replay.priorities, [1, np.sqrt(0.25 + 1e-6), 1, largest, largest, 0, 0, 0])


def test_an_error_learned_later_does_not_lift_those_that_entered_before():
    replay = filled(3, capacity=8)
    replay.add_one(0, 0.0, 1, False, False)
    replay.update(np.array([0]), torch.tensor([5.0]))

    np.testing.assert_array_equal(replay.priorities[1:4], [1, 1, 1])


@given(
    seed=st.integers(0, 2**32),
    capacity=st.integers(1, 30),
    num_envs=st.integers(1, 3),
    n_step=st.integers(1, 3),
    end=st.sampled_from([0.1, 0.9]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_died_is_never_drawn(twins, seed, **arguments):
    """Against a slow table of priorities by number, with transitions dying for want of rows and of origins."""
    pair = twins(seed, make=PrioritisedReplay, **arguments)
    replay, chance = pair.replay, np.random.default_rng(seed)
    priorities, largest = {}, 1.0
    for _ in range(25):
        pair.play(int(chance.integers(1, 9)))
        pair.compare()
        alive = replay.alive
        priorities = {number: priorities.get(number, largest**0.6) for number in alive}
        expected = np.zeros(replay.capacity)
        expected[np.array(alive, int) % replay.capacity] = list(priorities.values())
        np.testing.assert_array_equal(replay.priorities, expected)
        if not alive:
            continue
        positions = replay.draw(chance, 20)
        errors = chance.normal(size=20) * 3
        replay.update(positions, errors)
        numbers = {number % replay.capacity: number for number in alive}
        for position, error in zip(positions.tolist(), errors, strict=True):
            priorities[numbers[position]] = np.power(abs(error) + 1e-6, 0.6)
            largest = max(largest, abs(error) + 1e-6)


def test_an_update_does_not_wake_the_dead():
    """A position without a transition keeps its zero."""
    replay = filled(2, capacity=4)
    replay.update(np.array([0, 3]), [2.0, 100.0])

    assert replay.priorities[3] == 0
    replay.add_one(0, 0.0, 1, False, False)
    assert replay.priorities[2] == np.power(2 + 1e-6, 0.6)


def test_wrong_errors_and_exponents_are_refused():
    replay = filled(4)
    for errors in ([np.nan, 1.0], [np.inf, 1.0], [1.0]):
        with pytest.raises(ArgumentError, match="one finite number for each of the 2 positions"):
            replay.update(np.array([0, 1]), errors)
    with pytest.raises(ArgumentError, match=r"alpha is 1\.1"):
        PrioritisedReplay(NUMBERS, 4, alpha=1.1)
    with pytest.raises(ArgumentError, match="the replay is empty"):
        PrioritisedReplay(NUMBERS, 4).sample(2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="read-only"):
        replay.priorities[0] = 3


def test_its_tree_is_counted():
    arguments = {"num_envs": 2, "n_step": 3}
    plain, more = (kind.bytes_needed(NUMBERS, 1000, **arguments) for kind in (Replay, PrioritisedReplay))

    assert more - plain == 2 * 1024 * 8
