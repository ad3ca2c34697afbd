"""Beside what `rltk bench dqn` measures: Stable-Baselines3's DQN, and the update of CleanRL's dqn.py in plain torch."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.scripts.parity import SETTINGS

CARTPOLE = SETTINGS  # RL Zoo's for CartPole-v1, by the names that both have


class Shown(gym.Env[Any, Any]):
    """An environment that shows arrays made in advance; its episodes end one time in 50."""

    def __init__(self, space: gym.spaces.Box, n_actions: int, zeros: float = 0.0, count: int = 4096) -> None:
        self.observation_space, self.action_space = space, gym.spaces.Discrete(n_actions)
        rng = np.random.default_rng(0)
        if space.dtype == np.uint8:
            self.rows = rng.integers(1, 11, (count, *space.shape)).astype(np.uint8)
        else:
            self.rows = rng.standard_normal((count, *space.shape)).astype(np.float32)
        self.rows[rng.random(self.rows.shape) < zeros] = 0
        self.turn = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.rows[self.turn % len(self.rows)], {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.turn += 1
        return self.rows[self.turn % len(self.rows)], 1.0, self.turn % 50 == 0, False, {}


def sb3_dqn(env: Any, hidden: tuple[int, ...], **settings: Any) -> Any:
    """SB3's DQN with layers of `hidden`, on one thread's CPU. Observations are numbers, never pictures."""
    from stable_baselines3 import DQN

    form = {"net_arch": list(hidden), "normalize_images": False}
    return DQN("MlpPolicy", env, policy_kwargs=form, seed=0, device="cpu", **settings)


def sb3_filled(env: gym.Env[Any, Any], hidden: tuple[int, ...], steps: int) -> Any:
    """The same with `steps` random transitions in its replay and nothing learnt."""
    settings = {"buffer_size": steps, "learning_starts": 2 * steps, "batch_size": 64}
    return sb3_dqn(env, hidden, **settings).learn(steps)


def cleanrl_update(env: Any, hidden: tuple[int, ...], buffer: Any) -> Callable[[int], None]:
    """To be called for so many updates as CleanRL's dqn.py makes: SB3's buffer, squared error, Adam, no clipping."""
    import torch
    from torch import nn

    def network() -> nn.Sequential:
        widths = [int(np.prod(env.observation_space.shape)), *hidden]
        layers: list[nn.Module] = []
        for inputs, outputs in zip(widths, hidden, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], int(env.action_space.n)))

    online, target = network(), network()
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.Adam(online.parameters(), lr=2.5e-4)

    def update(count: int) -> None:
        for _ in range(count):
            batch = buffer.sample(64)
            with torch.no_grad():
                best = target(batch.next_observations.float()).max(dim=1).values
                y = batch.rewards.flatten() + 0.99 * best * (1 - batch.dones.flatten())
            q = online(batch.observations.float()).gather(1, batch.actions).squeeze()
            loss = nn.functional.mse_loss(y, q)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return update
