"""GoToObject: different things lie about; the agent is to say "done" beside the place of the one that it is told.

The place stays what it was when the thing is carried away. Walls hide nothing.

Source: minigrid 3.2.0, envs/gotoobject.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import (
    N_KINDS,
    colour_of,
    kind_of,
    place_agent_anywhere,
    place_anywhere,
    random_thing,
    set_target,
    surround,
)
from rltk.envs.minigrid.cells import N_COLOURS
from rltk.envs.minigrid.family import Family, Plan, check_integer_up_to, check_size
from rltk.envs.minigrid.level import FINE, MISSION, NO_ROOM
from rltk.envs.minigrid.missions import COLOUR_WORDS, KEY_BALL_BOX, Missions
from rltk.envs.minigrid.rules import GO_TO_RULE
from rltk.envs.minigrid.scattering import clear_list, enlist, is_listed, list_memory, place_of
from rltk.mdp import jit
from rltk.mdp.streams import integer_below


@jit(_nrt=False)
def generate(level, options, stream):
    """options: how many things there are."""
    surround(level)
    clear_list(level)
    for _ in range(options[0]):
        code = random_thing(stream, N_KINDS)
        while is_listed(level, code):
            code = random_thing(stream, N_KINDS)
        x, y = place_anywhere(level, stream, code)
        if x < 0:
            return NO_ROOM
        enlist(level, x, y)
    if place_agent_anywhere(level, stream) != FINE:
        return NO_ROOM
    x, y = place_of(level, integer_below(stream, options[0]))
    target = set_target(level, x, y)
    level.body[MISSION] = colour_of(target) * N_KINDS + kind_of(target)
    return FINE


def plan(size: int = 6, numObjs: int = 2) -> Plan:
    """size: cells along a side, walls included. numObjs: things; 18 are all there are."""
    size = check_size("size", size, 4)
    count = check_integer_up_to("numObjs", numObjs, 1, N_KINDS * N_COLOURS)
    return Plan(
        width=size,
        height=size,
        max_steps=5 * size**2,
        missions=Missions("go to the {} {}", COLOUR_WORDS, KEY_BALL_BOX),
        options=(count,),
        see_through_walls=True,
        rule=GO_TO_RULE,
        memory=list_memory(count),
    )


FAMILY = Family("GoToObject", generate, plan)
