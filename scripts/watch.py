"""See an agent act in a window, with overlays of V, Q and policy, the optimum's or its own."""

import contextlib
import sys
from dataclasses import dataclass, field
from typing import Any, Literal

from rltk.agents.planning import solve
from rltk.errors import ModelError
from rltk.scripts.common import load_trained, make_env, one_level
from rltk.scripts.program import start
from rltk.viewing import watch


@dataclass
class Watch:
    """Watch a trained agent (--run) or the optimum itself (--env) in a window.

    Example: rltk watch --env rltk/FourRooms-v0 --overlay value
    """

    run: str = ""
    """The folder of a run; empty watches the optimal policy of --env."""
    env: str = "rltk/FourRooms-v0"
    """Environment id, or the path of a map file."""
    env_kwargs: dict[str, str] = field(default_factory=dict)
    """Options of the environment, as pairs: --env-kwargs slip 0.1"""
    level: int = 0
    """The seed of the level, where levels are made at random."""
    gamma: float = 0.99
    """Discount of the optimum, where no run is given."""
    overlay: Literal["none", "value", "q", "policy"] = "value"
    """What is laid over the map at first."""
    episodes: int | None = None
    """Close the window after so many episodes."""
    fps: float = 8.0
    """Steps a second at first."""
    seed: int = 0
    """Of the episodes."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Watch, run, argv, "watch")


def run(config: Watch) -> None:
    """Open the window as `config` says."""
    solution: Any = None
    if config.run:
        agent, env, _ = load_trained(config.run, "rgb_array")
        with contextlib.suppress(ModelError):  # an environment without a model has no answer key to show
            solution = solve(env, criterion=agent.criterion)
        acting: Any = agent
    else:
        env = one_level(make_env(config.env, config.env_kwargs, "rgb_array"), config.level)
        acting = solution = solve(env, config.gamma)
    watch(
        acting,
        env,
        solution=solution,
        overlay=config.overlay,
        episodes=config.episodes,
        fps=config.fps,
        seed=config.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
