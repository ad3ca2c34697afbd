"""Saving a replay: what is restored goes on as if nothing had happened, from memory and from segments on the disk."""

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError
from rltk.replay import PrioritisedReplay, Replay
from rltk.runs import Ring, read_checkpoint, write_checkpoint


def bits(state):
    rings = {
        f"{name}/{key}": array.tobytes()
        for name, ring in state.items()
        if isinstance(ring, Ring)
        for key, array in alive_rows(ring).items()
    }
    counts = {name: ring.written for name, ring in state.items() if isinstance(ring, Ring)}
    plain = {name: np.asarray(value).tobytes() for name, value in state.items() if not isinstance(value, Ring)}
    return rings, counts, plain


def alive_rows(ring):
    rows = np.array(ring.alive, int) % ring.capacity
    return {key: array[rows] for key, array in ring.arrays.items()}


@given(
    seed=st.integers(0, 2**32),
    capacity=st.integers(1, 30),
    num_envs=st.integers(1, 3),
    n_step=st.integers(1, 4),
    make=st.sampled_from([Replay, PrioritisedReplay]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_restored_goes_on_alike(twins, tmp_path_factory, seed, **arguments):
    """Open windows, current observations, priorities and both rings: the two are equal at every later step."""
    folder = tmp_path_factory.mktemp("c")
    one, two = twins(seed, **arguments), twins(seed, **arguments)
    for turn in range(6):
        one.play(7)
        two.play(7)
        learn(one.replay, turn)
        learn(two.replay, turn)
        state = two.replay.state(copy=False)
        if turn % 2:
            state = read_checkpoint(write_checkpoint(folder, {"replay": state}, step=turn))["replay"]
        other = used(twins(turn, **arguments))
        other.restore(state)
        two.replay = other
        two.compare()
        assert bits(one.replay.state()) == bits(two.replay.state())
        if len(other):
            positions = [replay.draw(np.random.default_rng(turn), 9) for replay in (one.replay, two.replay)]
            np.testing.assert_array_equal(*positions)
            if other.n_step == 1:
                ours, theirs = (replay.sequences(positions[0], 3) for replay in (one.replay, two.replay))
                assert all((a == b).all() for a, b in zip(ours[1:6], theirs[1:6], strict=True))


def used(pair):
    """A replay that has held other things before."""
    pair.play(20)
    learn(pair.replay, 0)
    if len(pair.replay) and pair.replay.n_step == 1:
        pair.replay.sequences(np.array(pair.replay.alive) % pair.replay.capacity, 2)
    return pair.replay


def learn(replay, turn):
    if isinstance(replay, PrioritisedReplay) and len(replay):
        rng = np.random.default_rng(turn)
        replay.update(replay.draw(rng, 8), rng.normal(size=8))


def test_a_state_is_a_copy_unless_views_are_asked_for():
    replay = Replay(gym.spaces.Discrete(9), 5)
    replay.begin([1])
    copy, views = replay.state(), replay.state(copy=False)
    replay.add([1], [2.0], [3], [False], [False])

    assert copy["observations"].arrays["observation/observation"].tolist()[:2] == [1, 0]
    assert views["observations"].arrays["observation/observation"].tolist()[:2] == [1, 3]
    assert copy["current"].tolist() == [0]


def test_the_second_checkpoint_of_a_replay_is_small(tmp_path):
    """A hundred pictures more, not ten thousand again."""
    replay = Replay(gym.spaces.Box(0, 255, (20, 20), np.uint8), 10_000)
    replay.begin(np.zeros((1, 20, 20)))
    sizes = []
    for step, count in enumerate((9000, 100, 100)):
        for _ in range(count):
            replay.add_one(0, 1.0, np.full((20, 20), step, np.uint8), False, False)
        before = set(tmp_path.rglob("*"))
        write_checkpoint(tmp_path, {"replay": replay.state(copy=False)}, step=step)
        sizes.append(sum(path.stat().st_size for path in set(tmp_path.rglob("*")) - before if path.is_file()))

    assert sizes[0] > 9000 * 400
    assert max(sizes[1:]) < 100 * 450 + 5000


def test_on_a_device_it_is_restored_too(twins, monkeypatch):
    monkeypatch.setattr("rltk.replay.storage.on_host", lambda device: False)
    one, two = (twins(4, capacity=20, num_envs=2, n_step=2) for _ in range(2))
    for pair in (one, two):
        pair.play(40)
    fresh = twins(0, capacity=20, num_envs=2, n_step=2).replay
    fresh.restore(two.replay.state())
    two.replay = fresh
    for pair in (one, two):
        pair.play(10)
        pair.compare()
    assert bits(one.replay.state()) == bits(two.replay.state())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"capacity": 7}, r"observations are .*float32\[\d+, 3\]"),
        ({"num_envs": 2}, "the same arguments"),
        ({"n_step": 2}, r"state holds.*windows/actions.*the same arguments"),
        ({"n_actions": 3}, r"mask"),
        ({"extras": {"p": ((), np.int8)}}, r"extras/p"),
    ],
)
def test_a_state_of_another_replay_is_refused_and_nothing_is_changed(change, words):
    box = gym.spaces.Box(-1, 1, (3,))
    saved = Replay(box, 6)
    other = Replay(box, **{"capacity": 6, **change})
    before = bits(other.state())
    with pytest.raises(ArgumentError, match=words):
        other.restore(saved.state())
    assert bits(other.state()) == before
    with pytest.raises(ArgumentError, match="a Ring was expected"):
        saved.restore({**saved.state(), "transitions": {}})
