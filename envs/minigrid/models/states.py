"""The states of a level: all that can change in it, as the digits of one number.

    number = cell of the agent, direction | place of each thing (and whether a box was opened) | state of each door

Walls, floors, goals and lava stay as they are. A thing that can be carried (key, ball, box) lies on a cell, is carried,
or is gone, as an empty box is once it is opened; a box with something in it becomes that. A door that was never locked
is open or closed; one that was locked is not locked again. Things that look alike change places without a difference:
their digits are kept in order, so that two such levels are one state.

    number = sum over digits of digit * weight,    weight: the product of the ranges of the digits after it

so an action changes the number by what it changed times the weight. The product of the digits' ranges bounds how many
states there are before any is looked at.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.board import index
from rltk.envs.minigrid.cells import CARRIABLE, DOOR, EMPTY, FLAGS, IS_BOX, IS_DOOR, LOCKED, N_CODES, contents_of
from rltk.envs.minigrid.level import CARRYING, DIRECTION, HEIGHT, ORIGIN, STRIDE, WIDTH, Level, X, Y, level_of
from rltk.mdp import jit

# Digits of a state, before those of things and doors.
AGENT, FACING, FIRST_THING = range(3)
_N_DOOR_STATES = 3
_WALLS = np.array([code >= N_CODES or (FLAGS[code] == 0 and code != 0) for code in range(256)])


class Parts(NamedTuple):
    """What can change in a level with n cells that are no wall, k things and m doors."""

    cells: NDArray[np.int64]  # (n,): their indices in `grid`
    number: NDArray[np.int32]  # (grid,): of a cell among these, -1 for others
    things: NDArray[np.int64]  # (k,): the code of each, alike ones side by side
    contents: NDArray[np.int64]  # (k,): what an opened box becomes, `EMPTY` where it is empty; 0 for other things
    alike: NDArray[np.int64]  # (k,): the first thing that looks as this one
    single: NDArray[np.bool_]  # (k,): nothing else looks as this one
    doors: NDArray[np.int64]  # (m,): where in `grid`
    ranges: NDArray[np.int64]  # (2 + k + m,): of the digits
    weights: NDArray[np.int64]  # (2 + k + m,): of the digits
    ground: NDArray[np.uint8]  # (grid,): the level without its things


def parts_of(level: Level) -> tuple[Parts, NDArray[np.int64]]:
    """(the parts of `level`, the digits of the state that it is in)."""
    grid, body = level.grid, level.body
    shape = int(level.board[HEIGHT]), int(level.board[WIDTH])
    inside = int(level.board[ORIGIN]) + (np.arange(shape[0])[:, None] * int(level.board[STRIDE]) + np.arange(shape[1]))
    here = index(level, int(body[X]), int(body[Y]))
    cells = inside[~_WALLS[grid[inside]] | (inside == here)]  # whoever was put into a wall can leave it
    number = np.full(grid.size, -1, dtype=np.int32)
    number[cells] = np.arange(cells.size)
    lying = cells[FLAGS[grid[cells]] & CARRIABLE != 0]
    carried = int(body[CARRYING])
    codes = np.array([*grid[lying].tolist(), *([carried] if carried else [])], dtype=np.int64)
    places = np.array([*number[lying].tolist(), *([cells.size] if carried else [])], dtype=np.int64)
    order = np.lexsort((places, codes))
    codes, places = codes[order], places[order]
    boxes = FLAGS[codes] & IS_BOX != 0
    contents = np.array(
        [contents_of(code) if box else 0 for code, box in zip(codes.tolist(), boxes, strict=True)], dtype=np.int64
    )
    doors = cells[FLAGS[grid[cells]] & IS_DOOR != 0]
    door_states = (grid[doors].astype(np.int64) - DOOR) % _N_DOOR_STATES
    ground = grid.copy()
    ground[lying] = EMPTY
    ranges = np.concatenate(
        [
            [cells.size, 4],
            (cells.size + 2) * np.where(contents > EMPTY, 2, 1),
            np.where(door_states == LOCKED, _N_DOOR_STATES, 2),
        ]
    ).astype(np.int64)
    alike = np.searchsorted(codes, codes)
    parts = Parts(
        cells.astype(np.int64),
        number,
        codes,
        contents,
        alike.astype(np.int64),
        np.searchsorted(codes, codes, side="right") - alike == 1,
        doors.astype(np.int64),
        ranges,
        np.append(np.cumprod(ranges[:0:-1])[::-1], 1),
        ground,
    )
    return parts, np.array([number[here], int(body[DIRECTION]), *places, *door_states], dtype=np.int64)


def bound(parts: Parts) -> float:
    """So many states there are at most."""
    return float(np.prod(parts.ranges.astype(float)))


@jit(_nrt=False)
def number_of(parts, digits):
    """The number of the state with these digits, of which those of alike things are put in order."""
    alike, n = parts.alike, parts.things.size
    for i in range(1, n):
        j = i
        while j > alike[i] and digits[FIRST_THING + j - 1] > digits[FIRST_THING + j]:
            k = FIRST_THING + j
            digits[k - 1], digits[k] = digits[k], digits[k - 1]
            j -= 1
    number = np.int64(0)
    for i in range(parts.ranges.size):
        number = number * parts.ranges[i] + digits[i]
    return number


@jit(_nrt=False, inline="always")
def digits_of(parts, number, digits):
    """Fill `digits` with those of the state `number`."""
    for i in range(parts.ranges.size - 1, -1, -1):
        digits[i] = number % parts.ranges[i]
        number //= parts.ranges[i]


@jit(_nrt=False)
def look_of(parts, thing, digit):
    """(what the thing looks like now, where it is: a cell's number, n carried, n + 1 gone)."""
    n_places = parts.cells.size + 2
    if digit >= n_places:
        return parts.contents[thing], digit - n_places
    return parts.things[thing], digit


@jit(_nrt=False, inline="always")
def put_state(parts, digits, level, standing):
    """Let `level` be in the state with these digits; its grid was `parts.ground`. The thing that is carried, or -1.

    standing: (grid,) int32, where the number of the thing or door that stands on a cell is written.
    """
    n, n_things = parts.cells.size, parts.things.size
    place_agent(parts, digits[AGENT], digits[FACING], level)
    carried = -1
    level.body[CARRYING] = 0
    for i in range(n_things):
        code, place = look_of(parts, i, digits[FIRST_THING + i])
        if place < n:
            level.grid[parts.cells[place]] = code
            standing[parts.cells[place]] = i
        elif place == n:
            level.body[CARRYING] = code
            carried = i
    for i in range(parts.doors.size):
        at = parts.doors[i]
        code = np.int64(level.grid[at])
        level.grid[at] = code - (code - DOOR) % _N_DOOR_STATES + digits[FIRST_THING + n_things + i]
        standing[at] = i
    return carried


@jit(_nrt=False)
def put_states(levels, parts, numbers, digits, standing):
    """Let level k of a batch be in the state `numbers[k]`, whatever stood on its grid. numbers: (K,) int64.

    digits: (d,) int64 and standing: (grid,) int32 to work in.
    """
    for k in range(numbers.size):
        level = level_of(levels, k)
        for i in range(level.grid.size):
            level.grid[i] = parts.ground[i]
        digits_of(parts, numbers[k], digits)
        put_state(parts, digits, level, standing)


@jit(_nrt=False)
def place_agent(parts, cell, direction, level):
    """The agent on a cell."""
    at = parts.cells[cell] - level.board[ORIGIN]
    level.body[Y] = at // level.board[STRIDE]
    level.body[X] = at % level.board[STRIDE]
    level.body[DIRECTION] = direction


@jit(_nrt=False, inline="always")
def take_things(parts, digits, level):
    """Make the grid `parts.ground` again, as far as things go."""
    for i in range(parts.things.size):
        _, place = look_of(parts, i, digits[FIRST_THING + i])
        if place < parts.cells.size:
            level.grid[parts.cells[place]] = EMPTY


@jit(_nrt=False, inline="always")
def number_after(parts, number, digits, level, at, before, carried, standing, room):
    """The number of the state in which an action left `level`, which was in `number` with these digits.

    at: the cell that was ahead; before: what stood there; carried: the thing that was carried, or -1; room: (d,) int64
    to work in.
    """
    body = level.body
    cell = np.int64(parts.number[index(level, body[X], body[Y])])
    number += (cell - digits[AGENT]) * parts.weights[AGENT] + (body[DIRECTION] - digits[FACING]) * parts.weights[FACING]
    if level.grid[at] == before:
        return number
    i, digit = changed(parts, digits, level, at, before, carried, standing)
    thing = i - FIRST_THING
    if thing >= parts.things.size or parts.single[thing]:
        return number + (digit - digits[i]) * parts.weights[i]
    for k in range(digits.size):
        room[k] = digits[k]
    room[AGENT], room[FACING], room[i] = cell, body[DIRECTION], digit
    return number_of(parts, room)


@jit(_nrt=False, inline="always")
def changed(parts, digits, level, at, before, carried, standing):
    """(which digit, what it is now): what an action changed on the cell ahead; arguments as in `number_after`."""
    n, n_things, held = parts.cells.size, parts.things.size, level.body[CARRYING]
    there = np.int64(level.grid[at])
    if carried >= 0 and held == 0:  # dropped
        i = FIRST_THING + carried
        return i, digits[i] + parts.number[at] - n
    if FLAGS[before] & IS_DOOR:
        return FIRST_THING + n_things + standing[at], (there - DOOR) % _N_DOOR_STATES
    i = np.int64(FIRST_THING + standing[at])
    if carried < 0 and held != 0:  # picked up
        return i, digits[i] + n - parts.number[at]
    if there == EMPTY:  # an empty box was opened
        return i, np.int64(n + 1)
    return i, digits[i] + n + 2  # what was in the box stands there


def digits_now(parts: Parts, level: Level) -> int:
    """The number of the state that `level` is in; -1 where it has other things than `parts` says.

    A thing is told by its look; what no other thing of the level accounts for came out of a box.
    """
    n, body = parts.cells.size, level.body
    looks = level.grid[parts.cells].astype(np.int64)
    lying = np.flatnonzero(FLAGS[looks] & CARRIABLE != 0).tolist()
    free = [(int(looks[cell]), cell) for cell in lying]
    if body[CARRYING]:
        free.append((int(body[CARRYING]), n))
    places = np.full(parts.things.size, -1, dtype=np.int64)
    for form, codes in enumerate((parts.things, parts.contents)):
        for i in np.flatnonzero(places < 0).tolist():
            match = next((thing for thing in free if thing[0] == codes[i]), None)
            if match is not None:
                free.remove(match)
                places[i] = match[1] + form * (n + 2)
    gone = (places < 0) & (parts.contents == EMPTY)
    places[gone] = n + 1
    if free or (places < 0).any():
        return -1
    here = parts.number[index(level, body[X], body[Y])]
    doors = (level.grid[parts.doors].astype(np.int64) - DOOR) % _N_DOOR_STATES
    digits = np.concatenate([[here, body[DIRECTION]], places, doors]).astype(np.int64)
    if (digits < 0).any() or (digits >= parts.ranges).any():
        return -1
    return int(number_of(parts, digits))
