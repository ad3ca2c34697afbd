"""KeyCorridor: rooms on both sides of a corridor; a thing in a locked room on the right is to be picked up.

The key lies in a room on the left; doors are added at random until every room can be reached.

Source: minigrid 3.2.0, envs/keycorridor.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import KEY_KIND, colour_of, set_target
from rltk.envs.minigrid.family import Family, Plan, check_size, plan_of_rooms
from rltk.envs.minigrid.level import FINE, LEFT, MISSION, NO_ROOM, UP
from rltk.envs.minigrid.missions import COLOUR_WORDS, KEY_BALL_BOX, Missions
from rltk.envs.minigrid.rooms import (
    DRAW,
    add_door,
    add_object,
    build_rooms,
    connect_all,
    place_agent_in_room,
    remove_wall,
)
from rltk.envs.minigrid.rules import CARRY_RULE
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.mdp.streams import integer_below

COLUMNS = 3
ROOM_SIZE, _, ROWS, KIND = range(4)


@jit(_nrt=False)
def generate(level, options, stream):
    """options: the rooms, and the kind of the thing."""
    rows = options[ROWS]
    build_rooms(level, stream, options[ROOM_SIZE], COLUMNS, rows)
    for j in range(1, rows):
        remove_wall(level, 1, j, UP)
    row = integer_below(stream, rows)
    _, _, colour = add_door(level, stream, 2, row, LEFT, DRAW, 1)
    target_x, target_y, target = add_object(level, stream, 2, row, options[KIND], DRAW)
    if target_x < 0:
        return NO_ROOM
    x, _, _ = add_object(level, stream, 0, integer_below(stream, rows), KEY_KIND, colour)
    if x < 0 or place_agent_in_room(level, stream, 1, rows // 2) != FINE:
        return NO_ROOM
    set_target(level, target_x, target_y)
    level.body[MISSION] = colour_of(target)
    return connect_all(level, stream)


def plan(num_rows: int = 3, obj_type: str = "ball", room_size: int = 6) -> Plan:
    """num_rows: of three rooms. obj_type: key, ball or box. room_size: cells along a room's side, walls included."""
    if obj_type not in KEY_BALL_BOX:
        raise ArgumentError(f"obj_type is one of {', '.join(KEY_BALL_BOX)}; found {obj_type!r}")
    size = check_size("room_size", room_size, 3)
    return plan_of_rooms(
        size,
        COLUMNS,
        check_size("num_rows", num_rows, 1),
        max_steps=30 * size**2,
        missions=Missions("pick up the {} {}", COLOUR_WORDS, (obj_type,)),
        rule=CARRY_RULE,
        options=(KEY_BALL_BOX.index(obj_type),),
    )


FAMILY = Family("KeyCorridor", generate, plan)
