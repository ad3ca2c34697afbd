"""Sequences: the steps of one episode, as a slow walk back through a list of all transitions finds them."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError
from rltk.replay import PrioritisedReplay, Replay


def slow_walk(slow, number, length):
    """The rows of the at most `length` steps that end with `number`, oldest first, and if they begin an episode."""
    alive, rows = slow.alive(), []
    while len(rows) < length:
        origin, _, row = slow.entered[number]
        rows.insert(0, row)
        before = [k for k in alive if slow.entered[k][1] == origin]
        if not before:
            break
        (number,) = before
    return rows, origin


def slow_onward(slow, number, steps):
    """The number of the transition `steps` after `number` in its episode, or of the last that there is."""
    for _ in range(steps):
        after = [k for k in slow.alive() if slow.entered[k][0] == slow.entered[number][1]]
        if not after:
            break
        (number,) = after
    return number


@given(
    seed=st.integers(0, 2**32),
    capacity=st.integers(1, 40),
    num_envs=st.integers(1, 3),
    length=st.integers(1, 6),
    end=st.sampled_from([0.0, 0.1, 0.6]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sequences_are_the_slow_ones(twins, seed, length, **arguments):
    pair = twins(seed, n_step=1, **arguments)
    first_ones = set()
    pair_begin = pair.slow.begin

    def begin(names, envs):
        first_ones.update(range(pair.slow.shown, pair.slow.shown + len(envs)))
        pair_begin(names, envs)

    pair.slow.begin = begin
    for _ in range(8):
        pair.play(9)
        check_sequences(pair, length, first_ones)


def check_sequences(pair, length, first_ones):
    alive = pair.slow.alive()
    if not alive:
        return
    positions = np.array(alive) % pair.replay.capacity
    further = [k % (length + 1) for k in range(len(alive))]
    onward = [slow_onward(pair.slow, *both) % pair.replay.capacity for both in zip(alive, further, strict=True)]
    assert pair.replay.onward(positions, np.array(further)).tolist() == onward
    batch = pair.replay.sequences(positions, length)
    for i, number in enumerate(alive):
        rows, origin = slow_walk(pair.slow, number, length)
        seen, actions, rewards, lasts, discounts, notes = zip(*rows, strict=True)
        count, pad = len(rows), length - len(rows)
        assert batch.valid[i].tolist() == [True] * count + [False] * pad
        assert batch.observations["count"][i].tolist() == [*seen, lasts[-1]] + [lasts[-1]] * pad
        assert batch.observations["where"][i, :, 1].tolist() == [-n for n in [*seen, lasts[-1]] + [lasts[-1]] * pad]
        assert batch.actions[i, :count].tolist() == list(actions)
        assert batch.rewards[i, :count].tolist() == list(map(float, rewards))
        assert batch.terminated[i].tolist() == [d == 0 for d in discounts] + [False] * pad
        assert batch.starts[i].tolist() == [origin in first_ones] + [False] * length
        assert batch.extras["note"][i, :count].tolist() == list(notes)
        np.testing.assert_array_equal(batch.masks[i], pair.shown([*seen, lasts[-1]] + [lasts[-1]] * pad)[1])


def test_on_a_device_sequences_are_the_same(twins, monkeypatch):
    monkeypatch.setattr("rltk.replay.storage.on_host", lambda device: False)
    pair = twins(1, capacity=30, num_envs=2, n_step=1)
    pair.play(100)
    first_ones = {origin for origin in range(pair.slow.shown) if all(e[1] != origin for e in pair.slow.entered)}
    check_sequences(pair, 4, first_ones & {origin for origin, *_ in pair.slow.entered})


def test_sequences_are_of_single_steps():
    space = gym.spaces.Discrete(3)
    with pytest.raises(ArgumentError, match=r"n_step is 2.*use n_step=1"):
        Replay(space, 9, n_step=2).sequences(np.zeros(1, int), 3)
    with pytest.raises(ArgumentError, match="length is 0"):
        Replay(space, 9).sequences(np.zeros(1, int), 0)


def test_the_last_step_of_an_episode_is_in_half_as_many_sequences_as_one_in_its_middle():
    """Of sequences of 10 that were moved on by 0 to 9 steps: in 55 of the 100 that hold a step of the middle."""
    replay = Replay(gym.spaces.Discrete(101), 200)
    replay.begin(np.zeros(1, int))
    for k in range(100):
        replay.add_one(0, float(k == 99), k + 1, k == 99, False)
    positions, further = np.repeat(np.arange(100), 10), np.tile(np.arange(10), 100)

    batch = replay.sequences(replay.onward(positions, further), 10)
    held = np.bincount(batch.observations[:, :10][batch.valid].numpy(), minlength=100)
    assert held[99] == batch.terminated.sum() == 55
    assert set(held[20:80].tolist()) == {100}


def test_a_sequence_weighs_what_its_chance_says():
    """Schaul et al. (2016), section 3.4: (chance / chance of a uniform draw)^-beta, both counted out over all
    transitions and numbers of steps. Some episodes are shorter than a sequence, the last one is under way, and the
    oldest has lost its beginning."""
    rng = np.random.default_rng(0)
    replay = PrioritisedReplay(gym.spaces.Discrete(100), 40)
    replay.begin(np.zeros(1, int))
    for k in range(57):
        over = k in (3, 5, 18, 19, 40, 52)
        replay.add_one(0, 0.0, k + 1, over, False)
        if over:
            replay.begin(np.zeros(1, int))
    alive = np.array(replay.alive) % 40
    replay.update(alive, rng.random(40))
    for length in (1, 4, 9):
        chances, even = np.zeros(40), np.zeros(40)
        for position, steps in itertools.product(alive, range(length)):
            (end,) = replay.onward(np.array([position]), np.array([steps]))
            chances[end] += replay.priorities[position] / replay.priorities.sum() / length
            even[end] += 1 / 40 / length
        assert chances.sum() == pytest.approx(1)
        expected = (chances / even)[alive] ** -0.7
        np.testing.assert_allclose(replay.sequence_weights(alive, length, 0.7), expected / expected.max(), rtol=1e-6)
    with pytest.raises(ArgumentError, match="beta"):
        replay.sequence_weights(alive, 4, 2.0)


def test_sequences_drawn_evenly_weigh_the_same():
    """With alpha 0 priorities are all alike, and prioritised replay is the uniform one, ends of episodes included."""
    replay = PrioritisedReplay(gym.spaces.Discrete(100), 60, alpha=0.0)
    replay.begin(np.zeros(1, int))
    for k in range(50):
        replay.add_one(0, 0.0, k + 1, k % 20 == 19, False)
        if k % 20 == 19:
            replay.begin(np.zeros(1, int))
    replay.update(np.arange(50), np.random.default_rng(0).random(50))
    np.testing.assert_array_equal(replay.sequence_weights(np.arange(50), 8, 1.0), 1.0)
