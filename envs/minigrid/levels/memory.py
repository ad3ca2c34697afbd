"""Memory: the agent sees a thing, goes along a hallway, and is to turn where the same thing lies at its end.

The hallway's length may be drawn. To pick up is to toggle here, so all things stay where they are.

Source: minigrid 3.2.0, envs/memory.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import (
    BALL_KIND,
    KEY_KIND,
    horizontal_wall,
    put,
    set_agent,
    surround,
    thing,
    vertical_wall,
)
from rltk.envs.minigrid.cells import EMPTY, GREEN, OUTSIDE
from rltk.envs.minigrid.family import Family, Plan, check_flag, check_size
from rltk.envs.minigrid.level import FINE, OTHER_X, OTHER_Y, RIGHT, TARGET_X, TARGET_Y, WIDTH
from rltk.envs.minigrid.missions import Missions
from rltk.envs.minigrid.rules import STAND_RULE
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.mdp.streams import integer_below, integer_between


@jit(_nrt=False)
def build(level, end):
    """The room where the agent starts, the hallway to the column `end`, and the crossing behind it."""
    size = level.board[WIDTH]
    middle = size // 2
    surround(level)
    for side in (-1, 1):
        horizontal_wall(level, 1, middle + 2 * side, 4)
        put(level, 4, middle + side, OUTSIDE)
        horizontal_wall(level, 5, middle + side, end - 5)
    vertical_wall(level, end, 0, size)
    put(level, end, middle, EMPTY)
    vertical_wall(level, end + 2, 0, size)


@jit(_nrt=False)
def generate(level, options, stream):
    """options: whether the hallway's length is drawn."""
    size, body = level.board[WIDTH], level.body
    middle = size // 2
    end = integer_between(stream, 4, size - 2) if options[0] else size - 3
    build(level, end)
    set_agent(level, integer_between(stream, 1, end + 1), middle, RIGHT)
    seen = BALL_KIND if integer_below(stream, 2) else KEY_KIND
    upper, lower = (KEY_KIND, BALL_KIND) if integer_below(stream, 2) else (BALL_KIND, KEY_KIND)
    put(level, 1, middle - 1, thing(seen, GREEN))
    put(level, end + 1, middle - 2, thing(upper, GREEN))
    put(level, end + 1, middle + 2, thing(lower, GREEN))
    match = -1 if seen == upper else 1
    body[TARGET_X], body[TARGET_Y] = end + 1, middle + match
    body[OTHER_X], body[OTHER_Y] = end + 1, middle - match
    return FINE


def plan(size: int, random_length: bool = False) -> Plan:
    """size: cells along a side, walls included, odd. random_length: whether the hallway's length is drawn."""
    drawn = check_flag("random_length", random_length)
    size = check_size("size", size, 7 if drawn else 5)
    if size % 2 == 0:
        raise ArgumentError(f"size: an odd number of cells, so that the hallway is in the middle; found {size}")
    return Plan(
        width=size,
        height=size,
        max_steps=5 * size**2,
        missions=Missions("go to the matching object at the end of the hallway"),
        options=(int(drawn),),
        see_through_walls=False,
        rule=STAND_RULE,
    )


FAMILY = Family("Memory", generate, plan)
