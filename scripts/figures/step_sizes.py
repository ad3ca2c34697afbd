"""Figure 6.3: Expected Sarsa, Sarsa and Q-learning on the cliff, soon and in the long run, by step size.

The mean return of the first 100 episodes (interim) and of 100,000 (asymptotic); epsilon 0.1, undiscounted. The book
averages 50,000 and 10 runs; here the first are 1,000, whose standard errors are below the width of the line (with
`--runs 50` they are 50,000).

Source: Sutton and Barto (2018), section 6.6, Figure 6.3; van Seijen, van Hasselt, Whiteson and Wiering (2009).
"""

from functools import partial

import numpy as np

from rltk.agents.tabular import ControlLearner, learn_episodes
from rltk.drawing import Line, Panel
from rltk.scripts.figures.cliff_walking import METHODS, OPTIONS, cliff
from rltk.scripts.figures.experiment import (
    Cells,
    Claim,
    Estimate,
    Experiment,
    Values,
    below,
    mean_and_error,
    scaled,
    weakest,
)

ALPHAS = np.round(np.arange(0.1, 1.01, 0.05), 2).tolist()
PARTS = {"interim": (100, 1000), "asymptotic": (100_000, 10)}  # episodes, runs
LOOKS = {"Expected Sarsa": (0, "x"), "Sarsa": (1, "v"), "Q-learning": (2, "s")}


def cells(scale: float) -> Cells:
    """Mean returns (runs,) by part, method and alpha."""
    return {
        (part, name, alpha): partial(mean_returns, METHODS[name], alpha, episodes, scaled(runs, scale))
        for part, (episodes, runs) in PARTS.items()
        for name in LOOKS
        for alpha in ALPHAS
    }


def mean_returns(learner: type[ControlLearner], alpha: float, episodes: int, runs: int) -> np.ndarray:
    """(runs,): the mean of the episodes' returns."""
    return learn_episodes(learner, cliff(), episodes, seeds=runs, alpha=alpha, **OPTIONS).returns.mean(axis=1)


def panels(values: Values) -> list[Panel]:
    """The book's figure."""
    lines = []
    for dashes, part in enumerate(reversed(PARTS)):
        for name, (colour, marker) in LOOKS.items():
            spread = [mean_and_error(values[part, name, alpha]) for alpha in ALPHAS]
            means, errors = (np.array(column) for column in zip(*spread, strict=True))
            lines.append(Line(f"{part}, {name}", ALPHAS, means, errors, colour, dashes, marker))
    ylabel = "mean sum of rewards in an episode"
    return [Panel(lines, "step size α", ylabel, ylim=(-160, 0), marks={"optimum\n −13": -13})]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""

    def at(part: str, name: str, alpha: float) -> Estimate:
        return Estimate.of(values[part, name, alpha])

    interim = {name: max(ALPHAS, key=lambda alpha: at("interim", name, alpha).mean) for name in LOOKS}
    best = {name: at("interim", name, interim[name]) for name in LOOKS}
    wide = [alpha for alpha in ALPHAS if alpha >= 0.2]
    improves = [
        below("", (f"α {a:g}: Sarsa", at("interim", "Sarsa", a)), ("Expected", at("interim", "Expected Sarsa", a)))
        for a in wide
    ]
    expected = [at("asymptotic", "Expected Sarsa", alpha) for alpha in ALPHAS]
    loss = max(e.mean for e in expected) - expected[-1].mean
    return [
        below(
            "Expected Sarsa retains the significant advantage of Sarsa over Q-learning",
            ("best interim: Q-learning", best["Q-learning"]),
            ("Expected", best["Expected Sarsa"]),
        ),
        weakest("It is a significant improvement over Sarsa over a wide range of α (0.2 to 1)", improves),
        Claim(
            "Expected Sarsa can safely set α = 1 without degradation of asymptotic performance",
            0.5 - loss,
            expected[-1].error,
            f"α 1: {expected[-1]}, α 0.1: {expected[0]}",
        ),
        below(
            "Sarsa performs well in the long run only at a small α ...",
            ("asymptotic, α 1:", at("asymptotic", "Sarsa", 1.0)),
            ("α 0.1:", at("asymptotic", "Sarsa", 0.1)),
        ),
        below(
            "... at which short-term performance is poor",
            ("interim, α 0.1:", at("interim", "Sarsa", 0.1)),
            (f"α {interim['Sarsa']:g}:", best["Sarsa"]),
        ),
    ]


EXPERIMENT = Experiment(
    "figure-6.3",
    "TD control on the cliff by step size",
    "Sutton and Barto (2018), Figure 6.3",
    "ε = 0.1, γ = 1, values begin at 0. Interim: first 100 episodes, 1000 runs (the book: 50,000); asymptotic: 100,000 "
    "episodes, 10 runs",
    cells,
    panels,
    claims,
)
