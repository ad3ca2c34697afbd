"""Grade a trained agent: exactly where the environment's model is known, by sampling elsewhere; say where it loses."""

import sys
from dataclasses import dataclass
from pathlib import Path

from rltk.drawing.plots import FORMATS
from rltk.errors import ArgumentError
from rltk.evaluation import evaluate, explain
from rltk.mdp import Criterion
from rltk.scripts.common import load_trained
from rltk.scripts.program import start


@dataclass
class Evaluate:
    """Grade the agent of a run that `rltk train` made.

    Example: rltk evaluate --run runs/rltk-FourRooms-v0__q-learning__0__...
    """

    run: str
    """The run's folder."""
    gamma: float | None = None
    """Discount to grade under; by default the agent's own."""
    deterministic: bool = True
    """Grade the greedy policy; False grades the policy with its exploration."""
    episodes: int = 200
    """Episodes to sample where the model is not known."""
    save: str = ""
    """Write all figures to this file as JSON."""
    explain: bool = False
    """Say in which states the loss is, largest first."""
    picture: str = ""
    """Write a map of where the loss is to this file (.png, .svg or .pdf)."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Evaluate, run, argv, "evaluate")


def run(config: Evaluate) -> None:
    """Grade as `config` says and print the figures."""
    if config.picture and Path(config.picture).suffix.lower() not in FORMATS:
        raise ArgumentError(f"picture is a file that ends in {', '.join(FORMATS)}; it is {config.picture!r}")
    agent, env, _ = load_trained(config.run)
    criterion = None if config.gamma is None else Criterion(config.gamma)
    evaluation = evaluate(agent, env, criterion, config.deterministic, episodes=config.episodes)
    explanation = None
    if config.explain or config.picture:  # before anything is told: it may be refused
        explanation = explain(agent, env, criterion, config.deterministic)
        drawn = explanation.draw(config.picture) if config.picture else None
    print(evaluation)
    if config.save:
        print(f"wrote {evaluation.save(config.save)}")
    if config.explain:
        print(f"\n{explanation}")
    if config.picture:
        print(f"wrote {drawn}")


if __name__ == "__main__":
    sys.exit(main())
