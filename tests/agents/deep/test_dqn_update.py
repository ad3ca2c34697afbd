"""One update is the published one: beside a reference written out here, and beside Stable-Baselines3's `train()`."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import DQN as SB3DQN
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from rltk.agents.deep.dqn import DQN
from rltk.replay import Batch

B, GAMMA, RATE = 64, 0.97, 1e-3


def random_batch(rng, dtype, size=B):
    """Observations as large as CartPole's, rewards that reach both branches of Huber's loss, some ends."""
    ended = rng.random(size) < 0.2
    number = lambda *shape: torch.from_numpy(rng.normal(size=shape)).to(dtype)  # noqa: E731
    return Batch(
        observations=number(size, 4),
        actions=torch.from_numpy(rng.integers(2, size=size)),
        rewards=3 * number(size),
        next_observations=number(size, 4),
        discounts=torch.from_numpy(np.where(ended, 0.0, GAMMA)).to(dtype),
        next_masks=None,
        weights=None,
        positions=np.arange(size),
        extras={},
    )


def learner(**options):
    given = {"gamma": GAMMA, "learning_rate": RATE, "batch_size": B, "backend": "torch", "device": "cpu", **options}
    agent = DQN(gym.make("CartPole-v1"), **given)
    agent.replay = object.__new__(type(agent._replay()))  # nothing is drawn from it here
    return agent


def fed(agent, batches):
    """`agent` draws these batches, one after the other."""
    waiting = iter(batches)
    agent.sample = lambda: next(waiting)
    return agent


def reference(network, target, batches, *, double, huber, optimiser, sync_every):
    """DQN's update, written out: one hidden shape or another, plain arithmetic, torch's own derivatives."""
    losses = []
    for number, batch in enumerate(batches):
        if number % sync_every == 0:
            target.load_state_dict(network.state_dict())
        with torch.no_grad():
            after = target(batch.next_observations)
            best = (network(batch.next_observations) if double else after).argmax(1)
            goal = batch.rewards + batch.discounts * after[torch.arange(len(best)), best]
        error = network(batch.observations)[torch.arange(len(best)), batch.actions] - goal
        if huber:
            each = torch.where(error.abs() <= 1, error**2 / 2, error.abs() - 0.5)
        else:
            each = error**2
        loss = each.mean()
        optimiser.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum((p.grad**2).sum() for p in network.parameters()))
        for p in network.parameters():
            p.grad *= min(1.0, 10.0 / (float(norm) + 1e-6))
        optimiser.step()
        losses.append(loss.item())
    return losses


def layers_of(network):
    """The same Q-network as a plain Sequential, on copies of its weights."""
    return copy.deepcopy(torch.nn.Sequential(*network.encoder.trunk.layers, network.head.out))


@pytest.mark.parametrize(("double", "loss"), [(False, "huber"), (True, "squared")])
def test_a_thousand_updates_equal_the_written_out_ones(double, loss):
    """In float64, to 1e-9, with the target network copied every 50 updates."""
    agent = learner(double=double, loss=loss)
    agent.network.double(), agent.target.double()
    mine = layers_of(agent.network)
    optimiser = torch.optim.Adam(mine.parameters(), lr=RATE)
    rng = np.random.default_rng(0)
    batches = [random_batch(rng, torch.float64) for _ in range(1000)]
    fed(agent, batches)
    losses = []
    for number in range(1000):
        if number % 50 == 0:
            agent.updater.sync_target(1.0)
        agent.train(1)
        losses.append(agent.losses[-1])
    expected = reference(
        mine,
        copy.deepcopy(mine),
        batches,
        double=double,
        huber=loss == "huber",
        optimiser=optimiser,
        sync_every=50,
    )

    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    for own, other in zip(layers_of(agent.network).parameters(), mine.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("dtype", "updates", "bound"), [("float64", 1000, 1e-9), ("float32", 16, 2e-6)])
def test_updates_equal_those_of_stable_baselines3(dtype, updates, bound, monkeypatch):
    """`train()` of SB3's DQN on the same batches from the same weights: 1,000 updates to 1e-9 in float64, 16 to
    rounding in float32."""
    if dtype == "float64":  # SB3 turns observations into float32
        monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    kind = getattr(torch, dtype)
    peer = SB3DQN("MlpPolicy", gym.make("CartPole-v1"), learning_rate=RATE, gamma=GAMMA, device="cpu", seed=0)
    peer.policy.to(kind)
    peer.set_logger(peer.logger if hasattr(peer, "_logger") else _silent())
    agent = learner()
    agent.network.to(kind), agent.target.to(kind)
    theirs = [layer for layer in peer.q_net.q_net if isinstance(layer, torch.nn.Linear)]
    ours = [*(layer for layer in agent.network.encoder.trunk.layers if isinstance(layer, torch.nn.Linear))]
    ours.append(agent.network.head.out)
    with torch.no_grad():
        for mine, other in zip(ours, theirs, strict=True):
            other.weight.copy_(mine.weight), other.bias.copy_(mine.bias)
    peer.q_net_target.load_state_dict(peer.q_net.state_dict())
    rng = np.random.default_rng(1)
    batches = [random_batch(rng, kind) for _ in range(updates)]
    fed(agent, batches)
    given = iter(batches)
    monkeypatch.setattr(peer.replay_buffer, "sample", lambda *_, **__: _as_sb3(next(given)))
    for number in range(updates):
        if number % 50 == 0:
            agent.updater.sync_target(1.0)
            peer.q_net_target.load_state_dict(peer.q_net.state_dict())
        agent.train(1)
        peer.train(gradient_steps=1, batch_size=B)

    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.weight, other.weight, rtol=bound, atol=bound)
        torch.testing.assert_close(mine.bias, other.bias, rtol=bound, atol=bound)


def _as_sb3(batch):
    return ReplayBufferSamples(
        observations=batch.observations,
        actions=batch.actions[:, None],
        next_observations=batch.next_observations,
        dones=(batch.discounts == 0).to(batch.rewards.dtype)[:, None],
        rewards=batch.rewards[:, None],
        discounts=None,
    )


def _silent():
    from stable_baselines3.common.logger import Logger

    return Logger(folder=None, output_formats=[])


def test_masked_next_actions_are_not_in_the_maximum():
    """What can't be done next is worth nothing, however well the network thinks of it."""
    agent = learner()
    batch = random_batch(np.random.default_rng(2), torch.float32)
    masks = torch.zeros(B, 2, dtype=torch.bool)
    masks[:, 1] = True
    with torch.no_grad():
        after = agent.target(batch.next_observations)[:, 0, :, 0]
        own = agent.network(batch.observations)[:, 0, :, 0].gather(1, batch.actions[:, None])[:, 0]
        expected = own - (batch.rewards + batch.discounts * after[:, 1])
        _, errors = agent.loss(batch._replace(next_masks=masks))

    torch.testing.assert_close(errors, expected.abs())


def test_weights_of_the_batch_weigh_the_losses():
    """The loss is the mean of weight times loss; the errors are not weighted."""
    agent = learner()
    batch = random_batch(np.random.default_rng(3), torch.float32)
    one_hot = torch.zeros(B)
    one_hot[7] = 2.0
    plain = [agent.loss(_row(batch, i))[0].item() for i in (7,)]
    loss, errors = agent.loss(batch._replace(weights=one_hot))

    assert loss.item() == pytest.approx(2 * plain[0] / B, rel=1e-5)
    torch.testing.assert_close(errors, agent.loss(batch)[1])


def _row(batch, i):
    def cut(part):
        return part[i : i + 1] if isinstance(part, torch.Tensor | np.ndarray) else part

    return Batch(*(cut(part) for part in batch))


@pytest.mark.parametrize("tau", [1.0, 0.25])
def test_the_target_is_copied_or_averaged(tau):
    """target <- tau network + (1 - tau) target."""
    agent = learner(tau=tau)
    before = [p.clone() for p in agent.target.parameters()]
    with torch.no_grad():
        for p in agent.network.parameters():
            p += 1.0
    agent.updater.sync_target(tau)

    for old, new, own in zip(before, agent.target.parameters(), agent.network.parameters(), strict=True):
        torch.testing.assert_close(new, tau * own + (1 - tau) * old)
