"""Figure 8.2: Dyna-Q in a maze, steps per episode with 0, 5 and 50 planning steps.

alpha 0.1, epsilon 0.1, gamma 0.95, values begin at 0; 50 episodes, 30 runs. The first episode is the same for all, a
random walk; its length follows from T exactly. The measure of "(epsilon-)optimal" is exact, too: the mean length of
episodes that are epsilon-greedy around an optimal policy.

Source: Sutton and Barto (2018), section 8.2, Example 8.1 and Figure 8.2.
"""

from functools import cache, partial
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.planning import solve
from rltk.agents.tabular import DynaQ, learn_episodes
from rltk.drawing import Panel
from rltk.scripts.figures.experiment import (
    Cells,
    Claim,
    Estimate,
    Experiment,
    Values,
    about,
    below,
    line_of,
    scaled,
    weakest,
)
from rltk.scripts.figures.windy_gridworld import epsilon_greedy, path_length

EPISODES, RUNS, GAMMA, EPSILON = 50, 30, 0.95, 0.1
PLANNING = (0, 5, 50)
ENOUGH = 1.25  # times the epsilon-greedy optimum counts as having reached it


@cache
def maze() -> Any:
    """The Dyna maze."""
    return gym.make("rltk/DynaMaze-v0")


def cells(scale: float) -> Cells:
    """Steps (runs, 50) by the number of planning steps."""
    return {n: partial(steps, n, scaled(RUNS, scale)) for n in PLANNING}


def steps(n: int, runs: int) -> np.ndarray:
    """(runs, 50): the steps of each episode."""
    options: dict[str, Any] = {"alpha": 0.1, "epsilon": EPSILON, "gamma": GAMMA}
    return learn_episodes(DynaQ, maze(), EPISODES, seeds=runs, n=n, **options).lengths.astype(float)


def panels(values: Values) -> list[Panel]:
    """The book's figure, which leaves out the first episode."""
    episodes = np.arange(2, EPISODES + 1)
    names = {n: f"{n} planning steps" for n in PLANNING}
    lines = [line_of(names[n], episodes, values[n][:, 1:]) for n in PLANNING]
    return [
        Panel(lines, "episodes", "steps per episode", xlim=(2, EPISODES), ylim=(0, 800), marks={"optimum\n 14": 14})
    ]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""
    best = solve(maze(), GAMMA).q.argmax(axis=1)
    near = ENOUGH * path_length(maze(), epsilon_greedy(best, 4, EPSILON))
    uniform = path_length(maze(), np.full((best.size, 4), 0.25))
    first = [values[n][:, 0] for n in PLANNING]
    return [
        about("The optimal path takes 14 steps", "exactly", Estimate(path_length(maze(), best)), 14, 1e-6),
        Claim(
            "The first episode was exactly the same for all n",
            0.5 - sum((other != first[0]).sum() for other in first),
            0.0,
            f"mean of {len(first[0])} runs: {Estimate.of(first[0])}",
        ),
        about("It took about 1700 steps", "a random walk's, exactly:", Estimate(uniform), 1700, 200),
        _reached(values, 50, 3, 2, near, "The n = 50 agent took only three episodes to (ε-)optimal performance"),
        _reached(values, 5, 7, 3, near, "The n = 5 agent took about five (four to seven)"),
        _reached(values, 0, 35, 15, near, "The n = 0 agent took about 25 (16 to 35)"),
    ]


def _reached(values: Values, n: int, by: int, not_by: int, near: float, text: str) -> Claim:
    """The claim that the length is near the optimum in the five episodes from `by` on, and was not in `not_by`."""
    after, before = Estimate.of(values[n][:, by - 1 : by + 4].mean(axis=1)), Estimate.of(values[n][:, not_by - 1])
    limit = Estimate(near)
    parts = [below("", ("", after), ("", limit)), below("", ("", limit), ("", before))]
    return weakest(text, parts, f"episode {not_by}: {before}, {by} to {by + 4}: {after}; near is {near:.1f}")


EXPERIMENT = Experiment(
    "figure-8.2",
    "Dyna-Q in a maze",
    "Sutton and Barto (2018), Example 8.1 and Figure 8.2",
    f"ε = 0.1, α = 0.1, γ = 0.95, values begin at 0, {RUNS} runs; the first episode is not shown, as in the book",
    cells,
    panels,
    claims,
)
