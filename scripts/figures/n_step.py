"""Figure 7.2: n-step TD on the random walk of nineteen states, by step size and n.

The error at the end of an episode, over the 19 states, the first 10 episodes and 100 runs. Values begin at 0;
undiscounted.

Source: Sutton and Barto (2018), section 7.1, Example 7.1 and Figure 7.2.
"""

from collections.abc import Sequence
from typing import Any

from rltk.agents.tabular import NStepTD
from rltk.drawing import Panel
from rltk.scripts.figures.experiment import Cells, Claim, Estimate, Experiment, Values, below, best, weakest
from rltk.scripts.figures.walks import RUNS, keys_of, sweep, sweep_panel

NAME = "n-step TD"
COUNTS = tuple(2**k for k in range(10))


def cells(scale: float) -> Cells:
    """Errors (runs,) by n and alpha."""
    return sweep(NStepTD, NAME, "n", COUNTS, scale)


def panels(values: Values) -> list[Panel]:
    """The book's figure."""
    return [sweep_panel(values, NAME, "", "n")]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""
    ends = [best(values, keys_of(values, NAME, n)) for n in (COUNTS[0], COUNTS[-1])]
    return [intermediate(values, "Methods with an intermediate value of n worked best", NAME, "n", ends)]


def intermediate(values: Values, text: str, name: str, symbol: str, ends: Sequence[Any]) -> Claim:
    """The claim that the best of all cells called `name` is better than both of the cells `ends`."""
    key = best(values, keys_of(values, name))
    told = f"{symbol} {key[1]:g}, α {key[2]:g}: {Estimate.of(values[key])}"
    others = [f"{symbol} {end[1]:g}: {Estimate.of(values[end])}" for end in ends]
    return weakest(text, [below("", ("", values[key]), ("", values[end])) for end in ends], ", ".join([told, *others]))


EXPERIMENT = Experiment(
    "figure-7.2",
    "n-step TD on a random walk",
    "Sutton and Barto (2018), Example 7.1 and Figure 7.2",
    f"19 states, values begin at 0, γ = 1, first 10 episodes, {RUNS} runs",
    cells,
    panels,
    claims,
)
