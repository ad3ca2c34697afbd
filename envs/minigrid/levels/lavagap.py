"""LavaGap: a column of lava, or a wall, divides the room; the way to the goal leads through the one gap in it.

Source: minigrid 3.2.0, envs/lavagap.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from typing import Any

from rltk.envs.minigrid.board import put, set_agent, surround, vertical_wall
from rltk.envs.minigrid.cells import EMPTY, GOAL, GREEN, LAVA, OUTSIDE
from rltk.envs.minigrid.family import Family, Plan, check_size
from rltk.envs.minigrid.level import FINE, RIGHT, WIDTH
from rltk.envs.minigrid.missions import Missions
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.mdp.streams import integer_between

# obstacle_type -> (code, mission)
OBSTACLES = {
    "lava": (LAVA, "avoid the lava and get to the green goal square"),
    "wall": (OUTSIDE, "find the opening and get to the green goal square"),
}


@jit(_nrt=False)
def generate(level, options, stream):
    """options: the code of what the obstacle is of."""
    size = level.board[WIDTH]
    surround(level)
    set_agent(level, 1, 1, RIGHT)
    put(level, size - 2, size - 2, GOAL + GREEN)
    x = integer_between(stream, 2, size - 2)
    y = integer_between(stream, 1, size - 1)
    vertical_wall(level, x, 1, size - 2, options[0])
    put(level, x, y, EMPTY)
    return FINE


def plan(size: int, obstacle_type: Any = "lava") -> Plan:
    """size: cells along a side, walls included. obstacle_type: "lava" or "wall", or minigrid's class of that name."""
    size = check_size("size", size, 5)
    name = str(getattr(obstacle_type, "__name__", obstacle_type)).lower()
    if name not in OBSTACLES:
        raise ArgumentError(f"obstacle_type is one of {', '.join(OBSTACLES)}; found {obstacle_type!r}")
    code, mission = OBSTACLES[name]
    return Plan(
        width=size,
        height=size,
        max_steps=4 * size**2,
        missions=Missions(mission),
        options=(code,),
        see_through_walls=False,
    )


FAMILY = Family("LavaGap", generate, plan)
