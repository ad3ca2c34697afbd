"""The update in plain torch, and small networks and replays to compare it on."""

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import nn
from torch.nn import functional

from rltk.encoders import Encoder


class Arrays(NamedTuple):
    """What a replay hands to the compiled path."""

    observations: Any
    origin: Any
    last: Any
    actions: Any
    rewards: Any
    discounts: Any
    masks: Any = None


class Network(nn.Module):
    """A Q-network: numbers, or indices one-hot; linear layers and rectifiers; a linear head."""

    def __init__(self, sizes: list[int], n_actions: int, offsets: Any = None, scale: float = 1.0) -> None:
        super().__init__()
        kind = "numbers" if offsets is None else "indices"
        row = spaces.Box(-np.inf, np.inf, (sizes[0],), np.float32)
        self.encoder, self.head = Encoder(row, "mlp", hidden=sizes[1:]), nn.Module()
        self.encoder.stem.kind, self.encoder.stem.scale = kind, scale
        if offsets is not None:
            self.encoder.stem.offsets = torch.as_tensor(offsets)
        self.head.out = nn.Linear(sizes[-1], n_actions)

    def forward(self, observations: np.ndarray) -> torch.Tensor:
        stem: Any = self.encoder.stem
        x = torch.as_tensor(observations).reshape(len(observations), -1)
        if stem.kind == "indices":
            x = functional.one_hot(x + torch.as_tensor(stem.offsets), stem.width).sum(1)
        x = x.to(self.head.out.weight.dtype) * stem.scale
        return self.head.out(self.encoder.trunk.layers(x))


def learner(network: Network, seed: int = 0) -> tuple[Network, Network, torch.optim.Adam]:
    """`network`, a target that differs from it, and Adam."""
    target = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    return network, target, torch.optim.Adam(network.parameters(), lr=3e-3, eps=1e-6)


def twin(network: Network, target: Network, optimizer: torch.optim.Adam) -> tuple[Network, Network, torch.optim.Adam]:
    """A copy of all three that shares nothing with them."""
    network, target = copy.deepcopy(network), copy.deepcopy(target)
    other = torch.optim.Adam(network.parameters())
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    return network, target, other


def replay(observations: np.ndarray, n_actions: int, seed: int = 0, capacity: int = 400) -> Arrays:
    """Transitions between random slots, a tenth of which terminate."""
    rng = np.random.default_rng(seed)
    slots = rng.integers(0, len(observations), (2, capacity)).astype(np.int32)
    rewards = rng.standard_normal(capacity).astype(np.float32)
    discounts = (0.97 * (rng.random(capacity) < 0.9)).astype(np.float32)
    return Arrays(observations, slots[0], slots[1], rng.integers(0, n_actions, capacity), rewards, discounts)


def torch_updates(
    parts: Any,
    arrays: Arrays,
    positions: np.ndarray,
    *,
    double: bool = False,
    huber: bool = True,
    max_grad_norm: float | None = None,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What the kernel must do: losses (K,) and TD errors (K, B)."""
    network, target, optimizer = parts
    losses, errors = [], []
    for k, row in enumerate(positions):
        after = arrays.observations[arrays.last[row]]
        with torch.no_grad():
            values, preferred = target(after), network(after) if double else target(after)
            if arrays.masks is not None:
                preferred[~torch.as_tensor(arrays.masks[arrays.last[row]]).bool()] = -torch.inf
            value = values.gather(1, preferred.argmax(1, keepdim=True)).squeeze(1)
            y = torch.as_tensor(arrays.rewards[row]) + torch.as_tensor(arrays.discounts[row]) * value
        q = network(arrays.observations[arrays.origin[row]])
        q = q.gather(1, torch.as_tensor(arrays.actions[row])[:, None]).squeeze(1)
        loss = (functional.smooth_l1_loss if huber else functional.mse_loss)(q, y.to(q.dtype), reduction="none")
        loss = (loss if weights is None else loss * torch.as_tensor(weights[k])).mean()
        optimizer.zero_grad()
        loss.backward()
        if max_grad_norm is not None:
            nn.utils.clip_grad_norm_(network.parameters(), max_grad_norm)
        optimizer.step()
        losses.append(loss.item())
        errors.append((y - q).detach().numpy())
    return np.array(losses), np.array(errors)


def difference(one: nn.Module, other: nn.Module) -> float:
    """The largest difference of two networks' parameters, relative to the largest parameter of each layer."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max() / b.detach().abs().max()) for a, b in pairs)


def same_bits(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
