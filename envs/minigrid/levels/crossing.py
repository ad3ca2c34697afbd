"""Crossing: rivers of lava, or walls, run across the room; each has one crossing, and a way to the goal is sure.

A river runs along an even column or row. Of all of these some are drawn; a way is drawn as an order in which to cross
them, and each crossing lies within the strip that the way is in then.

Source: minigrid 3.2.0, envs/crossing.py; Leike et al. (2017), "AI Safety Gridworlds", for the lava.
"""

from rltk.envs.minigrid.board import put, set_agent, surround
from rltk.envs.minigrid.cells import EMPTY, GOAL, GREEN, LAVA, OUTSIDE
from rltk.envs.minigrid.family import Family, Plan, check_size
from rltk.envs.minigrid.level import FINE, RIGHT, WIDTH
from rltk.envs.minigrid.missions import Missions
from rltk.envs.tabular.options import check_integer
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.mdp.streams import integer_between, shuffle

N_RIVERS, OBSTACLE = range(2)
MISSIONS = {
    "lava": "avoid the lava and get to the green goal square",
    "wall": "find the opening and get to the green goal square",
}
OBSTACLES = {"lava": LAVA, "wall": OUTSIDE}


@jit(_nrt=False)
def draw_rivers(level, stream, wanted):
    """(how many run down, how many there are): first those that run down, by column, then those across, by row.

    They are left in the first words of `memory`: the column, or the board's size + the row.
    """
    rivers, size = level.memory, level.board[WIDTH]
    there_are = 0
    for across in range(2):
        for place in range(2, size - 2, 2):
            rivers[there_are] = place + size * across
            there_are += 1
    shuffle(stream, rivers, there_are)
    count = min(wanted, there_are)
    down = 0
    for k in range(count):
        down += rivers[k] < size
        for place in range(k, 0, -1):  # sorted by insertion: there are few
            if rivers[place - 1] <= rivers[place]:
                break
            rivers[place - 1], rivers[place] = rivers[place], rivers[place - 1]
    return down, count


@jit(_nrt=False)
def generate(level, options, stream):
    """options: how many rivers, and the code of what they are of."""
    size = level.board[WIDTH]
    surround(level)
    set_agent(level, 1, 1, RIGHT)
    put(level, size - 2, size - 2, GOAL + GREEN)
    down, count = draw_rivers(level, stream, options[N_RIVERS])
    for k in range(count):
        for i in range(1, size - 1):
            if k < down:
                put(level, level.memory[k], i, options[OBSTACLE])
            else:
                put(level, i, level.memory[k] - size, options[OBSTACLE])
    # The way: which kind of river is crossed next, 1 for one that runs down.
    way = level.memory[count : 2 * count]
    for k in range(count):
        way[k] = 1 if k < down else 0
    shuffle(stream, way, count)
    column, row = 0, 0
    for k in range(count):
        if way[k]:
            x = edge(level, column + 1, 0, down)
            y = integer_between(stream, edge(level, row, down, count) + 1, edge(level, row + 1, down, count))
            column += 1
        else:
            x = integer_between(stream, edge(level, column, 0, down) + 1, edge(level, column + 1, 0, down))
            y = edge(level, row + 1, down, count)
            row += 1
        put(level, x, y, EMPTY)
    return FINE


@jit(_nrt=False)
def edge(level, k, first, last):
    """The column or row of the k-th edge of strips: the outer wall, the rivers `first` to `last`, the outer wall."""
    size = level.board[WIDTH]
    if k == 0:
        return 0
    return level.memory[first + k - 1] % size if k <= last - first else size - 1


def plan(size: int = 9, num_crossings: int = 1, obstacle_type: str = "lava") -> Plan:
    """size: cells along a side, odd. num_crossings: rivers, as many as there is room for. obstacle_type: lava, wall."""
    size = check_size("size", size, 5)
    if size % 2 == 0:
        raise ArgumentError(f"size: an odd number of cells, so that rivers have strips between them; found {size}")
    if obstacle_type not in MISSIONS:
        raise ArgumentError(f"obstacle_type is one of {', '.join(MISSIONS)}; found {obstacle_type!r}")
    return Plan(
        width=size,
        height=size,
        max_steps=4 * size**2,
        missions=Missions(MISSIONS[obstacle_type]),
        options=(check_integer("num_crossings", num_crossings, 0), OBSTACLES[obstacle_type]),
        see_through_walls=False,
        memory=2 * (size - 3),
    )


FAMILY = Family("Crossing", generate, plan)
