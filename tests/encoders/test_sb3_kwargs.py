"""Encoders as Stable-Baselines3's features extractors: the same features, its algorithms, its files."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO

from rltk.encoders import Encoder, Plain, load_encoder, save_encoder, sb3_kwargs
from rltk.envs.sb3 import VecEnv
from rltk.errors import ArgumentError, CheckpointError, SpaceError

# SB3 says so of boards that are three cells wide.
pytestmark = pytest.mark.filterwarnings("ignore:Treating image space as channels-last")
WORLD = "rltk/FrozenLake-v0"
SMALL = {
    PPO: {"n_steps": 8, "batch_size": 8, "n_epochs": 1},
    A2C: {"n_steps": 8},
    DQN: {"learning_starts": 4, "batch_size": 4, "buffer_size": 50, "train_freq": 2, "target_update_interval": 5},
}


class Shown(gym.Env):
    """Shows samples of a space: SB3 sees what it makes of them."""

    action_space = spaces.Discrete(2)

    def __init__(self, space):
        self.observation_space = space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), float(action), self.np_random.random() < 0.2, False, {}


SPACES = {
    "discrete": spaces.Discrete(5),
    "one value": spaces.Discrete(1),
    "indices": spaces.MultiDiscrete([2, 3, 4]),
    "bits": spaces.MultiBinary(6),
    "vector": spaces.Box(-1, 1, (4,)),
    "board": spaces.Box(np.zeros((7, 5, 2), np.uint8), np.full((7, 5, 2), 4, np.uint8), dtype=np.uint8),
    "untight board": spaces.Box(0, 255, (7, 3, 3), np.uint8),
    "picture": spaces.Box(0, 255, (40, 36, 3), np.uint8),
    "picture, channels first": spaces.Box(0, 255, (3, 40, 36), np.uint8),
    "dict": spaces.Dict(
        {"image": spaces.Box(0, 255, (36, 40, 3), np.uint8), "where": spaces.Discrete(3), "x": spaces.Box(-1, 1, (2,))}
    ),
}


def policy_for(space):
    return "MultiInputPolicy" if isinstance(space, spaces.Dict) else "MlpPolicy"


def made(algorithm, env, kwargs, **options):
    policy = policy_for(env.observation_space)
    return algorithm(policy, env, policy_kwargs=kwargs, seed=0, device="cpu", **SMALL[algorithm], **options)


def samples(space, count=4):
    space.seed(0)
    drawn = [space.sample() for _ in range(count)]
    if isinstance(space, spaces.Dict):
        return {name: np.stack([one[name] for one in drawn]) for name in space}
    return np.stack(drawn)


def features_by_sb3(model, observations):
    """What the model's extractor makes of a batch, on SB3's own way."""
    shown = model.policy.obs_to_tensor(observations)[0]
    extractor = model.policy.q_net.features_extractor if isinstance(model, DQN) else model.policy.features_extractor
    net = model.policy.q_net if isinstance(model, DQN) else model.policy
    with torch.no_grad():
        return net.extract_features(shown, extractor)


def features_by_hand(encoder, observations):
    plain = Plain(encoder.observation_space).many(observations, 4)
    tensors = {k: torch.from_numpy(v) for k, v in plain.items()} if isinstance(plain, dict) else torch.from_numpy(plain)
    with torch.no_grad():
        return encoder.eval()(tensors)


@pytest.mark.parametrize("trunk", ["mlp", "cnn"])
@pytest.mark.parametrize("name", SPACES)
def test_features_are_the_encoder_s_own(name, trunk):
    """Loaded weights, through all that SB3 does to observations, give the features that the encoder itself gives."""
    space = SPACES[name]
    if trunk == "cnn" and name not in ("board", "untight board", "picture", "picture, channels first", "dict"):
        pytest.skip("no board")
    encoder = Encoder(space, trunk, features_dim=8)
    model = made(DQN if trunk == "cnn" else PPO, Shown(space), sb3_kwargs(encoder))
    seen = samples(space)
    assert torch.allclose(features_by_sb3(model, seen), features_by_hand(encoder, seen), atol=1e-6)


@pytest.mark.parametrize("name", ["discrete", "indices", "untight board", "picture", "dict"])
def test_a_new_encoder_reads_as_it_does_elsewhere(name):
    """Its space is the environment's, pictures turned back, so that its weights serve outside of SB3 as well."""
    space = SPACES[name]
    model = made(DQN, Shown(space), sb3_kwargs("mlp", features_dim=8, hidden=(16,)))
    encoder = model.policy.q_net.features_extractor.encoder
    assert encoder.features_dim == 8
    assert encoder.observation_space == space
    seen = samples(space)
    assert torch.allclose(features_by_sb3(model, seen), features_by_hand(encoder, seen), atol=1e-6)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN])
def test_learning_moves_what_is_not_frozen(algorithm, frozen):
    """Frozen weights stay to the last bit, in eval mode; others start from the loaded ones and move on."""
    env = gym.make(WORLD, observation="symbolic")
    encoder = Encoder(env.observation_space, "mlp", features_dim=8, hidden=(16,))
    model = made(algorithm, env, sb3_kwargs(encoder, frozen=frozen))
    main = model.policy.q_net.features_extractor if algorithm is DQN else model.policy.features_extractor
    for name, weight in main.encoder.state_dict().items():
        assert torch.equal(weight, encoder.state_dict()[name])

    model.learn(24)

    same = [torch.equal(now, encoder.state_dict()[name]) for name, now in main.encoder.state_dict().items()]
    assert all(same) if frozen else not any(same)
    assert not (frozen and main.encoder.training)


def test_each_network_has_its_own():
    """Actor and critic, network and target: SB3 makes an extractor for each, and none shares weights with another."""
    env = gym.make(WORLD)
    kwargs = {**sb3_kwargs("mlp"), "share_features_extractor": False}
    policy = made(PPO, env, kwargs).policy
    weights = [next(one.parameters()) for one in (policy.pi_features_extractor, policy.vf_features_extractor)]
    assert weights[0].data_ptr() != weights[1].data_ptr()
    policy = made(DQN, env, sb3_kwargs("mlp")).policy
    weights = [next(net.features_extractor.parameters()) for net in (policy.q_net, policy.q_net_target)]
    assert weights[0].data_ptr() != weights[1].data_ptr()
    assert torch.equal(*weights)


@pytest.mark.parametrize("algorithm", [PPO, A2C, DQN])
@pytest.mark.parametrize("observation", ["index", "coords", "symbolic", "rgb"])
def test_rltk_s_worlds_in_every_observation(algorithm, observation):
    """SB3's algorithms learn on rltk's environments with the encoder that suits what is observed."""
    env = gym.make(WORLD, observation=observation)
    made(algorithm, env, sb3_kwargs(features_dim=8)).learn(10)


def test_a_batch_of_levels_with_their_missions():
    """MiniGrid's Dict, in a compiled batch."""
    venv = VecEnv("rltk/MiniGrid-Empty-5x5-v0", num_envs=2, form="dict")
    made(A2C, venv, sb3_kwargs("cnn", features_dim=8)).learn(20)


def test_sb3_s_files_need_no_other(tmp_path):
    """A saved model loads without the encoder's file, frozen as it was, and acts the same."""
    env = gym.make(WORLD, observation="symbolic")
    path = save_encoder(Encoder(env.observation_space, "mlp", features_dim=8), tmp_path / "encoder.safetensors")
    model = made(PPO, env, sb3_kwargs(path, frozen=True)).learn(10)
    model.save(tmp_path / "model.zip")
    encoder = load_encoder(path)
    path.unlink()

    loaded = PPO.load(tmp_path / "model.zip", env=env, device="cpu")

    seen = env.unwrapped.observations(np.arange(4))
    assert torch.equal(features_by_sb3(loaded, seen), features_by_hand(encoder, seen))
    assert loaded.policy.features_extractor.frozen
    assert np.array_equal(loaded.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0])


def test_a_configuration_makes_new_weights():
    """`encoder.config()` says the form alone."""
    env = gym.make(WORLD)
    config = Encoder(env.observation_space, "mlp", features_dim=5, hidden=(7,)).config()
    encoder = made(A2C, env, sb3_kwargs(config)).policy.features_extractor.encoder
    assert encoder.config() == config


def test_what_can_not_be_used(tmp_path):
    """Names, files and spaces that are not there or don't fit."""
    with pytest.raises(ArgumentError, match=r"neither an encoder nor a file 'cmn'"):
        sb3_kwargs("cmn")
    (tmp_path / "bad.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError):
        sb3_kwargs(tmp_path / "bad.safetensors")
    with pytest.raises(ArgumentError, match="name, a configuration"):
        sb3_kwargs(3)
    encoder = Encoder(spaces.Discrete(5))
    with pytest.raises(ArgumentError, match="made already"):
        sb3_kwargs(encoder, features_dim=3)
    with pytest.raises(SpaceError, match="was made for Discrete"):
        made(PPO, gym.make(WORLD), sb3_kwargs(encoder))
    with pytest.raises(SpaceError, match="2-D layout"):
        made(PPO, gym.make(WORLD), sb3_kwargs("cnn"))
