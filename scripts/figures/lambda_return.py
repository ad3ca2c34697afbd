"""Figure 12.3: the off-line lambda-return algorithm beside n-step TD on the random walk of nineteen states.

The experiment of Figure 7.2, with lambda in the place of n.

Source: Sutton and Barto (2018), section 12.1, Figure 12.3.
"""

from rltk.agents.tabular import LambdaReturn
from rltk.drawing import Panel
from rltk.scripts.figures import n_step
from rltk.scripts.figures.experiment import Cells, Claim, Experiment, Values, below, best
from rltk.scripts.figures.walks import LAMBDAS, RUNS, keys_of, sweep, sweep_panel

NAME = "off-line λ-return"


def cells(scale: float) -> Cells:
    """Errors (runs,) by lambda and alpha, and those of n-step TD."""
    return {**sweep(LambdaReturn, NAME, "lambda_", LAMBDAS, scale), **n_step.cells(scale)}


def panels(values: Values) -> list[Panel]:
    """The book's two graphs."""
    return [
        sweep_panel(values, NAME, "off-line λ-return algorithm", "λ"),
        sweep_panel(values, n_step.NAME, "n-step TD methods", "n"),
    ]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""
    key, n_key = best(values, keys_of(values, NAME)), best(values, keys_of(values, n_step.NAME))
    ends = [best(values, keys_of(values, NAME, end)) for end in (LAMBDAS[0], LAMBDAS[-1])]
    high, n_high = (best(values, [k for k in keys_of(values, which) if k[2] == 1]) for which in (NAME, n_step.NAME))
    return [
        n_step.intermediate(values, "Intermediate values of λ performed best", NAME, "λ", ends),
        below(
            "The off-line λ-return is slightly better at the best values of α and λ ...",
            (f"λ {key[1]:g}, α {key[2]:g}:", values[key]),
            (f"n {n_key[1]}, α {n_key[2]:g}:", values[n_key]),
        ),
        below(
            "... and at high α",
            (f"α 1: λ {high[1]:g}:", values[high]),
            (f"n {n_high[1]}:", values[n_high]),
        ),
    ]


EXPERIMENT = Experiment(
    "figure-12.3",
    "the off-line λ-return and n-step TD on a random walk",
    "Sutton and Barto (2018), Figure 12.3",
    f"19 states, values begin at 0, γ = 1, first 10 episodes, {RUNS} runs",
    cells,
    panels,
    claims,
)
