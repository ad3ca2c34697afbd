"""What an agent, or chance, sees in episodes of any Gymnasium environment."""

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rltk.encoders import Plain
from rltk.errors import ArgumentError, SpaceError
from rltk.evaluation.policies import masks_for
from rltk.experiments.data.transitions import Transitions
from rltk.runs import ProgressBar, Streams
from rltk.runs.checks import whole


def recorded(
    agent: Any, env: Any, steps: int, *, seed: int = 0, deterministic: bool = False, progress_bar: bool = False
) -> Transitions:
    """`steps` steps of `agent` (anything with `predict`; None for random actions) in a single environment.

    Each episode is a level of its own: reset with a seed of its own, drawn from `seed`. Its last, broken off by
    `steps`, counts too. Raises ArgumentError for a batch of environments, SpaceError for actions other than Discrete.
    """
    if not isinstance(env, gym.Env):
        raise ArgumentError(f"env: a single Gymnasium environment was expected; found {type(env).__name__}")
    if not isinstance(env.action_space, spaces.Discrete):
        raise SpaceError(f"env: Discrete actions were expected; found {env.action_space}")
    steps, streams, plain = whole("steps", steps, 1), Streams(seed), Plain(env.observation_space)
    drawn, first = streams.generator("random actions"), int(env.action_space.start)
    seeds = streams.generator("episodes")
    seen: list[Any] = []
    level: list[int] = []
    rows: list[tuple[int, int, float, bool]] = []
    bar = ProgressBar(steps, "recording", "steps") if progress_bar else None
    episode, memory, over = -1, None, True
    observation: Any = None
    info: Any = {}
    for _ in _counted(steps, bar):
        if over:
            episode, memory = episode + 1, None
            observation, info = env.reset(seed=int(seeds.integers(2**31)))
            seen.append(_kept(plain.one(observation)))
            level.append(episode)
        action, memory = _action(agent, env, observation, info, memory, over, deterministic, drawn)
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append(_kept(plain.one(observation)))
        level.append(episode)
        rows.append((len(seen) - 2, int(action) - first, float(reward), bool(terminated)))
        over = bool(terminated or truncated)
    origin = np.array([row[0] for row in rows], np.int64)
    return Transitions(
        observation_space=plain.space,
        observations=_stacked(seen),
        level=np.array(level, np.int64),
        origin=origin,
        action=np.array([row[1] for row in rows], np.int64),
        reward=np.array([row[2] for row in rows], np.float32),
        next=origin + 1,
        terminated=np.array([row[3] for row in rows]),
        n_actions=int(env.action_space.n),
    )


def _counted(steps: int, bar: ProgressBar | None) -> Iterator[int]:
    """0, 1, ... of `steps`, told to the bar, which is closed however it ends."""
    try:
        for step in range(steps):
            yield step
            if bar is not None and (step % 256 == 255 or step + 1 == steps):
                bar.update(step + 1)
    finally:
        if bar is not None:
            bar.close()


def _action(
    agent: Any, env: Any, observation: Any, info: Any, memory: Any, begins: bool, deterministic: bool, drawn: Any
) -> tuple[Any, Any]:
    """(action, memory) of the agent, or of chance among what the environment's mask allows."""
    if agent is None:
        allowed = np.flatnonzero(info.get("action_mask", np.ones(int(env.action_space.n))))
        return int(env.action_space.start) + int(drawn.choice(allowed)), None
    action, memory = agent.predict(
        observation, memory, np.array([begins]), deterministic=deterministic, **masks_for(agent, info)
    )
    return int(np.asarray(action).item()), memory


def _kept(observation: Any) -> Any:
    """A copy: an environment may go on in the same array."""
    return (
        {name: part.copy() for name, part in observation.items()}
        if isinstance(observation, dict)
        else observation.copy()
    )


def _stacked(seen: list[Any]) -> Any:
    if isinstance(seen[0], dict):
        return {name: np.stack([one[name] for one in seen]) for name in seen[0]}
    return np.stack(seen)
