"""The compiled update against forty lines of torch: the same losses, errors and weights; shared memory; faults."""

import copy

import fused_reference as reference
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.agents.deep.backends.fused import Fused
from rltk.errors import ArgumentError

OPTIONS = [
    {},
    {"double": True},
    {"huber": False},
    {"max_grad_norm": 0.05},
    {"max_grad_norm": 0.05, "double": True, "huber": False},
]


def _numbers(count=200, features=4, seed=0):
    return np.random.default_rng(seed).standard_normal((count, features)).astype(np.float32)


def _parts(sizes=(4, 64, 64), n_actions=3, dtype=torch.float32, seed=0, **options):
    torch.manual_seed(seed)
    return reference.learner(reference.Network(list(sizes), n_actions, **options).to(dtype), seed)


def _positions(updates, size, seed=1, capacity=400):
    return np.random.default_rng(seed).integers(0, capacity, (updates, size))


@pytest.mark.parametrize("options", OPTIONS)
def test_sixteen_updates_in_float32_are_torchs_to_rounding(options):
    """Weights within 1e-6 of the largest one of their layer, losses and TD errors likewise."""
    parts, arrays, positions = _parts(), reference.replay(_numbers(), 3), _positions(16, 64)
    peer = reference.twin(*parts)

    losses, errors, fault = Fused(*parts).train(arrays, positions, 3e-3, **options)
    expected_losses, expected_errors = reference.torch_updates(peer, arrays, positions, **options)

    assert fault == -1
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-5)
    np.testing.assert_allclose(errors, expected_errors, atol=1e-5)
    assert reference.difference(parts[0], peer[0]) < 1e-6


@pytest.mark.parametrize("options", [OPTIONS[0], OPTIONS[-1]])
def test_a_thousand_updates_in_float64_are_torchs_to_1e_9(options):
    """The same formula in the same order: what is left is the rounding of sums."""
    parts, arrays = _parts((4, 24, 17), dtype=torch.float64), reference.replay(_numbers(), 3)
    positions, peer = _positions(1000, 32), reference.twin(*parts)

    losses, _, _ = Fused(*parts).train(arrays, positions, 3e-3, **options)
    expected, _ = reference.torch_updates(peer, arrays, positions, **options)

    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert reference.difference(parts[0], peer[0]) < 1e-9


def test_weighted_losses_and_masked_actions():
    """Importance weights multiply the losses; an action that is not available at s' is in no maximum."""
    arrays, positions = reference.replay(_numbers(), 3), _positions(16, 64)
    masks = (np.random.default_rng(5).random((200, 3)) < 0.6).astype(np.uint8)  # what a replay stores
    masks[~masks.any(1), 0] = 1
    arrays = arrays._replace(masks=masks)
    weights = np.random.default_rng(6).random((16, 64)).astype(np.float32)
    for double in (False, True):
        parts = _parts()
        peer = reference.twin(*parts)

        Fused(*parts).train(arrays, positions, 3e-3, double=double, weights=weights)
        reference.torch_updates(peer, arrays, positions, double=double, weights=weights)

        assert reference.difference(parts[0], peer[0]) < 1e-6


def test_a_state_without_actions_is_worth_nothing():
    """Where no action is available at s', the target is the reward alone."""
    parts, arrays, positions = _parts(), reference.replay(_numbers(), 3), _positions(1, 64)
    peer = reference.twin(*parts)

    Fused(*parts).train(arrays._replace(masks=np.zeros((200, 3), np.uint8)), positions, 3e-3)
    reference.torch_updates(peer, arrays._replace(discounts=0 * arrays.discounts), positions)

    assert reference.difference(parts[0], peer[0]) < 1e-6


@pytest.mark.parametrize("sizes", [(5,), (5, 3, 4)])
def test_indices_are_one_hot_columns(sizes):
    """Discrete and MultiDiscrete observations, whose starts the offsets take off."""
    rng = np.random.default_rng(2)
    starts = np.arange(len(sizes)) - 1
    observations = np.stack([rng.integers(0, size, 100) for size in sizes], 1) + starts
    offsets = np.cumsum([0, *sizes[:-1]]) - starts
    observations = observations[:, 0] if len(sizes) == 1 else observations
    arrays, positions = reference.replay(observations, 2), _positions(16, 32)
    shape = observations[:, None] if len(sizes) == 1 else observations
    parts = _parts((sum(sizes), 32), 2, offsets=offsets)
    peer, fused = reference.twin(*parts), Fused(*parts)

    fused.train(arrays, positions, 3e-3, double=True)
    reference.torch_updates(peer, arrays._replace(observations=shape), positions, double=True)

    assert reference.difference(parts[0], peer[0]) < 1e-6
    np.testing.assert_allclose(fused.q(observations), peer[0](shape).detach().numpy(), atol=1e-5)
    assert [fused.greedy_one(one) for one in observations] == fused.greedy(observations).tolist()


def test_bytes_are_numbers_and_are_scaled():
    """uint8 observations of several axes become numbers times the stem's scale."""
    observations = np.random.default_rng(3).integers(0, 255, (100, 3, 3, 2)).astype(np.uint8)
    parts, arrays, positions = _parts((18, 32), scale=1 / 255), reference.replay(observations, 3), _positions(16, 32)
    peer = reference.twin(*parts)

    Fused(*parts).train(arrays, positions, 3e-3)
    reference.torch_updates(peer, arrays, positions)

    assert reference.difference(parts[0], peer[0]) < 1e-6


def test_lists_of_what_is_not_zero_and_products_give_the_same_bits():
    """A call that begins with a dense batch takes products for the sparse one too; alone, that one takes lists."""
    observations = _numbers(200, 70)
    observations[100:] *= np.random.default_rng(4).random((100, 70)) < 0.04
    rng = np.random.default_rng(0)
    slots = np.concatenate([rng.integers(0, 100, 200), rng.integers(100, 200, 200)]).astype(np.int32)
    arrays = reference.replay(observations, 3)._replace(origin=slots, last=slots[::-1].copy())
    positions = np.stack([_positions(1, 64, 1, 200)[0], 200 + _positions(1, 64, 2, 200)[0]])
    parts = _parts((70, 64, 48))
    peer, other = reference.twin(*parts), reference.twin(*parts)
    together, apart = Fused(*parts), Fused(*other)

    together.train(arrays, positions, 3e-3)
    for k in (0, 1):
        apart.train(arrays, positions[k : k + 1], 3e-3)
    reference.torch_updates(peer, arrays, positions)

    assert reference.same_bits(parts[0], other[0])
    assert reference.difference(parts[0], peer[0]) < 1e-6


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    n_actions=st.integers(1, 20),
    batch=st.integers(1, 70),
    double=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_any_shape(sizes, n_actions, batch, double, seed):
    """Widths, depths, batches and numbers of actions that fill no tile, beside torch."""
    parts = _parts(sizes, n_actions, torch.float64, seed)
    arrays, positions = reference.replay(_numbers(50, sizes[0], seed), n_actions, seed), _positions(3, batch, seed)
    peer, fused = reference.twin(*parts), Fused(*parts)

    losses, errors, fault = fused.train(arrays, positions, 3e-3, double=double, max_grad_norm=1.0)
    expected, deltas = reference.torch_updates(peer, arrays, positions, double=double, max_grad_norm=1.0)

    assert fault == -1
    np.testing.assert_allclose(losses, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(errors, deltas, atol=1e-10)
    np.testing.assert_allclose(fused.q(arrays.observations), peer[0](arrays.observations).detach(), atol=1e-10)


def test_two_calls_are_one():
    """K1 and then K2 updates give the bits of K1 + K2 while the target stands still."""
    parts, arrays, positions = _parts(), reference.replay(_numbers(), 3), _positions(20, 64)
    other = reference.twin(*parts)
    one, two = Fused(*parts), Fused(*other)

    losses, errors, _ = one.train(arrays, positions, 3e-3, max_grad_norm=1.0)
    first = two.train(arrays, positions[:7], 3e-3, max_grad_norm=1.0)
    second = two.train(arrays, positions[7:], 3e-3, max_grad_norm=1.0)

    assert reference.same_bits(parts[0], other[0])
    np.testing.assert_array_equal(losses, np.concatenate([first[0], second[0]]))
    np.testing.assert_array_equal(errors, np.concatenate([first[1], second[1]]))


def test_torch_and_the_kernels_take_turns():
    """Parameters and Adam's state are one memory: either goes on where the other stopped, state dicts are right."""
    parts, arrays, positions = _parts(), reference.replay(_numbers(), 3), _positions(12, 64)
    peer, fused = reference.twin(*parts), Fused(*parts)

    reference.torch_updates(parts, arrays, positions[:3])
    fused.train(arrays, positions[3:6], 3e-3)
    reference.torch_updates(parts, arrays, positions[6:9])
    fused.train(arrays, positions[9:], 3e-3)
    reference.torch_updates(peer, arrays, positions)

    assert reference.difference(parts[0], peer[0]) < 1e-6
    ours, theirs = parts[2].state_dict()["state"], peer[2].state_dict()["state"]
    for place, state in theirs.items():
        assert float(ours[place]["step"]) == float(state["step"]) == 12
        for name in ("exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(ours[place][name], state[name], rtol=1e-4, atol=1e-8)


def test_loaded_states_are_taken_over():
    """Weights and moments that are loaded, before or after, continue to the bit."""
    parts, arrays, positions = _parts(), reference.replay(_numbers(), 3), _positions(8, 64)
    fused = Fused(*parts)
    fused.train(arrays, positions[:4], 3e-3)
    saved = [copy.deepcopy(part.state_dict()) for part in parts]
    fused.train(arrays, positions[4:], 3e-3)
    for other in (_parts(seed=9), parts):
        resumed = fused if other is parts else Fused(*other)
        for part, state in zip(other, saved, strict=True):
            part.load_state_dict(copy.deepcopy(state))

        resumed.train(arrays, positions[4:], 3e-3)

        if other is not parts:
            assert reference.same_bits(other[0], parts[0])
        else:
            expected = Fused(*_loaded(saved))
            expected.train(arrays, positions[4:], 3e-3)
            assert reference.same_bits(expected.network, parts[0])


def _loaded(saved):
    parts = _parts(seed=11)
    for part, state in zip(parts, saved, strict=True):
        part.load_state_dict(copy.deepcopy(state))
    return parts


def test_weights_that_moved_are_taken_over():
    """A parameter that was given new memory is found there."""
    parts, arrays, positions = _parts(), reference.replay(_numbers(), 3), _positions(4, 64)
    peer, fused = reference.twin(*parts), Fused(*parts)
    for network in parts[:2]:
        for parameter in network.parameters():
            parameter.data = parameter.data.clone()

    fused.train(arrays, positions, 3e-3)
    reference.torch_updates(peer, arrays, positions)

    assert reference.difference(parts[0], peer[0]) < 1e-6


PLACES = ["observation", "next observation", "reward", "discount", "weight of a sample", "network", "target"]
PLACES += ["unused", "unused in the target"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", PLACES)
def test_what_is_not_finite_stops_before_it_is_learned(where, value):
    """The index of the update is given; weights, moments and steps are those after the update before."""
    parts, positions = _parts((4, 16)), _positions(3, 8)
    arrays = reference.replay(_numbers(), 3)
    # Each slot has one transition, so that only the second update meets what is wrong.
    positions = np.arange(24).reshape(3, 8)
    arrays = arrays._replace(origin=np.arange(24, dtype=np.int32), last=np.arange(24, 48, dtype=np.int32))
    arrays.discounts[:] = 0.9
    weights = np.ones((3, 8), np.float32)
    bad = {"observation": arrays.observations[9], "next observation": arrays.observations[24 + 9]}
    bad |= {"reward": arrays.rewards[9:], "discount": arrays.discounts[9:], "weight of a sample": weights[1]}
    peer, fused = reference.twin(*parts), Fused(*parts)
    if where in bad:
        bad[where][0] = value
        reference.torch_updates(peer, arrays, positions[:1], weights=weights)
    elif where.startswith("unused"):  # what no observation reaches: lists pass over columns that are always zero
        arrays.observations[:] = 0
        for network in (parts, peer):
            network[where == "unused in the target"].encoder.trunk.layers[0].weight.data[3, 2] = value
    else:
        for network in (parts, peer):
            network[where == "target"].encoder.trunk.layers[0].bias.data[3] = value

    _, _, fault = fused.train(arrays, positions, 3e-3, weights=weights)

    assert fault == (1 if where in bad else 0)
    for one, other in zip(parts[0].parameters(), peer[0].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7, equal_nan=True)
    assert float(next(iter(parts[2].state_dict()["state"].values()))["step"]) == fault


def test_positions_actions_and_indices_out_of_range_read_no_foreign_memory():
    """Positions are refused; an action or index that there is not is a fault."""
    parts, arrays = _parts((4, 16)), reference.replay(_numbers(), 3)
    fused = Fused(*parts)
    for wrong in (-1, 400):
        with pytest.raises(ArgumentError, match="between 0 and 399"):
            fused.train(arrays, np.full((1, 4), wrong), 1e-3)
    arrays.actions[:] = 3
    assert fused.train(arrays, _positions(1, 4), 1e-3)[2] == 0

    indices = Fused(*_parts((6, 16), offsets=np.zeros(1, np.int64)))
    for wrong in (-1, 6):
        observations = np.full((10, 1), wrong)
        assert indices.train(reference.replay(observations, 3), _positions(1, 4), 1e-3)[2] == 0
        assert np.all(np.isnan(indices.q(observations)))
        with pytest.raises(ArgumentError, match="none of the space's"):
            indices.greedy_one(observations[0])


def test_values_and_greedy_actions():
    """All ways of asking agree: to rounding with torch, to the bit with each other; sync_target mixes."""
    parts, observations = _parts((4, 64, 24), 5), _numbers(150)
    fused = Fused(*parts)

    np.testing.assert_allclose(fused.q(observations), parts[0](observations).detach(), atol=1e-5)
    assert fused.q(observations).dtype == np.float32
    assert fused.greedy(observations).tolist() == fused.q(observations).argmax(1).tolist()
    assert [fused.greedy_one(one) for one in observations] == fused.greedy(observations).tolist()

    before = copy.deepcopy(parts[1])
    fused.sync_target(0.25)
    for new, old, online in zip(parts[1].parameters(), before.parameters(), parts[0].parameters(), strict=True):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * online)
    fused.sync_target()
    assert reference.same_bits(*parts[:2])


def test_the_first_of_equal_actions_is_greedy():
    """Ties go to the smallest action, as in argmax."""
    parts = _parts((4, 8), 4)
    with torch.no_grad():
        parts[0].head.out.weight[:] = 0
        parts[0].head.out.bias[:] = torch.tensor([0.0, 1.0, 1.0, 0.5])
    fused = Fused(*parts)

    assert fused.greedy_one(_numbers()[0]) == 1
    assert set(fused.greedy(_numbers())) == {1}


def test_moments_that_fade_become_nothing():
    """Of a unit that no gradient reaches: below 1e-35 they are 0, so no subnormal number slows what follows; the
    weights are torch's."""
    parts, arrays, positions = _parts(), reference.replay(_numbers(), 3), _positions(3, 32)
    layer = parts[0].encoder.trunk.layers[0]
    with torch.no_grad():
        layer.bias[0] = -1e3
    Fused(*parts).train(arrays, positions[:1], 3e-3)
    state = parts[2].state[layer.weight]
    with torch.no_grad():
        state["exp_avg"][0] = torch.tensor([1e-36, -1e-36, 1e-30, 0.0])
    peer = reference.twin(*parts)

    Fused(*parts).train(arrays, positions[1:], 3e-3)
    reference.torch_updates(peer, arrays, positions[1:])

    faded = parts[2].state[layer.weight]["exp_avg"][0]
    assert faded[[0, 1, 3]].tolist() == [0, 0, 0]
    assert faded[2] == pytest.approx(1e-30 * 0.81, rel=1e-5)
    assert reference.difference(parts[0], peer[0]) < 1e-6
