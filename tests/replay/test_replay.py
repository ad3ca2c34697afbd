"""Replay: every transition it can hand out is the one a slow list of transitions holds, whatever was overwritten."""

import re
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rltk.replay
from rltk.errors import ArgumentError, SizeError, SpaceError
from rltk.replay import Replay

BOX = gym.spaces.Box(-1, 1, (3,))


@given(
    seed=st.integers(0, 2**32),
    capacity=st.integers(1, 40),
    num_envs=st.integers(1, 4),
    n_step=st.integers(1, 5),
    gamma=st.sampled_from([0.0, 0.9, 0.99, 1.0]),
    lockstep=st.booleans(),
    end=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_transition_is_the_slow_ones(twins, seed, end, **arguments):
    """Episodes of any length, many times around both rings, windows of n steps, environments that stand still."""
    pair = twins(seed, end=end, **arguments)
    for _ in range(12):
        pair.play(10)
        pair.compare()


@pytest.mark.parametrize("n_step", [1, 3])
def test_a_full_replay_of_long_episodes_holds_its_capacity(twins, n_step):
    """The spare eighth of observations is there for the first ones of episodes, eight steps or longer."""
    pair = twins(0, capacity=64, num_envs=1, n_step=n_step, end=0.05, lockstep=True)
    pair.play(2000)
    pair.compare()

    assert len(pair.replay) == 64


def test_one_step_by_hand():
    """Truncation keeps the discount, termination makes it 0, and the true last observation is what comes next."""
    replay = Replay(BOX, 10, gamma=0.5)
    a, b, c, d = np.eye(4, 3, dtype=np.float32)
    replay.begin(a[None])
    replay.add([1], [2.0], b[None], [False], [True])
    replay.begin(c[None])
    replay.add([0], [3.0], d[None], [True], [False])
    batch = replay.batch(np.arange(2))

    assert batch.observations.tolist() == [a.tolist(), c.tolist()]
    assert batch.next_observations.tolist() == [b.tolist(), d.tolist()]
    assert batch.actions.tolist() == [1, 0]
    assert batch.rewards.tolist() == [2.0, 3.0]
    assert batch.discounts.tolist() == [0.5, 0.0]
    assert batch.next_masks is None
    assert batch.weights is None
    assert batch.extras == {}


def test_a_window_of_three_steps_by_hand():
    """R = r0 + gamma r1 + gamma^2 r2; what waits at an episode's end enters there (Sutton and Barto, section 7.1)."""
    replay = Replay(gym.spaces.Discrete(9), 10, n_step=3, gamma=0.5)
    replay.begin([0])
    for step, reward in enumerate((1.0, 10.0, 100.0, 1000.0)):
        replay.add([step], [reward], [step + 1], [step == 3], [False])
        assert len(replay) == (0, 0, 1, 4)[step]
    batch = replay.batch(np.arange(4))

    assert batch.observations.tolist() == [0, 1, 2, 3]
    assert batch.next_observations.tolist() == [3, 4, 4, 4]
    assert batch.rewards.tolist() == [1 + 5 + 25, 10 + 50 + 250, 100 + 500, 1000]
    assert batch.discounts.tolist() == [0.125, 0, 0, 0]


@given(
    seed=st.integers(0, 2**32),
    capacity=st.integers(1, 20),
    n_step=st.integers(1, 6),
    end=st.sampled_from([0.1, 0.9]),
)
@settings(max_examples=60, deadline=None)
def test_adding_one_is_adding_a_batch_of_one(seed, capacity, n_step, end):
    """The quick way of a single environment leaves the very same state, open windows and cut episodes included."""
    chance = np.random.default_rng(seed)
    space = gym.spaces.Dict({"a": BOX, "b": gym.spaces.MultiBinary(2)})
    given_ = {"n_step": n_step, "gamma": 0.9, "n_actions": 2, "extras": {"p": ((), np.float32)}}
    pair = [Replay(space, capacity, **given_) for _ in range(2)]
    over = True
    for _ in range(5 * capacity):
        seen = {"a": chance.random(3), "b": chance.integers(0, 2, 2)}
        batched, mask = {name: value[None] for name, value in seen.items()}, chance.integers(0, 2, 2)
        if over or chance.random() < 0.05:
            for replay in pair:
                replay.begin(batched, mask[None])
        action, reward, (terminated, truncated) = chance.integers(2), chance.normal(), chance.random(2) < end / 2
        pair[0].add_one(action, reward, seen, terminated, truncated, mask, {"p": reward})
        pair[1].add([action], [reward], batched, [terminated], [truncated], mask[None], {"p": [reward]})
        over = terminated or truncated
        ours, theirs = (replay.state() for replay in pair)
        assert pair[0].alive == pair[1].alive
        assert bits(ours) == bits(theirs)


def bits(state):
    """A replay's state, where equal bits are equal."""
    plain = dict(state)
    rings = {name: plain.pop(name) for name in ("observations", "transitions")}
    arrays = {f"{name} {key}": array for name, ring in rings.items() for key, array in ring.arrays.items()}
    counts = {name: ring.written for name, ring in rings.items()}
    return {**{name: np.asarray(array).tobytes() for name, array in {**arrays, **plain}.items()}, **counts}


def test_adding_one_makes_no_batch(monkeypatch):
    """With windows, too: it stands in a learner's inner loop, and a batch of one takes twenty times as long."""
    for n_step in (1, 3):
        replay = Replay(BOX, 9, n_step=n_step)
        replay.begin(np.zeros((1, 3)))
        monkeypatch.setattr(replay, "add", None)
        for over in (False, True):
            replay.add_one(1, 2.0, np.ones(3), over, False)
        assert len(replay) == 2


def test_adding_one_works_with_windows_and_not_with_many_environments():
    replay = Replay(BOX, 9, n_step=2, n_actions=2, extras={"p": ((), np.float32)})
    replay.begin(np.zeros((1, 3)), [[1, 0]])
    replay.add_one(1, 2.0, np.ones(3), True, False, [0, 1], {"p": 0.5})

    assert replay.batch(np.arange(1)).next_masks.tolist() == [[False, True]]
    with pytest.raises(ArgumentError, match=r"num_envs is 2; use add"):
        Replay(BOX, 9, num_envs=2).add_one(1, 2.0, np.ones(3), True, False)


def test_drawing_is_uniform_and_takes_one_call():
    """Each transition that is alive is as likely as any other (chi-squared), and equal seeds draw equal positions."""
    replay = Replay(gym.spaces.Discrete(100), 20)
    replay.begin([0])
    for i in range(33):
        replay.add([0], [i], [i], [False], [False])
    positions = replay.draw(np.random.default_rng(5), 40_000)
    counts = np.bincount(replay.batch(positions).rewards.numpy().astype(int), minlength=33)

    assert (counts[:13] == 0).all(), "what was overwritten is never drawn"
    assert ((counts[13:] - 2000) ** 2 / 2000).sum() < 43.8  # The 99.9th percentile with 19 degrees of freedom.
    rng = np.random.default_rng(5)
    again = np.random.default_rng(5).integers(13, 33, 40_000) % 20
    np.testing.assert_array_equal(replay.draw(rng, 40_000), again)
    np.testing.assert_array_equal(positions, again)


def test_pictures_are_stored_once():
    """Each picture is held once, not once as what is seen and once as what comes next."""
    pictures = gym.spaces.Box(0, 255, (84, 84, 4), np.uint8)
    one, capacity = 84 * 84 * 4, 1000
    needed = Replay.bytes_needed(pictures, capacity)

    assert needed < 1.13 * capacity * (one + 100)
    replay = Replay(pictures, capacity)
    arrays = [*replay.state(copy=False)["observations"].arrays.values()]
    arrays += replay.state(copy=False)["transitions"].arrays.values()
    assert needed == sum(array.nbytes for array in arrays) + 8 * replay.slots
    assert replay.arrays().observations.dtype == np.uint8
    assert replay.arrays().observations.shape == (replay.slots, 84, 84, 4)


def test_what_can_not_fit_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr("rltk.replay.storage.zeros", lambda *_: pytest.fail("memory was taken"))
    with pytest.raises(SizeError, match=r"would take \d+\.\d GB, and cpu has .*make capacity smaller"):
        Replay(gym.spaces.Box(0, 255, (1000, 1000, 3), np.uint8), 10_000_000)


def test_a_batch_is_not_a_view():
    """Batches stay what they were when the ring goes on."""
    replay = Replay(BOX, 2)
    replay.begin(np.zeros((1, 3)))
    replay.add([1], [1.0], np.ones((1, 3)), [False], [False])
    batch = replay.batch(np.arange(1))
    for _ in range(9):
        replay.add([7], [7.0], np.full((1, 3), 7), [False], [False])

    assert batch.observations.tolist() == [[0, 0, 0]]
    assert batch.rewards.tolist() == [1]


def test_what_is_handed_in_may_change_afterwards():
    """Environments reuse their buffers: the replay keeps copies."""
    for add_one in (True, False):
        replay, seen = Replay(BOX, 5), np.ones((1, 3), np.float32)
        replay.begin(seen)
        seen[:] = 2
        if add_one:
            replay.add_one(0, 0.0, seen[0], False, False)
        else:
            replay.add([0], [0.0], seen, [False], [False])
        seen[:] = 3
        batch = replay.batch(np.arange(1))
        assert (batch.observations == 1).all()
        assert (batch.next_observations == 2).all()


def test_compiled_code_gets_the_arrays_themselves():
    replay = Replay(BOX, 5)
    replay.begin(np.zeros((1, 3)))
    replay.add([2], [3.0], np.ones((1, 3)), [False], [False])
    arrays = replay.arrays()

    assert arrays.observations[arrays.last[0]].tolist() == [1, 1, 1]
    assert arrays.observations[arrays.origin[0]].tolist() == [0, 0, 0]
    assert (arrays.actions[0], arrays.rewards[0], arrays.discounts[0]) == (2, 3, np.float32(0.99))
    assert [a.dtype.name for a in arrays[1:-1]] == ["int32", "int32", "int64", "float32", "float32"]
    assert arrays.masks is None


def begun(**arguments):
    replay = Replay(BOX, 8, num_envs=2, **arguments)
    replay.begin(np.zeros((2, 3)), np.ones((2, 4)) if arguments.get("n_actions") else None)
    return replay


GOOD = {
    "actions": [0, 1],
    "rewards": [0.0, 1.0],
    "next_observations": np.zeros((2, 3)),
    "terminated": [False, False],
    "truncated": [False, False],
}


@pytest.mark.parametrize(
    ("change", "made_with", "words"),
    [
        ({"actions": [0]}, {}, r"actions has the shape \(1,\), but \(2,\) was expected"),
        ({"rewards": 1.0}, {}, r"rewards has the shape \(\)"),
        ({"next_observations": np.zeros(3)}, {}, r"shape \(3,\), but \(2, 3\) was expected"),
        ({"next_observations": np.zeros((2, 1))}, {}, r"shape \(2, 1\)"),
        ({"masks": np.ones((2, 4))}, {}, r"keeps none; make it with n_actions="),
        ({}, {"n_actions": 4}, r"masks are missing"),
        ({"masks": np.ones((2, 3))}, {"n_actions": 4}, r"masks.*\(2, 4\) was expected|mask.*\(2, 4\) was expected"),
        ({"extras": {"p": [1, 2]}}, {}, r"extras are \['p'\], but \[\] was expected"),
        ({}, {"extras": {"p": ((), float)}}, r"extras are \[\], but \['p'\] was expected"),
        ({"envs": [0, 0]}, {}, r"different numbers below num_envs=2"),
        ({"envs": [0, 2]}, {}, r"different numbers below num_envs=2"),
        ({"envs": [0.5, 1]}, {}, r"list of environments' numbers"),
        ({"envs": 0}, {}, r"list of environments' numbers"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_added(change, made_with, words):
    replay = begun(**made_with)
    before = replay.state()["observations"].written
    with pytest.raises(ArgumentError, match=words):
        replay.add(**{**GOOD, **change})
    assert len(replay) == 0
    assert replay.state()["observations"].written == before


def test_a_step_before_begin_or_after_an_end_is_refused():
    replay = Replay(BOX, 8, num_envs=2)
    with pytest.raises(ArgumentError, match=r"no episode has begun in environments \[0, 1\]; call begin"):
        replay.add(**GOOD)
    replay.begin(np.zeros((2, 3)))
    replay.add(**{**GOOD, "truncated": [False, True]})
    with pytest.raises(ArgumentError, match=r"environments \[1\]"):
        replay.add(**GOOD)
    single = Replay(BOX, 8)
    with pytest.raises(ArgumentError, match="call begin"):
        single.add_one(0, 0.0, np.zeros(3), False, False)
    single.begin(np.zeros((1, 3)))
    with pytest.raises(ArgumentError, match=r"shape \(2,\), but \(3,\)"):
        single.add_one(0, 0.0, np.zeros(2), False, False)


def test_arguments_that_make_no_replay_are_refused():
    for wrong in ({"capacity": 0}, {"capacity": 1.5}, {"num_envs": 0}, {"n_step": True}, {"gamma": 1.5}):
        with pytest.raises(ArgumentError, match=f"{next(iter(wrong))} is"):
            Replay(BOX, **{"capacity": 8, **wrong})
    with pytest.raises(ArgumentError, match=re.escape("at most 1073741824")):
        Replay.bytes_needed(BOX, 2**31)
    with pytest.raises(SpaceError, match=r"rltk\.encoders\.Plain"):
        Replay(gym.spaces.Tuple([BOX]), 8)
    with pytest.raises(SpaceError, match=r"observation_space\['a'\].*Plain"):
        Replay(gym.spaces.Dict({"a": gym.spaces.Dict({"b": BOX})}), 8)
    with pytest.raises(ArgumentError, match=r"parts \['b'\], but \['a'\]"):
        Replay(gym.spaces.Dict({"a": BOX}), 8).begin({"b": np.zeros((1, 3))})


def test_an_empty_replay_can_not_be_drawn_from():
    replay = Replay(BOX, 8)
    with pytest.raises(ArgumentError, match="the replay is empty"):
        replay.draw(np.random.default_rng(0), 4)
    with pytest.raises(ArgumentError, match="the replay is empty"):
        replay.sample(4, np.random.default_rng(0))


def test_the_room_is_light_until_it_is_used():
    """`import rltk.replay` reads neither torch nor numba, and an unknown name is refused with those there are."""
    code = "import sys, rltk.replay; assert not {'torch', 'numba'} & set(sys.modules); print(dir(rltk.replay))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "PrioritisedReplay" in done.stdout
    with pytest.raises(AttributeError, match=r"no attribute 'Reply'; it has .*Replay"):
        rltk.replay.Reply  # noqa: B018


@pytest.mark.parametrize("n_step", [1, 3])
def test_on_a_device_it_is_the_same_replay(twins, monkeypatch, n_step):
    """The rows of a device are tensors; here they are tensors on the CPU, and must come out the same."""
    monkeypatch.setattr("rltk.replay.storage.on_host", lambda device: False)
    pair = twins(3, capacity=30, num_envs=3, n_step=n_step)
    for _ in range(20):
        pair.play(10)
        pair.compare()
    with pytest.raises(ArgumentError, match="device='cpu'"):
        pair.replay.arrays()


def test_on_a_device_every_tensor_is_there():
    """Meta tensors have a place and no content: what was made elsewhere would show."""
    replay = Replay(BOX, 20, num_envs=2, n_actions=3, device="meta", extras={"p": ((), np.float32)})
    replay.begin(torch.zeros((2, 3), device="meta"), np.ones((2, 3)))
    replay.add(
        [0, 1], [0.0, 1.0], torch.zeros((2, 3), device="meta"), [0, 0], [0, 0], np.ones((2, 3)), {"p": [0.5, 0.5]}
    )
    batch = replay.sample(5, np.random.default_rng(0))

    tensors = [part for part in batch if isinstance(part, torch.Tensor)] + [*batch.extras.values()]
    assert len(tensors) == 7
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert batch.observations.shape == (5, 3)
