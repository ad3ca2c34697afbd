"""Figure 6.5: how often Q-learning and double Q-learning go left, where left is a mistake that looks good.

epsilon 0.1, alpha 0.1, undiscounted, values begin at 0; B has ten actions (the book: many). 300 episodes, 10,000 runs.
An episode goes left just where it has two steps.

Source: Sutton and Barto (2018), section 6.7, Example 6.7 and Figure 6.5.
"""

from functools import partial

import gymnasium as gym
import numpy as np

from rltk.agents.tabular import ControlLearner, DoubleQLearning, QLearning, learn_episodes
from rltk.drawing import Panel
from rltk.scripts.figures.experiment import Cells, Claim, Estimate, Experiment, Values, about, below, line_of, scaled

EPISODES, RUNS, LEAST = 300, 10_000, 0.05
METHODS = {"Q-learning": QLearning, "double Q-learning": DoubleQLearning}


def cells(scale: float) -> Cells:
    """Whether each episode went left, (runs, 300), by method."""
    return {name: partial(went_left, method, scaled(RUNS, scale)) for name, method in METHODS.items()}


def went_left(learner: type[ControlLearner], runs: int) -> np.ndarray:
    """(runs, 300) 1 where the episode went left, else 0."""
    env = gym.make("rltk/MaximizationBias-v0")
    many = learn_episodes(learner, env, EPISODES, seeds=runs, alpha=0.1, epsilon=0.1, gamma=1.0)
    return (many.lengths == 2).astype(float)


def panels(values: Values) -> list[Panel]:
    """The book's figure."""
    lines = [line_of(name, np.arange(1, EPISODES + 1), 100 * values[name]) for name in METHODS]
    return [Panel(lines, "episodes", "left actions from A, %", ylim=(0, 100), marks={"optimal\n 5%": 100 * LEAST})]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""
    q, double = (values[name] for name in METHODS)
    top = int(q.mean(axis=0).argmax())
    lowest = int(q.mean(axis=0).argmin())
    return [
        below(
            "Q-learning initially goes left much more often than right",
            ("half", Estimate(0.5)),
            (f"episode {top + 1}:", q[:, top]),
        ),
        below(
            "It always goes left significantly more often than the 5% of ε-greedy selection",
            ("the least", Estimate(LEAST)),
            (f"lowest, episode {lowest + 1}:", q[:, lowest]),
        ),
        about(
            "At asymptote it goes left about 5% more often than is optimal",
            "episodes 251 to 300:",
            Estimate.of(q[:, -50:].mean(axis=1)),
            2 * LEAST,
            0.04,
        ),
        below(
            "Double Q-learning is essentially unaffected by maximisation bias",
            ("mean of all episodes: double", double.mean(axis=1)),
            ("half of Q-learning", q.mean(axis=1) / 2),
        ),
    ]


EXPERIMENT = Experiment(
    "figure-6.5",
    "maximisation bias",
    "Sutton and Barto (2018), Example 6.7 and Figure 6.5",
    f"ε = 0.1, α = 0.1, γ = 1, values begin at 0, ten actions in B, {RUNS} runs",
    cells,
    panels,
    claims,
)
