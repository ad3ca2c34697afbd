"""The episodes of late: what is kept, reported and restored, and that learners which hold them can be copied."""

import copy
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.runs.recent import KEPT, RecentEpisodes


def test_the_last_hundred_are_kept_and_reported():
    recent = RecentEpisodes((float(k), 2 * k) for k in range(130))
    assert len(recent) == KEPT == 100
    learner = SimpleNamespace(timestep=500, episodes=130)
    found = recent.metrics(learner, (0, 0.0))
    assert found["rollout/ep_rew_mean"] == np.mean(np.arange(30, 130)) == recent.bar_fields()["ep_rew_mean"]
    assert found["rollout/ep_len_mean"] == 2 * np.mean(np.arange(30, 130))
    assert found["time/episodes"] == 130
    assert found["time/fps"] > 0
    assert set(RecentEpisodes().metrics(learner, (0, 0.0))) == {"time/fps", "time/episodes"}
    assert RecentEpisodes().bar_fields() == {}


def test_what_a_checkpoint_holds_comes_back():
    recent = RecentEpisodes([(0.5, 3), (-1.0, 7)])
    restored = RecentEpisodes.restored({**recent.state(), "other": 1})
    assert list(restored) == [(0.5, 3), (-1.0, 7)]
    assert restored.maxlen == KEPT
    assert list(RecentEpisodes.restored(RecentEpisodes().state())) == []


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_copies(make):
    recent = RecentEpisodes([(0.5, 3)])
    twin = make(recent)
    twin.append((1.0, 1))
    assert (len(recent), len(twin), twin.maxlen) == (1, 2, KEPT)


def test_learners_can_be_copied():
    """A copy learns on as its original does."""
    deep = rltk.agents.DQN(gym.make("CartPole-v1"), learning_starts=20, backend="torch", seed=0).learn(60)
    tabular = rltk.agents.QLearning(gym.make("FrozenLake-v1"), backend="gymnasium", seed=0).learn(60)
    twins = copy.deepcopy(deep), copy.deepcopy(tabular)
    for learner, twin in zip((deep, tabular), twins, strict=True):
        assert twin.learn(30).episodes == learner.learn(30).episodes > 0
    np.testing.assert_array_equal(twins[1].table, tabular.table)
    one, other = (agent.predict(np.zeros(4, np.float32), deterministic=True)[0] for agent in (deep, twins[0]))
    assert one == other
