"""Grading where something is not known: it samples, gives an interval, and says why. And what an Evaluation prints."""

import json
from math import inf, isnan

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.agents import QLearning
from rltk.envs import TabularEnv, TabularVectorEnv
from rltk.errors import ArgumentError
from rltk.evaluation import Evaluation
from rltk.mdp import MDP, Criterion


class Random:
    """An agent that offers nothing but `predict`."""

    def __init__(self, env, gamma=0.99):
        self.gamma, self.space = gamma, env.action_space
        self.random = np.random.default_rng(0)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return int(self.random.integers(self.space.n)), state


class Squared(gym.ObservationWrapper):
    """An observation wrapper that looks at the state's number alone, and says so."""

    stateless_observation = True

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gym.spaces.Box(0, np.inf, (2,))

    def observation(self, observation):
        return np.array([observation, observation**2], dtype=np.float32)


class First:
    """Takes the action that the observation's first number names; keeps what it was shown."""

    gamma = 0.99

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return int(observation[0]) % 4, state

    def action_probabilities(self, observations, mask=None, deterministic=True):
        self.seen = observations
        return np.eye(4)[observations[:, 0].astype(int) % 4]


def test_an_agent_without_probabilities_is_sampled():
    """The interval holds the exact value of the policy that it follows, and the optimum stands beside it exactly."""
    env = gym.make("rltk/FrozenLake-v0")
    mdp = env.unwrapped.mdp()
    exact = mdp.over_start(mdp.chain(mdp.uniform_policy()).value(0.99))
    result = rltk.evaluate(Random(env), env, episodes=2000)

    assert not result.exact
    assert "Random does not offer action_probabilities" in result.reason
    assert result.interval[0] <= result.value <= result.interval[1]
    assert result.interval[0] <= exact <= result.interval[1]
    assert result.interval[1] - result.interval[0] < 0.02
    assert result.episodes == 2000
    assert result.optimum == pytest.approx(0.5420259320, abs=2e-7)
    assert result.suboptimality == pytest.approx(result.optimum - result.value)
    assert result.policy is None


def test_sampling_repeats_itself():
    """The same seed, the same figures; another seed, others."""
    env = gym.make("FrozenLake-v1")
    first, again, other = (rltk.evaluate(Random(env), env, episodes=50, seed=seed) for seed in (0, 0, 1))

    assert first.value == again.value
    assert first.interval == again.interval
    assert first.expected_length != other.expected_length


def test_an_environment_without_a_model_is_sampled():
    """CartPole has no table: returns are discounted sums of its rewards, lengths its steps, no optimum is claimed."""
    env = gym.make("CartPole-v1")
    result = rltk.evaluate(Random(env, gamma=1.0), env, episodes=100)

    assert not result.exact
    assert "P table" in result.reason
    assert result.value == result.expected_length  # 1 a step
    assert 15 < result.value < 35  # a random agent holds it for about 22 steps
    assert result.optimum is result.suboptimality is result.policy is None


@pytest.mark.parametrize(
    "wrapper",
    [
        lambda env: gym.wrappers.TransformReward(env, lambda r: 2 * r),
        lambda env: gym.wrappers.TransformAction(env, lambda a: (a + 1) % 4, env.action_space),
        lambda env: gym.wrappers.TransformObservation(env, lambda o: o, env.observation_space),
        lambda env: type("Mine", (gym.Wrapper,), {})(env),
        lambda env: type("Longer", (gym.wrappers.TimeLimit,), {})(env, 7),
    ],
)
def test_a_wrapper_that_may_break_the_model_is_named(wrapper):
    """A wrapper of rewards, actions or observations may make T and R wrong: sampled, and the reason names it."""
    env = wrapper(gym.make("FrozenLake-v1"))
    result = rltk.evaluate(Random(env), env, episodes=20)

    assert not result.exact
    assert type(env).__name__ in result.reason
    assert result.optimum is None


def test_a_stateless_observation_wrapper_stays_exact():
    """A wrapper that declares `stateless_observation` is passed, and the agent is asked about what it lets through."""
    env = Squared(gym.make("FrozenLake-v1"))
    agent = First()
    result = rltk.evaluate(agent, env)

    assert result.exact
    assert result.time_limit == 100
    np.testing.assert_array_equal(agent.seen, np.stack([np.arange(16), np.arange(16) ** 2], axis=1))
    np.testing.assert_array_equal(result.policy.argmax(axis=1), np.arange(16) % 4)


def test_wrappers_stack_in_the_order_in_which_they_observe():
    """The inner wrapper sees the environment's observation, the outer one the inner one's."""

    class Doubled(gym.ObservationWrapper):
        stateless_observation = True

        def observation(self, observation):
            return 2 * observation

    agent = First()
    rltk.evaluate(agent, Doubled(Squared(gym.make("FrozenLake-v1"))))

    np.testing.assert_array_equal(agent.seen[3], [6, 18])


def test_a_time_limit_that_cuts_episodes_short_is_said():
    """Sampled episodes that the limit stopped are counted in the reason."""
    env = gym.make("FrozenLake-v1", max_episode_steps=1)
    result = rltk.evaluate(Random(env), env, episodes=20)

    assert "20 of 20 episodes cut short" in result.reason
    assert result.expected_length == 1


def test_a_solution_needs_the_state_s_number():
    """A Solution acts on info["state"]: sampled through a wrapper where rltk's environment gives it, refused with the
    reason where nobody does (found in review: a KeyError)."""
    own, foreign = gym.make("rltk/FrozenLake-v0"), gym.make("FrozenLake-v1")
    doubled = gym.wrappers.TransformReward(own, lambda r: 2 * r)
    result = rltk.evaluate(rltk.solve(own, gamma=0.99), doubled, episodes=300)

    assert not result.exact
    assert result.value == pytest.approx(2 * 0.542, abs=0.15)
    solution, wrapped = rltk.solve(foreign, gamma=0.99), gym.wrappers.TransformReward(foreign, lambda r: 2 * r)
    with pytest.raises(ArgumentError, match="state"):
        rltk.evaluate(solution, wrapped)


def test_batched_environments():
    """A vector environment's model is its own, so an exact agent is graded on it; it is not sampled."""
    env = gym.make("rltk/FrozenLake-v0")
    mdp = env.unwrapped.mdp()
    batch = TabularVectorEnv(mdp, 3)
    agent = QLearning(env, gamma=0.9, seed=0).learn(2000)

    assert rltk.evaluate(agent, batch).value == rltk.evaluate(agent, env).value
    with pytest.raises(ArgumentError, match=r"gym\.make"):
        rltk.evaluate(Random(env), batch)


@pytest.mark.parametrize("name", ["PPO", "A2C", "DQN"])
def test_stable_baselines_models_are_read_exactly(name):
    """As they stand: the deterministic policy is the model's own `predict` in each state, the other its distribution's
    probabilities (DQN: epsilon-greedy with its exploration rate), and the criterion is the model's gamma."""
    sb3 = pytest.importorskip("stable_baselines3")
    import torch

    env = gym.make("FrozenLake-v1")
    model = getattr(sb3, name)("MlpPolicy", env, seed=1, gamma=0.97, device="cpu")
    states = np.arange(16)
    predicted, _ = model.predict(states, deterministic=True)

    greedy = rltk.evaluate(model, env)
    assert greedy.exact
    assert greedy.criterion == Criterion(0.97)
    np.testing.assert_array_equal(greedy.policy, np.eye(4)[predicted])
    behaving = rltk.evaluate(model, env, deterministic=False)
    if name == "DQN":
        model.exploration_rate = 0.3
        behaving = rltk.evaluate(model, env, deterministic=False)
        np.testing.assert_allclose(behaving.policy, 0.7 * np.eye(4)[predicted] + 0.3 / 4)
    else:
        tensor, _ = model.policy.obs_to_tensor(states)
        with torch.no_grad():
            wanted = model.policy.get_distribution(tensor).distribution.probs.numpy()
        np.testing.assert_allclose(behaving.policy, wanted, rtol=1e-6)
    np.testing.assert_allclose(behaving.policy.sum(axis=1), 1, atol=1e-15)  # float32 alone would leave 1e-7
    mdp = MDP.from_env(env)
    assert behaving.value == pytest.approx(mdp.over_start(mdp.chain(behaving.policy).value(0.97)), abs=1e-12)


def test_json_round_trip(tmp_path):
    """Infinities and nan are written as words, since JSON has none, and read back as the numbers they were."""
    table = {0: {0: [(1, 0, -1, False)], 1: [(1, 1, 0, True)]}, 1: {0: [(1, 1, 0, True)], 1: [(1, 1, 0, True)]}}
    env = TabularEnv(MDP.from_table(table))
    agent = QLearning(env, gamma=1.0)
    agent.q[:] = [[1.0, 0.0], [0.0, 0.0]]
    result = rltk.evaluate(agent, env)
    path = result.save(tmp_path / "evaluation.json")
    read = json.loads(path.read_text())

    assert result.value == -inf
    assert read["value"] == "-inf"
    assert float(read["expected_length"]) == inf
    assert isnan(float(read["normalised_suboptimality"])) or read["normalised_suboptimality"] == "inf"
    assert read["criterion"] == {"gamma": 1.0, "horizon": None, "kind": "total"}
    assert [float(x) for x in read["occupancy"]] == result.occupancy.tolist()
    assert [[float(x) for x in row] for row in read["policy"]] == result.policy.tolist()
    assert set(read) == set(vars(result))
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ArgumentError, match="folder"):
        result.save(tmp_path / "missing" / "evaluation.json")


def test_it_prints_within_80_columns():
    """Every kind of result is a few short lines: exact, sampled with a long reason, endless, limited."""
    lake = gym.make("FrozenLake-v1")
    agent = QLearning(lake, gamma=0.99, seed=0).learn(2000)
    wide = Evaluation(
        Criterion(1.0, horizon=123456),
        exact=False,
        reason="the P table of Something-v0 is not what step does: " + "from state 3, action 1 led elsewhere " * 4,
        value=-123456.789,
        interval=(-1234567.89, -123456.78),
        episodes=100000,
        optimum=1234567.891,
        optimum_bounds=(1234567.8, 1234567.9),
        suboptimality=123456789.0,
        normalised_suboptimality=123.456,
        success_probability=1e-9,
        expected_length=99999.5,
        time_limit=1000000,
        limited_value=1e-12,
        limited_optimum=-123456.7,
        aliased_states=12345678,
        reward_model="declared",
    )
    for result in (rltk.evaluate(agent, lake), rltk.evaluate(Random(lake), lake, episodes=20), wide):
        lines = str(result).splitlines()

        assert max(map(len, lines)) <= 80, lines
        assert len(lines) <= 14
    exact = str(rltk.evaluate(agent, lake))
    assert exact.startswith("exact, gamma 0.99\n")
    for words in ("return", "optimum", "certified within", "suboptimality", "of the uniform policy's"):
        assert words in exact
