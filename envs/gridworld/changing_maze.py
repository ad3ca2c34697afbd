"""Mazes that change while an agent lives in them: does it notice that its model of the world is wrong?

In the blocking maze the short way round the barrier, on the right, is walled up after 1,000 steps, and a longer one
opens on the left. In the shortcut maze a shorter way opens on the right after 3,000 steps and the longer one stays; an
agent that follows its model never looks there again. The steps are counted over all episodes.

States are the cells that are free in any of the maps, so one table serves all of them. A cell that has become a wall
can't be entered, but left by whoever stood there.

Source: Sutton and Barto (2018), Reinforcement Learning: An Introduction, 2nd edition, Examples 8.2 and 8.3.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rltk.drawing.scene import Cell
from rltk.envs.gridworld.compile import compile_map
from rltk.envs.gridworld.loading import MapSource, load_map
from rltk.envs.tabular.changing import ChangingEnv, ChangingVectorEnv, World
from rltk.errors import ArgumentError

BLOCKING = ("blocking_maze_1", "blocking_maze_2")
SHORTCUT = ("shortcut_maze_1", "shortcut_maze_2")


def worlds_of(maps: Sequence[MapSource]) -> list[World]:
    """The MDP and layout of each map, over the cells that are free in any of them.

    Raises MapError or UnknownNameError for what is no map, ArgumentError where sizes differ or one text is given.
    """
    if isinstance(maps, str | bytes) or not isinstance(maps, Sequence) or not maps:
        raise ArgumentError(f"maps: a sequence of maps, one after the other; found {maps!r}")
    grids = [load_map(source) for source in maps]
    if len({grid.shape for grid in grids}) > 1:
        raise ArgumentError(f"maps: all of one size; found {', '.join(str(grid.shape) for grid in grids)}")
    free = [np.array([symbol.kind != Cell.WALL for symbol in grid.legend])[grid.cells] for grid in grids]
    return [compile_map(grid, np.logical_or.reduce(free)) for grid in grids]


class ChangingMazeEnv(ChangingEnv):
    """Maps that follow each other: the next begins when `changes` steps have been taken.

    maps: what `GridWorldEnv` takes, two or more of one size. changes: numbers of steps, one fewer. The other options
    are those of `TabularEnv`.
    """

    def __init__(
        self, *, maps: Sequence[MapSource] = BLOCKING, changes: Sequence[int] = (1000,), **options: Any
    ) -> None:
        super().__init__(worlds_of(maps), changes=changes, **options)


class ChangingMazeVectorEnv(ChangingVectorEnv):
    """Many players in one changing maze (`ChangingVectorEnv`), with the options of `TabularVectorEnv`."""

    def __init__(
        self,
        num_envs: int = 1,
        *,
        maps: Sequence[MapSource] = BLOCKING,
        changes: Sequence[int] = (1000,),
        **options: Any,
    ) -> None:
        super().__init__(worlds_of(maps), num_envs, changes=changes, **options)
