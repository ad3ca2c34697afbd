"""A batch is its single environments: levels, episodes, autoreset modes, infos, states."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from minigrid_reference import FIRST_IDS, IDS, Errands, assert_same_observation

from rltk.errors import ArgumentError

every_id = pytest.mark.parametrize("name", [f"rltk/{name}" for name in IDS])
every_family = pytest.mark.parametrize("name", [f"rltk/{name}" for name in FIRST_IDS])
every_mode = pytest.mark.parametrize("autoreset", list(AutoresetMode))


def assert_same_infos(found, expected):
    """Keys and masks; the last observations of those that ended; an empty info each."""
    assert found.keys() == expected.keys()
    if found:
        assert np.array_equal(found["_final_obs"], expected["_final_obs"])
        assert np.array_equal(found["_final_info"], expected["_final_info"])
        assert found["final_info"] == expected["final_info"] == {}
        assert found["final_obs"].dtype == expected["final_obs"].dtype == object
        for mine, theirs in zip(found["final_obs"], expected["final_obs"], strict=True):
            assert (mine is None) == (theirs is None)
            if mine is not None:
                assert_same_observation(mine, theirs)


@every_id
@every_mode
def test_a_batch_is_its_single_environments(name, autoreset):
    """Environment i with seed + i is the single environment, in every autoreset mode, whatever ends when."""
    options = {"max_steps": 14}
    batch = gym.make_vec(name, num_envs=4, autoreset_mode=autoreset, **options)
    peer = SyncVectorEnv([lambda: gym.make(name, **options)] * 4, autoreset_mode=autoreset)
    assert batch.metadata["autoreset_mode"] is autoreset
    assert batch.observation_space == peer.observation_space
    assert batch.action_space == peer.action_space

    def check(found, expected):
        mine, theirs = found[0], expected[0]
        assert mine.keys() == theirs.keys()
        for key in ("image", "direction"):
            assert mine[key].dtype == theirs[key].dtype
            assert np.array_equal(mine[key], theirs[key])
        assert mine["mission"] == theirs["mission"]
        for one, other in zip(found[1:-1], expected[1:-1], strict=True):
            assert one.dtype == other.dtype
            assert np.array_equal(one, other)
        assert_same_infos(found[-1], expected[-1])

    check(batch.reset(seed=11), peer.reset(seed=11))
    policies, ends = [Errands(seed) for seed in range(4)], np.zeros(4, dtype=bool)
    for step in range(100):
        if autoreset is AutoresetMode.DISABLED and ends.any():
            seeds = [100 + step, None, 200 + step, None]
            mask = {"reset_mask": ends.copy()}
            check(batch.reset(seed=seeds, options=mask), peer.reset(seed=seeds, options=mask))
        actions = np.array([policy(env.unwrapped) for policy, env in zip(policies, peer.envs, strict=True)])
        found, expected = batch.step(actions), peer.step(actions)
        check(found, expected)
        ends = found[2] | found[3]
        for policy, end in zip(policies, ends, strict=True):
            policy.begin() if end else None
    check(batch.reset(seed=[1, None, 3, None]), peer.reset(seed=[1, None, 3, None]))
    check(batch.reset(), peer.reset())


@every_family
def test_the_mission_can_be_a_number_or_left_out(name):
    """SB3 and arrays know no sentences."""
    text = gym.make_vec(name, num_envs=5)
    number = gym.make_vec(name, num_envs=5, mission="number")
    none = gym.make_vec(name, num_envs=5, mission="none")
    sentences = text.reset(seed=3)[0]["mission"]
    numbers = number.reset(seed=3)[0]["mission"]
    assert numbers in number.observation_space["mission"]
    missions = number._setting.plan.missions
    assert tuple(missions.texts[i] for i in numbers) == sentences
    assert set(none.reset(seed=3)[0]) == {"image", "direction"}
    single = gym.make(name, mission="number").unwrapped
    assert missions.texts[single.reset(seed=3)[0]["mission"]] == sentences[0]
    assert single.mission == sentences[0]


@every_family
def test_a_batch_replays_exactly(name):
    """From what `get_state` gave, streams included; and without them the coming levels stay unseen."""
    batch = gym.make_vec(name, num_envs=3, max_steps=5)
    batch.reset(seed=0)
    actions = np.random.default_rng(0).integers(batch.single_action_space.n, size=(40, 3))
    for action in actions[:13]:
        batch.step(action)
    state = batch.get_state()

    def play(env):
        out = []
        for action in actions:
            observation, *rest, _ = env.step(action)
            out.append([observation["image"].tolist(), observation["mission"], [part.tolist() for part in rest]])
        return out

    first, after = play(batch), batch.get_state()
    batch.set_state(state, restore_rng=True)
    assert play(batch) == first
    other = gym.make_vec(name, num_envs=3, max_steps=5)  # which was never reset
    other.set_state(state, restore_rng=True)
    assert play(other) == first
    batch.set_state(state)
    assert np.array_equal(batch.get_state()["stream"], after["stream"])
    assert np.array_equal(batch.get_state()["grid"], state["grid"])


def test_what_is_handed_out_is_the_callers_unless_asked_otherwise():
    """With copy=False the next call writes into the same arrays."""
    for copy in (True, False):
        batch = gym.make_vec("rltk/MiniGrid-DoorKey-5x5-v0", num_envs=3, copy=copy)
        (first, _), (second, *results, _) = batch.reset(seed=0), batch.step(np.full(3, 1))
        assert np.shares_memory(first["image"], second["image"]) is not copy
        _, *later, _ = batch.step(np.full(3, 1))
        assert all(np.shares_memory(a, b) is not copy for a, b in zip(results, later, strict=True))


def test_bad_calls_are_named():
    """The environment and what was expected, before anything has changed."""
    name = "rltk/MiniGrid-DoorKey-5x5-v0"
    batch = gym.make_vec(name, num_envs=3, autoreset_mode="Disabled", max_steps=2)
    with pytest.raises(ArgumentError, match="reset"):
        batch.step(np.zeros(3, dtype=int))
    with pytest.raises(ArgumentError, match="first reset"):
        batch.reset(options={"reset_mask": np.array([True, False, False])})
    batch.reset(seed=0)
    before = batch.get_state()
    for actions in (np.array([0, 7, 0]), np.array([0, -1, 0])):
        with pytest.raises(ArgumentError, match="environment 1: 0 to 6"):
            batch.step(actions)
    for actions in (np.zeros(2, dtype=int), np.zeros(3), None, "abc"):
        with pytest.raises(ArgumentError, match="actions"):
            batch.step(actions)
    assert all(np.array_equal(before[key], array) for key, array in batch.get_state().items())
    batch.step(np.zeros(3, dtype=int))
    batch.step(np.zeros(3, dtype=int))
    with pytest.raises(ArgumentError, match="environment 0 has ended"):
        batch.step(np.zeros(3, dtype=int))
    with pytest.raises(ArgumentError, match="num_envs"):
        gym.make_vec(name, num_envs=0)
    with pytest.raises(ArgumentError, match="autoreset_mode"):
        gym.make_vec(name, num_envs=1, autoreset_mode="never")
    with pytest.raises(ArgumentError, match="batch is None or 'rgb_array'"):
        gym.make_vec(name, num_envs=1, render_mode="human")
    with pytest.raises(ArgumentError, match="i: an environment"):
        batch.grid(3)
    assert batch.grid(2).get(0, 0).type == "wall"
