"""Each objective's loss beside its formula, written out slowly or integrated numerically."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rltk.encoders import Encoder, Likelihood, parts_of
from rltk.objectives import Batch, objectives_of
from rltk.objectives.bisimulation import distance_error
from rltk.objectives.contrastive import info_nce, nt_xent
from rltk.objectives.decoder import Decoder
from rltk.objectives.dynamics import Successor
from rltk.objectives.inpainting import Inpainting
from rltk.objectives.masked import Masked, choose
from rltk.objectives.objective import another
from rltk.objectives.rearrangement import Jigsaw, Rotation
from rltk.objectives.supervised import squared_error
from rltk.objectives.variational import VariationalAutoencoder, kl_from_prior

NUMBER = spaces.Box(-9, 9, (1,), np.float64)
BOARD = spaces.Box(0, 4, (4, 6, 2), np.uint8)


def test_the_elbo_is_ln_p_less_the_distance_to_the_posterior():
    """z ~ N(0, 1), x ~ N(w z + b, s^2): then ln p(x) and the posterior are known (Bishop 2006, equations 2.115 and
    2.116), and ELBO = ln p(x) - KL(q || posterior). The ELBO's expectation over the noise is integrated by quadrature.
    """
    torch.manual_seed(3)
    w, b, s = 0.8, -0.3, 0.6
    encoder = Encoder(NUMBER, "mlp", hidden=(4,)).double()
    vae = VariationalAutoencoder(encoder, latent=1, width=1, sigma=s).double()
    vae.decoder.layers = nn.Unflatten(1, (1, 1))
    with torch.no_grad():
        vae.decoder.likelihood.heads[0].weight.fill_(w)
        vae.decoder.likelihood.heads[0].bias.fill_(b)
    x = torch.tensor([[-1.2], [0.0], [2.5]], dtype=torch.float64)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)

    with torch.no_grad():
        features = encoder(x)
        elbo = 0.0
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            nll, kl = vae.terms(features, x, torch.full((3, 1), node, dtype=torch.float64))
            elbo = elbo - weight * (nll + kl)
        mean, deviation = vae.posterior(features)

    variance = 1 / (1 + w**2 / s**2)
    posterior = torch.distributions.Normal(variance * w * (x - b) / s**2, torch.full_like(x, variance).sqrt())
    distance = torch.distributions.kl_divergence(torch.distributions.Normal(mean, deviation), posterior)[:, 0]
    evidence = torch.distributions.Normal(torch.full_like(x, b), torch.full_like(x, w**2 + s**2).sqrt()).log_prob(x)[
        :, 0
    ]
    assert torch.allclose(elbo, evidence - distance, atol=1e-9, rtol=0)
    assert (distance > 1e-3).all()


def test_the_elbo_is_a_mean_over_draws_and_the_loss_weighs_its_kl():
    """With many draws `elbo` comes near its quadrature; the loss is -ELBO + (beta - 1) KL at its own draw."""
    torch.manual_seed(0)
    encoder = Encoder(NUMBER, "mlp", hidden=(4,)).double()
    vae = VariationalAutoencoder(encoder, latent=2, beta=3.0).double()
    batch = Batch(torch.tensor([[0.5], [1.0]], dtype=torch.float64))
    loss, terms = vae.loss(encoder, batch)
    assert loss.item() == pytest.approx((-terms["elbo"] + 2 * terms["kl"]).item())
    draws = torch.stack([vae.elbo(encoder, batch.observations) for _ in range(300)])
    many = vae.elbo(encoder, batch.observations, draws=300)
    assert ((many - draws.mean(0)).abs() < 5 * draws.std(0) / math.sqrt(150)).all()


def test_the_kl_from_the_prior_is_that_of_torch():
    mean, deviation = torch.randn(5, 3, dtype=torch.float64), torch.rand(5, 3, dtype=torch.float64) + 0.1
    found = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, deviation), torch.distributions.Normal(0, 1)
    )
    assert torch.allclose(kl_from_prior(mean, deviation), found.sum(1))


def test_nt_xent_equals_a_loop():
    """Chen et al. (2020), equation 1 and algorithm 1."""
    torch.manual_seed(0)
    z, t, count = torch.randn(8, 5, dtype=torch.float64), 0.3, 4
    total = 0.0
    for i in range(2 * count):
        j = (i + count) % (2 * count)
        cosine = [float(z[i] @ z[k] / z[i].norm() / z[k].norm()) / t for k in range(2 * count)]
        total -= cosine[j] - math.log(sum(math.exp(cosine[k]) for k in range(2 * count) if k != i))
    assert nt_xent(z, t).item() == pytest.approx(total / (2 * count), rel=1e-12)


def test_info_nce_equals_a_loop():
    """van den Oord et al. (2018), equation 4."""
    q, k = torch.randn(2, 5, 3, dtype=torch.float64)
    total = sum(math.log(sum(math.exp(q[i] @ k[j]) for j in range(5))) - float(q[i] @ k[i]) for i in range(5))
    assert info_nce(q, k).item() == pytest.approx(total / 5, rel=1e-12)


def test_places_are_chosen_in_the_shares_of_bert():
    """Devlin et al. (2019), section 3.1: 15%, of these 80% hidden, 10% exchanged, 10% kept; never none."""
    torch.manual_seed(0)
    chosen, hidden, exchanged = choose(2000, 200, 0.15, torch.device("cpu"))
    count = chosen.sum().item()
    assert count / 400_000 == pytest.approx(0.15, abs=0.003)
    assert hidden.sum().item() / count == pytest.approx(0.8, abs=0.01)
    assert exchanged.sum().item() / count == pytest.approx(0.1, abs=0.007)
    assert not (hidden & exchanged).any()
    assert not ((hidden | exchanged) & ~chosen).any()
    assert choose(300, 2, 0.15, torch.device("cpu")).chosen.any(1).all()


def test_the_masked_loss_is_over_the_chosen_places_alone():
    """By hand from the likelihood of the tokens (a CNN keeps its places) or the decoder (an MLP does not)."""
    x = torch.randint(0, 5, (5, 4, 6, 2), dtype=torch.uint8)
    for trunk in ("cnn", "mlp"):
        encoder = Encoder(BOARD, trunk)
        masked = Masked(encoder)
        assert masked.from_tokens == (trunk == "cnn")
        torch.manual_seed(7)
        loss = masked.loss(encoder, Batch(x)).total
        torch.manual_seed(7)
        chosen, hidden, swapped = choose(5, 24, 0.15, torch.device("cpu"))
        shown = torch.where(swapped.reshape(5, 4, 6, 1), x[another(5, x.device)], x)
        if trunk == "cnn":
            context = encoder(shown, hidden) @ masked.context.weight.T + masked.context.bias
            nll = masked.likelihood.nll(encoder.tokens(shown, hidden) + context[:, None], x)
        else:
            nll = masked.decoder.nll(encoder(shown, hidden), x)
        by_hand = torch.stack([nll[b, i] for b in range(5) for i in range(24) if chosen[b, i]]).mean()
        assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)
        assert isinstance(masked.likelihood if trunk == "cnn" else masked.decoder.likelihood, Likelihood)


def test_many_places_share_a_decoder():
    """By hand, and its weights grow with the places' own positions alone."""
    small, large = (spaces.Box(0, 255, (side, side, 3), np.uint8) for side in (64, 256))
    assert isinstance(Decoder(512, parts_of(small)).layers[0], nn.Linear)
    decoder = Decoder(512, parts_of(large), width=16)
    assert isinstance(decoder.layers[0], nn.Linear)
    decoder = Decoder(512, parts_of(large))
    spread, _, mix, _ = decoder.layers
    assert sum(weight.numel() for weight in decoder.layers.parameters()) == 512 * 64 + 64 + 1024 * 64 + 64 * 64 + 64
    code = torch.randn(2, 512)
    by_hand = (code @ spread.shared.weight.T + spread.shared.bias)[:, None] + spread.positions
    assert torch.allclose(decoder.layers(code), mix(by_hand.relu()).relu(), atol=1e-5)


def test_another_is_never_oneself_unless_alone():
    for count in (2, 3, 8):
        for _ in range(20):
            assert (another(count, torch.device("cpu")) != torch.arange(count)).all()
    assert another(1, torch.device("cpu")).tolist() == [0]


def test_rotations_and_jigsaws_move_the_cells_as_they_say():
    """Rotation is numpy's rot90; a jigsaw keeps the contents of each tile, and all 24 orders of them are there."""
    square = spaces.Box(0, 99, (5, 5, 1), np.uint8)
    x = torch.arange(25, dtype=torch.uint8).reshape(1, 5, 5, 1).expand(4, 5, 5, 1)
    turned = Rotation(Encoder(square, "mlp")).moved(x, torch.arange(4))
    for k in range(4):
        assert np.array_equal(turned[k, ..., 0], np.rot90(x[k, ..., 0], k))

    jigsaw = Jigsaw(Encoder(square, "mlp"))
    moved = jigsaw.moved(x[:1].expand(24, 5, 5, 1), torch.arange(24))[..., 0]
    assert torch.equal(moved[0], x[0, ..., 0])
    assert len({tuple(board.flatten().tolist()) for board in moved}) == 24
    tiles = {tuple(x[0, i : i + 2, j : j + 2, 0].flatten().tolist()) for i in (0, 2) for j in (0, 2)}
    for board in moved:
        assert {tuple(board[i : i + 2, j : j + 2].flatten().tolist()) for i in (0, 2) for j in (0, 2)} == tiles
        assert torch.equal(board[4], x[0, 4, :, 0])  # what is left over stays


def test_inpainting_hides_a_quarter_of_the_board_in_one_block():
    hidden = Inpainting(Encoder(BOARD, "cnn")).blocks(50, torch.device("cpu")).reshape(50, 4, 6)
    for block in hidden:
        rows, columns = block.any(1).nonzero()[:, 0], block.any(0).nonzero()[:, 0]
        assert block.sum() == len(rows) * len(columns) == 2 * 3
        assert rows.max() - rows.min() == 1
        assert columns.max() - columns.min() == 2


def test_errors_of_q_leave_unavailable_actions_out():
    told, q = torch.tensor([[1.0, 2.0], [3.0, 9.0]], requires_grad=True), torch.tensor([[0.0, 4.0], [1.0, -torch.inf]])
    error = squared_error(told, q)
    error.backward()
    assert error.item() == pytest.approx((1 + 4 + 4) / 3)
    assert told.grad[1, 1] == 0
    assert squared_error(told, q, torch.tensor([[True, False], [True, True]])).item() == pytest.approx((1 + 4) / 2)


def test_the_bisimulation_loss_equals_a_loop():
    features, distance = torch.randn(4, 3), torch.rand(4, 4)
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    slow = sum(float((features[i] - features[j]).abs().sum() - distance[i, j]) ** 2 for i, j in pairs) / 12
    assert distance_error(features, distance).item() == pytest.approx(slow, rel=1e-5)


def test_an_equal_successor_is_no_false_one():
    """Where all next observations are the same, only the true pairs count."""
    encoder = Encoder(spaces.Discrete(5), "mlp", hidden=(8,))
    successor = Successor(encoder, actions=2)
    batch = Batch(torch.arange(4), torch.full((4,), 3), torch.tensor([0, 1, 0, 1]))
    after = encoder(batch.next_observations)
    one_hot = torch.eye(2)[batch.actions]
    true = successor.head(torch.cat([encoder(batch.observations), one_hot, after], 1))
    assert successor.loss(encoder, batch).total.item() == pytest.approx(nn.functional.softplus(-true).mean().item())


def test_curl_follows_its_encoder_in_training_alone():
    """theta' <- m theta' + (1 - m) theta, with no gradient; evaluation leaves theta' as it is."""
    encoder = Encoder(BOARD, "mlp", hidden=(8,))
    combined = objectives_of({"curl": {"momentum": 0.75}}, encoder)
    curl, batch = combined.objectives[0], Batch(torch.randint(0, 5, (3, 4, 6, 2), dtype=torch.uint8))
    before = curl.key_encoder.trunk.layers[0].weight.clone()
    with torch.no_grad():
        encoder.trunk.layers[0].weight += 1
    combined.eval().loss(encoder, batch)
    assert torch.equal(curl.key_encoder.trunk.layers[0].weight, before)
    combined.train().loss(encoder, batch).total.backward()
    assert torch.allclose(curl.key_encoder.trunk.layers[0].weight, before + 0.25)
    assert curl.key_encoder.trunk.layers[0].weight.grad is None


def test_each_player_of_the_adversarial_autoencoder_gets_its_own_gradient():
    """The encoder's is that of -ln p / N + softplus(-D(z)), the discriminator's that of telling z from the prior."""
    encoder = Encoder(BOARD, "mlp", hidden=(8,))
    objective = objectives_of("adversarial", encoder).objectives[0]
    batch = Batch(torch.randint(0, 5, (3, 4, 6, 2), dtype=torch.uint8))
    torch.manual_seed(0)
    objective.loss(encoder, batch).total.backward()
    found = [weight.grad.clone() for weight in [*encoder.parameters(), *objective.discriminator.parameters()]]

    code = objective.code(encoder(batch.observations))
    torch.manual_seed(0)
    fake, true = objective.discriminator(code), objective.discriminator(torch.randn_like(code))
    softplus = nn.functional.softplus
    players = [
        (objective.decoder.nll(code, batch.observations).mean() + softplus(-fake).mean(), encoder),
        (softplus(fake).mean() + softplus(-true).mean(), objective.discriminator),
    ]
    expected = [g for loss, m in players for g in torch.autograd.grad(loss, list(m.parameters()), retain_graph=True)]
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
