"""Sampled evaluation, for what can't be enumerated: episodes, their mean return, and a bootstrap interval.

The interval is the percentile bootstrap of the mean: 95% of the means of resampled episodes lie in it.

Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 13.3.
"""

from typing import Any

import gymnasium as gym
import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp import Criterion

_RESAMPLES = 5_000
# An episode that neither ends nor is cut short is given up after so many steps.
LONGEST_EPISODE = 100_000


def sampled_figures(
    agent: Any, env: Any, criterion: Criterion, deterministic: bool, episodes: int, seed: int
) -> tuple[dict[str, Any], str]:
    """(figures of an Evaluation, a remark on how they came about)."""
    if isinstance(env, gym.vector.VectorEnv):
        raise ArgumentError("sampling takes a single environment; make it with gym.make")
    results = [_episode(agent, env, criterion, deterministic, seed + i) for i in range(episodes)]
    returns, lengths, cut = (np.array(column) for column in zip(*results, strict=True))
    resampled = np.random.default_rng(seed).choice(returns, (_RESAMPLES, episodes)).mean(axis=1)
    low, high = np.percentile(resampled, (2.5, 97.5))
    figures = {
        "value": float(returns.mean()),
        "interval": (float(low), float(high)),
        "expected_length": float(lengths.mean()),
        "episodes": episodes,
    }
    return figures, f"{int(cut.sum())} of {episodes} episodes cut short" if cut.any() else ""


def _episode(agent: Any, env: Any, criterion: Criterion, deterministic: bool, seed: int) -> tuple[float, int, bool]:
    """(return, steps, whether it was cut short) of the episode that `seed` starts."""
    observation, info = env.reset(seed=seed)
    total, discount, memory, first = 0.0, 1.0, None, True
    longest = criterion.horizon or LONGEST_EPISODE
    for step in range(1, longest + 1):
        seen = _state_in(info, agent) if getattr(agent, "acts_on_states", False) else observation
        action, memory = agent.predict(seen, state=memory, episode_start=np.array([first]), deterministic=deterministic)
        observation, reward, terminated, truncated, info = env.step(_plain(action))
        total += discount * float(reward)
        discount *= criterion.gamma
        first = False
        if terminated or truncated:
            return total, step, bool(truncated and not terminated)
    return total, longest, criterion.horizon is None


def _state_in(info: dict[str, Any], agent: Any) -> Any:
    if "state" not in info:
        raise ArgumentError(
            f"{type(agent).__name__} acts on the state's number, but info['state'] does not hold it in this environment"
        )
    return info["state"]


def _plain(action: Any) -> Any:
    return int(action) if np.ndim(action) == 0 else action
