"""torch.compile's updates are torch's to the bound in `backends/updates.py`; where it can't be used, one line says so.
The kernel beside torch over a whole run, too."""

import copy
import shutil

import gymnasium as gym
import numpy as np
import pytest
import torch

from rltk.agents.deep import DQN
from rltk.agents.deep.backends.updates import CompiledUpdates, TorchUpdates
from rltk.agents.deep.template import SoftenedDQN

SMALL = {
    "encoder": "mlp",
    "encoder_kwargs": {"hidden": (16,)},
    "learning_starts": 32,
    "batch_size": 16,
    "buffer_size": 200,
}
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch uses what it deprecates
has_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "c++", "clang++"))), reason="torch.compile needs a C++ compiler"
)


def lake(**options):
    return DQN(gym.make("rltk/FrozenLake-v0"), **{**SMALL, **options})


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """What torch.compile makes is made anew, and goes with the test."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))


def paid(agent):
    """The same agent, with rewards drawn at random in its replay. The lake pays next to nothing, and Adam makes
    full steps of gradients that are nothing but rounding."""
    rewards = agent.replay.arrays().rewards
    rewards[:] = np.random.default_rng(0).random(len(rewards))
    return agent


def difference(one, other):
    """The largest one of the parameters, beside the largest number of each."""
    pairs = zip(one.network.parameters(), other.network.parameters(), strict=True)
    return max(((p - q).abs().max() / p.abs().max()).item() for p, q in pairs)


@has_compiler
def test_torch_compile_makes_torchs_updates(own_cache, capfd):
    """Sixteen, double, dueling, from three steps: weights within 1e-5, and losses; without a word, in one graph."""
    options = {"double": True, "dueling": True, "n_step": 3}
    torchs, compiled = (paid(lake(backend=backend, **options).learn(32)) for backend in ("torch", "compiled"))
    assert type(compiled.updater) is CompiledUpdates
    before = copy.deepcopy(torchs.network.state_dict())
    torchs.train(16)
    compiled.train(16)

    with torch.no_grad():
        assert difference(torchs, compiled) < 1e-5
    np.testing.assert_allclose(torchs.losses, compiled.losses, rtol=1e-4)
    assert compiled.updater.name == "torch.compile"
    assert capfd.readouterr().err == ""
    assert any(not torch.equal(before[name], now) for name, now in torchs.network.state_dict().items())


class Branching(DQN):
    """A loss whose way depends on numbers, of which no one graph can be made."""

    def loss(self, batch):
        loss, errors = super().loss(batch)
        return (loss, errors) if loss > 0 else (0 * loss, errors)


def one_line(captured):
    """The one line on stderr."""
    (line,) = captured.err.splitlines()
    assert line.startswith("rltk: plain torch, not torch.compile: ")
    assert len(line) <= 80
    return line


def test_a_loss_that_is_no_graph_goes_on_in_torch(capfd):
    """Told at the first update, once; what is learnt is what torch learns."""
    asked, plain = (
        Branching(gym.make("rltk/FrozenLake-v0"), backend=name, **SMALL).learn(50) for name in ("compiled", "torch")
    )

    assert one_line(capfd.readouterr())
    assert asked.updater.name == "torch"
    for one, other in zip(asked.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("memory", ["lstm", "gru"])
def test_memories_that_torch_compile_does_not_know(memory, capfd):
    """Are said at once; torch makes their updates."""
    agent = lake(backend="compiled", memory=memory, memory_size=8, sequence_length=4, burn_in=2)
    assert "LSTM or GRU" in one_line(capfd.readouterr())
    assert agent.learn(40).updates > 0


def test_without_a_compiler_plain_torch_goes_on(monkeypatch, tmp_path, capfd):
    """One line says what to install; the kernel needs no compiler, and neither does what was not asked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    agent = lake(backend="compiled", dueling=True)
    assert "g++" in one_line(capfd.readouterr())
    assert type(agent.updater) is TorchUpdates
    assert agent.learn(40).updates > 0
    assert lake(backend="compiled").updater.name == "kernel"
    assert lake(backend="auto", dueling=True).updater.name == "torch"
    assert capfd.readouterr().err == ""


def test_the_kernel_is_torch_over_a_whole_run():
    """Acting, replay, updates and target network together, on a lake of 300 steps: weights within 1e-4."""
    kernel, torchs = (lake(backend=backend, target_update_interval=50).learn(300) for backend in ("compiled", "torch"))

    assert (kernel.updater.name, torchs.updater.name) == ("kernel", "torch")
    assert kernel.updates == torchs.updates == 268
    assert kernel.episodes == torchs.episodes
    with torch.no_grad():
        assert difference(torchs, kernel) < 1e-4


@has_compiler
def test_a_loss_of_ones_own_is_for_torch_compile():
    """The kernel has DQN's; the template's is compiled as it is written down."""
    assert SoftenedDQN(gym.make("rltk/FrozenLake-v0"), backend="compiled", **SMALL).updater.name == ("torch.compile")
    assert SoftenedDQN(gym.make("rltk/FrozenLake-v0"), **SMALL).updater.name == "torch"
