"""Figure 12.6: TD(lambda) beside the off-line lambda-return algorithm on the random walk of nineteen states.

The experiment of Figure 12.3, with accumulating traces, none of them cut. Where values overflow the error is infinite.

Source: Sutton and Barto (2018), section 12.2, Figure 12.6.
"""

from rltk.agents.tabular import LambdaReturn, TDLambda
from rltk.drawing import Panel
from rltk.scripts.figures import lambda_return
from rltk.scripts.figures.experiment import Cells, Claim, Experiment, Values, below, best, weakest
from rltk.scripts.figures.walks import LAMBDAS, RUNS, at, keys_of, sweep, sweep_panel

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
    alike, worse = [], []
    for lambda_ in LAMBDAS[1:]:
        key, least = best(values, keys_of(values, NAME, lambda_))
        forward = best(values, keys_of(values, lambda_return.NAME, lambda_))[1]
        alike.append(below("", (f"λ {lambda_:g}: TD(λ)", least), ("λ-return + 5%", forward.times(1.05))))
        high = min(2 * key[2] + 0.1, 1.0)
        high = min((k[2] for k in keys_of(values, NAME, lambda_)), key=lambda alpha: abs(alpha - high))
        pair = at(values, lambda_return.NAME, lambda_, high), at(values, NAME, lambda_, high)
        worse.append(below("", (f"λ {lambda_:g}, α {high:g}: λ-return", pair[0]), ("TD(λ)", pair[1])))
    return [
        weakest("With α selected optimally the two perform virtually identically (within 5%, all λ > 0)", alike),
        weakest("TD(λ) was worse at high α (twice the best and more, all λ > 0)", worse),
    ]


EXPERIMENT = Experiment(
    "figure-12.6",
    "TD(λ) and the off-line λ-return on a random walk",
    "Sutton and Barto (2018), Figure 12.6",
    f"19 states, values begin at 0, γ = 1, first 10 episodes, {RUNS} runs",
    cells,
    panels,
    claims,
)
