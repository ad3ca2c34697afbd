"""Verbs for levels that are a grid of rooms: doors, things in rooms, connections, distractors.

All rooms have one size and share their walls. Room (i, j) is in column i, row j; its walls are numbered as directions
are: right, down, left, up. What is known of the rooms is kept in the level's `memory`, from its first word on, so a
family's `Plan.memory` is at least `rooms_memory(columns, rows)`.

They draw in MiniGrid's order. An argument of -1 (`DRAW`) is drawn.

Source: minigrid 3.2.0, core/roomgrid.py (`RoomGrid`).
"""

from rltk.envs.minigrid.board import (
    AHEAD_X,
    AHEAD_Y,
    ENDLESS,
    N_KINDS,
    door,
    find_apart,
    get,
    place_agent,
    put,
    random_colour,
    set_agent,
    thing,
    wall_rectangle,
)
from rltk.envs.minigrid.cells import CLOSED, EMPTY, LOCKED, N_COLOURS, OUTSIDE, WALL
from rltk.envs.minigrid.level import DIRECTION, FINE, NO_ROOM, NOT_CONNECTED, RIGHT, X, Y
from rltk.mdp import jit
from rltk.mdp.streams import integer_below, integer_between

DRAW = -1

# The first words of `memory`: sizes, then for each kind and colour whether some room holds such a thing.
ROOM_SIZE, COLUMNS, ROWS, HELD = range(4)
_FIRST_ROOM = HELD + N_KINDS * N_COLOURS
# The words of a room: where the door in each wall is or would be (-1: no neighbour), whether the wall is passed by a
# door or a gap, whether the room is behind a locked door, and a mark.
_DOOR_X, _DOOR_Y, _PASSED, _LOCKED, _MARK, _ROOM_WORDS = 0, 4, 8, 12, 13, 14


def rooms_memory(columns: int, rows: int) -> int:
    """Words of `memory` that this many rooms need."""
    return _FIRST_ROOM + columns * rows * _ROOM_WORDS


@jit(_nrt=False)
def room(level, i, j):
    """Where the words of room (i, j) begin in `memory`."""
    return _FIRST_ROOM + (j * level.memory[COLUMNS] + i) * _ROOM_WORDS


@jit(_nrt=False)
def after_rooms(level):
    """Where the words of `memory` begin that a family asks for beside those of its rooms."""
    return room(level, 0, level.memory[ROWS])


@jit(_nrt=False)
def neighbour(level, i, j, wall):
    """Where the words of the room behind a wall begin; there must be one."""
    return room(level, i + AHEAD_X[wall], j + AHEAD_Y[wall])


@jit(_nrt=False)
def room_corner(level, i, j):
    """(x, y) of the upper left cell of the walls of room (i, j)."""
    pitch = level.memory[ROOM_SIZE] - 1
    return i * pitch, j * pitch


@jit(_nrt=False)
def room_at(level, x, y):
    """(i, j) of the room to which MiniGrid counts the cell (x, y)."""
    pitch = level.memory[ROOM_SIZE] - 1
    return x // pitch, y // pitch


@jit(_nrt=False)
def build_rooms(level, stream, size, columns, rows):
    """The walls of columns x rows rooms, and a place for a door in each inner wall. The agent stands in the middle."""
    memory = level.memory
    memory[ROOM_SIZE], memory[COLUMNS], memory[ROWS] = size, columns, rows
    memory[HELD:_FIRST_ROOM] = 0
    pitch = size - 1
    for j in range(rows):
        for i in range(columns):
            wall_rectangle(level, i * pitch, j * pitch, size, size)
    for j in range(rows):
        for i in range(columns):
            _place_doors(level, stream, i, j)
    set_agent(level, columns // 2 * pitch + size // 2, rows // 2 * pitch + size // 2, RIGHT)


@jit(_nrt=False)
def _place_doors(level, stream, i, j):
    """Draw where the doors to the right and down would be; those to the left and up are the neighbours'."""
    memory = level.memory
    here, pitch = room(level, i, j), memory[ROOM_SIZE] - 1
    left, top = room_corner(level, i, j)
    memory[here : here + 2 * 4] = -1
    memory[here + _PASSED : here + _ROOM_WORDS] = 0
    if i < memory[COLUMNS] - 1:
        memory[here + _DOOR_X] = left + pitch
        memory[here + _DOOR_Y] = integer_between(stream, top + 1, top + pitch)
    if j < memory[ROWS] - 1:
        memory[here + _DOOR_X + 1] = integer_between(stream, left + 1, left + pitch)
        memory[here + _DOOR_Y + 1] = top + pitch
    if i > 0:
        there = room(level, i - 1, j)
        memory[here + _DOOR_X + 2], memory[here + _DOOR_Y + 2] = memory[there + _DOOR_X], memory[there + _DOOR_Y]
    if j > 0:
        there = room(level, i, j - 1)
        memory[here + _DOOR_X + 3] = memory[there + _DOOR_X + 1]
        memory[here + _DOOR_Y + 3] = memory[there + _DOOR_Y + 1]


@jit(_nrt=False)
def has_neighbour(level, i, j, wall):
    """Whether there is a room behind this wall of room (i, j)."""
    return level.memory[room(level, i, j) + _DOOR_X + wall] >= 0


@jit(_nrt=False)
def is_passed(level, i, j, wall):
    """Whether this wall of room (i, j) has a door or a gap."""
    return level.memory[room(level, i, j) + _PASSED + wall] != 0


@jit(_nrt=False)
def pass_wall(level, i, j, wall):
    """Note, on both sides, that this wall has a door or a gap."""
    level.memory[room(level, i, j) + _PASSED + wall] = 1
    level.memory[neighbour(level, i, j, wall) + _PASSED + (wall + 2) % 4] = 1


@jit(_nrt=False)
def place_in_room(level, stream, i, j, code, kind, colour):
    """Put `code`, which counts as `kind` and `colour`, in room (i, j), not beside the agent. (x, y), or x = -1."""
    left, top = room_corner(level, i, j)
    size = level.memory[ROOM_SIZE]
    x, y = find_apart(level, stream, left, top, size, size, 1001)
    if x >= 0:
        put(level, x, y, code)
        level.memory[HELD + kind * N_COLOURS + colour] = 1
    return x, y


@jit(_nrt=False)
def add_object(level, stream, i, j, kind, colour):
    """A key, ball or box in room (i, j): (x, y, code), or x = -1 where there is no room. kind, colour: or `DRAW`."""
    if kind == DRAW:
        kind = integer_below(stream, N_KINDS)
    if colour == DRAW:
        colour = random_colour(stream)
    code = thing(kind, colour)
    x, y = place_in_room(level, stream, i, j, code, kind, colour)
    return x, y, code


@jit(_nrt=False)
def add_door(level, stream, i, j, wall, colour, locked):
    """A door in a wall of room (i, j) that has none: (x, y, colour), or x = -1 where no wall is left.

    wall, colour: or `DRAW`. locked: 0, 1 or `DRAW`.
    """
    if wall == DRAW:
        tries = 0
        while wall == DRAW or not has_neighbour(level, i, j, wall) or is_passed(level, i, j, wall):
            tries += 1
            if tries > ENDLESS:
                return -1, -1, -1
            wall = integer_below(stream, 4)
    if colour == DRAW:
        colour = random_colour(stream)
    if locked == DRAW:
        locked = 1 - integer_below(stream, 2)
    here = room(level, i, j)
    level.memory[here + _LOCKED] = locked
    x, y = level.memory[here + _DOOR_X + wall], level.memory[here + _DOOR_Y + wall]
    put(level, x, y, door(colour, LOCKED if locked else CLOSED))
    pass_wall(level, i, j, wall)
    return x, y, colour


@jit(_nrt=False)
def remove_wall(level, i, j, wall):
    """A wall of room (i, j) without a door becomes a gap."""
    left, top = room_corner(level, i, j)
    far = level.memory[ROOM_SIZE] - 1
    for k in range(1, far):
        if wall % 2 == 0:
            put(level, left + (far if wall == 0 else 0), top + k, EMPTY)
        else:
            put(level, left + k, top + (far if wall == 1 else 0), EMPTY)
    pass_wall(level, i, j, wall)


@jit(_nrt=False)
def place_agent_in_room(level, stream, i, j):
    """The agent in room (i, j), or a drawn one where they are `DRAW`, facing no thing. `FINE` or `NO_ROOM`."""
    if i == DRAW:
        i = integer_below(stream, level.memory[COLUMNS])
    if j == DRAW:
        j = integer_below(stream, level.memory[ROWS])
    left, top = room_corner(level, i, j)
    size = level.memory[ROOM_SIZE]
    for _ in range(ENDLESS):
        if place_agent(level, stream, left, top, size, size, 1001) != FINE:
            return NO_ROOM
        direction = level.body[DIRECTION]
        ahead = get(level, level.body[X] + AHEAD_X[direction], level.body[Y] + AHEAD_Y[direction])
        if ahead == EMPTY or WALL <= ahead <= OUTSIDE:
            return FINE
    return NO_ROOM


@jit(_nrt=False)
def all_reached(level):
    """Whether every room can be reached from the agent's, through doors and gaps."""
    memory = level.memory
    columns, rows = memory[COLUMNS], memory[ROWS]
    for j in range(rows):
        for i in range(columns):
            memory[room(level, i, j) + _MARK] = 0
    i, j = room_at(level, level.body[X], level.body[Y])
    memory[room(level, i, j) + _MARK] = 1
    count, before = 1, 0
    while count > before:
        before = count
        for j in range(rows):
            for i in range(columns):
                here = room(level, i, j)
                for wall in range(4):
                    if memory[here + _MARK] and memory[here + _PASSED + wall]:
                        there = neighbour(level, i, j, wall)
                        count += 1 - memory[there + _MARK]
                        memory[there + _MARK] = 1
    return count == columns * rows


@jit(_nrt=False)
def connect_all(level, stream):
    """Add unlocked doors at random until every room can be reached. `FINE` or `NOT_CONNECTED`."""
    memory = level.memory
    for _ in range(5001):
        if all_reached(level):
            return FINE
        i = integer_below(stream, memory[COLUMNS])
        j = integer_below(stream, memory[ROWS])
        wall = integer_below(stream, 4)
        if not has_neighbour(level, i, j, wall) or is_passed(level, i, j, wall):
            continue
        if memory[room(level, i, j) + _LOCKED] or memory[neighbour(level, i, j, wall) + _LOCKED]:
            continue
        add_door(level, stream, i, j, wall, random_colour(stream), 0)
    return NOT_CONNECTED


@jit(_nrt=False)
def add_distractors(level, stream, i, j, count, unique):
    """`count` random things in room (i, j), or in drawn ones where they are `DRAW`. unique: none that some room has.

    `FINE` or `NO_ROOM`.
    """
    added, tries = 0, 0
    while added < count:
        tries += 1
        if tries > ENDLESS:
            return NO_ROOM
        colour = random_colour(stream)
        kind = integer_below(stream, N_KINDS)
        if unique and level.memory[HELD + kind * N_COLOURS + colour]:
            continue
        column = integer_below(stream, level.memory[COLUMNS]) if i == DRAW else i
        row = integer_below(stream, level.memory[ROWS]) if j == DRAW else j
        x, _, _ = add_object(level, stream, column, row, kind, colour)
        if x < 0:
            return NO_ROOM
        added += 1
    return FINE
