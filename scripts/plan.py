"""Solve an environment: its optimal values between certified bounds, an optimal policy, and pictures of both."""

import sys
from dataclasses import dataclass, field

from rltk.agents.planning import solve
from rltk.errors import ArgumentError
from rltk.mdp import MDP
from rltk.scripts.common import make_env
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
    gamma: float = 0.99
    """Discount of each step; 1 asks for the total reward."""
    tolerance: float = 1e-6
    """The largest half-width of the bounds, in every state."""
    method: str = "auto"
    """auto, value-iteration, policy-iteration or gauss-seidel."""
    report: bool = True
    """Tell what can be reached and what can end before solving."""
    picture: str = ""
    """Write a map of values and policy to this file (.png or .svg)."""
    save_mdp: str = ""
    """Write the MDP to this file (.npz)."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Plan, run, argv, "plan")


def run(config: Plan) -> None:
    """Solve as `config` says and print the answer."""
    env = make_env(config.env, config.env_kwargs)
    mdp = MDP.from_env(env)
    if config.report:
        print(mdp.report(), end="\n\n")
    solution = solve(mdp, config.gamma, tolerance=config.tolerance, method=config.method, report=_tell)
    print(solution)
    if config.save_mdp:
        print(f"wrote {mdp.save(config.save_mdp)}")
    if config.picture:
        if not hasattr(env.unwrapped, "scene"):
            raise ArgumentError(f"{config.env} has no scene to draw; rltk's own environments have")
        print(f"wrote {draw_value_map(env, solution, config.picture)}")


def _tell(sweeps: int, half_width: float) -> None:
    if sys.stderr.isatty():
        print(f"\r{sweeps:,} sweeps, half-width {half_width:.2g}   ", end="", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
