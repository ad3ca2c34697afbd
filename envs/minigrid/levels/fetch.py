"""Fetch: keys and balls lie about, and the agent is told to fetch one; picking up another one ends the episode too.

Any thing that looks like the one that was drawn will do. Walls hide nothing.

Source: minigrid 3.2.0, envs/fetch.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import (
    colour_of,
    kind_of,
    place_agent_anywhere,
    place_anywhere,
    random_thing,
    set_target,
    surround,
)
from rltk.envs.minigrid.cells import N_COLOURS
from rltk.envs.minigrid.family import Family, Plan, check_size
from rltk.envs.minigrid.level import FINE, MISSION, NO_ROOM
from rltk.envs.minigrid.missions import COLOUR_WORDS, KEY_BALL, Missions
from rltk.envs.minigrid.rules import FETCH_RULE
from rltk.envs.minigrid.scattering import clear_list, enlist, list_memory, place_of
from rltk.envs.tabular.options import check_integer
from rltk.mdp import jit
from rltk.mdp.streams import integer_below

REQUESTS = ("get a", "go get a", "fetch a", "go fetch a", "you must fetch a")
N_REQUESTS = len(REQUESTS)
N_KINDS = len(KEY_BALL)


@jit(_nrt=False)
def generate(level, options, stream):
    """options: how many things there are."""
    surround(level)
    clear_list(level)
    for _ in range(options[0]):
        x, y = place_anywhere(level, stream, random_thing(stream, N_KINDS))
        if x < 0:
            return NO_ROOM
        enlist(level, x, y)
    if place_agent_anywhere(level, stream) != FINE:
        return NO_ROOM
    x, y = place_of(level, integer_below(stream, options[0]))
    target = set_target(level, x, y)
    request = integer_below(stream, N_REQUESTS)
    level.body[MISSION] = (request * N_COLOURS + colour_of(target)) * N_KINDS + kind_of(target)
    return FINE


def plan(size: int = 8, numObjs: int = 3) -> Plan:
    """size: cells along a side, walls included. numObjs: things, which need not be different."""
    size = check_size("size", size, 4)
    count = check_integer("numObjs", numObjs, 1)
    return Plan(
        width=size,
        height=size,
        max_steps=5 * size**2,
        missions=Missions("{} {} {}", REQUESTS, COLOUR_WORDS, KEY_BALL),
        options=(count,),
        see_through_walls=True,
        rule=FETCH_RULE,
        memory=list_memory(count),
    )


FAMILY = Family("Fetch", generate, plan)
