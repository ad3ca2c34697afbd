"""Heads and noisy layers: shapes, the dueling identity, independent heads, the noise and its statistics."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rltk.agents.deep.networks.heads import Head
from rltk.agents.deep.networks.noisy import NoisyLinear
from rltk.errors import ArgumentError


@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.sampled_from([(), (5,), (5, 4)]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([(2,), (2, 3), (0,)]),
)
@settings(deadline=None, max_examples=60)
def test_every_head_gives_heads_actions_and_atoms(heads, atoms, hidden, dueling, noisy, batch):
    head = Head(6, 3, heads=heads, atoms=atoms, hidden=hidden, dueling=dueling, noisy=noisy)

    found = head(torch.randn(*batch, 6))

    assert found.shape == (*batch, heads, 3, atoms)
    assert found.isfinite().all()


def test_the_plain_head_is_one_linear_layer():
    """Q(s, a) = w_a . phi(s) + b_a."""
    head, x = Head(4, 3), torch.randn(5, 4)

    assert type(head.out) is nn.Linear
    assert torch.equal(head(x)[:, 0, :, 0], x @ head.out.weight.T + head.out.bias)


@pytest.mark.parametrize("hidden", [(), (7,)])
def test_dueling(hidden):
    """Wang et al. (2016), equation 9, in each head and atom: the mean is V, the rest A less its mean."""
    head, x = Head(4, 3, heads=2, atoms=5, hidden=hidden, dueling=True), torch.randn(6, 4)
    advantage, value = head.out(x).reshape(6, 2, 3, 5), head.value(x).reshape(6, 2, 5)

    found = head(x)

    assert torch.allclose(found.mean(2), value, atol=1e-6)
    for action in range(3):
        expected = value + advantage[:, :, action] - advantage.sum(2) / 3
        assert torch.allclose(found[:, :, action], expected, atol=1e-6)


@pytest.mark.parametrize("hidden", [(), (7,)])
@pytest.mark.parametrize("dueling", [False, True])
def test_bootstrapped_heads_share_no_weights(hidden, dueling):
    """Osband et al. (2016), section 4: what one head learns moves no number of another."""
    torch.manual_seed(0)
    head, x = Head(4, 3, heads=3, hidden=hidden, dueling=dueling), torch.randn(8, 4)
    before = head(x).detach()

    head(x)[:, 1].square().sum().backward()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter -= 0.1 * parameter.grad
    after = head(x).detach()

    assert torch.equal(before[:, 0], after[:, 0])
    assert torch.equal(before[:, 2], after[:, 2])
    assert not torch.allclose(before[:, 1], after[:, 1])
    assert not torch.allclose(before[:, 0], before[:, 2])


def test_hidden_layers_written_out():
    head, x = Head(4, 2, hidden=(6, 5)), torch.randn(3, 4)
    first, _, second, _, last = head.out
    assert torch.equal(head(x)[:, 0, :, 0], last(torch.relu(second(torch.relu(first(x))))))


# Noise


def test_the_factorised_noise():
    """Fortunato et al. (2018), equations 9 to 11, entry by entry, from the noise that the generator gives."""
    layer, x = NoisyLinear(4, 3), torch.randn(5, 4)
    torch.manual_seed(7)
    layer.resample()
    torch.manual_seed(7)
    eps_in, eps_out = torch.empty(4).normal_().tolist(), torch.empty(3).normal_().tolist()

    def f(number):
        return math.copysign(math.sqrt(abs(number)), number)

    mu, sigma = layer.weight.tolist(), layer.weight_sigma.tolist()
    mu_b, sigma_b = layer.bias.tolist(), layer.bias_sigma.tolist()
    found = layer(x).tolist()
    for b in range(5):
        for j in range(3):
            expected = mu_b[j] + sigma_b[j] * f(eps_out[j])
            for i in range(4):
                expected += (mu[j][i] + sigma[j][i] * f(eps_out[j]) * f(eps_in[i])) * x[b, i].item()
            assert found[b][j] == pytest.approx(expected, abs=1e-5)


def test_the_noise_has_the_mean_and_variance_of_the_paper():
    """E[f(e)] = 0 and E[f(e)^2] = E|e| = sqrt(2 / pi); so a weight's variance is sigma^2 2 / pi, a bias's sigma^2
    sqrt(2 / pi). Bounds: five standard errors of 5,000 draws."""
    torch.manual_seed(0)
    layer, draws = NoisyLinear(1, 2), 5_000
    biases, weights = [], []
    with torch.no_grad():
        layer.bias_sigma.fill_(2.0)
        layer.weight_sigma.fill_(3.0)
        for _ in range(draws):
            layer.resample()
            bias = layer(torch.zeros(1, 1))[0]
            biases.append(bias)
            weights.append(layer(torch.ones(1, 1))[0] - bias)
    biases, weights = torch.stack(biases) - layer.bias, torch.stack(weights) - layer.weight[:, 0]

    for noise, variance in ((biases, 4 * math.sqrt(2 / math.pi)), (weights, 9 * 2 / math.pi)):
        fourth = noise.pow(4).mean(0)
        assert (noise.mean(0).abs() < 5 * math.sqrt(variance / draws)).all()
        assert ((noise.var(0) - variance).abs() < 5 * ((fourth - variance**2) / draws).sqrt()).all()


def test_weights_begin_as_in_the_paper():
    """Section 3.2: mu uniform within 1 / sqrt(p), sigma 0.5 / sqrt(p)."""
    torch.manual_seed(0)
    layer = NoisyLinear(16, 1000)
    assert layer.weight.abs().max() <= 0.25
    assert layer.weight.var().item() == pytest.approx(0.25**2 / 3, rel=0.05)
    assert torch.equal(layer.weight_sigma, torch.full((1000, 16), 0.125))
    assert torch.equal(layer.bias_sigma, torch.full((1000,), 0.125))


def test_noise_stays_until_it_is_resampled_and_ends_in_eval_mode():
    head, x = Head(4, 3, hidden=(6,), dueling=True, noisy=True), torch.randn(5, 4)
    noisy = head(x)
    assert torch.equal(head(x), noisy)
    with head.mean_weights():
        mean = head(x)
        with head.mean_weights():
            pass
        assert torch.equal(head(x), mean)
    assert torch.equal(head(x), noisy)
    assert torch.equal(head.eval()(x), mean)
    head.train().resample()
    assert not torch.equal(head(x), noisy)
    assert not torch.equal(head(x), mean)
    with pytest.raises(RuntimeError), head.mean_weights():
        raise RuntimeError
    assert not torch.equal(head(x), mean)


def test_every_layer_of_a_noisy_head_is_noisy():
    head = Head(4, 3, heads=2, hidden=(6,), dueling=True, noisy=True)
    assert not [layer for layer in head.modules() if type(layer) is nn.Linear]
    before = {name: noise.clone() for name, noise in head.named_buffers()}
    head.resample()
    assert len(before) == 16
    assert not [name for name, noise in head.named_buffers() if torch.equal(noise, before[name])]
    Head(4, 3).resample()


def test_the_noise_is_saved_with_the_weights():
    """A resumed run has to go on with the noise that it had."""
    head, x = Head(4, 3, noisy=True), torch.randn(2, 4)
    twin = Head(4, 3, noisy=True)
    twin.load_state_dict(head.state_dict())
    assert torch.equal(twin(x), head(x))


def test_noise_has_gradients_to_its_size():
    layer = NoisyLinear(3, 2)
    layer(torch.ones(1, 3)).sum().backward()
    assert torch.equal(layer.weight_sigma.grad, torch.outer(layer.noise_out, layer.noise_in))
    assert torch.equal(layer.bias_sigma.grad, layer.noise_out)


@pytest.mark.parametrize("options", [{"heads": 0}, {"atoms": 1.5}, {"hidden": (0,)}, {"hidden": ("a",)}])
def test_sizes_that_no_head_has(options):
    with pytest.raises(ArgumentError, match=next(iter(options))):
        Head(4, 3, **options)


@pytest.mark.parametrize("noisy", [False, True])
def test_heads_stay_on_their_device(noisy):
    head = Head(4, 3, heads=2, atoms=3, hidden=(5,), dueling=True, noisy=noisy).to("meta")
    head.resample()
    assert head(torch.empty(2, 4, device="meta")).device.type == "meta"
