"""Measure rltk beside its peers, in one run: `rltk bench mdp`, `env`, `minigrid`, `tabular`, `planning`, `dqn` ...

Absolute times mean little on a shared machine; the ratio to the peer measured in the same run is what to quote. Times
are the median of several rounds in which ours and the peer's take turns. Cold is the first call in a new process with
an empty kernel cache: it contains all compilation. What each part measures stands in `benchmarks/`.
"""

import sys
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from rltk.scripts.benchmarks.planning_options import PlanningOptions
from rltk.scripts.program import start

_PART = tyro.conf.arg(metavar="PART")


@dataclass
class Bench:
    """Measure one part of rltk beside its peers and print a table.

    Example: rltk bench mdp

    Example: rltk bench planning --cases "grid 100^2" --peers storm scipy
    """

    part: Annotated[
        Literal["mdp", "env", "minigrid", "tabular", "planning", "dqn", "encoders"], tyro.conf.Positional, _PART
    ] = "mdp"
    """mdp: maps compiled to MDPs. env: steps a second. minigrid: its levels beside minigrid itself. tabular: learning
    steps a second. planning: MDPs solved. dqn: updates and whole runs beside Stable-Baselines3 and CleanRL.
    encoders: losses and feature tables beside bare torch modules."""
    size: int = 1000
    """Side of the square map of `mdp`."""
    rounds: int = 5
    """How often each measurement is repeated."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where `dqn` and `encoders` compute; the machine's name stands beside the numbers."""
    planning: Annotated[PlanningOptions, tyro.conf.arg(name="")] = field(default_factory=PlanningOptions)


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Bench, run, argv, "bench", (tyro.conf.FlagCreatePairsOff,))


def run(config: Bench) -> None:
    """Measure as `config` says and print the rows. Each part is imported when it is asked for."""
    if config.part == "planning":
        from rltk.scripts.benchmarks.planning import bench_planning

        bench_planning(config.planning, config.rounds)
        return
    from rltk.scripts.benchmarks.table import print_rows

    if config.part == "mdp":
        from rltk.scripts.benchmarks.compiling import bench_mdp

        print_rows(bench_mdp(config.size, config.rounds))
    elif config.part == "env":
        from rltk.scripts.benchmarks.stepping import bench_env

        print_rows(bench_env(config.rounds))
    elif config.part == "minigrid":
        from rltk.scripts.benchmarks.minigrid import bench_minigrid

        print_rows(bench_minigrid(config.rounds))
    elif config.part == "dqn":
        from rltk.scripts.benchmarks.dqn import bench_dqn

        print_rows(bench_dqn(config.rounds, config.device))
    elif config.part == "encoders":
        from rltk.scripts.benchmarks.encoders import bench_encoders

        print_rows(bench_encoders(config.rounds, config.device))
    else:
        from rltk.scripts.benchmarks.tabular import bench_tabular

        print_rows(bench_tabular(config.rounds))


if __name__ == "__main__":
    sys.exit(main())
