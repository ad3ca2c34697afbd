"""FourRooms: four rooms with a gap in each wall between them; the agent and the goal are anywhere.

Source: minigrid 3.2.0, envs/fourrooms.py; after Sutton, Precup and Singh (1999), "Between MDPs and semi-MDPs: a
framework for temporal abstraction in reinforcement learning", section 3.
"""

from rltk.envs.minigrid.board import (
    horizontal_wall,
    place_agent_anywhere,
    place_anywhere,
    put,
    set_agent,
    surround,
    vertical_wall,
)
from rltk.envs.minigrid.cells import EMPTY, GOAL, GREEN
from rltk.envs.minigrid.family import NOWHERE, Family, Plan, check_place
from rltk.envs.minigrid.level import FINE, HEIGHT, NO_ROOM, WIDTH
from rltk.envs.minigrid.missions import Missions
from rltk.mdp import jit
from rltk.mdp.streams import integer_below, integer_between

SIZE = 19
START_X, START_Y, GOAL_X, GOAL_Y = range(4)


@jit(_nrt=False)
def build_walls(level, stream):
    """The cross of walls, with a gap drawn for each of its arms."""
    surround(level)
    width, height = level.board[WIDTH] // 2, level.board[HEIGHT] // 2
    for row in range(2):
        for column in range(2):
            left, top = column * width, row * height
            if column == 0:
                vertical_wall(level, left + width, top, height)
                put(level, left + width, integer_between(stream, top + 1, top + height), EMPTY)
            if row == 0:
                horizontal_wall(level, left, top + height, width)
                put(level, integer_between(stream, left + 1, left + width), top + height, EMPTY)


@jit(_nrt=False)
def generate(level, options, stream):
    """options: where the agent starts and where the goal is, -1 for anywhere."""
    build_walls(level, stream)
    if options[START_X] < 0:
        if place_agent_anywhere(level, stream) != FINE:
            return NO_ROOM
    else:
        put(level, options[START_X], options[START_Y], EMPTY)
        set_agent(level, options[START_X], options[START_Y], integer_below(stream, 4))
    if options[GOAL_X] < 0:
        x, _ = place_anywhere(level, stream, GOAL + GREEN)
        return NO_ROOM if x < 0 else FINE
    put(level, options[GOAL_X], options[GOAL_Y], GOAL + GREEN)
    return FINE


def plan(agent_pos: tuple[int, int] | None = None, goal_pos: tuple[int, int] | None = None) -> Plan:
    """agent_pos, goal_pos: (x, y), or None for anywhere. A wall there gives way. The agent faces anywhere."""
    start = NOWHERE if agent_pos is None else check_place("agent_pos", agent_pos, SIZE, SIZE)
    goal = NOWHERE if goal_pos is None else check_place("goal_pos", goal_pos, SIZE, SIZE)
    return Plan(width=SIZE, height=SIZE, max_steps=100, missions=Missions("reach the goal"), options=(*start, *goal))


FAMILY = Family("FourRooms", generate, plan)
