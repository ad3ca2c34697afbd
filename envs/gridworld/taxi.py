"""The taxi: fetch a passenger at one of four stands and bring them to another.

A step costs 1, a pick-up or drop-off where there is none to be had 10, and bringing the passenger home pays 20. States
are numbered as Gymnasium numbers them: ((row * 5 + column) * 5 + passenger) * 4 + destination, where passenger 4 is in
the taxi. Actions: down, up, right, left, pick up, drop off.

Source: Dietterich (2000), "Hierarchical reinforcement learning with the MAXQ value function decomposition", JAIR 13,
section 2.1; numbering, and what happens at a drop-off on another stand, as in Gymnasium's Taxi.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell, Place, Token
from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv
from rltk.envs.tabular.layout import ABOARD, AGENT, DESTINATION, PASSENGER, Mark
from rltk.mdp import MDP

SIZE = 5
STANDS: tuple[tuple[str, int, int], ...] = (("R", 0, 0), ("G", 0, 4), ("Y", 4, 0), ("B", 4, 3))
IN_TAXI = len(STANDS)
SHAPE = (SIZE, SIZE, len(STANDS) + 1, len(STANDS))
ACTIONS = ("down", "up", "right", "left", "pick up", "drop off")
WALLS: tuple[tuple[Place, Place], ...] = tuple(
    ((row, column), (row, column + 1)) for row, column in ((0, 1), (1, 1), (3, 0), (3, 2), (4, 0), (4, 2))
)
_PICK_UP, _DROP_OFF = 4, 5
_HEADINGS = ((1, 0), (-1, 0), (0, 1), (0, -1), None, None)


def taxi_mdp() -> MDP:
    """The MDP: 500 states, 6 actions, all deterministic."""
    states = np.arange(np.prod(SHAPE))
    row, column, passenger, destination = np.unravel_index(states, SHAPE)
    stand = np.full((SIZE, SIZE), -1)
    for number, (_, r, c) in enumerate(STANDS):
        stand[r, c] = number
    here = stand[row, column]  # (S,) the stand the taxi is at, or -1

    moves = np.tile(states[:, None], (1, len(ACTIONS)))
    reward = np.full(moves.shape, -1.0)
    for action, heading in enumerate(_HEADINGS):
        if heading is not None:
            target = _driven(row, column, heading)
            moves[:, action] = np.ravel_multi_index((*target, passenger, destination), SHAPE)

    fetched = (passenger < IN_TAXI) & (here == passenger)
    moves[fetched, _PICK_UP] += 4 * (IN_TAXI - passenger[fetched])
    reward[~fetched, _PICK_UP] = -10.0

    put_down = (passenger == IN_TAXI) & (here >= 0)
    home = put_down & (here == destination)
    moves[put_down, _DROP_OFF] += 4 * (here[put_down] - IN_TAXI)
    reward[~put_down, _DROP_OFF] = -10.0
    reward[home, _DROP_OFF] = 20.0
    terminated = np.zeros(moves.shape, dtype=bool)
    terminated[home, _DROP_OFF] = True

    waiting = (passenger < IN_TAXI) & (passenger != destination)
    return MDP.from_moves(
        moves,
        np.eye(len(ACTIONS)),
        reward,
        terminated,
        waiting / waiting.sum(),
        success=terminated,
        state_labels=SHAPE,
        action_labels=ACTIONS.__getitem__,
    )


def _driven(row: NDArray[Any], column: NDArray[Any], heading: Place) -> tuple[NDArray[Any], NDArray[Any]]:
    """Where a taxi at (row, column), both (S,), gets to by `heading`: edges and thin walls hold it back."""
    to_row = np.clip(row + heading[0], 0, SIZE - 1)
    to_column = np.clip(column + heading[1], 0, SIZE - 1)
    for (r, c), (_, next_c) in WALLS:
        held = (
            (row == r)
            & (to_row == r)
            & (np.minimum(column, to_column) == c)
            & (np.maximum(column, to_column) == next_c)
        )
        to_column = np.where(held, column, to_column)
    return to_row, to_column


class TaxiLayout(Layout):
    """The taxi's five by five cells, its stands, its passenger and where they want to go."""

    mark_bits = AGENT | PASSENGER | DESTINATION | ABOARD

    def __init__(self) -> None:
        cells = np.full((SIZE, SIZE), Cell.FLOOR, dtype=np.uint8)
        for _, row, column in STANDS:
            cells[row, column] = Cell.MARK
        places = (np.arange(np.prod(SHAPE)) // (SHAPE[2] * SHAPE[3])).astype(np.int32)
        labels = [(row, column, name) for name, row, column in STANDS]
        super().__init__(cells, places, sizes=SHAPE, actions=_HEADINGS, labels=labels, walls=WALLS)

    def marks(self, states: NDArray[np.integer]) -> list[Mark]:
        row, column, passenger, destination = self.coords(states).T
        rows = np.array([stand[1] for stand in STANDS] + [-1])
        columns = np.array([stand[2] for stand in STANDS] + [-1])
        aboard = passenger == IN_TAXI
        return [
            (AGENT, row, column),
            (PASSENGER, rows[passenger], columns[passenger]),
            (ABOARD, np.where(aboard, row, -1), np.where(aboard, column, -1)),
            (DESTINATION, rows[destination], columns[destination]),
        ]

    def cell_states(self, state: int) -> NDArray[np.int32]:
        rest = state % (SHAPE[2] * SHAPE[3])
        return (np.arange(SIZE * SIZE, dtype=np.int32) * (SHAPE[2] * SHAPE[3]) + rest).reshape(SIZE, SIZE)

    def tokens(self, state: int) -> tuple[Token, ...]:
        row, column, passenger, destination = self.coords(np.array([state]))[0].tolist()
        colour = 4  # yellow in the taxi, orange at a stand: else they look alike where the taxi stands at that stand
        if passenger < IN_TAXI:
            _, row, column = STANDS[passenger]
            colour = 1
        _, goal_row, goal_column = STANDS[destination]
        return Token(goal_row, goal_column, colour=3, shape="ring"), Token(row, column, label="P", colour=colour)


class TaxiEnv(TabularEnv):
    """The taxi world, with the options of `TabularEnv`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(taxi_mdp(), layout=TaxiLayout(), **options)


class TaxiVectorEnv(TabularVectorEnv):
    """The batched form of `TaxiEnv`, with the options of `TabularVectorEnv`."""

    def __init__(self, num_envs: int = 1, **options: Any) -> None:
        super().__init__(taxi_mdp(), num_envs, layout=TaxiLayout(), **options)
