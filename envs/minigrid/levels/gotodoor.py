"""GoToDoor: a room with a door in each wall; the agent is to say "done" beside the door that it is told.

The room's sides are drawn; what is left of the board is empty. Walls hide nothing.

Source: minigrid 3.2.0, envs/gotodoor.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import colour_of, door, place_agent, put, random_colour, set_target, wall_rectangle
from rltk.envs.minigrid.cells import CLOSED
from rltk.envs.minigrid.family import Family, Plan, check_size
from rltk.envs.minigrid.level import FINE, HEIGHT, MISSION, NO_ROOM, WIDTH
from rltk.envs.minigrid.missions import COLOUR_WORDS, Missions
from rltk.envs.minigrid.rules import GO_TO_RULE
from rltk.envs.minigrid.scattering import clear_list, enlist, list_memory, place_of
from rltk.mdp import jit
from rltk.mdp.streams import integer_below, integer_between

N_DOORS = 4


@jit(_nrt=False)
def generate(level, options, stream):
    """No options."""
    width = integer_between(stream, 5, level.board[WIDTH] + 1)
    height = integer_between(stream, 5, level.board[HEIGHT] + 1)
    wall_rectangle(level, 0, 0, width, height)
    clear_list(level)
    enlist(level, integer_between(stream, 2, width - 2), 0)
    enlist(level, integer_between(stream, 2, width - 2), height - 1)
    enlist(level, 0, integer_between(stream, 2, height - 2))
    enlist(level, width - 1, integer_between(stream, 2, height - 2))
    used = 0  # a bit a colour
    for k in range(N_DOORS):
        colour = random_colour(stream)
        while used >> colour & 1:
            colour = random_colour(stream)
        used |= 1 << colour
        x, y = place_of(level, k)
        put(level, x, y, door(colour, CLOSED))
    if place_agent(level, stream, 0, 0, width, height) != FINE:
        return NO_ROOM
    x, y = place_of(level, integer_below(stream, N_DOORS))
    level.body[MISSION] = colour_of(set_target(level, x, y))
    return FINE


def plan(size: int = 5) -> Plan:
    """size: the most cells along a side, walls included."""
    size = check_size("size", size, 5)
    return Plan(
        width=size,
        height=size,
        max_steps=4 * size**2,
        missions=Missions("go to the {} door", COLOUR_WORDS),
        see_through_walls=True,
        rule=GO_TO_RULE,
        memory=list_memory(N_DOORS),
    )


FAMILY = Family("GoToDoor", generate, plan)
