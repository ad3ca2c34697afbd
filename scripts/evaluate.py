"""Grade a trained agent: exactly where the environment's model is known, by sampling elsewhere."""

import sys
from dataclasses import dataclass

from rltk.evaluation import evaluate
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


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Evaluate, run, argv, "evaluate")


def run(config: Evaluate) -> None:
    """Grade as `config` says and print the figures."""
    agent, env, _ = load_trained(config.run)
    criterion = None if config.gamma is None else Criterion(config.gamma)
    evaluation = evaluate(agent, env, criterion, config.deterministic, episodes=config.episodes)
    print(evaluation)
    if config.save:
        print(f"wrote {evaluation.save(config.save)}")


if __name__ == "__main__":
    sys.exit(main())
