"""The random walk: a Markov reward process on a line, on which prediction methods are compared.

    0 <- 1 <-> 2 <-> ... <-> length -> length + 1        each way with probability 1/2

An episode starts in the middle and ends off either end; the left end pays `left_reward`, the right one `right_reward`,
every other step nothing. Undiscounted, the value of a state is the straight line between the two rewards:

    v(s) = left_reward + (right_reward - left_reward) s / (length + 1)

There is nothing to decide: the one action, 0, is to take a step, and every policy is the same.

Source: Sutton and Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, Example 6.2 (5 states, 0 on the
left) and Examples 7.1 and 12.1 (19 states, -1 on the left).
"""

from typing import Any

import numpy as np

from rltk.drawing.scene import Cell
from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv
from rltk.envs.tabular.options import check_integer, check_number
from rltk.mdp import MDP
from rltk.mdp.validation import refuse_size

_BYTES_A_STATE = 400  # most of it the picture's label
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def random_walk_mdp(length: int = 19, left_reward: float = -1.0, right_reward: float = 1.0) -> MDP:
    """The MDP: length + 2 states from the left end, 0, to the right one, length + 1; one action.

    An even length has two middles, and starts in either. Raises ArgumentError for what is no length or reward,
    SizeError for a length that would not fit in memory.
    """
    length = check_integer("length", length, 1)
    refuse_size(f"a random walk over {length:,} states", _BYTES_A_STATE * length, "Make it shorter")
    states = np.arange(length + 2)
    reward = np.zeros(states.size)
    reward[0] = check_number("left_reward", left_reward)
    reward[-1] = check_number("right_reward", right_reward)
    middle = np.isin(states, [(length + 1) // 2, (length + 2) // 2])
    return MDP.from_moves(
        np.stack([np.maximum(states - 1, 0), np.minimum(states + 1, length + 1)], axis=1),
        [[0.5, 0.5]],
        reward,
        np.isin(states, [0, length + 1]),
        middle / middle.sum(),
        success=states == length + 1,
        action_labels=("step",).__getitem__,
    )


class RandomWalkLayout(Layout):
    """The line. A walk of up to 26 states has the book's letters, a longer one numbers."""

    def __init__(self, length: int, left_reward: float, right_reward: float) -> None:
        cells = np.full((1, length + 2), Cell.FLOOR, dtype=np.uint8)
        for column, reward in ((0, left_reward), (length + 1, right_reward)):
            cells[0, column] = Cell.GOAL if reward > 0 else Cell.PIT if reward < 0 else Cell.MARK
        cells[0, [(length + 1) // 2, (length + 2) // 2]] = Cell.START
        labels = [(0, 0, f"{left_reward:+g}"), (0, length + 1, f"{right_reward:+g}")]
        labels += [(0, s, _LETTERS[s - 1] if length <= 26 else str(s)) for s in range(1, length + 1)]
        states = np.arange(length + 2, dtype=np.int32)
        super().__init__(cells, states, sizes=(length + 2,), actions=(None,), labels=labels)


class RandomWalkEnv(TabularEnv):
    """A random walk over `length` states. left_reward, right_reward: what its ends pay.

    `RandomWalkEnv(length=5, left_reward=0)` is Example 6.2's. The other options are those of `TabularEnv`.
    """

    def __init__(
        self, *, length: int = 19, left_reward: float = -1.0, right_reward: float = 1.0, **options: Any
    ) -> None:
        mdp = random_walk_mdp(length, left_reward, right_reward)
        super().__init__(mdp, layout=RandomWalkLayout(length, left_reward, right_reward), **options)


class RandomWalkVectorEnv(TabularVectorEnv):
    """The batched form of `RandomWalkEnv`, with the options of `TabularVectorEnv`."""

    def __init__(
        self,
        num_envs: int = 1,
        *,
        length: int = 19,
        left_reward: float = -1.0,
        right_reward: float = 1.0,
        **options: Any,
    ) -> None:
        mdp = random_walk_mdp(length, left_reward, right_reward)
        super().__init__(mdp, num_envs, layout=RandomWalkLayout(length, left_reward, right_reward), **options)
