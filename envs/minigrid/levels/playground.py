"""Playground: nine rooms with doors, twelve things at random, and nothing to do. The mission is empty.

Source: minigrid 3.2.0, envs/playground.py.
"""

from rltk.envs.minigrid.board import (
    N_KINDS,
    door,
    horizontal_wall,
    place_agent_anywhere,
    place_anywhere,
    put,
    random_colour,
    random_thing,
    surround,
    vertical_wall,
)
from rltk.envs.minigrid.cells import CLOSED
from rltk.envs.minigrid.family import Family, Plan
from rltk.envs.minigrid.level import FINE, NO_ROOM
from rltk.envs.minigrid.missions import Missions
from rltk.mdp import jit
from rltk.mdp.streams import integer_between

SIZE, ROOMS, THINGS = 19, 3, 12
PITCH = SIZE // ROOMS


@jit(_nrt=False)
def generate(level, options, stream):
    """No options."""
    surround(level)
    for j in range(ROOMS):
        for i in range(ROOMS):
            left, top = i * PITCH, j * PITCH
            right, bottom = left + PITCH, top + PITCH
            if i + 1 < ROOMS:
                vertical_wall(level, right, top, PITCH)
                y = integer_between(stream, top + 1, bottom - 1)
                put(level, right, y, door(random_colour(stream), CLOSED))
            if j + 1 < ROOMS:
                horizontal_wall(level, left, bottom, PITCH)
                x = integer_between(stream, left + 1, right - 1)
                put(level, x, bottom, door(random_colour(stream), CLOSED))
    if place_agent_anywhere(level, stream) != FINE:
        return NO_ROOM
    for _ in range(THINGS):
        x, _ = place_anywhere(level, stream, random_thing(stream, N_KINDS))
        if x < 0:
            return NO_ROOM
    return FINE


def plan() -> Plan:
    """No options of its own."""
    return Plan(width=SIZE, height=SIZE, max_steps=100, missions=Missions(""))


FAMILY = Family("Playground", generate, plan)
