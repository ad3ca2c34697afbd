"""The k-armed bandit: one state, k actions, and a reward drawn from a normal distribution of the arm's own.

    R | a  ~  N(q*(a), noise),      q*(a) ~ N(mean, 1), drawn once

The arms are drawn from `bandit_seed`, so the same seed is the same bandit, and its MDP is fixed; a testbed like the
book's is 2,000 of them, `bandit_seed` 0 to 1,999. A bandit has no end of its own: the book's runs have 1,000 steps,
which is the time limit of the registered id.

Source: Sutton and Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, section 2.3 (mean 0); Figure 2.5
has a mean of 4.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell
from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv
from rltk.envs.tabular.options import check_integer, check_number
from rltk.envs.tabular.outcomes import Outcomes, mdp_from_outcomes
from rltk.mdp import MDP
from rltk.mdp.validation import refuse_size

_BYTES_AN_ARM = 1000  # most of it the picture's label


def arms_of(k: int = 10, bandit_seed: int = 0, mean: float = 0.0) -> NDArray[np.float64]:
    """(k,) the arms' true values q*, the same for the same seed. Raises ArgumentError, SizeError."""
    k, bandit_seed = check_integer("k", k, 1), check_integer("bandit_seed", bandit_seed, 0)
    refuse_size(f"a bandit with k = {k:,} arms", _BYTES_AN_ARM * k, "Take fewer arms")
    return check_number("mean", mean) + np.random.default_rng(bandit_seed).standard_normal(k)


def bandit_mdp(arms: NDArray[np.float64], noise: float = 1.0) -> MDP:
    """The MDP of arms with these values (k,): one state, where every action stays."""
    noise = check_number("noise", noise, 0.0)
    outcomes = Outcomes(0, np.arange(arms.size), 0, reward=arms, reward_noise=noise)
    return mdp_from_outcomes(1, arms.size, [outcomes], start=[1.0])


def bandit_layout(arms: NDArray[np.float64]) -> Layout:
    """The arms in a row with their values, the best one green, and the gambler before them."""
    cells = np.full((2, arms.size), Cell.WALL, dtype=np.uint8)
    cells[0] = Cell.FLOOR
    cells[0, arms == arms.max()] = Cell.GOAL
    middle = arms.size // 2
    cells[1, middle] = Cell.START
    labels = [(0, a, f"{value:+.2f}") for a, value in enumerate(arms)]
    places = np.array([arms.size + middle], dtype=np.int32)
    return Layout(cells, places, sizes=(1,), actions=(None,) * arms.size, labels=labels)


class BanditEnv(TabularEnv):
    """A k-armed Gaussian bandit. bandit_seed: draws the arms, their values around `mean`. noise: on every reward.

    `arms` (k,) holds the true values. The other options are those of `TabularEnv`.
    """

    def __init__(
        self, *, k: int = 10, bandit_seed: int = 0, mean: float = 0.0, noise: float = 1.0, **options: Any
    ) -> None:
        self.arms = arms_of(k, bandit_seed, mean)
        super().__init__(bandit_mdp(self.arms, noise), layout=bandit_layout(self.arms), **options)


class BanditVectorEnv(TabularVectorEnv):
    """The batched form of `BanditEnv`: many players of one bandit. The options are those of `TabularVectorEnv`."""

    def __init__(
        self,
        num_envs: int = 1,
        *,
        k: int = 10,
        bandit_seed: int = 0,
        mean: float = 0.0,
        noise: float = 1.0,
        **options: Any,
    ) -> None:
        self.arms = arms_of(k, bandit_seed, mean)
        super().__init__(bandit_mdp(self.arms, noise), num_envs, layout=bandit_layout(self.arms), **options)
