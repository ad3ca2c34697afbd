"""The main job on real inputs: solve, train, draw, and one table of agents beside their optimum."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
from rich.console import Console
from rich.table import Table

from rltk.agents.planning import solve
from rltk.evaluation import Evaluation, evaluate
from rltk.runs import ProgressBar
from rltk.scripts.common import make_env
from rltk.scripts.pictures import draw_value_map
from rltk.scripts.program import start
from rltk.scripts.train import Train, train


@dataclass
class Demo:
    """Solve four worlds, train Q-learning on a fifth, draw it, print one table."""

    root: str = "runs"
    """Where the run's folder is made."""
    n_timesteps: int = 1_000_000
    """Steps of Q-learning on four rooms."""
    seed: int = 0
    """Of the training."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Demo, run, argv, "demo")


def run(config: Demo) -> None:
    """Do all of it and say where everything is."""
    begin = time.perf_counter()
    problems = [
        ("FrozenLake-v1", "FrozenLake-v1", 0.99),
        (newest("Taxi"), newest("Taxi"), 1.0),
        ("CliffWalking-v1", "CliffWalking-v1", 1.0),
        ("4x3 map", str(shipped_map("russell_norvig_4x3")), 1.0),
    ]
    rows = []
    with ProgressBar(len(problems), "solving", "problems") as bar:
        for done, (name, env_id, gamma) in enumerate(problems, 1):
            rows.append((name, *_solved(env_id, gamma)))
            bar.update(done)
    setting = Train(env="rltk/FourRooms-v0", n_timesteps=config.n_timesteps, seed=config.seed, root=config.root)
    setting.eval_freq = setting.save_freq = max(config.n_timesteps // 50, 1)
    print("training q-learning on rltk/FourRooms-v0 ...", file=sys.stderr)
    started = time.perf_counter()
    evaluation, folder, written = train(setting)
    rows.append(("rltk/FourRooms-v0", "q-learning", evaluation, time.perf_counter() - started))
    env = make_env(setting.env, setting.env_kwargs)
    optimum = draw_value_map(env, solve(env, setting.gamma), folder / "optimal_value_map.png")
    _print(rows)
    print(f"\nwrote, in {folder}:")
    print("\n".join(f"  {path.name}" for path in [*written, optimum]))
    print(f"{time.perf_counter() - begin:.1f} s in all. Watch it act:\n  .venv/bin/rltk watch --run {folder}")


def newest(name: str) -> str:
    """Gymnasium's newest version of the environment called `name`."""
    versions = [spec.version for spec in gym.registry.values() if spec.namespace is None and spec.name == name]
    return f"{name}-v{max(version for version in versions if version is not None)}"


def shipped_map(name: str) -> Path:
    """The file of a map that comes with rltk."""
    import rltk.envs.gridworld

    return Path(next(iter(rltk.envs.gridworld.__path__))) / "maps" / f"{name}.map"


def _solved(env_id: str, gamma: float) -> tuple[str, Evaluation, float]:
    begin = time.perf_counter()
    env = make_env(env_id)
    solution = solve(env, gamma)
    evaluation = evaluate(solution, env, solution=solution)
    return "optimal", evaluation, time.perf_counter() - begin


def _print(rows: list[tuple[str, str, Evaluation, float]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    for heading in ("environment", "agent", "gamma", "optimum", "+-", "return", "subopt", "success", "s"):
        table.add_column(heading, justify="left" if heading in ("environment", "agent") else "right", no_wrap=True)
    for name, agent, graded, seconds in rows:
        low, high = graded.optimum_bounds or (float("nan"), float("nan"))
        table.add_row(
            name.removeprefix("rltk/"),
            agent,
            f"{graded.criterion.gamma:g}",
            f"{graded.optimum:.5f}",
            f"{(high - low) / 2:.0e}",
            f"{graded.value:.5f}",
            f"{graded.normalised_suboptimality:.2%}",
            "" if graded.success_probability is None else f"{graded.success_probability:.1%}",
            f"{seconds:.1f}",
        )
    Console(width=80, highlight=False).print(table)
    print(
        "\noptimum: mean of V* over the starts, certified within +-. return: the agent's own,\n"
        "exact. subopt.: the share of (optimum - uniform policy) that the agent gives away."
    )


if __name__ == "__main__":
    sys.exit(main())
