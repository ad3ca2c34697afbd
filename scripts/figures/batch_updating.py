"""Example 6.3, Figure 6.2: batch TD and batch Monte Carlo on the random walk of five states.

After each episode all episodes so far are gone through again and again until the values rest. The book's figure shows
the error over the five states, averaged over 100 runs.

Source: Sutton and Barto (2018), section 6.3, Example 6.3 and Figure 6.2.
"""

from functools import partial

import numpy as np

from rltk.agents.tabular import TD, BatchMonteCarlo, BatchTD, PredictionLearner, learn_episodes
from rltk.drawing import Panel
from rltk.scripts.figures.experiment import Cells, Claim, Experiment, Values, below, line_of, scaled
from rltk.scripts.figures.walks import root_mean_square, walk

EPISODES, RUNS = 100, 100
METHODS = {"batch TD": BatchTD, "batch MC": BatchMonteCarlo}


def cells(scale: float) -> Cells:
    """Errors (runs, 100) by method."""
    return {name: partial(batch_errors, method, scaled(RUNS, scale)) for name, method in METHODS.items()}


def batch_errors(learner: type[PredictionLearner], runs: int) -> np.ndarray:
    """(runs, 100): the error after each episode."""
    # The same seed walks the same walk: a learner of the compiled loop says how long its episodes are.
    lengths = learn_episodes(TD, walk(5), EPISODES, seeds=runs, gamma=1.0).lengths
    errors = np.empty(lengths.shape)
    for seed in range(runs):
        agent = learner(walk(5), gamma=1.0, initial_value=0.5, seed=seed)
        truth = agent.true_value()
        for episode, length in enumerate(lengths[seed].tolist()):
            errors[seed, episode] = root_mean_square(agent.learn(length).value, truth)
    return errors


def panels(values: Values) -> list[Panel]:
    """The book's figure."""
    lines = [line_of(name, np.arange(1, EPISODES + 1), values[name]) for name in METHODS]
    return [Panel(lines, "episodes", "RMS error over the states", ylim=(0, 0.25))]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""
    td, mc = (values[name] for name in METHODS)
    worse = int((td.mean(axis=0) > mc.mean(axis=0) + 1e-12).sum())
    text = "Batch TD was consistently better than batch Monte Carlo"
    return [
        below(f"{text} (mean of 100 episodes)", ("TD", td.mean(axis=1)), ("MC", mc.mean(axis=1))),
        below(f"{text} (after 100 episodes)", ("TD", td[:, -1]), ("MC", mc[:, -1])),
        Claim(f"{text} (in every episode)", 0.5 - worse, 0.0, f"worse after {worse} of {EPISODES} episodes"),
    ]


EXPERIMENT = Experiment(
    "example-6.3",
    "batch TD and batch Monte Carlo on a random walk",
    "Sutton and Barto (2018), Example 6.3 and Figure 6.2",
    f"Five states, values begin at 0.5, γ = 1, all episodes so far until nothing moves by more than 1e-12, {RUNS} runs",
    cells,
    panels,
    claims,
)
