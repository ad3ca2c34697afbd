"""Example 6.5: Sarsa on the windy gridworld, episodes against time steps.

epsilon 0.1, alpha 0.5, all values begin at 0, undiscounted, 8000 steps. The book shows one run; here are a hundred. Its
words about that run hold for the policy that one would like it to have found: epsilon-greedy behaviour around the
optimal policy takes 17.05 steps an episode, exactly. The hundred are not there after 8000 steps, for alpha 0.5 keeps
the values moving: most of their greedy policies are not optimal, and many walk in a circle.

Source: Sutton and Barto (2018), section 6.4, Example 6.5.
"""

from functools import cache, partial
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.planning import solve
from rltk.agents.tabular import SARSA, learn_many
from rltk.drawing import Panel
from rltk.scripts.figures.experiment import Cells, Claim, Estimate, Experiment, Values, about, below, line_of, scaled

STEPS, RUNS, MARKS, EPSILON = 8000, 100, 80, 0.1


@cache
def world() -> Any:
    """The windy gridworld."""
    return gym.make("rltk/WindyGridworld-v0")


def cells(scale: float) -> Cells:
    """One cell: (runs, 81), the episodes ended after every hundred steps, and the greedy path's length at the end."""
    return {"sarsa": partial(episodes_and_path, scaled(RUNS, scale))}


def episodes_and_path(runs: int) -> np.ndarray:
    """(runs, MARKS + 1): episodes ended by each mark; last, the steps of the greedy path, inf where it never ends."""
    options: dict[str, Any] = {"alpha": 0.5, "epsilon": EPSILON, "gamma": 1.0}
    many = learn_many(SARSA, world(), STEPS, seeds=runs, checkpoints=MARKS, **options)
    paths = [path_length(world(), policy) for policy in many.greedy()[:, -1]]
    return np.column_stack([many.episodes, paths])


def path_length(env: Any, policy: np.ndarray) -> float:
    """How many steps an episode takes on average under (S,) actions or (S, A) probabilities, exactly."""
    mdp = env.unwrapped.mdp()
    length = mdp.chain(policy).length()
    return float(length[mdp.start > 0] @ mdp.start[mdp.start > 0])


def epsilon_greedy(actions: np.ndarray, n_actions: int, epsilon: float) -> np.ndarray:
    """(S, A): the policy that takes (S,) `actions`, but any with probability epsilon."""
    policy = np.full((actions.size, n_actions), epsilon / n_actions)
    policy[np.arange(actions.size), actions] += 1 - epsilon
    return policy


def panels(values: Values) -> list[Panel]:
    """The book's figure."""
    steps = np.linspace(0, STEPS, MARKS + 1)
    episodes = np.column_stack([np.zeros(len(values["sarsa"])), values["sarsa"][:, :-1]])
    return [Panel([line_of("Sarsa", steps, episodes)], "time steps", "episodes", ylim=(0, 180))]


def claims(values: Values) -> list[Claim]:
    """What the book says of it."""
    episodes, paths = values["sarsa"][:, :-1], values["sarsa"][:, -1]
    best = solve(world(), 1.0).q.argmax(axis=1)
    shortest = path_length(world(), best)
    around = path_length(world(), epsilon_greedy(best, world().action_space.n, EPSILON))
    last = Estimate.of(1000 / (episodes[:, -1] - episodes[:, -11]))
    return [
        about("The minimum is 15 steps", "exactly", Estimate(shortest), 15, 1e-6),
        below(
            "The goal was reached more quickly over time",
            ("episodes in the first 1000 steps:", episodes[:, 9]),
            ("in the last:", episodes[:, -1] - episodes[:, -11]),
        ),
        about("ε-greedy exploration around the optimum takes about 17", "exactly", Estimate(around), 17, 0.5),
        about("The average episode length was kept at about 17 steps", "last 1000 steps:", last, 17, 1.0),
        below(
            "By 8000 steps the greedy policy was long since optimal",
            ("one half of the runs:", Estimate(0.5)),
            ("share optimal:", paths == shortest),
        ),
    ]


EXPERIMENT = Experiment(
    "example-6.5",
    "Sarsa on the windy gridworld",
    "Sutton and Barto (2018), Example 6.5",
    f"ε = 0.1, α = 0.5, values begin at 0, γ = 1, {STEPS} steps, {RUNS} runs (the book: one)",
    cells,
    panels,
    claims,
)
