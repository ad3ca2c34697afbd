"""The pictures that the programs write: a value map, a learning curve, a film of an episode."""

import contextlib
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.planning import Solution
from rltk.drawing import learning_curve, save_figure, value_map
from rltk.evaluation import Evaluation
from rltk.experiments import film_episode
from rltk.mdp import MDP, model_of
from rltk.mdp.observing import observations_of
from rltk.runs import read_log
from rltk.scripts.common import make_env


def draw_value_map(env: Any, solution: Solution, path: str | Path) -> Path:
    """The optimal values and policy of `env`, which has a scene, as a picture."""
    env.reset(seed=0)
    figure = value_map(
        env.unwrapped.scene(),
        solution.value,
        policy=optimal_actions(solution),
        title="Optimal value and policy",
        criterion=f"{solution.method}, {solution.criterion}, within {solution.half_width:.1e}",
    )
    save_figure(figure, path)
    return Path(path)


def optimal_actions(solution: Solution) -> np.ndarray:
    """(S, A) probabilities: every action that is optimal, ties shared evenly."""
    best = solution.q.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        ties = solution.q >= best - 1e-6 * np.maximum(1.0, np.abs(best))
    return ties / np.maximum(ties.sum(axis=1, keepdims=True), 1)  # without a defined value no action is best


def draw_run(agent: Any, evaluation: Evaluation, folder: Path, *, env_id: str, options: dict[str, str]) -> list[Path]:
    """What a finished run shows of itself; returns the files written, and tells on stderr of a film that can't be."""
    written = [_draw_curve(agent, evaluation, folder)]
    env = make_env(env_id, options)
    mdp, _, _ = model_of(env)
    if mdp is not None and callable(getattr(env.unwrapped, "scene", None)):
        written.append(_draw_values(agent, env, mdp, folder / "value_map.png"))
    if "rgb_array" not in (env.metadata.get("render_modes") or ()):
        print("no film: the environment offers no pictures (render mode rgb_array)", file=sys.stderr)
        return written
    try:
        with contextlib.closing(make_env(env_id, options, "rgb_array")) as filmed:  # some hold a display open
            written.append(film_episode(agent, filmed, folder / "episode.gif", seed=agent.streams.root))
    except gym.error.DependencyNotInstalled as error:  # what was trained is worth more than its film
        print(f"no film: {error}", file=sys.stderr)
    return written


def _draw_curve(agent: Any, evaluation: Evaluation, folder: Path) -> Path:
    rows = read_log(folder / "log.jsonl")
    steps = np.array([row["timestep"] for row in rows])
    returns = np.array([row["value"] for row in rows])
    missing = int((~np.isfinite(returns)).sum())
    optimum = evaluation.optimum
    said = [
        folder.name.split("__")[0],
        f"greedy policy, {evaluation.criterion}",
        f"{missing} point{'s' * (missing > 1)} infinite or undefined: not drawn" if missing else "",
    ]
    figure = learning_curve(
        {agent.name: (steps, np.where(np.isfinite(returns), returns, np.inf))},  # a gap in the line
        optimum=optimum if optimum is not None and np.isfinite(optimum) else None,
        ylabel="exact return" if evaluation.exact else "sampled return",
        caption="\n".join(filter(None, said)),
    )
    path = folder / "learning_curve.png"
    save_figure(figure, path)
    return path


def _draw_values(agent: Any, env: Any, mdp: MDP, path: Path) -> Path:
    env.reset(seed=0)
    states = np.arange(mdp.n_states)
    seen = states if hasattr(agent, "value") else observations_of(env, states)
    figure = value_map(
        env.unwrapped.scene(),
        agent.value if hasattr(agent, "value") else agent.q_values(seen).max(axis=1),
        policy=agent.action_probabilities(seen),
        title=f"What {agent.name} learnt",
        criterion=str(agent.criterion),
    )
    save_figure(figure, path)
    return path
