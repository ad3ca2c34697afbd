"""DoorKey: two rooms with a locked door between them; the key lies in the agent's room, the goal in the other.

Source: minigrid 3.2.0, envs/doorkey.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import door, place, place_agent, put, surround, vertical_wall
from rltk.envs.minigrid.cells import GOAL, GREEN, KEY, LOCKED, YELLOW
from rltk.envs.minigrid.family import Family, Plan, check_size
from rltk.envs.minigrid.level import FINE, HEIGHT, NO_ROOM, WIDTH
from rltk.envs.minigrid.missions import Missions
from rltk.mdp import jit
from rltk.mdp.streams import integer_between


@jit(_nrt=False)
def generate(level, options, stream):
    """No options."""
    width, height = level.board[WIDTH], level.board[HEIGHT]
    surround(level)
    put(level, width - 2, height - 2, GOAL + GREEN)
    middle = integer_between(stream, 2, width - 2)
    vertical_wall(level, middle, 0, height)
    if place_agent(level, stream, 0, 0, middle, height) != FINE:
        return NO_ROOM
    put(level, middle, integer_between(stream, 1, height - 2), door(YELLOW, LOCKED))
    x, y = place(level, stream, KEY + YELLOW, 0, 0, middle, height)
    return NO_ROOM if x < 0 else FINE


def plan(size: int = 8) -> Plan:
    """size: cells along a side, walls included."""
    size = check_size("size", size, 5)
    return Plan(
        width=size,
        height=size,
        max_steps=10 * size**2,
        missions=Missions("use the key to open the door and then get to the goal"),
    )


FAMILY = Family("DoorKey", generate, plan)
