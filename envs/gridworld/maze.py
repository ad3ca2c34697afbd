"""Perfect mazes: between any two cells there is exactly one way.

A depth-first walk from the upper left room breaks through to a random neighbour that it has not visited and steps back
where there is none; the goal, in the lower right room, is always a dead end. Rooms lie on odd rows and columns of a
(2 size + 1) x (2 size + 1) map, walls between them. The same `map_seed` gives the same maze on every machine.

Source: the recursive backtracker; Buck (2015), Mazes for Programmers, chapter 5.
"""

from typing import Any

import numpy as np

from rltk.envs.gridworld.compile import compile_map
from rltk.envs.gridworld.map import BUILT_IN, GridMap
from rltk.envs.tabular import TabularEnv, TabularVectorEnv
from rltk.envs.tabular.env import checked_limit
from rltk.envs.tabular.options import check_integer
from rltk.mdp import MDP, jit, stream_of
from rltk.mdp.streams import integer_below
from rltk.mdp.validation import refuse_size

_WALL, _FLOOR, _START, _GOAL = range(4)
_LEGEND = tuple(BUILT_IN[character] for character in "#.SG")
_BYTES_A_CELL = 100
# A walk without a plan needs many steps to find the one way through; no plan needs more than one a cell.
STEPS_A_CELL = 10


@jit
def carve(cells, path, stream):
    """Cut a maze into `cells` (2n + 1, 2n + 1) uint8, all 0: floor becomes 1. path: (n * n,) int64, scratch."""
    size = cells.shape[0] // 2
    open_ways = np.empty(4, dtype=np.int64)
    path[0] = 0
    depth = 1
    cells[1, 1] = 1
    while depth > 0:
        row, column = 2 * (path[depth - 1] // size) + 1, 2 * (path[depth - 1] % size) + 1
        count = 0
        for way in range(4):
            down, right = _way(way)
            r, c = row + 2 * down, column + 2 * right
            if r > 0 and r < cells.shape[0] and c > 0 and c < cells.shape[1] and cells[r, c] == 0:
                open_ways[count] = way
                count += 1
        # The goal's room is never passed through, so that no room lies behind it.
        if count == 0 or (row == cells.shape[0] - 2 and column == row):
            depth -= 1
            continue
        down, right = _way(open_ways[integer_below(stream, count)])
        cells[row + down, column + right] = 1
        row, column = row + 2 * down, column + 2 * right
        cells[row, column] = 1
        path[depth] = (row // 2) * size + column // 2
        depth += 1


@jit
def _way(way):
    if way == 0:
        return -1, 0
    if way == 1:
        return 0, 1
    if way == 2:
        return 1, 0
    return 0, -1


def maze_map(size: int = 10, map_seed: int = 0, slip: float = 0.0) -> GridMap:
    """A maze of size x size rooms, from the upper left to the goal in the lower right, which pays 1.

    Raises ArgumentError, or SizeError where its MDP would not fit in memory.
    """
    size, map_seed = check_integer("size", size, 2), check_integer("map_seed", map_seed, 0)
    width = 2 * size + 1
    refuse_size(
        f"a maze of size {size:,} has {width * width:,} cells; its MDP", _BYTES_A_CELL * width**2, "Make it smaller"
    )
    cells = np.zeros((width, width), dtype=np.uint8)
    carve(cells, np.empty(size * size, dtype=np.int64), stream_of(np.random.default_rng(map_seed)))
    cells[1, 1], cells[-2, -2] = _START, _GOAL
    return GridMap(cells, _LEGEND, name=f"Maze of {size} x {size} rooms, seed {map_seed}").with_slip(slip)


class MazeEnv(TabularEnv):
    """A perfect maze of `size` x `size` rooms, the same for the same `map_seed`. slip: the chance of going sideways.

    An episode is truncated after ten steps a cell. The other options are those of `TabularEnv`.
    """

    def __init__(self, *, size: int = 10, map_seed: int = 0, slip: float = 0.0, **options: Any) -> None:
        self.map = maze_map(size, map_seed, slip)
        mdp, layout = compile_map(self.map)
        super().__init__(mdp, layout=layout, **_limited(mdp, options))


class MazeVectorEnv(TabularVectorEnv):
    """The batched form of `MazeEnv`, with the options of `TabularVectorEnv`."""

    def __init__(
        self, num_envs: int = 1, *, size: int = 10, map_seed: int = 0, slip: float = 0.0, **options: Any
    ) -> None:
        self.map = maze_map(size, map_seed, slip)
        mdp, layout = compile_map(self.map)
        super().__init__(mdp, num_envs, layout=layout, **_limited(mdp, options))


def _limited(mdp: MDP, options: dict[str, Any]) -> dict[str, Any]:
    limit = checked_limit(options.get("max_episode_steps"))
    own = STEPS_A_CELL * mdp.n_states
    return {**options, "max_episode_steps": own if limit is None else min(limit, own)}
