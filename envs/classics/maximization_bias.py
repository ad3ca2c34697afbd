"""The MDP on which Q-learning's maximisation bias shows.

    end  <---(mean, noise)---  B  <---0---  A  ---0--->  end

Episodes start in A. Right ends at once for nothing; left leads to B, whose many actions all end with a reward drawn
from a normal distribution. With a mean of -0.1 left is a mistake, yet the largest of many noisy estimates is above zero
for long, so a learner that takes it for the largest value goes left. Undiscounted, v(B) = mean, v(A) = max(0, mean).

Source: Sutton and Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, Example 6.7 and Figure 6.5, which
says "many" actions; here there are ten unless asked otherwise.
"""

from typing import Any

import numpy as np

from rltk.drawing.scene import Cell
from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv
from rltk.envs.tabular.options import check_integer, check_number
from rltk.envs.tabular.outcomes import Outcomes, mdp_from_outcomes, uniform_over
from rltk.mdp import MDP
from rltk.mdp.validation import refuse_size

LEFT_END, B, A, RIGHT_END = range(4)
LEFT, RIGHT = range(2)
STATES = ("left end", "B", "A", "right end")


def maximization_bias_mdp(n_actions: int = 10, mean: float = -0.1, noise: float = 1.0) -> MDP:
    """The MDP: the states left end, B, A, right end; in A only the actions 0 (left) and 1 (right) are available.

    n_actions: of B, at least 2. mean, noise: mean and standard deviation of what they pay.
    Raises ArgumentError, SizeError.
    """
    n_actions = check_integer("n_actions", n_actions, 2)
    refuse_size(f"a choice among n_actions = {n_actions:,}", 1000 * n_actions, "Take fewer actions")
    mean, noise = check_number("mean", mean), check_number("noise", noise, 0.0)
    return mdp_from_outcomes(
        len(STATES),
        n_actions,
        [
            Outcomes(A, LEFT, B),
            Outcomes(A, RIGHT, RIGHT_END),
            Outcomes(B, np.arange(n_actions), LEFT_END, reward=mean, reward_noise=noise),
        ],
        start=uniform_over([A], len(STATES)),
        final=[LEFT_END, RIGHT_END],
        state_labels=STATES.__getitem__,
    )


def maximization_bias_layout(n_actions: int) -> Layout:
    """The four states in a line, as in the book's figure."""
    cells = np.array([[Cell.PIT, Cell.FLOOR, Cell.START, Cell.GOAL]], dtype=np.uint8)
    actions = [(0, -1), (0, 1), *[None] * (n_actions - 2)]
    labels = [(0, LEFT_END, "end"), (0, B, "B"), (0, A, "A"), (0, RIGHT_END, "end")]
    states = np.arange(len(STATES), dtype=np.int32)
    return Layout(cells, states, sizes=(len(STATES),), actions=actions, labels=labels)


class MaximizationBiasEnv(TabularEnv):
    """The maximisation-bias MDP. n_actions: of B. mean, noise: mean and standard deviation of what they pay.

    The other options are those of `TabularEnv`.
    """

    def __init__(self, *, n_actions: int = 10, mean: float = -0.1, noise: float = 1.0, **options: Any) -> None:
        mdp = maximization_bias_mdp(n_actions, mean, noise)
        super().__init__(mdp, layout=maximization_bias_layout(mdp.n_actions), **options)


class MaximizationBiasVectorEnv(TabularVectorEnv):
    """The batched form of `MaximizationBiasEnv`, with the options of `TabularVectorEnv`."""

    def __init__(
        self, num_envs: int = 1, *, n_actions: int = 10, mean: float = -0.1, noise: float = 1.0, **options: Any
    ) -> None:
        mdp = maximization_bias_mdp(n_actions, mean, noise)
        super().__init__(mdp, num_envs, layout=maximization_bias_layout(mdp.n_actions), **options)
