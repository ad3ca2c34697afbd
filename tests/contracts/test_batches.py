"""What the batched form of every environment promises: it is its single environments, side by side."""

import gymnasium as gym
import numpy as np
import pytest
from contract_envs import allowed, every_id, every_mode
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rltk.errors import ArgumentError


def same(found, expected):
    """Whether two infos are the same: keys, types, shapes and values."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, dict):
            same(found[key], value)
        elif value.dtype == object:
            assert [None if v is None else np.array(v).tolist() for v in found[key]] == [
                None if v is None else np.array(v).tolist() for v in value
            ]
        else:
            assert (found[key].dtype, found[key].shape) == (value.dtype, value.shape), key
            assert np.array_equal(found[key], value), key


@every_id
@pytest.mark.parametrize("autoreset", list(AutoresetMode))
def test_a_batch_is_its_single_environments(name, autoreset):
    options = {"max_episode_steps": 9, "observation": "coords"}
    batch = gym.make_vec(name, num_envs=4, autoreset_mode=autoreset, **options)
    peer = SyncVectorEnv([lambda: gym.make(name, **options)] * 4, autoreset_mode=autoreset)
    assert batch.metadata["autoreset_mode"] is autoreset
    assert batch.observation_space == peer.observation_space
    assert batch.action_space == peer.action_space
    assert batch.max_episode_steps == 9

    def check(found, expected):
        assert len(found) == len(expected)
        for mine, theirs in zip(found[:-1], expected[:-1], strict=True):
            assert mine.dtype == theirs.dtype
            assert np.array_equal(mine, theirs)
        same(found[-1], expected[-1])

    check(batch.reset(seed=11), peer.reset(seed=11))
    ends = np.zeros(4, dtype=bool)
    random = np.random.default_rng(0)
    for step in range(150):
        if autoreset is AutoresetMode.DISABLED and ends.any():
            seeds = [100 + step, None, 200 + step, None]
            found = batch.reset(seed=seeds, options={"reset_mask": ends.copy()})
            check(found, peer.reset(seed=seeds, options={"reset_mask": ends.copy()}))
        actions = allowed(batch, random.integers(batch.single_action_space.n, size=4))
        found, expected = batch.step(actions), peer.step(actions)
        check(found, expected)
        ends = found[2] | found[3]
    check(batch.reset(seed=[1, None, 3, None]), peer.reset(seed=[1, None, 3, None]))
    check(batch.reset(), peer.reset())


@every_id
@every_mode
def test_a_batch_observes_in_every_mode(name, mode):
    batch = gym.make_vec(name, num_envs=3, observation=mode)
    observations, infos = batch.reset(seed=0)
    for _ in range(20):
        assert observations in batch.observation_space
        assert observations.dtype == batch.observation_space.dtype
        assert np.array_equal(observations, batch.observations(infos["state"]))
        observations, *_, infos = batch.step(allowed(batch, batch.action_space.sample()))


@every_id
def test_a_batch_hands_out_copies(name):
    batch = gym.make_vec(name, num_envs=3, autoreset_mode="SameStep", max_episode_steps=3)
    kept = []
    batch.reset(seed=0)
    for action in range(12):
        found = batch.step(allowed(batch, np.full(3, action % batch.single_action_space.n)))
        assert not any(np.shares_memory(new, old) for new in found[:-1] for old in kept)
        kept += [*found[:-1], *(v for v in found[-1].values() if isinstance(v, np.ndarray) and v.dtype != object)]
        for array in kept:
            array[...] = 0
    twin = gym.make_vec(name, num_envs=3, autoreset_mode="SameStep", max_episode_steps=3)
    twin.reset(seed=0)
    for action in range(12):
        twin.step(allowed(twin, np.full(3, action % twin.single_action_space.n)))
    assert all(np.array_equal(twin.get_state()[k], v) for k, v in batch.get_state().items())


@every_id
def test_a_batch_replays_exactly(name):
    batch = gym.make_vec(name, num_envs=3, max_episode_steps=5)
    batch.reset(seed=0)
    actions = np.random.default_rng(0).integers(batch.single_action_space.n, size=(40, 3))
    for action in actions[:13]:
        batch.step(allowed(batch, action))
    state = batch.get_state()
    first = [[np.array(part).tolist() for part in batch.step(allowed(batch, action))[:4]] for action in actions]
    after = batch.get_state()
    batch.set_state(state, restore_rng=True)
    assert [[np.array(part).tolist() for part in batch.step(allowed(batch, action))[:4]] for action in actions] == first
    batch.set_state(state)
    assert np.array_equal(batch.get_state()["stream"], after["stream"])
    with pytest.raises(ArgumentError, match="stream"):
        batch.set_state({**state, "stream": state["stream"] * 0})
