"""Windy gridworld: a crosswind in the middle columns carries the agent upwards while it moves.

    next = held(held(cell + move) + (-wind[column], 0))

`held` leaves the agent where it is if a move would take it off the grid, and at the top edge if the wind would. The
wind is that of the column in which the move begins. Every step costs 1 until the goal is reached, undiscounted. With
stochastic wind its strength is, a third of the time each, one less than the column's, the column's own, or one more;
columns without wind stay calm.

Source: Sutton and Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, Example 6.5 (four moves),
Exercise 6.9 (king's moves, and the ninth that stays), Exercise 6.10 (king's moves, stochastic wind).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell, Place
from rltk.envs.gridworld.map import DIRECTIONS
from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv
from rltk.envs.tabular.options import check_flag
from rltk.errors import UnknownNameError
from rltk.mdp import MDP

SHAPE = (7, 10)
START: Place = (3, 0)
GOAL: Place = (3, 7)
WIND = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)  # cells upwards, by column
_NAMES = tuple(DIRECTIONS)
MOVES = {"four": _NAMES[:4], "kings": _NAMES[:8], "kings and stay": _NAMES}


def windy_mdp(moves: str = "four", stochastic: bool = False) -> MDP:
    """The MDP: 70 states, row by row; 4, 8 or 9 actions. Raises UnknownNameError for moves that there are not,
    ArgumentError for a `stochastic` that is no bool."""
    if not isinstance(moves, str) or moves not in MOVES:
        raise UnknownNameError(f"moves: one of {', '.join(map(repr, MOVES))}; found {moves!r}")
    names, stochastic = MOVES[moves], check_flag("stochastic", stochastic)
    row, column = np.unravel_index(np.arange(np.prod(SHAPE)), SHAPE)
    wind = np.array(WIND)[column]  # (S,)
    gusts = (-1, 0, 1) if stochastic else (0,)
    targets = [
        _blown(*_moved(row, column, DIRECTIONS[name]), np.where(wind > 0, wind + gust, 0))
        for name in names
        for gust in gusts
    ]
    goal = np.ravel_multi_index(GOAL, SHAPE)
    return MDP.from_moves(
        np.stack(targets, axis=1),
        np.kron(np.eye(len(names)), np.full((1, len(gusts)), 1 / len(gusts))),
        -1.0,
        np.arange(row.size) == goal,
        np.arange(row.size) == np.ravel_multi_index(START, SHAPE),
        success=np.arange(row.size) == goal,
        state_labels=SHAPE,
        action_labels=names.__getitem__,
    )


def _moved(row: NDArray[Any], column: NDArray[Any], move: Place) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where a move leads from (row, column), both (S,), before the wind: off the grid, nowhere."""
    to_row, to_column = row + move[0], column + move[1]
    inside = (to_row >= 0) & (to_row < SHAPE[0]) & (to_column >= 0) & (to_column < SHAPE[1])
    return np.where(inside, to_row, row), np.where(inside, to_column, column)


def _blown(row: NDArray[Any], column: NDArray[Any], strength: NDArray[Any]) -> NDArray[Any]:
    """(S,) the state to which a wind of this strength (S,) carries an agent at (row, column)."""
    return np.ravel_multi_index((np.maximum(row - strength, 0), column), SHAPE)


def windy_layout(moves: str = "four") -> Layout:
    """The grid; columns with wind are tinted, and their strength stands at the upper edge."""
    cells = np.full(SHAPE, Cell.FLOOR, dtype=np.uint8)
    cells[:, np.array(WIND) > 0] = Cell.MARK
    cells[START], cells[GOAL] = Cell.START, Cell.GOAL
    labels = [(0, column, f"wind {strength}") for column, strength in enumerate(WIND) if strength]
    directions = [None if name == "stay" else DIRECTIONS[name] for name in MOVES[moves]]
    return Layout(cells, np.arange(cells.size, dtype=np.int32), actions=directions, labels=labels)


class WindyGridworldEnv(TabularEnv):
    """The windy gridworld. moves: "four", "kings" or "kings and stay". stochastic: whether the wind's strength varies.

    The other options are those of `TabularEnv`.
    """

    def __init__(self, *, moves: str = "four", stochastic: bool = False, **options: Any) -> None:
        super().__init__(windy_mdp(moves, stochastic), layout=windy_layout(moves), **options)


class WindyGridworldVectorEnv(TabularVectorEnv):
    """The batched form of `WindyGridworldEnv`, with the options of `TabularVectorEnv`."""

    def __init__(self, num_envs: int = 1, *, moves: str = "four", stochastic: bool = False, **options: Any) -> None:
        super().__init__(windy_mdp(moves, stochastic), num_envs, layout=windy_layout(moves), **options)
