"""The gambler's problem: stake what you have on coin flips until you own the goal, or nothing.

    v(s) = max over stakes a of  p_h v(s + a) + (1 - p_h) v(s - a),      v(0) = 0, v(goal) = 1

The state is the capital, the action the stake: heads, of probability p_h, wins it, tails loses it. A stake is at least
1, at most the capital, and no more than what is missing to the goal; others are barred. (The book also lists a stake of
0, which never helps; without it every episode ends.) Reaching the goal pays 1, all else nothing, undiscounted: v is the
probability of winning. The book does not say where the gambler starts: here with any capital, equally likely.

Source: Sutton and Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, Example 4.3.
"""

from math import ceil, sqrt
from typing import Any

import numpy as np

from rltk.drawing.scene import Cell
from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv
from rltk.envs.tabular.options import check_integer, check_number
from rltk.envs.tabular.outcomes import Outcomes, mdp_from_outcomes, uniform_over
from rltk.mdp import MDP
from rltk.mdp.validation import refuse_size


def gamblers_problem_mdp(p_h: float = 0.4, goal: int = 100) -> MDP:
    """The MDP: states 0 to `goal`, actions 0 to goal // 2, where 0 only rests in the two ends.

    p_h: the probability of heads. Raises ArgumentError, or SizeError for a goal whose stakes would not fit in memory.
    """
    p_h, goal = check_number("p_h", p_h, 0.0, 1.0), check_integer("goal", goal, 2)
    refuse_size(f"the gambler's problem with a goal of {goal:,}", 40 * goal**2, "Choose a lower goal")
    capital, stake = np.meshgrid(np.arange(goal + 1), np.arange(goal // 2 + 1), indexing="ij")
    allowed = (stake >= 1) & (stake <= np.minimum(capital, goal - capital))
    capital, stake = capital[allowed], stake[allowed]
    heads = Outcomes(capital, stake, capital + stake, p_h, capital + stake == goal)
    tails = Outcomes(capital, stake, capital - stake, 1.0 - p_h)
    return mdp_from_outcomes(
        goal + 1,
        goal // 2 + 1,
        [heads, tails],
        start=uniform_over(np.arange(1, goal), goal + 1),
        final=[0, goal],
        final_actions=[0],
        success=[goal],
    )


class GamblersLayout(Layout):
    """The capitals, row by row, in a grid whose width is a multiple of ten."""

    def __init__(self, goal: int, n_actions: int) -> None:
        width = min(goal + 1, 10 * ceil(sqrt(goal) / 10))
        states = np.arange(goal + 1, dtype=np.int32)
        cells = np.full((goal // width + 1, width), Cell.WALL, dtype=np.uint8)
        cells.reshape(-1)[states] = Cell.FLOOR
        cells.reshape(-1)[[0, goal]] = Cell.PIT, Cell.GOAL
        labels = [(s // width, s % width, str(s)) for s in range(goal + 1)]
        super().__init__(cells, states, sizes=(goal + 1,), actions=(None,) * n_actions, labels=labels)


class GamblersProblemEnv(TabularEnv):
    """The gambler's problem. p_h: the probability of heads. goal: the capital to reach.

    The other options are those of `TabularEnv`.
    """

    def __init__(self, *, p_h: float = 0.4, goal: int = 100, **options: Any) -> None:
        mdp = gamblers_problem_mdp(p_h, goal)
        super().__init__(mdp, layout=GamblersLayout(mdp.n_states - 1, mdp.n_actions), **options)


class GamblersProblemVectorEnv(TabularVectorEnv):
    """The batched form of `GamblersProblemEnv`, with the options of `TabularVectorEnv`."""

    def __init__(self, num_envs: int = 1, *, p_h: float = 0.4, goal: int = 100, **options: Any) -> None:
        mdp = gamblers_problem_mdp(p_h, goal)
        super().__init__(mdp, num_envs, layout=GamblersLayout(mdp.n_states - 1, mdp.n_actions), **options)
