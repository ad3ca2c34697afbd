"""DQN unchanged on whatever Gymnasium offers, and in the hands of whatever takes an agent: Stable-Baselines3's helpers,
`rltk.evaluate`, `rltk.explain`, `rltk.watch`, callbacks and loggers."""

import gymnasium as gym
import minigrid  # noqa: F401  registers its ids
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from deep_worlds import Clock, Mixed
from PIL import Image
from stable_baselines3.common.callbacks import EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

import rltk
from rltk.agents.deep import DQN
from rltk.envs.sb3 import VecEnv
from rltk.errors import ArgumentError, SpaceError
from rltk.experiments import Checkpoints, Evaluate, Film, StopAtSuboptimality
from rltk.runs import Run
from rltk.viewing import Player

SMALL = {
    "encoder": "mlp",
    "encoder_kwargs": {"hidden": (16,)},
    "learning_starts": 32,
    "batch_size": 16,
    "buffer_size": 400,
    "backend": "torch",
}
ROOMS = "rltk/FourRooms-v0"
WORLDS = {
    "CartPole-v1": lambda: gym.make("CartPole-v1"),
    "Acrobot-v1": lambda: gym.make("Acrobot-v1", max_episode_steps=60),
    "FrozenLake-v1": lambda: gym.make("FrozenLake-v1"),
    "Taxi": lambda: gym.make(max(name for name in gym.registry if name.startswith("Taxi-v"))),  # the newest version
    "rltk/FrozenLake-v0": lambda: gym.make("rltk/FrozenLake-v0"),
    "rltk/Taxi-v0": lambda: gym.make("rltk/Taxi-v0"),
    "MiniGrid-Empty-5x5-v0": lambda: gym.make("MiniGrid-Empty-5x5-v0"),  # minigrid's own: a Dict with a text
    "rltk/MiniGrid-Empty-5x5-v0": lambda: gym.make("rltk/MiniGrid-Empty-5x5-v0"),
    "a Dict of everything": Mixed,
    "actions from 5": lambda: Clock(start=5),
    "actions from -1": lambda: Clock(start=-1, masked=True),
    "a stack of frames": lambda: gym.wrappers.FrameStackObservation(gym.make("CartPole-v1"), 4),
    "a batch": lambda: gym.make_vec("CartPole-v1", num_envs=3),
}


def small(env, **options):
    return DQN(env, **{**SMALL, **options})


@pytest.fixture(scope="module")
def pole():
    """One that has learnt a little on CartPole."""
    return small(gym.make("CartPole-v1")).learn(200)


@pytest.mark.parametrize("name", WORLDS)
def test_it_learns_and_acts_unchanged(name):
    """A few hundred steps with updates, then an action of the environment's own for what it shows."""
    env = WORLDS[name]()
    agent = small(env).learn(201)
    observation, _ = WORLDS[name]().reset(seed=1)
    action, state = agent.predict(observation, deterministic=True)

    assert agent.updates > 0
    assert np.isfinite(agent.losses).all()
    assert env.action_space.contains(action)
    assert state is None


def test_other_actions_are_refused_with_what_takes_them():
    """Continuous ones and several at once: the error names Stable-Baselines3's algorithms."""
    with pytest.raises(SpaceError, match=r"SAC, TD3 or PPO"):
        DQN(gym.make("Pendulum-v1"))

    class Pair(Clock):
        def __init__(self):
            super().__init__()
            self.action_space = gym.spaces.MultiDiscrete([2, 2])

    with pytest.raises(SpaceError, match=r"Stable-Baselines3's PPO"):
        DQN(Pair())


# What `predict` takes


def same_one_by_one(agent, observations):
    """Actions for a batch (n,) are those of each of `observations` for itself, ints."""
    one_by_one = [agent.predict(each, deterministic=True)[0] for each in observations]
    assert all(type(action) is int for action in one_by_one)
    batch = observations
    if isinstance(observations[0], dict):
        batch = {name: [each[name] for each in observations] for name in observations[0]}
        batch = {name: part if isinstance(part[0], str) else np.stack(part) for name, part in batch.items()}
    elif isinstance(observations[0], np.ndarray):
        batch = np.stack(observations)
    actions, _ = agent.predict(batch, deterministic=True)
    np.testing.assert_array_equal(actions, one_by_one)


def test_predict_takes_one_or_many(pole):
    """Of numbers, of bare ints, of dicts with text."""
    same_one_by_one(pole, [gym.make("CartPole-v1").reset(seed=seed)[0] for seed in range(9)])
    lake = small(gym.make("rltk/FrozenLake-v0"))
    same_one_by_one(lake, list(range(16)))
    assert type(lake.predict(np.int64(3), deterministic=True)[0]) is int
    assert type(lake.predict(np.array(3), deterministic=True)[0]) is int
    assert lake.predict(np.array([3]), deterministic=True)[0].shape == (1,)
    grid = gym.make("MiniGrid-Empty-5x5-v0")
    same_one_by_one(small(grid), [grid.reset(seed=seed)[0] for seed in range(3)])


def test_predict_knows_one_by_its_axes(pole):
    """Beyond the space's bounds, in another type, in a list: one observation is one, and the same one."""
    observation = np.array([0.1, -0.2, 0.03, 0.4], np.float32)
    expected = pole.predict(observation, deterministic=True)[0]

    assert pole.predict(observation.astype(np.float64), deterministic=True)[0] == expected
    assert pole.predict(observation.tolist(), deterministic=True)[0] == expected
    assert type(pole.predict(1000 * observation, deterministic=True)[0]) is int
    for wrong in (None, [[1.0, 2.0], [3.0]], np.zeros((2, 5)), np.zeros(5)):
        with pytest.raises(ArgumentError, match="observation"):
            pole.predict(wrong)


def test_predict_explores_unless_deterministic():
    """The behaviour policy, from a stream of its own: learning goes on as if nobody had asked."""
    lake = "rltk/FrozenLake-v0"
    asked, alone = small(gym.make(lake)).learn(40), small(gym.make(lake)).learn(40)
    expected = asked.action_probabilities(np.array([0]), deterministic=False)[0]
    shares = np.bincount(asked.predict(np.zeros(4_000, np.int64))[0], minlength=4) / 4_000
    asked.learn(40)
    alone.learn(40)

    assert 0 < asked.exploration_rate < 1
    np.testing.assert_allclose(shares, expected, atol=0.04)
    for one, other in zip(asked.network.parameters(), alone.network.parameters(), strict=True):
        assert torch.equal(one, other)


# Stable-Baselines3's helpers


def test_sb3_evaluates_it_on_one_and_on_many(pole):
    """`evaluate_policy` on an environment and on a VecEnv: the returns that playing greedily really gives."""
    env = Monitor(gym.make("CartPole-v1", max_episode_steps=100))
    env.reset(seed=3)
    returns, lengths = evaluate_policy(pole, env, n_eval_episodes=3, return_episode_rewards=True)
    many = DummyVecEnv([lambda: Monitor(gym.make("CartPole-v1", max_episode_steps=100))] * 3)
    many.seed(3)
    of_many, _ = evaluate_policy(pole, many, n_eval_episodes=6, return_episode_rewards=True)
    rooms = small(gym.make(ROOMS))
    of_rooms, _ = evaluate_policy(rooms, VecEnv(ROOMS, 4, max_episode_steps=20), 4, return_episode_rewards=True)

    assert returns == lengths  # the pole pays 1 a step
    assert len(of_many) == 6
    assert min(of_many) >= 1
    assert len(of_rooms) == 4


@pytest.mark.parametrize("kind", ["PPO", "DQN"])
def test_sb3_learns_in_rltks_worlds_and_is_graded_exactly(kind, tmp_path):
    """With its EvalCallback on rltk's environments; afterwards `rltk.evaluate` gives the very value of what it predicts
    in each state, (I - gamma P)^-1 r, beside the optimum."""
    options = {"PPO": {"n_steps": 32, "batch_size": 32, "n_epochs": 2}, "DQN": {"learning_starts": 50}}[kind]
    venv = VecEnv(ROOMS, 4, seed=0, observation="coords", max_episode_steps=30)
    judge = VecEnv(ROOMS, 2, seed=1, observation="coords", max_episode_steps=30)
    watch = EvalCallback(judge, eval_freq=64, n_eval_episodes=2, best_model_save_path=str(tmp_path), verbose=0)
    model = getattr(sb3, kind)("MlpPolicy", venv, seed=0, device="cpu", **options).learn(256, callback=watch)
    env = gym.make(ROOMS, observation="coords").unwrapped
    found, mdp = rltk.evaluate(model, env), env.mdp()
    actions, _ = model.predict(env.observations(np.arange(mdp.n_states)), deterministic=True)

    assert watch.last_mean_reward > -np.inf
    assert (tmp_path / "best_model.zip").exists()
    assert found.exact
    value = mdp.chain(np.eye(mdp.n_actions)[actions]).value(model.gamma)
    assert found.value == pytest.approx(mdp.over_start(value), abs=1e-12)
    assert found.value <= found.optimum + 1e-9


# rltk's own


def test_it_is_graded_and_explained_exactly():
    """Without sampling, and the explanation's losses sum up to the suboptimality."""
    env = gym.make("rltk/FrozenLake-v0")
    agent = small(gym.make("rltk/FrozenLake-v0")).learn(300)
    found, explained = rltk.evaluate(agent, env), rltk.explain(agent, env)
    behaving = rltk.evaluate(agent, env, deterministic=False)

    assert found.exact
    assert found.criterion == agent.criterion
    policy = agent.action_probabilities(np.arange(16))
    np.testing.assert_array_equal(policy.argmax(axis=1), agent.q_values(np.arange(16)).argmax(axis=1))
    assert explained.suboptimality == pytest.approx(found.suboptimality)
    assert behaving.exact
    assert behaving.value != found.value


def test_callbacks_serve_it(tmp_path):
    """An exact curve on four rooms that ends with what `rltk.evaluate` says; checkpoints, films; an early stop."""
    curve, saving = Evaluate(gym.make(ROOMS), 100), Checkpoints(tmp_path / "saved", 100)
    film = Film(gym.make(ROOMS), tmp_path / "films", 200, longest=4)
    stop = StopAtSuboptimality(gym.make(ROOMS), 1e9, 300)
    agent = small(gym.make(ROOMS)).learn(1_000, [curve, saving, film, stop], callback_every=50)
    again = DQN.load(tmp_path / "saved", gym.make(ROOMS), backend="torch")

    assert agent.timestep == 300
    assert [one["timestep"] for one in curve.history] == [100, 200, 300]
    assert curve.latest.exact
    assert curve.history[-1]["suboptimality"] == rltk.evaluate(again, gym.make(ROOMS)).suboptimality
    assert (again.timestep, agent.last_checkpoint) == (300, saving.path)
    with Image.open(film.path) as picture:
        assert picture.n_frames > 1


class Sheet(KVWriter):
    """Keeps what a Stable-Baselines3 logger writes."""

    def __init__(self):
        self.lines = []

    def write(self, key_values, key_excluded, step=0):
        self.lines.append({"step": step, **key_values})

    def close(self):
        pass


TAGS = {
    "rollout/ep_rew_mean",
    "rollout/ep_len_mean",
    "time/fps",
    "time/episodes",
    "train/loss",
    "train/n_updates",
}


def test_it_logs_to_sb3s_logger_and_to_a_run(tmp_path):
    """Under Stable-Baselines3's tags, a line every so many episodes; anything else is refused."""
    agent, sheet = small(gym.make("CartPole-v1")), Sheet()
    agent.set_logger(Logger(None, [sheet]))
    agent.learn(400, log_interval=2)
    assert set(sheet.lines[-1]) - {"step"} == TAGS
    assert 0 < sheet.lines[-1]["step"] <= 400

    with Run.start(tmp_path, env="CartPole-v1", algorithm="dqn", seed=0, tensorboard=False) as run:
        agent.set_logger(run)
        agent.learn(400, log_interval=2)
        lines = run.metrics()
    assert set(lines[-1]) >= TAGS
    assert 400 < lines[-1]["timestep"] <= 800

    agent.set_logger(None)
    agent.learn(100)
    with pytest.raises(ArgumentError, match="record"):
        agent.set_logger(print)


def test_watching_it_shows_its_values():
    """The window's tables are the network's: Q of what the environment shows of each state, where there are states to
    list; an agent that acts from memory plays all the same, without them."""
    env = gym.make(ROOMS, observation="coords")
    env.reset(seed=0)
    agent = small(env)
    player = Player(agent, gym.make(ROOMS, observation="coords"), seed=0)
    states = np.arange(env.unwrapped.mdp().n_states)
    shown = env.unwrapped.observations(states)

    np.testing.assert_array_equal(player.own.q, agent.q_values(shown))
    np.testing.assert_array_equal(player.own.value, agent.q_values(shown).max(axis=1))
    np.testing.assert_array_equal(player.own.policy, agent.action_probabilities(shown))
    for kind in ("q", "value", "policy"):
        assert player.own.overlay(kind, env.unwrapped.scene()) is not None
    remembering = Player(small(env, memory="gru", memory_size=8), gym.make(ROOMS, observation="coords"), seed=0)
    for _ in range(3):
        remembering.advance()
    assert remembering.own.q is None
    assert remembering.own.policy is None
