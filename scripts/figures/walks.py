"""Random walks: how far values are from the truth, episode by episode.

The same seed walks the same walk, whatever learns from it, as in the book.

Source: Sutton and Barto (2018), Examples 6.2 (five states) and 7.1 (nineteen).
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.tabular import PredictionLearner, learn_episodes
from rltk.drawing import Panel
from rltk.errors import LearningError
from rltk.scripts.figures.experiment import Line, Values, mean_and_error, scaled

# Methods that look far ahead are at their best with small steps.
ALPHAS = [0, 0.01, 0.02, 0.03, 0.04, *np.round(np.arange(0.05, 1.01, 0.05), 2).tolist()]
EPISODES, RUNS = 10, 100
LAMBDAS = (0.0, 0.4, 0.8, 0.9, 0.95, 0.975, 0.99, 1.0)
YLIM = (0.25, 0.55)


@cache
def walk(length: int) -> Any:
    """The book's walk of 5 or 19 states."""
    return gym.make("rltk/RandomWalk-v0", length=length, left_reward=0.0 if length == 5 else -1.0)


def root_mean_square(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(...) the root of the mean squared error of (..., S) values over the states between the two ends."""
    with np.errstate(over="ignore"):
        return np.sqrt(np.mean((values - truth)[..., 1:-1] ** 2, axis=-1))


def learning_errors(
    learner: type[PredictionLearner], length: int, episodes: int, runs: int, **options: Any
) -> np.ndarray:
    """(runs, episodes + 1): the error before the first episode and after each."""
    env = walk(length)
    many = learn_episodes(learner, env, episodes, seeds=runs, checkpoints=range(episodes + 1), gamma=1.0, **options)
    assert isinstance(many.agent, PredictionLearner)
    return root_mean_square(many.tables, many.agent.true_value())


@cache  # several figures show the same curves
def early_error(learner: type[PredictionLearner], runs: int, **options: Any) -> np.ndarray:
    """(runs,): the error at the ends of the first ten episodes on nineteen states, averaged; infinite for all runs
    where the values of one leave what floating point can hold."""
    try:
        return learning_errors(learner, 19, EPISODES, runs, **options)[:, 1:].mean(axis=1)
    except LearningError:
        return np.full(runs, np.inf)


def sweep(
    learner: type[PredictionLearner], name: str, parameter: str, settings: Sequence[Any], scale: float, **options: Any
) -> dict[Any, Callable[[], np.ndarray]]:
    """Cells (name, setting, alpha) of `early_error` for every alpha and setting of one parameter."""
    runs = scaled(RUNS, scale)
    return {
        (name, setting, alpha): partial(early_error, learner, runs, alpha=alpha, **{parameter: setting}, **options)  # type: ignore[arg-type]
        for setting in settings
        for alpha in ALPHAS
    }


def keys_of(values: Values, name: str, setting: Any = None) -> list[Any]:
    """The keys of the cells called so."""
    return [key for key in values if key[0] == name and setting in (None, key[1])]


def sweep_panel(values: Values, name: str, title: str, symbol: str) -> Panel:
    """The panel of a sweep: alpha across, a line for each setting."""
    settings = list(dict.fromkeys(key[1] for key in keys_of(values, name)))
    lines = []
    for setting in settings:
        keys = keys_of(values, name, setting)
        spread = [mean_and_error(values[key]) for key in keys]
        means, errors = (np.array(column) for column in zip(*spread, strict=True))
        lines.append(Line(f"{symbol} = {setting:g}", [key[2] for key in keys], means, errors))
    ylabel = "RMS error over 19 states and 10 episodes"
    return Panel(lines, "step size α", ylabel, title, family=True, ylim=YLIM)
