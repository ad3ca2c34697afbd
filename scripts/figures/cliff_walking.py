"""Example 6.6: Sarsa and Q-learning on the cliff, the sum of rewards in each of 500 episodes.

epsilon 0.1, undiscounted, values begin at 0. The book does not say alpha; here it is 0.5. Q-learning learns the optimal
path along the edge, 13 steps, and falls off it now and then; Sarsa learns the longer, safer one. That both come to the
edge as epsilon falls to zero is left out: Sarsa takes more than twenty million steps for it.

Source: Sutton and Barto (2018), section 6.5, Example 6.6.
"""

from functools import cache, partial
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.tabular import SARSA, ControlLearner, ExpectedSARSA, QLearning, learn_episodes
from rltk.drawing import Panel
from rltk.scripts.figures.experiment import Cells, Claim, Estimate, Experiment, Values, below, line_of, scaled
from rltk.scripts.figures.windy_gridworld import path_length

EPISODES, RUNS, ALPHA = 500, 500, 0.5
METHODS: dict[str, type[ControlLearner]] = {"Sarsa": SARSA, "Q-learning": QLearning, "Expected Sarsa": ExpectedSARSA}
SHOWN = ("Sarsa", "Q-learning")
OPTIONS: dict[str, Any] = {"epsilon": 0.1, "gamma": 1.0}


@cache
def cliff() -> Any:
    """The cliff, with a limit that no episode here comes near."""
    return gym.make("rltk/CliffWalking-v0", max_episode_steps=100_000)


def cells(scale: float) -> Cells:
    """Returns and, last, the greedy path's length, (runs, 501) by method."""
    return {name: partial(returns_and_path, METHODS[name], scaled(RUNS, scale)) for name in SHOWN}


def returns_and_path(learner: type[ControlLearner], runs: int) -> np.ndarray:
    """(runs, 501): the return of each episode; last, the steps of the greedy path, inf where it never ends."""
    many = learn_episodes(learner, cliff(), EPISODES, seeds=runs, alpha=ALPHA, **OPTIONS)
    return np.column_stack([many.returns, [path_length(cliff(), table.argmax(axis=1)) for table in many.tables[:, 0]]])


def panels(values: Values) -> list[Panel]:
    """The book's figure."""
    episodes = np.arange(1, EPISODES + 1)
    lines = [line_of(name, episodes, values[name][:, :-1]) for name in SHOWN]
    return [Panel(lines, "episodes", "sum of rewards in the episode", ylim=(-100, -10), marks={"optimum\n −13": -13})]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""
    late = {name: values[name][:, -101:-1].mean(axis=1) for name in SHOWN}
    paths = {name: values[name][:, -1] for name in SHOWN}
    shares = {name: Estimate.of(paths[name] == 13) for name in SHOWN}
    lengths = np.where(np.isfinite(paths["Sarsa"]), paths["Sarsa"], 100.0)
    half = Estimate(0.5)
    return [
        below(
            "Q-learning's on-line performance is worse than Sarsa's",
            ("last 100 episodes: Q-learning", late["Q-learning"]),
            ("Sarsa", late["Sarsa"]),
        ),
        below("Q-learning learns the optimal path", ("half of the runs", half), ("share:", shares["Q-learning"])),
        below(
            "Sarsa learns the longer but safer path",
            ("the edge", Estimate(13.0)),
            ("Sarsa, median path", _median(lengths)),
        ),
    ]


def _median(values: np.ndarray) -> Estimate:
    """The median with the standard error of a half of its central 68% order interval."""
    ordered, half = np.sort(values), np.sqrt(values.size) / 2
    low, high = (int(np.clip(values.size / 2 + side * half, 0, values.size - 1)) for side in (-1, 1))
    return Estimate(float(np.median(values)), float(ordered[high] - ordered[low]) / 2)


EXPERIMENT = Experiment(
    "example-6.6",
    "Sarsa and Q-learning on the cliff",
    "Sutton and Barto (2018), Example 6.6",
    f"ε = 0.1, α = {ALPHA} (the book does not say), γ = 1, values begin at 0, {RUNS} runs",
    cells,
    panels,
    claims,
)
