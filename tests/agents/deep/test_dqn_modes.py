"""What becomes of DQN's encoder: it learns, stays as it is, or learns from objectives as well."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from rltk.agents.deep import DQN
from rltk.encoders import EncodeObservation, Encoder
from rltk.errors import ArgumentError, CheckpointError, UnknownNameError

SMALL = {
    "learning_starts": 20,
    "buffer_size": 100,
    "batch_size": 16,
    "train_freq": 2,
    "target_update_interval": 20,
    "backend": "torch",
    "seed": 0,
}
MODES = {
    "finetune": {},
    "frozen": {"mode": "frozen"},
    "auxiliary": {"mode": "auxiliary", "objectives": {"inverse": 0.5, "masked": {"weight": 0.1}}},
}
each_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def env():
    return gym.make("rltk/FrozenLake-v0", observation="symbolic")


@pytest.fixture
def encoder(env):
    torch.manual_seed(0)
    return Encoder(env.observation_space, "mlp", features_dim=8, hidden=(16,))


class Identity(nn.Module):
    """Features as they are."""

    features_dim = 8

    def forward(self, x):
        return x


class Normed(nn.Module):
    """An encoder with dropout and running statistics."""

    features_dim = 8

    def __init__(self, numbers):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(numbers, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))

    def forward(self, x):
        return self.layers(x.flatten(1).float())


def state_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(one, other):
    return [torch.equal(one[name], other[name]) for name in one]


@each_mode
def test_the_encoder_learns_unless_it_is_frozen(mode, env, encoder):
    """A frozen one keeps its weights to the last bit; the caller's own is never touched."""
    before = state_of(encoder)
    agent = DQN(env, encoder=encoder, **SMALL, **MODES[mode]).learn(60)
    now = same(before, state_of(agent.network.encoder))
    assert all(now) if mode == "frozen" else not any(now)
    assert all(same(before, state_of(encoder)))
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert agent.updates == 20


def test_a_frozen_encoder_is_in_eval_mode_and_in_no_optimiser(env):
    """No dropout and no running statistics, in updates either; the target's is the same."""
    agent = DQN(env, encoder=Normed(env.observation_space.low.size), mode="frozen", **SMALL)
    before = state_of(agent.network.encoder)
    held = {id(p) for group in agent.optimiser.param_groups for p in group["params"]}
    assert held == {id(p) for p in agent.network.head.parameters()}

    agent.learn(60)

    assert all(same(before, state_of(agent.network.encoder)))
    assert all(same(before, state_of(agent.target.encoder)))
    assert not any(part.training for part in agent.network.encoder.modules())


def test_frozen_learns_what_the_wrapper_learns(env, encoder):
    """EncodeObservation is the same, quicker: the same steps, the same values but for rounding."""
    options = {**SMALL, "optimizer": "sgd", "learning_rate": 0.1}
    slow = DQN(env, encoder=encoder, mode="frozen", **options).learn(80)
    quick = DQN(EncodeObservation(env, encoder), encoder=Identity(), mode="frozen", **options).learn(80)
    states = np.arange(16)
    slow_q = slow.q_values(env.unwrapped.observations(states))
    np.testing.assert_allclose(quick.q_values(quick.env.observations(states)), slow_q, atol=1e-5)
    untrained = DQN(env, encoder=encoder, mode="frozen", **options)
    assert abs(slow_q - untrained.q_values(env.unwrapped.observations(states))).max() > 1e-3


@each_mode
def test_taken_up_again_with_the_same_bits(mode, env, encoder, tmp_path):
    """Saved in the middle and loaded, encoder and heads included, it ends where an uninterrupted run ends."""

    def made():
        return DQN(env, encoder=encoder, **SMALL, **MODES[mode])

    whole = made().learn(60)
    first = made()
    first.plan_for(60)
    first.learn(31).save(tmp_path)

    resumed = DQN.load(tmp_path, gym.make("rltk/FrozenLake-v0", observation="symbolic"), backend="torch").learn(29)

    assert resumed.config() == whole.config()
    assert resumed.config()["settings"]["mode"] == mode
    assert all(same(state_of(whole.network), state_of(resumed.network)))
    assert resumed.losses == whole.losses
    if mode == "auxiliary":
        assert all(same(state_of(whole.objective), state_of(resumed.objective)))
    else:
        with pytest.raises(CheckpointError, match="mode="):
            DQN(env, encoder=encoder, **SMALL, **MODES["frozen" if mode == "finetune" else "finetune"]).restore(
                first.state()
            )


def test_auxiliary_adds_the_objectives_loss(env, encoder):
    """The gradient of an update is that of both losses together, in the encoder and in the heads."""
    agent = DQN(env, encoder=encoder, **SMALL, **MODES["auxiliary"]).learn(30)
    batch = agent.sample()
    torch.manual_seed(1)
    total, _ = agent.updater.backward(batch)
    gradients = [p.grad.clone() for p in agent.trained()]

    torch.manual_seed(1)
    own = agent.loss(batch)[0] + agent.auxiliary_loss(batch)

    assert torch.equal(own, total)
    assert agent.auxiliary_loss(batch).item() > 0
    for mine, found in zip(torch.autograd.grad(own, agent.trained()), gradients, strict=True):
        assert torch.equal(mine, found)
    heads = {id(p) for p in agent.objective.parameters()}
    assert heads
    assert heads < {id(p) for group in agent.optimiser.param_groups for p in group["params"]}


def test_a_kernel_says_why_it_does_not_fit():
    """What small plain networks get elsewhere knows nothing of frozen encoders and of objectives."""
    from rltk.agents.deep.backends.updates import why_no_compiler, why_no_kernel

    env, options = gym.make("rltk/FrozenLake-v0"), {**SMALL, "backend": "auto"}
    encoder = Encoder(env.observation_space, "mlp", hidden=(16,))
    assert DQN(env, encoder=encoder, **options).updater.name == "kernel"
    frozen = DQN(env, encoder=encoder, mode="frozen", **options)
    assert frozen.updater.name == "torch"
    assert why_no_kernel(frozen) == "the encoder is frozen"
    auxiliary = DQN(env, encoder=encoder, **options, mode="auxiliary", objectives={"autoencoder": 0.1})
    assert why_no_kernel(auxiliary) == why_no_compiler(auxiliary) == "the encoder has objectives of its own"


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"mode": "thawed"}, ArgumentError, "finetune, frozen, auxiliary"),
        ({"mode": "auxiliary"}, ArgumentError, "go together"),
        ({"objectives": {"inverse": 1.0}}, ArgumentError, "go together"),
        ({"mode": "auxiliary", "objectives": {"made up": 1.0}}, UnknownNameError, "no objective 'made up'"),
        ({"mode": "auxiliary", "objectives": {"inverse": -1.0}}, ArgumentError, "weight of inverse"),
        ({"mode": "auxiliary", "objectives": {"supervised": 1.0}}, ArgumentError, "does not know"),
        ({"mode": "auxiliary", "objectives": {"inverse": 1.0}, "n_step": 3}, ArgumentError, "leave n_step out"),
        ({"mode": "auxiliary", "objectives": {"inverse": 1.0}, "memory": "gru"}, ArgumentError, "leave objectives out"),
        ({"mode": "auxiliary", "objectives": {"simclr": 1.0}, "batch_size": 1}, ArgumentError, "batch_size is 1|board"),
    ],
)
def test_what_does_not_go_together(env, encoder, options, error, match):
    """Each says what to leave out."""
    with pytest.raises(error, match=match):
        DQN(env, encoder=encoder, **{**SMALL, **options})
