"""Films while learning: an episode of the greedy policy as a GIF every so many timesteps, no display needed."""

from pathlib import Path
from typing import Any

import numpy as np

from rltk.drawing import Painter, save_gif
from rltk.errors import ArgumentError
from rltk.evaluation.policies import masks_for
from rltk.experiments.due import Due, apart, single
from rltk.runs import Progress
from rltk.runs.checks import whole


class Film(Due):
    """Film an episode into `folder`/step-<timestep>.gif every so many timesteps.

    env: of its own, one of rltk's with a scene, or any made with render_mode="rgb_array". seed: of each filmed episode,
    so that films compare. longest: steps. `path` is the newest film's, None before the first.
    """

    def __init__(self, env: Any, folder: str | Path, every: int, *, seed: int = 0, longest: int = 200) -> None:
        super().__init__(every)
        self.env, self.folder = single("Film", env), Path(folder)
        if not _has_scene(env) and env.render_mode != "rgb_array":
            raise ArgumentError(
                f'Film: env gives no pictures (render_mode={env.render_mode!r}); gym.make(..., render_mode="rgb_array")'
            )
        self.seed, self.longest = seed, whole("longest", longest, 1)
        self.path: Path | None = None

    def fire(self, progress: Progress) -> None:
        """Film now, whatever is due."""
        apart("Film", self.env, progress.agent)
        path = self.folder / f"step-{progress.timestep:09d}.gif"
        self.path = film_episode(progress.agent, self.env, path, seed=self.seed, longest=self.longest)


def film_episode(agent: Any, env: Any, path: str | Path, *, seed: int, longest: int = 200) -> Path:
    """One episode of `agent`, greedy, as a GIF; where `env` has a scene, steps and return in the strip below it."""
    observation, info = env.reset(seed=seed)
    frames: list[np.ndarray] = []
    total, step, done, memory = 0.0, 0, False, None
    painter = Painter(env.unwrapped.scene().shape) if _has_scene(env) else None

    def shoot() -> None:
        caption = f"step {step}   return {total:g}"
        frames.append(env.render() if painter is None else painter.paint(env.unwrapped.scene(), caption=caption))

    shoot()
    while not done and step < longest:
        seen = info["state"] if getattr(agent, "acts_on_states", False) else observation
        begins = np.array([step == 0])
        told = {"state": memory, "episode_start": begins, "deterministic": True, **masks_for(agent, info)}
        action, memory = agent.predict(seen, **told)
        observation, reward, terminated, truncated, info = env.step(int(action) if np.ndim(action) == 0 else action)
        total, step, done = total + float(reward), step + 1, bool(terminated or truncated)
        shoot()
    save_gif(path, frames)
    return Path(path)


def _has_scene(env: Any) -> bool:
    return callable(getattr(env.unwrapped, "scene", None))
