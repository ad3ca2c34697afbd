"""Solve an environment: its optimal values between certified bounds, an optimal policy, and pictures of both."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from rltk.agents.planning import PLANNERS, Planner, solve
from rltk.drawing.plots import FORMATS
from rltk.errors import ArgumentError, UnknownNameError
from rltk.mdp import MDP, Criterion
from rltk.runs import ProgressBar
from rltk.scripts.common import make_env, one_level
from rltk.scripts.pictures import draw_value_map
from rltk.scripts.program import start


@dataclass
class Plan:
    """Solve an environment whose T and R are known: rltk's own, any with a P table.

    Example: rltk plan --env FrozenLake-v1 --gamma 0.99
    """

    env: str = "rltk/FourRooms-v0"
    """Environment id, or the path of a map file."""
    env_kwargs: dict[str, str] = field(default_factory=dict)
    """Options of the environment, as pairs: --env-kwargs slip 0.1"""
    level: int = 0
    """The seed of the level, where levels are made at random."""
    gamma: float = 0.99
    """Discount of each step; 1 asks for the total reward."""
    horizon: int | None = None
    """Stop after that many steps; the policy then depends on how many are left."""
    average: bool = False
    """Ask for the mean reward a step in the long run, whatever gamma is."""
    tolerance: float = 1e-6
    """The largest half-width of the bounds, in every state."""
    method: str = "auto"
    """auto, or a planner by name; a wrong name lists them."""
    report: bool = True
    """Tell what can be reached and what can end before solving."""
    picture: str = ""
    """Write a map of values and policy to this file (.png, .svg or .pdf)."""
    save_mdp: str = ""
    """Write the MDP to this file (.npz)."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Plan, run, argv, "plan")


def run(config: Plan) -> None:
    """Solve as `config` says and print the answer."""
    planner = _checked(config)
    env = one_level(make_env(config.env, config.env_kwargs), config.level)
    if config.picture and not hasattr(env.unwrapped, "scene"):
        raise ArgumentError(f"{config.env} has no scene to draw; rltk's own environments have")
    mdp = MDP.from_env(env)
    if config.report:
        print(mdp.report(), end="\n\n")
    with ProgressBar(None, "solving", "sweeps") as bar:
        solution = solve(
            mdp,
            criterion=planner.criterion,
            tolerance=planner.tolerance,
            method=config.method,
            report=lambda sweeps, half_width: bar.update(sweeps, half_width=half_width),
        )
    print(solution)
    if config.save_mdp:
        print(f"wrote {mdp.save(config.save_mdp)}")
    if config.picture:
        print(f"wrote {draw_value_map(env, solution, config.picture)}")


def _checked(config: Plan) -> Planner:
    """A planner with these settings, or the error at a wrong one: before anything is printed or made."""
    if config.picture and Path(config.picture).suffix.lower() not in FORMATS:
        raise ArgumentError(f"picture is a file that ends in {', '.join(FORMATS)}; it is {config.picture!r}")
    if config.method != "auto" and config.method not in PLANNERS:
        raise UnknownNameError(f"no planner is called {config.method!r}; there are auto, {', '.join(PLANNERS)}")
    criterion = Criterion(
        1.0 if config.average else config.gamma, config.horizon, "average" if config.average else None
    )
    # Where the method is left open any planner of the criterion does: all check the tolerance alike.
    takes = (
        "backward-induction" if config.horizon else "relative-value-iteration" if config.average else "value-iteration"
    )
    chosen = PLANNERS[takes if config.method == "auto" else config.method]
    return chosen(criterion=criterion, tolerance=config.tolerance)


if __name__ == "__main__":
    sys.exit(main())
