"""Distributions of returns beside loops that spell their papers out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.agents.deep.values import Categorical, Expected, Quantile, values_of
from rltk.errors import ArgumentError

B, K = 3, 2


def drawn(seed, *shape):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@given(st.integers(0, 2**31), st.integers(2, 9), st.floats(0, 1), st.floats(-8, 8))
@settings(max_examples=60, deadline=None)
def test_c51_projects_as_its_algorithm_does(seed, atoms, discount, reward):
    """Algorithm 1 of Bellemare et al. (2017), atom by atom: what lies between two atoms is shared in proportion."""
    kind = Categorical(atoms, -2.0, 3.0)
    chances = drawn(seed, B, K, atoms).softmax(-1)
    rewards, discounts = (torch.full((B, K), value, dtype=torch.float64) for value in (reward, discount))
    found = kind.projected(chances, rewards, discounts)
    spacing = 5.0 / (atoms - 1)
    expected = np.zeros((B, K, atoms))
    for b in range(B):
        for k in range(K):
            for j in range(atoms):
                place = (min(max(reward + discount * (-2.0 + j * spacing), -2.0), 3.0) + 2.0) / spacing
                low, high = int(np.floor(place)), int(np.ceil(place))
                share = float(chances[b, k, j])
                if low == high:
                    expected[b, k, low] += share
                else:
                    expected[b, k, low] += share * (high - place)
                    expected[b, k, high] += share * (place - low)

    np.testing.assert_allclose(found.numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(found.sum(-1).numpy(), 1.0)


def test_c51_s_loss_is_the_cross_entropy_and_its_error_the_divergence():
    """A prediction that equals its target has the divergence 0."""
    kind = Categorical(5, -2.0, 2.0)
    outputs = drawn(0, B, K, 5)
    losses, errors = kind.loss(outputs, outputs, torch.zeros(B, K).double(), torch.ones(B, K).double())
    chances = outputs.softmax(-1)

    torch.testing.assert_close(losses, -(chances * chances.log()).sum(-1))
    torch.testing.assert_close(errors, torch.zeros(B, K).double(), atol=1e-9, rtol=0)


def test_c51_s_value_is_the_mean_of_its_atoms():
    """sum p_i x_i."""
    outputs = drawn(1, B, K, 4, 3)
    found = Categorical(3, 0.0, 4.0).mean(outputs)

    torch.testing.assert_close(found, (outputs.softmax(-1) * torch.tensor([0.0, 2.0, 4.0])).sum(-1))


def test_quantile_huber_equals_its_equation():
    """Equation 10 of Dabney et al. (2018), pair by pair of levels and targets."""
    n = 4
    outputs, later = drawn(2, B, K, n), drawn(3, B, K, n)
    rewards, discounts = drawn(4, B, K), torch.full((B, K), 0.9).double()
    losses, errors = Quantile(n).loss(outputs, later, rewards, discounts)
    for b in range(B):
        for k in range(K):
            total = 0.0
            for i in range(n):
                for j in range(n):
                    gap = float(rewards[b, k] + 0.9 * later[b, k, j] - outputs[b, k, i])
                    huber = gap**2 / 2 if abs(gap) <= 1 else abs(gap) - 0.5
                    total += abs((i + 0.5) / n - (gap < 0)) * huber / n
            assert losses[b, k].item() == pytest.approx(total)
    torch.testing.assert_close(errors, (rewards + 0.9 * later.mean(-1)) - outputs.mean(-1))


def test_quantiles_learn_the_quantiles():
    """The minimum of the loss over many samples lies at the middles of even levels."""
    samples = torch.from_numpy(np.random.default_rng(0).exponential(size=(4000, 1, 1)))
    outputs = torch.zeros(1, 1, 4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([outputs], lr=0.02)
    nothing, one = torch.zeros(4000, 1).double(), torch.ones(4000, 1).double()
    for _ in range(600):
        optimiser.zero_grad()
        Quantile(4).loss(outputs.expand(4000, 1, 4), samples.expand(4000, 1, 4) * 100, nothing, one)[
            0
        ].mean().backward()
        with torch.no_grad():  # scaled up, so that Huber's quadratic part is small
            outputs.grad *= 1.0
        optimiser.step()
        optimiser.param_groups[0]["lr"] = 2.0
    expected = 100 * -np.log(1 - (np.arange(4) + 0.5) / 4)

    np.testing.assert_allclose(outputs.detach().numpy().ravel(), expected, rtol=0.06)


@pytest.mark.parametrize("huber", [True, False])
def test_expected_values_take_huber_or_squares(huber):
    """Quadratic within 1, linear beyond; or squares everywhere."""
    outputs = torch.tensor([[[0.5]], [[3.0]]])
    losses, errors = Expected(huber).loss(outputs, torch.zeros(2, 1, 1), torch.zeros(2, 1), torch.zeros(2, 1))

    assert losses.ravel().tolist() == ([0.125, 2.5] if huber else [0.25, 9.0])
    assert errors.ravel().tolist() == [0.5, 3.0]


@pytest.mark.parametrize(
    ("kind", "loss", "atoms", "low"),
    [
        ("median", "huber", 5, -1),
        ("expected", "absolute", 5, -1),
        ("categorical", "huber", 1, -1),
        ("categorical", "huber", 5, 2),
    ],
)
def test_what_there_is_not_is_refused(kind, loss, atoms, low):
    """Names and numbers of atoms."""
    with pytest.raises(ArgumentError):
        values_of(kind, loss, atoms, low, 1)
