"""ObstructedMaze: a blue ball lies in a corner of 3 x 3 rooms, behind locked doors that green balls may stand before.

From the middle room an unlocked door leads to each of some side rooms, and from a side room two locked doors lead to
corners. The keys lie in the side rooms, perhaps in grey boxes. A ball is set down wherever a door asks for it, and may
crush a key that lies there already; in version 1 (`obstructedmaze_v1.py`) the keys of a room come after its balls.

Source: minigrid 3.2.0, envs/obstructedmaze.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from typing import Any

from rltk.envs.minigrid.board import AHEAD_X, AHEAD_Y, BALL_KIND, BOX_KIND, KEY_KIND, box, draw_colours, put, set_target
from rltk.envs.minigrid.cells import BALL, BLUE, GREEN, GREY, HELD_KEY, KEY, N_COLOURS
from rltk.envs.minigrid.family import Family, Plan, check_flag, check_integer_up_to, plan_of_rooms
from rltk.envs.minigrid.level import NO_ROOM
from rltk.envs.minigrid.missions import Missions
from rltk.envs.minigrid.rooms import add_door, add_object, after_rooms, build_rooms, place_agent_in_room, place_in_room
from rltk.envs.minigrid.rules import CARRY_RULE
from rltk.envs.tabular.options import check_integer
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.mdp.streams import integer_below

ROOM_SIZE = 6
SIDE = 3  # rooms along a side
_, COLUMNS, ROWS, AGENT_I, AGENT_J, KEY_IN_BOX, BLOCKED, QUARTERS, KEYS_LAST = range(9)


@jit(_nrt=False)
def begin(level, stream, columns, rows):
    """The rooms, and the doors' colours in an order that is drawn; where these begin in `memory`."""
    build_rooms(level, stream, ROOM_SIZE, columns, rows)
    colours = after_rooms(level)
    draw_colours(level, stream, colours)
    return colours


@jit(_nrt=False)
def add_locked_door(level, stream, i, j, wall, colour, blocked):
    """A locked door in a wall of room (i, j), with a ball before it where it is `blocked`."""
    x, y, _ = add_door(level, stream, i, j, wall, colour, 1)
    if blocked:
        put(level, x - AHEAD_X[wall], y - AHEAD_Y[wall], BALL + GREEN)


@jit(_nrt=False)
def add_key(level, stream, i, j, colour, in_box):
    """A key in room (i, j), perhaps in a box. Whether there was room."""
    if in_box:
        x, _ = place_in_room(level, stream, i, j, box(GREY, HELD_KEY + colour), BOX_KIND, GREY)
    else:
        x, _ = place_in_room(level, stream, i, j, KEY + colour, KEY_KIND, colour)
    return x >= 0


@jit(_nrt=False)
def finish(level, stream, i, j, agent_i, agent_j):
    """The ball that is wanted in room (i, j), and the agent in its own. `FINE` or `NO_ROOM`."""
    x, y, _ = add_object(level, stream, i, j, BALL_KIND, BLUE)
    if x < 0:
        return NO_ROOM
    set_target(level, x, y)
    return place_agent_in_room(level, stream, agent_i, agent_j)


@jit(_nrt=False)
def generate(level, options, stream):
    """options: the rooms, the agent's room, whether keys are in boxes, doors blocked, how many corners have doors, and
    whether a room's keys come after all of its balls."""
    colours = begin(level, stream, options[COLUMNS], options[ROWS])
    for wall in range(options[QUARTERS]):
        i, j = 1 + AHEAD_X[wall], 1 + AHEAD_Y[wall]
        add_door(level, stream, 1, 1, wall, level.memory[colours + wall], 0)
        for step in range(2 * (1 + options[KEYS_LAST])):
            turn = 2 * (step % 2) - 1
            colour = level.memory[colours + (wall + turn) % N_COLOURS]
            if step < 2:
                add_locked_door(level, stream, i, j, (wall + turn) % 4, colour, options[BLOCKED])
            if step >= 2 * options[KEYS_LAST] and not add_key(level, stream, i, j, colour, options[KEY_IN_BOX]):
                return NO_ROOM
    corner = integer_below(stream, options[QUARTERS])
    before = (corner + 3) % 4  # the corner lies between the sides `before` and `corner`
    i, j = 1 + AHEAD_X[corner] + AHEAD_X[before], 1 + AHEAD_Y[corner] + AHEAD_Y[before]
    return finish(level, stream, i, j, options[AGENT_I], options[AGENT_J])


def maze_plan(columns: int, rows: int, num_rooms_visited: int, options: tuple[int, ...]) -> Plan:
    """The plan that the three families share. num_rooms_visited: gives the time."""
    return plan_of_rooms(
        ROOM_SIZE,
        columns,
        rows,
        max_steps=4 * check_integer("num_rooms_visited", num_rooms_visited, 1) * ROOM_SIZE**2,
        missions=Missions("pick up the blue ball"),
        rule=CARRY_RULE,
        options=options,
        memory=N_COLOURS,
    )


def full_plan(
    agent_room: Any, key_in_box: bool, blocked: bool, num_quarters: int, num_rooms_visited: int, keys_last: bool
) -> Plan:
    """The plan of 3 x 3 rooms."""
    try:
        i, j = agent_room
        inside = i in range(SIDE) and j in range(SIDE)
    except (TypeError, ValueError):
        inside = False
    if not inside:
        raise ArgumentError(f"agent_room: (column, row) of a room, from (0, 0) to (2, 2); found {agent_room!r}")
    options = (
        int(i),
        int(j),
        int(check_flag("key_in_box", key_in_box)),
        int(check_flag("blocked", blocked)),
        check_integer_up_to("num_quarters", num_quarters, 1, 4),
        int(keys_last),
    )
    return maze_plan(SIDE, SIDE, num_rooms_visited, options)


def plan(
    agent_room: tuple[int, int] = (1, 1),
    key_in_box: bool = True,
    blocked: bool = True,
    num_quarters: int = 4,
    num_rooms_visited: int = 25,
) -> Plan:
    """agent_room: (column, row). key_in_box: keys lie in boxes. blocked: balls stand before doors.

    num_quarters: corners with doors. num_rooms_visited: an episode's time, in rooms.
    """
    return full_plan(agent_room, key_in_box, blocked, num_quarters, num_rooms_visited, keys_last=False)


FAMILY = Family("ObstructedMazeFull", generate, plan)
