"""Example 6.2: TD(0) and constant-alpha Monte Carlo on a random walk of five states.

The book's left graph shows the values after 0, 1, 10 and 100 episodes of one run of TD(0), alpha 0.1; the right one the
error of both methods, over the five states and 100 runs. All values begin at 0.5; undiscounted.

Source: Sutton and Barto (2018), section 6.2, Example 6.2 and Exercises 6.3 and 6.5.
"""

from functools import partial
from typing import Any

import numpy as np

from rltk.agents.tabular import TD, MonteCarlo, learn_episodes
from rltk.drawing import Line, Panel
from rltk.scripts.figures.experiment import Cells, Claim, Estimate, Experiment, Values, below, line_of, scaled, weakest
from rltk.scripts.figures.walks import learning_errors, walk

EPISODES, RUNS = 100, 100
TD_ALPHAS, MC_ALPHAS = (0.05, 0.1, 0.15), (0.01, 0.02, 0.03, 0.04)
SHOWN = (0, 1, 10, 100)
TRUTH = np.arange(1, 6) / 6


def cells(scale: float) -> Cells:
    """Errors (runs, 101) by method and alpha, and the values (runs, 4, 5) of TD(0) at 0.1."""
    learn = partial(learning_errors, length=5, episodes=EPISODES, runs=scaled(RUNS, scale), initial_value=0.5)
    return {
        **{("td", alpha): partial(learn, TD, alpha=alpha) for alpha in TD_ALPHAS},
        **{("mc", alpha): partial(learn, MonteCarlo, alpha=alpha, first_visit=False) for alpha in MC_ALPHAS},
        "values": partial(td_values, scaled(RUNS, scale)),
    }


def td_values(runs: int) -> np.ndarray:
    """(runs, 4, 5): what TD(0) with alpha 0.1 takes the five states to be worth after the episodes shown."""
    options: dict[str, Any] = {"gamma": 1.0, "alpha": 0.1, "initial_value": 0.5}
    return learn_episodes(TD, walk(5), EPISODES, seeds=runs, checkpoints=SHOWN, **options).tables[:, :, 1:-1]


def panels(values: Values) -> list[Panel]:
    """The book's two graphs."""
    states = np.arange(5)
    one = values["values"][0]
    estimates = [
        Line(f"{count} episodes" if count != 1 else "1 episode", states, one[k], np.zeros(5), marker="o")
        for k, count in enumerate(SHOWN)
    ]
    truth = Line("true values", states, TRUTH, np.zeros(5), colour=6, dashes=1, marker="o")
    curves = [
        line_of(f"{name.upper()}, α = {alpha:g}", np.arange(EPISODES + 1), values[name, alpha], colour=colour, dashes=k)
        for name, alphas, colour in (("td", TD_ALPHAS, 0), ("mc", MC_ALPHAS, 1))
        for k, alpha in enumerate(alphas)
    ]
    ticks = (states, "ABCDE")
    return [
        Panel([*estimates, truth], "state", "estimated value", "one run of TD(0), α = 0.1", ticks=ticks, ylim=(0, 1)),
        Panel(curves, "episodes", "RMS error over the states", "mean of all runs", ylim=(0, 0.25)),
    ]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""
    sums = {key: Estimate.of(values[key][:, 1:].mean(axis=1)) for key in values if key != "values"}
    worst_td = max((key for key in sums if key[0] == "td"), key=lambda key: sums[key].mean)
    best_mc = min((key for key in sums if key[0] == "mc"), key=lambda key: sums[key].mean)
    first = values["values"][:, 1] - 0.5
    moved = np.isclose(np.abs(first), 0.05) & [True, False, False, False, True]
    only_one = moved.any(axis=1) & ((np.abs(first) > 1e-12).sum(axis=1) == 1)
    late = values["td", 0.15][:, 1:]
    dip = int(late.mean(axis=0).argmin())
    return [
        below(
            "The TD method was consistently better than the MC method (mean error of 100 episodes)",
            (f"worst TD, α {worst_td[1]:g}:", sums[worst_td]),
            (f"best MC, α {best_mc[1]:g}:", sums[best_mc]),
        ),
        Claim(
            "The first episode changes only V(A) or V(E), by α · 0.5 = 0.05 exactly (Exercise 6.3)",
            float(only_one.mean()) - 0.999,
            0.0,
            f"so in {only_one.mean():.0%} of the runs",
        ),
        weakest(
            "The error of TD goes down and then up again, particularly at high α (Exercise 6.5)",
            [
                below("", (f"α 0.15, episode {dip + 1}:", late[:, dip]), ("episodes 81 to 100:", late[:, 80:].mean(1))),
                Claim("", 70.0 - dip, 0.0, ""),
            ],
            f"α 0.15, episode {dip + 1}: {Estimate.of(late[:, dip])}, "
            f"episodes 81 to 100: {Estimate.of(late[:, 80:].mean(1))}",
        ),
    ]


EXPERIMENT = Experiment(
    "example-6.2",
    "TD(0) and Monte Carlo on a random walk",
    "Sutton and Barto (2018), Example 6.2",
    f"Five states, values begin at 0.5, γ = 1, {RUNS} runs; Monte Carlo on every visit",
    cells,
    panels,
    claims,
)
