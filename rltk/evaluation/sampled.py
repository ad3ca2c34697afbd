"""Sampled evaluation, for what can't be enumerated: episodes, their mean return, and a bootstrap interval.

The interval is the percentile bootstrap of the mean: 95% of the means of resampled episodes lie in it. Where rewards
are declared, success counts 1 in the return, whenever it comes, and what `step` paid is a figure of its own.

Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, section 13.3.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from rltk.errors import ArgumentError
from rltk.evaluation.paid import success_reward_of
from rltk.evaluation.policies import masks_for
from rltk.mdp import Criterion

_RESAMPLES = 5_000
# An episode that neither ends nor is cut short is given up after so many steps.
LONGEST_EPISODE = 100_000


Begun = tuple[Any, dict[str, Any]]  # observation and info, as `reset` gives them


class Episode(NamedTuple):
    """What became of an episode."""

    total: float  # the return under the criterion, with the declared rewards
    paid: float  # undiscounted, as step paid it
    steps: int
    succeeded: bool
    cut: bool  # it neither ended nor was its horizon over


def sampled_figures(
    agent: Any,
    env: Any,
    criterion: Criterion,
    deterministic: bool,
    episodes: int,
    seed: int,
    begin: Callable[[int], Begun],
) -> tuple[dict[str, Any], str]:
    """(figures of an Evaluation, a remark on how they came about).

    begin: begins episode i. seed: of the bootstrap.
    """
    if isinstance(env, gym.vector.VectorEnv):
        raise ArgumentError("sampling takes a single environment; make it with gym.make")
    success_reward = success_reward_of(env)
    results = [_episode(agent, env, begin(i), criterion, deterministic, success_reward) for i in range(episodes)]
    returns, paid, lengths, succeeded, cut = (np.array(column) for column in zip(*results, strict=True))
    figures: dict[str, Any] = {
        "value": float(returns.mean()),
        "expected_length": float(lengths.mean()),
        "episodes": episodes,
    }
    if episodes > 1:
        resampled = np.random.default_rng(seed).choice(returns, (_RESAMPLES, episodes)).mean(axis=1)
        low, high = np.percentile(resampled, (2.5, 97.5))
        figures["interval"] = float(low), float(high)
    if success_reward is not None:
        figures["success_probability"] = float(succeeded.mean())
        if criterion.horizon is None:
            figures["paid_value"] = float(paid.mean())
    return figures, f"{int(cut.sum())} of {episodes} episodes cut short" if cut.any() else ""


def _episode(
    agent: Any,
    env: Any,
    begun: Begun,
    criterion: Criterion,
    deterministic: bool,
    success_reward: Callable[[int], float] | None,
) -> Episode:
    observation, info = begun
    total, paid, discount, memory, first = 0.0, 0.0, 1.0, None, True
    longest = criterion.horizon or LONGEST_EPISODE
    for step in range(1, longest + 1):
        seen = _state_in(info, agent) if getattr(agent, "acts_on_states", False) else observation
        action, memory = agent.predict(
            seen,
            state=memory,
            episode_start=np.array([first]),
            deterministic=deterministic,
            **masks_for(agent, info),
        )
        observation, reward, terminated, truncated, info = env.step(_plain(action))
        reward = float(reward)
        paid += reward
        succeeded = bool(success_reward and terminated and reward and reward == success_reward(step))
        total += discount * (1.0 if succeeded else reward)
        discount *= criterion.gamma
        first = False
        if terminated or truncated:
            return Episode(total, paid, step, succeeded, bool(truncated and not terminated))
    return Episode(total, paid, longest, False, criterion.horizon is None)


def _state_in(info: dict[str, Any], agent: Any) -> Any:
    if "state" not in info:
        raise ArgumentError(
            f"{type(agent).__name__} acts on the state's number, which info['state'] does not hold here. Where each "
            "reset makes another level, grade it on its own: evaluate(agent, env) right after solve(env)"
        )
    return info["state"]


def _plain(action: Any) -> Any:
    return int(action) if np.ndim(action) == 0 else action
