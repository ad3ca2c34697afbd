"""The compiled update of small CNNs on boards against torch: losses, errors, weights; shared memory; faults."""

import copy

import fused_reference as reference
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rltk.agents.deep.backends.fused_board import FusedBoard, why_not
from rltk.encoders import Encoder
from rltk.errors import ArgumentError


class Network(nn.Module):
    """A CNN and a linear head; layers: how many convolutions, of so many filters, in place of the encoder's own."""

    def __init__(self, space, n_actions, features=24, *, filters=16, layers=2, channels=None):
        super().__init__()
        self.encoder = Encoder(space, "cnn", features_dim=features, channels=channels)
        planes = self.encoder.parts[0].planes
        sizes = [planes.channels] + [filters] * layers
        pairs = [(nn.Conv2d(n, filters, 3, padding=1), nn.ReLU()) for n in sizes[:-1]]
        self.encoder.trunk.parts[0] = nn.Sequential(*[one for pair in pairs for one in pair])
        self.encoder.readout.layers[0] = nn.Linear(filters * planes.height * planes.width, features)
        self.head = nn.Module()
        self.head.out = nn.Linear(features, n_actions)

    def forward(self, observations):
        return self.head.out(self.encoder(torch.as_tensor(observations)))


def _symbols(shape=(7, 7, 3), most=(10, 5, 1)):
    return spaces.Box(np.zeros(shape, np.uint8), np.broadcast_to(np.uint8(most), shape), dtype=np.uint8)


def _parts(space=None, n_actions=5, dtype=torch.float32, seed=0, **options):
    torch.manual_seed(seed)
    return reference.learner(Network(_symbols() if space is None else space, n_actions, **options).to(dtype), seed)


def _boards(space=None, count=60, seed=0):
    space = _symbols() if space is None else space
    space.seed(seed)
    return np.stack([space.sample() for _ in range(count)])


def _positions(updates, size, seed=1, capacity=400):
    return np.random.default_rng(seed).integers(0, capacity, (updates, size))


OPTIONS = [{}, {"max_grad_norm": 0.05, "double": True, "huber": False}]
# Each pair of a network's type and a board's is a kernel of its own, which takes LLVM half a minute: there are three in
# this file, float64 on bytes and on float32, and float32 on bytes.


@pytest.mark.parametrize("options", OPTIONS)
def test_two_hundred_updates_in_float64_are_torchs_to_1e_9(options):
    """The same formula: what is left is the rounding of sums."""
    parts, arrays, positions = _parts(dtype=torch.float64), reference.replay(_boards(), 5), _positions(200, 20)
    peer = reference.twin(*parts)

    losses, _, fault = FusedBoard(*parts).train(arrays, positions, 3e-3, **options)
    expected, _ = reference.torch_updates(peer, arrays, positions, **options)

    assert fault == -1
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert reference.difference(parts[0], peer[0]) < 1e-9


def test_sixteen_updates_in_float32_are_torchs_to_rounding():
    """Losses and TD errors; weights within 1e-5 of the largest of their layer."""
    parts, arrays, positions = _parts(), reference.replay(_boards(), 5), _positions(16, 64)
    peer = reference.twin(*parts)

    losses, errors, _ = FusedBoard(*parts).train(arrays, positions, 3e-3)
    expected_losses, expected_errors = reference.torch_updates(peer, arrays, positions)

    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    np.testing.assert_allclose(errors, expected_errors, atol=1e-5)
    assert reference.difference(parts[0], peer[0]) < 1e-5


def _mixed_space(shape):
    """Symbols, two symbols, numbers of an unknown range and numbers of many values, one to a channel."""
    low, high = np.array([1, 0, 0, 10]), np.array([4, 1, 255, 200])
    return spaces.Box(np.broadcast_to(np.uint8(low), shape), np.broadcast_to(np.uint8(high), shape), dtype=np.uint8)


@given(
    height=st.integers(1, 9),
    width=st.integers(2, 9),
    filters=st.integers(1, 20),
    layers=st.integers(1, 3),
    batch=st.integers(1, 20),
    kind=st.sampled_from(["symbols", "mixed", "floats"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_any_shape(height, width, filters, layers, batch, kind, seed):
    """Boards, filters, depths and batches that fill no tile; symbols, numbers and both, beside torch."""
    space = _symbols((height, width, 3))
    if kind == "mixed":
        space = _mixed_space((height, width, 4))
    elif kind == "floats":
        space = spaces.Box(-1, 1, (height, width, 2), np.float32)
    parts = _parts(space, 3, torch.float64, seed, filters=filters, layers=layers, channels="last")
    boards = _boards(space, 30, seed)
    arrays, positions = reference.replay(boards, 3, seed), _positions(3, batch, seed)
    peer, fused = reference.twin(*parts), FusedBoard(*parts)

    losses, errors, fault = fused.train(arrays, positions, 3e-3, max_grad_norm=1.0)
    expected, deltas = reference.torch_updates(peer, arrays, positions, max_grad_norm=1.0)

    assert fault == -1
    np.testing.assert_allclose(losses, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(errors, deltas, atol=1e-9)
    assert reference.difference(parts[0], peer[0]) < 1e-7
    np.testing.assert_allclose(fused.q(boards), peer[0](boards).detach(), atol=1e-9)


def test_symbols_that_the_space_has_not_show_nothing():
    """As in torch: no plane is 1."""
    parts, boards = _parts(dtype=torch.float64), _boards()
    boards[:, 2, 3] = 99
    fused = FusedBoard(*parts)

    np.testing.assert_allclose(fused.q(boards), parts[0](boards).detach(), atol=1e-12)


def test_channels_first_and_a_stack_of_frames():
    """Channels are found where the encoder finds them, and frames lie behind each other."""
    for space, channels in (
        (spaces.Box(0, 3, (2, 5, 6), np.uint8), "first"),
        (spaces.Box(0, 3, (3, 5, 6, 2), np.uint8), None),
    ):
        parts, boards = _parts(space, dtype=torch.float64, channels=channels), _boards(space)

        np.testing.assert_allclose(FusedBoard(*parts).q(boards), parts[0](boards).detach(), atol=1e-12)


def test_weighted_losses_and_masked_actions():
    """Importance weights multiply the losses; an action that is not available at s' is in no maximum."""
    arrays, positions = reference.replay(_boards(), 5), _positions(8, 32)
    masks = (np.random.default_rng(5).random((60, 5)) < 0.6).astype(np.uint8)  # what a replay stores
    masks[~masks.any(1), 0] = 1
    arrays = arrays._replace(masks=masks)
    weights = np.random.default_rng(6).random((8, 32))
    parts = _parts(dtype=torch.float64)
    peer = reference.twin(*parts)

    FusedBoard(*parts).train(arrays, positions, 3e-3, double=True, weights=weights)
    reference.torch_updates(peer, arrays, positions, double=True, weights=weights)

    assert reference.difference(parts[0], peer[0]) < 1e-9


def test_torch_and_the_kernels_take_turns():
    """Parameters and Adam's state are one memory: either goes on where the other stopped, state dicts are right."""
    parts, arrays, positions = _parts(dtype=torch.float64), reference.replay(_boards(), 5), _positions(12, 16)
    peer, fused = reference.twin(*parts), FusedBoard(*parts)

    reference.torch_updates(parts, arrays, positions[:3])
    fused.train(arrays, positions[3:6], 3e-3)
    reference.torch_updates(parts, arrays, positions[6:9])
    fused.train(arrays, positions[9:], 3e-3)
    reference.torch_updates(peer, arrays, positions)

    for name, value in peer[0].state_dict().items():
        torch.testing.assert_close(parts[0].state_dict()[name], value, rtol=1e-8, atol=1e-10)
    ours, theirs = parts[2].state_dict()["state"], peer[2].state_dict()["state"]
    for place, state in theirs.items():
        assert float(ours[place]["step"]) == float(state["step"]) == 12
        for name in ("exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(ours[place][name], state[name], rtol=1e-7, atol=1e-12)


def test_a_saved_learner_goes_on_to_the_bit():
    """Weights and moments that another learner loads give the same bits from there."""
    parts, arrays, positions = _parts(), reference.replay(_boards(), 5), _positions(8, 64)
    fused = FusedBoard(*parts)
    fused.train(arrays, positions[:4], 3e-3)
    saved = [copy.deepcopy(part.state_dict()) for part in parts]
    fused.train(arrays, positions[4:], 3e-3)
    other = _parts(seed=9)
    resumed = FusedBoard(*other)
    for part, state in zip(other, saved, strict=True):
        part.load_state_dict(state)

    resumed.train(arrays, positions[4:], 3e-3)

    assert reference.same_bits(other[0], parts[0])


def test_a_smaller_batch_sees_nothing_of_a_larger_one():
    """What stands in the working space from before, a NaN too, is in no sum."""
    space = spaces.Box(-1, 1, (3, 4, 2), np.float32)
    parts, boards = _parts(space, dtype=torch.float64), _boards(space)
    peer, fused = reference.twin(*parts), FusedBoard(*parts)
    arrays, broken = reference.replay(boards, 5), reference.replay(np.full_like(boards, np.nan), 5)

    assert fused.train(broken, _positions(1, 40), 3e-3)[2] == 0
    assert fused.train(arrays, _positions(4, 7), 3e-3)[2] == -1
    FusedBoard(*peer).train(arrays, _positions(4, 7), 3e-3)

    assert reference.same_bits(parts[0], peer[0])


@pytest.mark.parametrize("where", ["board", "reward", "filters", "target", "readout"])
def test_what_is_not_finite_stops_before_it_is_learned(where):
    """The index of the update is given; nothing has been learned from it."""
    space = spaces.Box(-1, 1, (3, 4, 2), np.float32)
    parts, arrays = _parts(space, dtype=torch.float64), reference.replay(_boards(space), 5)
    if where == "board":
        arrays.observations[:, 1, 2] = np.nan
    elif where == "reward":
        arrays.rewards[:] = np.inf
    else:
        network = parts[where == "target"]
        layer = network.encoder.readout.layers[0] if where == "readout" else network.encoder.trunk.parts[0][0]
        with torch.no_grad():
            layer.weight[1, 1] = np.nan
    before = copy.deepcopy(parts[0])

    assert FusedBoard(*parts).train(arrays, _positions(3, 8), 3e-3)[2] == 0

    for one, other in zip(parts[0].parameters(), before.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


def test_values_and_greedy_actions():
    """All ways of asking agree; sync_target mixes."""
    parts, boards = _parts(), _boards()
    fused = FusedBoard(*parts)

    np.testing.assert_allclose(fused.q(boards), parts[0](boards).detach(), atol=1e-5)
    assert fused.greedy(boards).tolist() == fused.q(boards).argmax(1).tolist()
    assert [fused.greedy_one(one) for one in boards] == fused.greedy(boards).tolist()
    fused.sync_target()
    assert reference.same_bits(*parts[:2])


def _strided(parts):
    parts[0].encoder.trunk.parts[0][0].stride = (2, 2)


def _tanh(parts):
    parts[0].encoder.trunk.parts[0][1] = nn.Tanh()


def _wider(parts):
    parts[0].encoder.trunk.parts[0][2] = nn.Conv2d(16, 8, 3, padding=1)


def _heads(parts):
    parts[0].head.heads = 2


def _frozen(parts):
    parts[0].head.out.bias.requires_grad_(False)


def _picture(parts):
    parts[:] = reference.learner(_Picture())


def _two_boards(parts):
    parts[0].encoder.trunk.parts.append(nn.Sequential())


def _narrow(parts):
    parts[:] = _parts(spaces.Box(0, 3, (5, 1, 2), np.uint8), channels="last")


def _other_network(parts):
    parts[0] = nn.Linear(4, 2)


class _Picture(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder(spaces.Box(0, 255, (40, 40, 3), np.uint8), "cnn", features_dim=16)
        self.head = nn.Module()
        self.head.out = nn.Linear(16, 2)


REASONS = {
    _strided: "not 3x3",
    _picture: "not 3x3",
    _tanh: "Tanh",
    _wider: "number of filters",
    _heads: "more than one number",
    _frozen: "frozen",
    _two_boards: "more to observe",
    _narrow: "narrower",
    _other_network: "not a CNN",
}


@pytest.mark.parametrize("change", REASONS, ids=lambda change: change.__name__)
def test_what_does_not_fit_is_told_in_one_line(change):
    """why_not gives the reason, and building it anyway an error that names the way out."""
    parts = list(_parts())
    change(parts)

    assert REASONS[change] in why_not(*parts)
    assert "\n" not in why_not(*parts)
    with pytest.raises(ArgumentError, match='backend="torch"'):
        FusedBoard(*parts)


def test_what_fits_has_no_reason_against_it():
    assert why_not(*_parts()) == ""
