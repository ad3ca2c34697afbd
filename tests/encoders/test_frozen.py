"""Frozen encoders: features of all states as one table, and the wrapper that shows features."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from torch import nn

import rltk
from rltk.encoders import EncodeObservation, Encoder, EncodeVectorObservation, feature_table
from rltk.errors import ArgumentError, ModelError, SpaceError
from rltk.mdp import model_of
from rltk.mdp.observing import observations_of

WORLD = "rltk/FrozenLake-v0"


def encoder_for(env, **options):
    torch.manual_seed(0)
    space = getattr(env, "single_observation_space", env.observation_space)
    return Encoder(space, features_dim=6, hidden=(16,), **options)


def by_hand(encoder, observations):
    with torch.no_grad():
        return encoder.eval()(torch.from_numpy(np.asarray(observations))).numpy()


@pytest.fixture
def env():
    return gym.make(WORLD, observation="symbolic")


@pytest.mark.parametrize("observation", ["index", "onehot", "coords", "symbolic", "rgb"])
def test_a_table_holds_the_features_of_all_states(observation):
    """Row s is what the encoder makes of the observation in state s, whatever the batches."""
    env = gym.make(WORLD, observation=observation)
    encoder = encoder_for(env)
    seen = env.unwrapped.observations(np.arange(16))

    table = feature_table(encoder, env)

    assert table.shape == (16, 6)
    assert table.dtype == np.float32
    np.testing.assert_allclose(table, by_hand(encoder, seen), atol=1e-6)
    np.testing.assert_allclose(feature_table(encoder, env, batch_size=5), table, atol=1e-6)
    np.testing.assert_array_equal(feature_table(encoder, seen), table)


def test_making_a_table_leaves_the_encoder_as_it_is(env):
    """Mode, gradients and random numbers are its owner's."""
    encoder = encoder_for(env).train()
    encoder.readout.eval()
    before = torch.get_rng_state()
    feature_table(encoder, env)
    assert encoder.training
    assert encoder.trunk.training
    assert not encoder.readout.training
    with pytest.raises(ArgumentError):
        feature_table(encoder, [])
    assert encoder.training
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_table_needs_no_copy_and_leaves_nothing_behind():
    """A module that keeps a tensor for later, and says when it is copied, learns on after a table of it was made."""

    class Keeping(torch.nn.Module):
        features_dim, observation_space, kept, copied = 8, gym.spaces.Box(-1, 1, (4,), np.float32), None, 0

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 8)

        def forward(self, x):
            if self.kept is None or len(self.kept) < len(x):  # anew for the table: it was tried on two rows before
                self.kept = torch.linspace(0, 1, len(x))[:, None]
            return self.layer(x) * self.kept[: len(x)]

        def __deepcopy__(self, memo):
            raise AssertionError("copied")

    module, x = Keeping(), np.random.default_rng(0).random((64, 4), np.float32)
    table = feature_table(module, x, device="cpu")
    module(torch.from_numpy(x)).sum().backward()
    assert module.layer.weight.grad.abs().sum() > 0
    np.testing.assert_array_equal(table, module(torch.from_numpy(x)).detach().numpy())


def test_a_linear_learner_takes_a_table_as_features(env):
    """One line from pictures of a world to a learner of linear values in it."""
    features = feature_table(encoder_for(env), env)
    agent = rltk.agents.LinearQLearning(gym.make(WORLD), features=features, alpha=0.01, gamma=0.99).learn(500)
    np.testing.assert_allclose(agent.q, features.astype(float) @ agent.weights.T)


def test_a_table_goes_through_wrappers(env):
    """What a wrapper that observes from the state alone shows is what the encoder sees."""

    class Brighter(gym.ObservationWrapper):
        stateless_observation = True

        def observation(self, observation):
            return observation + np.uint8(1)

    encoder = encoder_for(env)
    seen = env.unwrapped.observations(np.arange(16)) + np.uint8(1)
    np.testing.assert_allclose(feature_table(encoder, Brighter(env)), by_hand(encoder, seen), atol=1e-6)


def test_what_no_table_can_be_made_of(env):
    """An environment without a model, observations of another form, none at all."""
    with pytest.raises(ModelError, match="give observations"):
        feature_table(Encoder(spaces.Box(-1, 1, (4,))), gym.make("CartPole-v1"))
    with pytest.raises(SpaceError, match="was made for"):
        feature_table(encoder_for(env), gym.make(WORLD))
    with pytest.raises(ArgumentError, match=r"an array \(N"):
        feature_table(encoder_for(env), "all")
    with pytest.raises(ArgumentError, match="shape"):
        feature_table(encoder_for(env), np.zeros((3, 2), np.uint8))
    with pytest.raises(ArgumentError, match="batch_size"):
        feature_table(encoder_for(env), env, batch_size=0)
    with pytest.raises(ArgumentError, match=r"no GPU|auto, cpu or cuda"):
        feature_table(encoder_for(env), env, device="cuda:99" if not torch.cuda.is_available() else "nowhere")
    with pytest.raises(ArgumentError, match="torch module"):
        EncodeObservation(env, "cnn")


# The wrapper


def test_an_environment_shows_features(env):
    """A step shows the row of the state's table, which is the features of what would have been seen."""
    encoder = encoder_for(env)
    wrapped = EncodeObservation(env, encoder)
    assert wrapped.observation_space == spaces.Box(-np.inf, np.inf, (6,), np.float32)
    observation, info = wrapped.reset(seed=1)
    for action in (1, 2, 1):
        seen = by_hand(encoder, env.unwrapped.observations([info["state"]]))[0]
        np.testing.assert_allclose(observation, seen, atol=1e-6)
        observation, _, _, _, info = wrapped.step(action)
        assert wrapped.observation_space.contains(observation)
    np.testing.assert_array_equal(observation, wrapped.observations([info["state"]])[0])


def test_later_learning_does_not_show(env):
    """Features stay a function of the observation, whatever becomes of the encoder."""
    encoder = encoder_for(env)
    wrapped = EncodeObservation(env, encoder)
    before = wrapped.observations(np.arange(16))
    shown = wrapped.observation(env.unwrapped.observations([3])[0])
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1.0)
    np.testing.assert_array_equal(wrapped.observations(np.arange(16)), before)
    np.testing.assert_array_equal(wrapped.observation(env.unwrapped.observations([3])[0]), shown)


def test_the_model_is_still_known(env):
    """T and R are the inner environment's, and an agent that learnt on features is graded exactly."""
    wrapped = EncodeObservation(env, encoder_for(env))
    assert model_of(wrapped)[0] is env.unwrapped.mdp()
    agent = rltk.agents.DQN(wrapped, learning_starts=20, buffer_size=100, seed=0).learn(40)
    result = rltk.evaluate(agent, wrapped)
    assert result.exact
    greedy = agent.q_values(wrapped.observations(np.arange(16))).argmax(axis=1)
    np.testing.assert_array_equal(result.policy.argmax(axis=1), greedy)


def test_a_copy_shares_what_never_changes(env):
    """A search copies environments by the thousand."""
    wrapped = EncodeObservation(env, encoder_for(env))
    wrapped.reset(seed=0)
    twin = copy.deepcopy(wrapped)
    assert twin._frozen is wrapped._frozen
    np.testing.assert_array_equal(twin.step(1)[0], wrapped.step(1)[0])


def test_other_environments_are_encoded_step_by_step():
    """Without a model each observation goes through the encoder; nested ones and text are made plain."""
    env = gym.make("rltk/MiniGrid-Empty-5x5-v0")
    encoder = encoder_for(env)
    wrapped = EncodeObservation(env, encoder)
    shown, _ = wrapped.reset(seed=3)
    seen, _ = env.reset(seed=3)
    plain = rltk.encoders.Plain(env.observation_space).one(seen)
    with torch.no_grad():
        mine = encoder.eval()({name: torch.from_numpy(part[None].copy()) for name, part in plain.items()})[0]
    np.testing.assert_allclose(shown, mine.numpy(), atol=1e-6)


def test_a_wrapper_that_changes_what_is_seen_is_not_passed_over(env):
    """A table of the inner environment's states would be wrong behind it."""
    negative = gym.wrappers.TransformObservation(env, lambda seen: 1 - seen, env.observation_space)
    encoder = encoder_for(env)
    shown, _ = EncodeObservation(negative, encoder).reset(seed=0)
    seen, _ = negative.reset(seed=0)
    np.testing.assert_allclose(shown, by_hand(encoder, seen[None])[0], atol=1e-6)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("tabular", [True, False])
def test_batches_show_features_in_every_mode(mode, tabular):
    """Each row is the features of what the environment shows, and so are the last observations of ended episodes."""
    if tabular:
        options = {"observation": "symbolic", "max_episode_steps": 3}
        env = gym.make_vec(WORLD, num_envs=3, autoreset_mode=mode, **options)
    else:
        single = [lambda: gym.make("CartPole-v1", max_episode_steps=3)] * 3
        env = gym.vector.SyncVectorEnv(single, autoreset_mode=mode)
    encoder = encoder_for(env)
    twin = copy.deepcopy(env)
    wrapped = EncodeObservation(env, encoder)
    assert isinstance(wrapped, EncodeVectorObservation)
    shown, seen = wrapped.reset(seed=0)[0], twin.reset(seed=0)[0]
    finals = 0
    for _ in range(5):
        np.testing.assert_allclose(shown, by_hand(encoder, seen), atol=1e-6)
        assert wrapped.observation_space.contains(shown)
        actions = np.zeros(3, np.int64)
        shown, _, terminated, truncated, infos = wrapped.step(actions)
        seen, *_, expected = twin.step(actions)
        ended = terminated | truncated
        if "final_obs" in infos:
            finals += 1
            for i in np.flatnonzero(ended):
                last = by_hand(encoder, expected["final_obs"][i][None])[0]
                np.testing.assert_allclose(infos["final_obs"][i], last, atol=1e-6)
        if mode is AutoresetMode.DISABLED and ended.any():
            shown = wrapped.reset(options={"reset_mask": ended})[0]
            seen = twin.reset(options={"reset_mask": ended})[0]
    assert (finals > 0) == (mode is AutoresetMode.SAME_STEP)


def test_an_own_module_without_weights(env):
    """Anything that makes features of plain observations will do."""

    class Sums(nn.Module):
        features_dim = 1

        def forward(self, x):
            return x.flatten(1).float().sum(1, keepdim=True)

    wrapped = EncodeObservation(env, Sums())
    states = np.arange(16)
    expected = observations_of(env, states).reshape(16, -1).sum(1, keepdims=True)
    np.testing.assert_array_equal(wrapped.observations(states), expected.astype(np.float32))
