"""Figure 12.8: the online lambda-return algorithm beside the off-line one on the random walk of nineteen states.

The experiment of Figure 12.3. True online TD(lambda) computes, step by step, exactly what the online lambda-return
algorithm does; TD(lambda), which it is to replace, stands beside them.

Source: Sutton and Barto (2018), sections 12.4 and 12.5, Figure 12.8; van Seijen and Sutton (2014), "True online
TD(lambda)".
"""

from rltk.agents.tabular import TrueOnlineTDLambda
from rltk.drawing import Panel
from rltk.scripts.figures import lambda_return, td_lambda
from rltk.scripts.figures.experiment import Cells, Claim, Experiment, Values, below, best, weakest
from rltk.scripts.figures.walks import LAMBDAS, RUNS, keys_of, sweep, sweep_panel

NAME = "true online TD(λ)"


def cells(scale: float) -> Cells:
    """Errors (runs,) by lambda and alpha, of three algorithms."""
    return {**sweep(TrueOnlineTDLambda, NAME, "lambda_", LAMBDAS, scale, cut=0.0), **td_lambda.cells(scale)}


def panels(values: Values) -> list[Panel]:
    """The book's two graphs, and TD(lambda)'s."""
    return [
        sweep_panel(values, NAME, "online λ-return = true online TD(λ)", "λ"),
        sweep_panel(values, lambda_return.NAME, "off-line λ-return algorithm", "λ"),
        sweep_panel(values, td_lambda.NAME, "TD(λ), accumulating traces", "λ"),
    ]


def claims(values: Values) -> list[Claim]:
    """What the book says of it, and van Seijen and Sutton of TD(lambda)."""
    key, off = best(values, keys_of(values, NAME)), best(values, keys_of(values, lambda_return.NAME))
    better, same = [], []
    for lambda_ in LAMBDAS:
        least, usual = (best(values, keys_of(values, which, lambda_)) for which in (NAME, td_lambda.NAME))
        names = f"λ {lambda_:g}: true online", "TD(λ) + 2%"
        same.append(below("", (names[0], values[least]), (names[1], 1.02 * values[usual])))
        if lambda_ >= 0.8:
            pair = (td_lambda.capped(values[which, lambda_, 0.8]) for which in (NAME, td_lambda.NAME))
            better.append(below("", (f"λ {lambda_:g}, α 0.8: true online", next(pair)), ("TD(λ)", next(pair))))
    zero = max(abs(values[NAME, 0.0, k[2]] - values[k]).max() for k in keys_of(values, td_lambda.NAME, 0.0))
    return [
        below(
            "The online algorithm performs subtly better than the off-line one, at its best",
            (f"online, λ {key[1]:g}, α {key[2]:g}:", values[key]),
            (f"off-line, λ {off[1]:g}, α {off[2]:g}:", values[off]),
        ),
        weakest("True online TD(λ) does no worse than TD(λ) at its best α (within 2%, all λ)", same),
        weakest("It is much better at high α and λ (α 0.8, all λ from 0.8)", better),
        Claim("At λ = 0 it is TD(λ), which is TD(0)", 1e-9 - zero, 0.0, f"largest difference {zero:.0e}"),
    ]


EXPERIMENT = Experiment(
    "figure-12.8",
    "online and off-line λ-return on a random walk",
    "Sutton and Barto (2018), Figure 12.8",
    f"19 states, values begin at 0, γ = 1, first 10 episodes, {RUNS} runs",
    cells,
    panels,
    claims,
)
