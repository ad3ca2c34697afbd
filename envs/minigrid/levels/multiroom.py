"""MultiRoom: a chain of rooms behind doors, no two successive ones of the same colour; the goal is in the last room.

Rooms are drawn one after another, each at a door in a wall of the one before; one that leaves the board or meets an
earlier room is drawn again, eight times at most. A chain that comes out too short is thrown away.

Source: minigrid 3.2.0, envs/multiroom.py (where the chain is built by recursion; a room once placed is never taken
back, so a loop does the same).
"""

from rltk.envs.minigrid.board import door, place, place_agent, put, wall_rectangle
from rltk.envs.minigrid.cells import CLOSED, DRAWN_COLOURS, GOAL, GREEN, N_COLOURS
from rltk.envs.minigrid.family import Family, Plan, check_size
from rltk.envs.minigrid.level import DOWN, FINE, HEIGHT, LEFT, NO_ROOM, NOT_BUILT, RIGHT, WIDTH
from rltk.envs.minigrid.missions import Missions
from rltk.envs.tabular.options import check_integer
from rltk.errors import ArgumentError
from rltk.mdp import jit
from rltk.mdp.streams import integer_below, integer_between

FEWEST, MOST, LARGEST = range(3)
SMALLEST = 4  # cells along a room's side, walls included
TRIES, CHAINS = 8, 100_000

# The words of a room in `memory`: its upper left cell, its size, its entry.
_LEFT, _TOP, _WIDTH, _HEIGHT, _ENTRY_X, _ENTRY_Y, _WORDS = range(7)


@jit(_nrt=False)
def add_room(level, stream, k, largest, wall, x, y):
    """Draw room `k` with its entry (x, y) in its wall `wall`; whether it fits behind the rooms before it."""
    width = integer_between(stream, SMALLEST, largest + 1)
    height = integer_between(stream, SMALLEST, largest + 1)
    left, top = x, y
    if k > 0:
        if wall == RIGHT:
            left = x - width + 1
        elif wall == DOWN:
            top = y - height + 1
        if wall in (RIGHT, LEFT):
            top = integer_between(stream, y - height + 2, y)
        else:
            left = integer_between(stream, x - width + 2, x)
    if left < 0 or top < 0 or left + width > level.board[WIDTH] or top + height >= level.board[HEIGHT]:
        return False
    rooms = level.memory
    for other in range(k - 1):  # the room before this one shares a wall with it
        o = other * _WORDS
        if not (
            left + width < rooms[o + _LEFT]
            or rooms[o + _LEFT] + rooms[o + _WIDTH] <= left
            or top + height < rooms[o + _TOP]
            or rooms[o + _TOP] + rooms[o + _HEIGHT] <= top
        ):
            return False
    here = k * _WORDS
    rooms[here + _LEFT], rooms[here + _TOP], rooms[here + _WIDTH], rooms[here + _HEIGHT] = left, top, width, height
    rooms[here + _ENTRY_X], rooms[here + _ENTRY_Y] = x, y
    return True


@jit(_nrt=False)
def add_next_room(level, stream, k, largest, entry_wall):
    """Try to add room `k` behind a drawn wall of the last one. The wall of its entry, or -1."""
    last = (k - 1) * _WORDS
    left, top = level.memory[last + _LEFT], level.memory[last + _TOP]
    width, height = level.memory[last + _WIDTH], level.memory[last + _HEIGHT]
    for _ in range(TRIES):
        wall = integer_below(stream, 3)
        wall += wall >= entry_wall
        if wall in (RIGHT, LEFT):
            x = left + width - 1 if wall == RIGHT else left
            y = top + integer_between(stream, 1, height - 1)
        else:
            x = left + integer_between(stream, 1, width - 1)
            y = top + height - 1 if wall == DOWN else top
        if add_room(level, stream, k, largest, (wall + 2) % 4, x, y):
            return (wall + 2) % 4
    return -1


@jit(_nrt=False)
def build_chain(level, stream, count, largest):
    """Draw chains until one has `count` rooms. `FINE` or `NOT_BUILT`."""
    for _ in range(CHAINS):
        x = integer_below(stream, level.board[WIDTH] - 2)
        y = integer_below(stream, level.board[WIDTH] - 2)  # the width, in MiniGrid too
        entry_wall = LEFT
        if not add_room(level, stream, 0, largest, entry_wall, x, y):
            continue
        built = 1
        while built < count and entry_wall >= 0:
            entry_wall = add_next_room(level, stream, built, largest, entry_wall)
            built += entry_wall >= 0
        if built == count:
            return FINE
    return NOT_BUILT


@jit(_nrt=False)
def other_colour(stream, last):
    """A colour other than `last` (-1: any), drawn from the names that are left, in alphabetical order."""
    if last < 0:
        return DRAWN_COLOURS[integer_below(stream, N_COLOURS)]
    k = integer_below(stream, N_COLOURS - 1)
    for before in range(k + 1):
        if DRAWN_COLOURS[before] == last:
            k += 1
            break
    return DRAWN_COLOURS[k]


@jit(_nrt=False)
def generate(level, options, stream):
    """options: the fewest and most rooms, and the most cells along a room's side."""
    count = integer_between(stream, options[FEWEST], options[MOST] + 1)
    if build_chain(level, stream, count, options[LARGEST]) != FINE:
        return NOT_BUILT
    rooms, colour = level.memory, -1
    for k in range(count):
        room = rooms[k * _WORDS : (k + 1) * _WORDS]
        wall_rectangle(level, room[_LEFT], room[_TOP], room[_WIDTH], room[_HEIGHT])
        if k > 0:
            colour = other_colour(stream, colour)
            put(level, room[_ENTRY_X], room[_ENTRY_Y], door(colour, CLOSED))
    if place_agent(level, stream, rooms[_LEFT], rooms[_TOP], rooms[_WIDTH], rooms[_HEIGHT]) != FINE:
        return NO_ROOM
    last = rooms[(count - 1) * _WORDS : count * _WORDS]
    x, _ = place(level, stream, GOAL + GREEN, last[_LEFT], last[_TOP], last[_WIDTH], last[_HEIGHT])
    return NO_ROOM if x < 0 else FINE


def plan(minNumRooms: int, maxNumRooms: int, maxRoomSize: int = 10, width: int = 25, height: int = 25) -> Plan:
    """From minNumRooms to maxNumRooms rooms of 4 to maxRoomSize cells along a side, on a board of width x height."""
    fewest = check_integer("minNumRooms", minNumRooms, 1)
    most = check_integer("maxNumRooms", maxNumRooms, 1)
    if most < fewest:
        raise ArgumentError(f"maxNumRooms: at least minNumRooms, which is {fewest}; found {most}")
    width, height = check_size("width", width, SMALLEST + 1), check_size("height", height, SMALLEST + 1)
    return Plan(
        width=width,
        height=height,
        max_steps=20 * most,
        missions=Missions("traverse the rooms to get to the goal"),
        options=(fewest, most, check_size("maxRoomSize", maxRoomSize, SMALLEST)),
        memory=most * _WORDS,
    )


FAMILY = Family("MultiRoom", generate, plan)
