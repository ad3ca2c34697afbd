"""Sweeps in PyTorch: the same answer as the kernels', every tensor on the device asked for, no silent fallback."""

import subprocess
import sys

import numpy as np
import pytest
from planning_examples import random_graph, slippery_grid

from rltk.agents.planning import ValueIteration
from rltk.agents.planning.bounds import Certifier
from rltk.errors import ArgumentError, CriterionError, SizeError
from rltk.mdp import MDP

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from rltk.agents.planning import torch_sweeps  # noqa: E402

MDPS = {
    "rows": lambda: random_graph(200, longest=9, seed=1),
    "rows without ends": lambda: random_graph(200, longest=3, seed=2, ending=0.0),
    "one state": lambda: MDP.from_table({0: {0: [(1, 0, 1, False)], 1: [(1, 0, 3, True)]}}),
    "all ends": lambda: MDP.from_table({s: {a: [(1, s, -a, True)] for a in range(3)} for s in range(4)}),
    "missing actions": lambda: random_graph(100, seed=3, missing=0.9),
    "rewards of 1e12": lambda: random_graph(100, seed=4, reward_scale=1e12),
    "by state": lambda: slippery_grid(12, 0),
    "rewards by move": lambda: slippery_grid(12, 0, True, False),
    "endings by move": lambda: slippery_grid(12, 0, False, True),
    "both by move": lambda: slippery_grid(12, 0, True, True),
}
every_mdp = pytest.mark.parametrize("mdp", [make() for make in MDPS.values()], ids=MDPS)


@every_mdp
@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_a_sweep_is_the_bellman_operator(mdp, gamma):
    """Each form's sweep on the CPU against the kernels', to rounding."""
    value = np.random.default_rng(0).normal(size=mdp.n_states)
    tables = torch_sweeps.tables_of(mdp, torch.device("cpu"))
    swept = tables.sweep(torch.tensor(value), gamma)

    assert swept.dtype == torch.float64
    np.testing.assert_allclose(swept.numpy(), mdp.backup(value, gamma), rtol=1e-13, atol=1e-13)


@every_mdp
def test_the_answer_is_the_kernels(mdp):
    """The certified bounds of both overlap, and both are as narrow as asked for."""
    scale = Certifier(mdp, 0.9).largest_reward
    ours = ValueIteration(0.9, tolerance=1e-9 * scale, device="cpu").solve(mdp)
    other = ValueIteration(0.9, tolerance=1e-9 * scale).solve(mdp)

    assert ours.converged
    assert other.converged
    assert (ours.lower <= other.upper).all()
    assert (other.lower <= ours.upper).all()


def faked(tensor, device):
    """A tensor without memory on a device that need not be there."""
    if isinstance(tensor, torch.Tensor):
        return torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
    if isinstance(tensor, tuple):
        parts = [faked(part, device) for part in tensor]
        return type(tensor)(*parts) if hasattr(tensor, "_fields") else tuple(parts)
    return tensor


class Devices(TorchDispatchMode):
    """Notes where every operation's tensors lie, and in what type its numbers are."""

    def __init__(self):
        super().__init__()
        self.devices, self.types = set(), set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in torch.utils._pytree.tree_leaves((args, kwargs, out)):
            if isinstance(tensor, torch.Tensor):
                self.devices.add(str(tensor.device))
                self.types.add(tensor.dtype)
        return out


@every_mdp
@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_every_tensor_stays_on_the_device(mdp, device):
    """A sweep and its facts under fake CUDA tensors: no tensor elsewhere, no float32, and no number read in between
    (reading one from a fake tensor is an error)."""
    real = torch_sweeps.tables_of(mdp, torch.device("cpu"))
    with FakeTensorMode():
        tables, value = faked(real, device), torch.empty(mdp.n_states, dtype=torch.float64, device=device)
        with Devices() as seen:
            swept = tables.sweep(value, 0.9)
            facts = torch_sweeps.facts(value, swept)

    assert seen.devices == {device}
    assert torch.float64 in seen.types
    assert not seen.types & {torch.float32, torch.float16, torch.bfloat16}
    assert swept.shape == (mdp.n_states,)
    assert facts.shape == (3,)


@every_mdp
def test_tables_are_asked_for_on_the_device(mdp):
    """All tables are made on the device asked for, here "meta", which every machine has."""
    tables = torch_sweeps.tables_of(mdp, torch.device("meta"))

    leaves = [leaf for leaf in torch.utils._pytree.tree_leaves(tables) if isinstance(leaf, torch.Tensor)]
    assert len(leaves) >= 5
    assert {leaf.device.type for leaf in leaves} == {"meta"}


def test_few_numbers_leave_the_device(monkeypatch):
    """One transfer in eight sweeps, and one array at the end."""
    transfers = []

    def counted(name):
        original = getattr(torch.Tensor, name)
        return lambda self, *rest: (transfers.append(name), original(self, *rest))[1]

    for name in ("tolist", "item", "cpu", "__float__", "__bool__"):
        monkeypatch.setattr(torch.Tensor, name, counted(name))
    solution = ValueIteration(0.99, device="cpu", tolerance=1e-9).solve(slippery_grid(12))

    assert solution.sweeps > 100
    assert transfers.count("cpu") == 1
    assert transfers.count("tolist") == (solution.sweeps - 1) // torch_sweeps.EVERY
    assert len(transfers) == 1 + transfers.count("tolist")


def test_too_few_sweeps_and_tolerances_beyond_floats():
    """Never more sweeps than allowed and a look ahead; it does not wait for what rounding hides."""
    mdp = random_graph(100, seed=5, ending=0.0)
    for most in (1, 7, 8, 9, 30):
        solution = ValueIteration(0.999, tolerance=1e-9, max_sweeps=most, device="cpu").solve(mdp)
        assert solution.sweeps <= most + 1
        assert solution.converged == (solution.half_width <= 1e-9)
    solution = ValueIteration(0.9, tolerance=1e-300, device="cpu").solve(mdp)
    assert not solution.converged
    assert solution.half_width < 1e-11
    assert solution.sweeps < 5000


def test_a_device_that_is_not_there_is_said_so(monkeypatch):
    """No CUDA, a GPU too many, kinds without float64, nonsense, and settings that don't go together."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ArgumentError, match=r"finds no CUDA device here.*Leave device out"):
        ValueIteration(0.9, device="cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(ValueIteration(0.9, device="cuda:1").device) == "cuda:1"
    with pytest.raises(ArgumentError, match="there are 2 CUDA devices"):
        ValueIteration(0.9, device="cuda:2")
    for wrong in ("mps", "gpu", 1.5):
        with pytest.raises(ArgumentError, match="device is"):
            ValueIteration(0.9, device=wrong)
    with pytest.raises(ArgumentError, match="drop one"):
        ValueIteration(0.9, device="cpu", threads=2)
    with pytest.raises(CriterionError, match="discounted"):
        ValueIteration(1.0, device="cpu")


def test_too_little_memory_is_a_size_error(monkeypatch):
    """The device's own error is translated, with what to do."""

    def refuse(mdp, device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch_sweeps, "tables_of", refuse)
    with pytest.raises(SizeError, match="Leave device out"):
        ValueIteration(0.9, device="cpu").solve(random_graph(5))


def test_torch_is_imported_only_when_a_device_is_asked_for():
    """Planners are used without it."""
    program = (
        "import sys, rltk.agents.planning as p; p.ValueIteration(.9); assert 'torch' not in sys.modules; "
        "p.ValueIteration(.9, device='cpu'); assert 'torch' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@every_mdp
def test_a_real_gpu_agrees(mdp):
    """The certified bounds from a GPU and from the kernels overlap."""
    scale = Certifier(mdp, 0.9).largest_reward
    ours = ValueIteration(0.9, tolerance=1e-9 * scale, device="cuda").solve(mdp)

    assert ours.converged
    other = ValueIteration(0.9, tolerance=1e-9 * scale).solve(mdp)
    assert (ours.lower <= other.upper).all()
    assert (other.lower <= ours.upper).all()
