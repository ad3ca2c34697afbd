"""Every tensor is where it should be, proved without a GPU.

DQN runs on torch's device "meta", which knows shapes and holds no numbers, while each of torch's operations is looked
at: tensors with axes are all on that device, but for copies onto it. What leaves it (`cpu`, `item`) is answered with
zeros, so whole runs go through: acting, replay, updates, target network, and whoever asks.
"""

import gymnasium as gym
import numpy as np
import pytest
import torch
from deep_worlds import Clock, Mixed
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rltk.agents.deep import DQN
from rltk.agents.deep.template import SoftenedDQN

THERE = torch.device("meta")
# Copies onto the device, and what torch does with an array before one.
DOORS = ("aten._to_copy", "aten.copy_", "aten.lift_fresh", "aten.detach", "aten.alias")


class EverythingThere(TorchDispatchMode):
    """AssertionError where an operation sees or makes a tensor of another device; numbers without axes are free."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        if not str(function).startswith(DOORS):
            for tensor in tree_leaves((args, kwargs, made)):
                if isinstance(tensor, torch.Tensor) and tensor.dim() and tensor.device != THERE:
                    raise AssertionError(f"{function}: a tensor {tuple(tensor.shape)} is on {tensor.device}")
        return made


@pytest.fixture
def there(monkeypatch):
    """A context in which all that torch does is looked at; zeros come back from the device. Agents are made before it,
    for initial weights are drawn on the CPU, so that a seed gives the same ones on every device."""
    monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: torch.from_numpy(zeros_like(tensor)))
    monkeypatch.setattr(torch.Tensor, "item", lambda tensor: 0.0)
    return EverythingThere()


def zeros_like(tensor):
    return np.zeros(tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."))


SMALL = {
    "encoder": "mlp",
    "encoder_kwargs": {"hidden": (8,)},
    "learning_starts": 16,
    "batch_size": 8,
    "buffer_size": 100,
    "train_freq": 8,
    "target_update_interval": 10,
    "exploration_fraction": 0.5,
    "optimizer": "rmsprop",  # the others' quick forms are refused on "meta"
    "backend": "torch",
    "device": THERE,
}
MEMORY = {"memory_size": 8, "sequence_length": 4, "burn_in": 2}
CASES = {
    "plain": {},
    "squared, averaged": {"loss": "squared", "tau": 0.1},
    "double, three steps": {"double": True, "n_step": 3},
    "dueling": {"dueling": True, "head_hidden": (8,)},
    "categorical": {"values": "categorical", "atoms": 5},
    "quantile": {"values": "quantile", "atoms": 5},
    "noisy": {"noisy": True, "head_hidden": (8,)},
    "prioritised": {"prioritised": True},
    "bootstrapped": {"bootstrapped": 3},
    "rainbow": {
        "double": True,
        "dueling": True,
        "n_step": 3,
        "prioritised": True,
        "noisy": True,
        "values": "categorical",
        "atoms": 5,
    },
    "lstm": {"memory": "lstm", **MEMORY},
    "gru, double, prioritised": {"memory": "gru", "double": True, "prioritised": True, **MEMORY},
    "sru, quantile": {"memory": "sru", "values": "quantile", "atoms": 5, **MEMORY},
    "transformer, dueling, three steps": {"memory": "transformer", "dueling": True, "n_step": 3, **MEMORY},
}


def lake():
    return gym.make("rltk/FrozenLake-v0")


@pytest.mark.parametrize("case", CASES)
def test_all_of_a_run_is_on_the_device(case, there):
    """Learning with updates and new target weights, then actions, one and many."""
    agent = DQN(lake(), **SMALL, **CASES[case])
    with there:
        agent.learn(60)

        assert agent.updates > 0
        assert agent.predict(3)[0] in range(4)
        assert agent.predict(np.arange(3), deterministic=True)[0].shape == (3,)
        if agent.network.memory is None:
            assert agent.q_values(np.arange(16)).shape == (16, 4)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda: gym.make("rltk/MiniGrid-Empty-5x5-v0"), {"encoder": "cnn", "encoder_kwargs": {"features_dim": 8}}),
        (Mixed, {}),
        (lambda: Clock(masked=True), {"double": True}),
        (lambda: Clock(masked=True), {"memory": "gru", **MEMORY}),
        (lambda: gym.make_vec("rltk/FrozenLake-v0", num_envs=3), {"bootstrapped": 2, "n_step": 2}),
        (lambda: gym.make_vec("rltk/FrozenLake-v0", num_envs=3), {"memory": "lstm", **MEMORY}),
    ],
    ids=["a board in a dict", "a dict of everything", "masks", "masks, memory", "a batch", "a batch, memory"],
)
def test_whatever_is_seen_goes_to_the_device(make, options, there):
    """Dicts, boards, text, masks, batches of environments."""
    agent = DQN(make(), **{**SMALL, **options})
    with there:
        assert agent.learn(60).updates > 0


def test_the_template_is_right_about_it_too(there):
    """What a person copies."""
    agent = SoftenedDQN(Clock(masked=True), **SMALL)
    with there:
        assert agent.learn(60).updates > 0


class Sown(DQN):
    """Makes a tensor of the CPU by mistake: what `torch.arange(n)` without a device is."""

    def loss(self, batch):
        loss, errors = super().loss(batch)
        return loss, errors * torch.arange(len(errors))


class SownUnmoved(DQN):
    """Keeps a tensor that `to(device)` does not know of."""

    def loss(self, batch):
        loss, errors = super().loss(batch)
        return loss, self.scale + errors

    scale = torch.ones(8)


@pytest.mark.parametrize("wrong", [Sown, SownUnmoved])
def test_a_tensor_elsewhere_is_noticed(wrong, there):
    """The checks above can fail."""
    agent = wrong(lake(), **SMALL)
    with there, pytest.raises((AssertionError, RuntimeError), match="cpu"):
        agent.learn(60)
