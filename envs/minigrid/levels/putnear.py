"""PutNear: different things lie apart from each other; the agent is to put one that it is told beside another.

Where the other one lay at first is what counts. Walls hide nothing.

Source: minigrid 3.2.0, envs/putnear.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import (
    ENDLESS,
    N_KINDS,
    colour_of,
    get,
    kind_of,
    place_agent_anywhere,
    put,
    random_thing,
    set_target,
    surround,
)
from rltk.envs.minigrid.cells import N_COLOURS
from rltk.envs.minigrid.family import Family, Plan, check_integer_up_to, check_size
from rltk.envs.minigrid.level import FINE, HEIGHT, MISSION, NO_ROOM, OTHER_X, OTHER_Y, WIDTH
from rltk.envs.minigrid.missions import COLOUR_WORDS, KEY_BALL_BOX, Missions
from rltk.envs.minigrid.rules import PUT_NEAR_RULE
from rltk.envs.minigrid.scattering import clear_list, enlist, find_away, is_listed, list_memory, place_of
from rltk.mdp import jit
from rltk.mdp.streams import integer_below

N_THINGS = N_KINDS * N_COLOURS


@jit(_nrt=False)
def generate(level, options, stream):
    """options: how many things there are."""
    surround(level)
    clear_list(level)
    for _ in range(options[0]):
        code = random_thing(stream, N_KINDS)
        while is_listed(level, code):
            code = random_thing(stream, N_KINDS)
        x, y = find_away(level, stream, 0, 0, level.board[WIDTH], level.board[HEIGHT], ENDLESS)
        if x < 0:
            return NO_ROOM
        put(level, x, y, code)
        enlist(level, x, y)
    if place_agent_anywhere(level, stream) != FINE:
        return NO_ROOM
    moved = integer_below(stream, options[0])
    other = integer_below(stream, options[0])
    while other == moved:
        other = integer_below(stream, options[0])
    x, y = place_of(level, moved)
    code = set_target(level, x, y)
    number = colour_of(code) * N_KINDS + kind_of(code)
    x, y = place_of(level, other)
    level.body[OTHER_X], level.body[OTHER_Y] = x, y
    code = get(level, x, y)
    level.body[MISSION] = number * N_THINGS + colour_of(code) * N_KINDS + kind_of(code)
    return FINE


def plan(size: int = 6, numObjs: int = 2) -> Plan:
    """size: cells along a side, walls included. numObjs: things, two or more; 18 are all there are."""
    size = check_size("size", size, 4)
    count = check_integer_up_to("numObjs", numObjs, 2, N_THINGS)
    return Plan(
        width=size,
        height=size,
        max_steps=5 * size,
        missions=Missions("put the {} {} near the {} {}", *(COLOUR_WORDS, KEY_BALL_BOX) * 2),
        options=(count,),
        see_through_walls=True,
        rule=PUT_NEAR_RULE,
        memory=list_memory(count),
    )


FAMILY = Family("PutNear", generate, plan)
