"""Figure 12.6: TD(lambda) beside the off-line lambda-return algorithm on the random walk of nineteen states.

The experiment of Figure 12.3, with accumulating traces, none of them cut. Where values overflow the error is infinite.

Source: Sutton and Barto (2018), section 12.2, Figure 12.6.
"""

import numpy as np

from rltk.agents.tabular import LambdaReturn, TDLambda
from rltk.drawing import Panel
from rltk.scripts.figures import lambda_return
from rltk.scripts.figures.experiment import Cells, Claim, Estimate, Experiment, Values, below, best, weakest
from rltk.scripts.figures.walks import ALPHAS, LAMBDAS, RUNS, keys_of, sweep, sweep_panel

NAME = "TD(λ)"


def cells(scale: float) -> Cells:
    """Errors (runs,) by lambda and alpha, of TD(lambda) and of the off-line lambda-return."""
    forward = sweep(LambdaReturn, lambda_return.NAME, "lambda_", LAMBDAS, scale)
    return {**sweep(TDLambda, NAME, "lambda_", LAMBDAS, scale, cut=0.0), **forward}


def panels(values: Values) -> list[Panel]:
    """The book's two graphs."""
    return [
        sweep_panel(values, NAME, "TD(λ), accumulating traces", "λ"),
        sweep_panel(values, lambda_return.NAME, "off-line λ-return algorithm", "λ"),
    ]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""
    low, alike, worse = [], [], []
    for lambda_ in LAMBDAS[1:]:
        key = best(values, keys_of(values, NAME, lambda_))
        forward = best(values, keys_of(values, lambda_return.NAME, lambda_))
        name, alpha = f"λ {lambda_:g}: TD(λ)", max(alpha for alpha in ALPHAS if alpha <= key[2] / 2)
        here, there = values[NAME, lambda_, alpha], values[lambda_return.NAME, lambda_, alpha]
        low.append(_alike(here, there, f"{name}, α {alpha:g}"))
        alike.append(below("", (name, values[key]), ("λ-return + 10%", 1.1 * values[forward])))
        if lambda_ >= 0.8:
            alpha = next(alpha for alpha in ALPHAS if alpha >= min(2 * key[2], 1))
            pair = (capped(values[which, lambda_, alpha]) for which in (lambda_return.NAME, NAME))
            worse.append(below("", (f"λ {lambda_:g}, α {alpha:g}: λ-return", next(pair)), ("TD(λ)", next(pair))))
    return [
        weakest("Virtually identical at low α (half the best; within 5%, all λ > 0)", low),
        weakest("With α selected optimally, too (TD(λ) within 10%, all λ > 0)", alike),
        weakest("TD(λ) is much worse where α is larger than optimal (twice that, all λ from 0.8)", worse),
    ]


def _alike(found: np.ndarray, expected: np.ndarray, name: str) -> Claim:
    """The claim that the mean of (runs,) `found` is within 5% of that of `expected`."""
    apart, mean = Estimate.of(found - expected), float(expected.mean())
    measured = f"{name}: {Estimate.of(found)}, λ-return {Estimate.of(expected)}"
    return Claim("", 0.05 * mean - abs(apart.mean), apart.error, measured)


def capped(errors: np.ndarray) -> np.ndarray:
    """Errors of which those above 10, infinite ones too, count as 10: one run that diverges says no more than that."""
    return np.minimum(errors, 10.0)


EXPERIMENT = Experiment(
    "figure-12.6",
    "TD(λ) and the off-line λ-return on a random walk",
    "Sutton and Barto (2018), Figure 12.6",
    f"19 states, values begin at 0, γ = 1, first 10 episodes, {RUNS} runs",
    cells,
    panels,
    claims,
)
