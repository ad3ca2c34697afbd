"""RedBlueDoors: a room with a red door in its left wall and a blue one in its right; red is to be opened first.

Source: minigrid 3.2.0, envs/redbluedoors.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import door, place_agent, put, surround, wall_rectangle
from rltk.envs.minigrid.cells import BLUE, CLOSED, RED
from rltk.envs.minigrid.family import Family, Plan, check_size
from rltk.envs.minigrid.level import FINE, HEIGHT, NO_ROOM, OTHER_X, OTHER_Y, TARGET_X, TARGET_Y
from rltk.envs.minigrid.missions import Missions
from rltk.envs.minigrid.rules import IN_TURN_RULE
from rltk.mdp import jit
from rltk.mdp.streams import integer_between


@jit(_nrt=False)
def generate(level, options, stream):
    """No options."""
    size, body = level.board[HEIGHT], level.body
    left = size // 2
    surround(level)
    wall_rectangle(level, left, 0, size, size)
    if place_agent(level, stream, left, 0, size, size) != FINE:
        return NO_ROOM
    body[TARGET_X], body[TARGET_Y] = left, integer_between(stream, 1, size - 1)
    put(level, body[TARGET_X], body[TARGET_Y], door(RED, CLOSED))
    body[OTHER_X], body[OTHER_Y] = left + size - 1, integer_between(stream, 1, size - 1)
    put(level, body[OTHER_X], body[OTHER_Y], door(BLUE, CLOSED))
    return FINE


def plan(size: int = 8) -> Plan:
    """size: cells along a side of the room, walls included; the board is twice as wide."""
    size = check_size("size", size, 3)
    return Plan(
        width=2 * size,
        height=size,
        max_steps=20 * size**2,
        missions=Missions("open the red door then the blue door"),
        rule=IN_TURN_RULE,
    )


FAMILY = Family("RedBlueDoors", generate, plan)
