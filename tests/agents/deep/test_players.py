"""What a learner remembers of environments in every autoreset mode: true transitions, and nothing else."""

import gymnasium as gym
import numpy as np
import pytest
from deep_worlds import Clock, Mixed
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rltk.agents.deep import DQN
from rltk.errors import LearningError, SpaceError

MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


def batch_of(mode, count=3, **options):
    return SyncVectorEnv([lambda: Clock(**options) for _ in range(count)], autoreset_mode=mode)


def remembered(agent):
    """Every transition alive in the replay: (observation, action, reward, next observation, discount) rows."""
    positions = np.array(list(agent.replay.alive)) % agent.replay.capacity
    batch = agent.replay.batch(positions)
    parts = (batch.observations, batch.actions, batch.rewards, batch.next_observations, batch.discounts)
    return [part.numpy() for part in parts]


@pytest.mark.parametrize("mode", [None, *MODES])
def test_transitions_are_the_environments_own(mode):
    """One environment, and three in each mode: every transition stays within its episode, one step on, with the action
    that was taken and the reward that was paid, and bootstraps unless it terminated."""
    env = Clock() if mode is None else batch_of(mode)
    agent = DQN(env, learning_starts=10**6, gamma=0.5, buffer_size=5000).learn(600)
    before, actions, rewards, after, discounts = remembered(agent)

    assert len(actions) == agent.timestep >= 600
    np.testing.assert_array_equal(before[:, 0], after[:, 0])
    np.testing.assert_array_equal(before[:, 1] + 1, after[:, 1])
    np.testing.assert_array_equal(after[:, 2], actions)
    np.testing.assert_allclose(rewards, after[:, 1] + 0.1 * actions, rtol=1e-6)
    ends = {}  # the last step of each episode that is over
    for episode, step, discount in zip(after[:, 0], after[:, 1], discounts, strict=True):
        ends.setdefault((episode, step), []).append(discount)
    assert set(discounts.tolist()) == {0.0, 0.5}
    for (_, step), found in ends.items():
        if 0.0 in found:
            assert step % 2 == 0, "only an even number of steps terminates"


@pytest.mark.parametrize("mode", MODES)
def test_three_environments_remember_what_each_alone_would(mode):
    """With the actions that were taken, each environment alone gives the same transitions, ends and all."""
    makers = [lambda first=first: Clock(first=first) for first in (0, 1000, 2000)]
    env = SyncVectorEnv(makers, autoreset_mode=mode)
    agent = DQN(env, learning_starts=10**6, gamma=0.5, buffer_size=5000, seed=3).learn(300)
    rows = {tuple(before): (int(action), *rest) for before, action, *rest in zip(*remembered(agent), strict=True)}
    alone = 0
    for i, make in enumerate(makers):
        player = make()
        observation, _ = player.reset(seed=agent.streams.seed("environment") + i)
        while tuple(observation) in rows:
            action, reward, after, discount = rows[tuple(observation)]
            observation, paid, terminated, truncated, _ = player.step(action)
            assert (paid, 0.0 if terminated else 0.5) == (pytest.approx(float(reward), rel=1e-6), float(discount))
            np.testing.assert_array_equal(after, observation)
            alone += 1
            if terminated or truncated:
                observation, _ = player.reset()

    assert alone == len(rows) == agent.timestep


@pytest.mark.parametrize("mode", [None, *MODES])
def test_masked_actions_are_never_taken(mode):
    """The environment asserts it: exploring at random, greedily, and in batches; next masks are remembered."""
    env = Clock(masked=True, start=4) if mode is None else batch_of(mode, masked=True, start=4)
    agent = DQN(env, learning_starts=50, exploration_fraction=0.5, buffer_size=2000).learn(300)
    batch = agent.sample()

    expected = np.arange(3) != (batch.next_observations.numpy()[:, 1:2] % 3)
    np.testing.assert_array_equal(batch.next_masks.numpy(), expected)
    assert agent.updates > 50


def test_steps_that_reset_are_no_transitions_and_count_no_timestep():
    """In NEXT_STEP mode the step after an end is a reset."""
    env = batch_of(AutoresetMode.NEXT_STEP, longest=1)
    agent = DQN(env, learning_starts=10**6, buffer_size=500).learn(30)

    assert agent.timestep == len(agent.replay) == 30
    assert agent.episodes == 30


@pytest.mark.parametrize("mode", [None, *MODES])
def test_returns_and_lengths_of_episodes_are_the_environments(mode):
    """The mean of what an episode paid is reported, in every mode alike."""
    env = Clock(longest=1) if mode is None else batch_of(mode, longest=1)
    told = []
    DQN(env, learning_starts=10**6, buffer_size=500).learn(60, lambda progress: told.append(progress.metrics))

    assert told[-1]["rollout/ep_len_mean"] == 1
    assert 1.0 <= told[-1]["rollout/ep_rew_mean"] <= 1.2


def test_rltk_s_batched_engines_are_learnt_on():
    """MiniGrid's and the tabular batches, in Gymnasium's default mode."""
    for name, options in (("rltk/MiniGrid-Empty-5x5-v0", {"form": "flat"}), ("rltk/FrozenLake-v0", {})):
        env = gym.make_vec(name, num_envs=8, **options)
        agent = DQN(env, learning_starts=64, buffer_size=2000, train_freq=4).learn(400)
        assert agent.updates > 5
        assert agent.timestep >= 400


def test_a_dict_with_everything_in_it_is_learnt_from():
    """Nested, with text, float64, and indices that do not start at 0."""
    agent = DQN(Mixed(), learning_starts=20, buffer_size=200).learn(100)
    env = Mixed()
    observation, _ = env.reset(seed=0)
    action, _ = agent.predict(observation, deterministic=True)

    assert env.action_space.contains(action)
    assert agent.updates > 50


@pytest.mark.parametrize(
    ("space", "peer"),
    [(gym.spaces.Box(-1, 1, (2,)), "SAC, TD3 or PPO"), (gym.spaces.MultiDiscrete([2, 2]), "PPO")],
)
def test_other_actions_are_refused_with_what_takes_them(space, peer):
    """The error names Stable-Baselines3's algorithm."""
    env = Clock()
    env.action_space = space
    with pytest.raises(SpaceError, match=f"Stable-Baselines3's {peer}"):
        DQN(env)


def test_what_is_no_environment_is_refused():
    """And what to do is said."""
    with pytest.raises(SpaceError, match=r"gym\.make"):
        DQN("CartPole-v1")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_reward_that_is_no_number_stops_at_once(value):
    """With the source in the message; nothing more can be learnt after it."""
    env = gym.wrappers.TransformReward(Clock(), lambda reward: value if reward > 3 else reward)
    agent = DQN(env, learning_starts=10**6, buffer_size=500)
    with pytest.raises(LearningError, match=r"paid (nan|inf) to player 0"):
        agent.learn(500)
    with pytest.raises(LearningError, match="load an earlier checkpoint"):
        agent.learn(1)


def test_an_observation_that_is_no_number_stops_at_once(tmp_path):
    """With what, where, the step and the last checkpoint."""
    poor = gym.wrappers.TransformObservation(Clock(), lambda seen: np.where(seen > 5, np.nan, seen), None)
    agent = DQN(poor, learning_starts=10**6, buffer_size=500)
    agent.save(tmp_path / "good")
    with pytest.raises(LearningError, match=rf"(?s)after step \d+: observation: nan at.*{tmp_path.name}"):
        agent.learn(500)


def test_a_mask_that_leaves_nothing_is_refused():
    """An environment's fault, named."""

    class Stuck(Clock):
        def _info(self):
            return {"action_mask": np.zeros(3)}

    with pytest.raises(LearningError, match="no action at all"):
        DQN(Stuck(), buffer_size=100).learn(10)
