"""The verbs of a level under construction: read and write cells, build walls, place things and the agent at random.

They draw in MiniGrid's order: a place is x, then y, from the half-open region; a place that is taken is drawn again.
Coordinates are MiniGrid's: (0, 0) is the upper left cell, x goes right, y goes down.

Source: minigrid 3.2.0, core/grid.py (`Grid`) and minigrid_env.py (`place_obj`, `place_agent`, `_rand_*`).
"""

import numpy as np

from rltk.envs.minigrid.cells import (
    BALL,
    BOX,
    DOOR,
    DRAWN_COLOURS,
    EMPTY,
    KEY,
    N_COLOURS,
    N_HELD,
    OUTSIDE,
    TRIPLES,
    TYPES,
)
from rltk.envs.minigrid.level import (
    DIRECTION,
    FINE,
    HEIGHT,
    NO_ROOM,
    ORIGIN,
    STRIDE,
    TARGET,
    TARGET_X,
    TARGET_Y,
    WIDTH,
    X,
    Y,
)
from rltk.mdp import jit
from rltk.mdp.streams import integer_below, integer_between

AHEAD_X = np.array([1, 0, -1, 0])  # (4,): one step in each direction
AHEAD_Y = np.array([0, 1, 0, -1])

# Kinds of things that can be carried, in the order in which MiniGrid draws them.
KEY_KIND, BALL_KIND, BOX_KIND = range(3)
N_KINDS = 3
_FIRST_TYPE = TYPES.index("key")

# Where MiniGrid would try for ever: with one free cell in 10^5, all fail with probability e^-10.
ENDLESS = 1_000_000


@jit(_nrt=False)
def index(level, x, y):
    """Where the cell (x, y) is in `grid`."""
    return level.board[ORIGIN] + y * level.board[STRIDE] + x


@jit(_nrt=False)
def get(level, x, y):
    """The code of the cell (x, y)."""
    return np.int64(level.grid[np.uint64(index(level, x, y))])


@jit(_nrt=False)
def put(level, x, y, code):
    """Let `code` be what stands at (x, y)."""
    level.grid[np.uint64(index(level, x, y))] = code


@jit(_nrt=False)
def door(colour, state):
    """The code of a door."""
    return DOOR + 3 * colour + state


@jit(_nrt=False)
def box(colour, held):
    """The code of a box; held: 0, `HELD_KEY` + colour or `HELD_BALL` + colour."""
    return BOX + N_HELD * colour + held


@jit(_nrt=False)
def thing(kind, colour):
    """The code of a key, a ball or an empty box."""
    if kind == BOX_KIND:
        return box(colour, 0)
    return (KEY if kind == KEY_KIND else BALL) + colour


@jit(_nrt=False)
def kind_of(code):
    """The kind of a key, a ball or a box."""
    return np.int64(TRIPLES[code, 0]) - _FIRST_TYPE


@jit(_nrt=False)
def colour_of(code):
    """The colour's number of what has one."""
    return np.int64(TRIPLES[code, 1])


@jit(_nrt=False)
def horizontal_wall(level, x, y, length, code=OUTSIDE):
    """`length` cells to the right from (x, y)."""
    for i in range(length):
        put(level, x + i, y, code)


@jit(_nrt=False)
def vertical_wall(level, x, y, length, code=OUTSIDE):
    """`length` cells down from (x, y)."""
    for i in range(length):
        put(level, x, y + i, code)


@jit(_nrt=False)
def wall_rectangle(level, x, y, width, height):
    """The outline of a rectangle whose upper left cell is (x, y)."""
    horizontal_wall(level, x, y, width)
    horizontal_wall(level, x, y + height - 1, width)
    vertical_wall(level, x, y, height)
    vertical_wall(level, x + width - 1, y, height)


@jit(_nrt=False)
def surround(level):
    """Walls along the board's edge."""
    wall_rectangle(level, 0, 0, level.board[WIDTH], level.board[HEIGHT])


@jit(_nrt=False)
def random_colour(stream):
    """A colour's number, drawn as MiniGrid draws a name."""
    return DRAWN_COLOURS[integer_below(stream, N_COLOURS)]


@jit(_nrt=False)
def random_thing(stream, n_kinds):
    """The code of a thing of the first `n_kinds` kinds: the kind is drawn, then the colour."""
    kind = integer_below(stream, n_kinds)
    return thing(kind, random_colour(stream))


@jit(_nrt=False)
def draw_colours(level, stream, at):
    """All colours into `memory[at : at + N_COLOURS]`, each drawn from those that are left."""
    memory = level.memory
    for k in range(N_COLOURS):
        memory[at + k] = DRAWN_COLOURS[k]
    for k in range(N_COLOURS):
        pick = k + integer_below(stream, N_COLOURS - k)
        colour = memory[at + pick]
        for i in range(pick, k, -1):  # those that are left stay in order
            memory[at + i] = memory[at + i - 1]
        memory[at + k] = colour


@jit(_nrt=False)
def set_target(level, x, y):
    """Let what stands at (x, y) be what the family's rule calls TARGET: the code, which is returned, and the place."""
    code = get(level, x, y)
    level.body[TARGET], level.body[TARGET_X], level.body[TARGET_Y] = code, x, y
    return code


@jit(_nrt=False)
def set_agent(level, x, y, direction):
    """The agent at (x, y)."""
    level.body[X], level.body[Y], level.body[DIRECTION] = x, y, direction


def finder(rejects):
    """A kernel that draws a free cell, for which not `rejects(level, x, y)`, which is a kernel as well."""

    @jit(_nrt=False)
    def find(level, stream, left, top, width, height, tries):
        """(x, y) of a free cell in a region, cut off at the board; x is -1 where `tries` draws found none."""
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(left + width, level.board[WIDTH]), min(top + height, level.board[HEIGHT])
        for _ in range(tries):
            x = integer_between(stream, left, right)
            y = integer_between(stream, top, bottom)
            if get(level, x, y) != EMPTY or (x == level.body[X] and y == level.body[Y]) or rejects(level, x, y):
                continue
            return x, y
        return -1, -1

    return find


@jit(_nrt=False)
def nowhere(level, x, y):
    """Rejects no cell."""
    return False


@jit(_nrt=False)
def beside_agent(level, x, y):
    """Whether (x, y) touches the agent's cell, or is it."""
    return abs(level.body[X] - x) + abs(level.body[Y] - y) < 2


find_free = finder(nowhere)
find_apart = finder(beside_agent)


@jit(_nrt=False)
def place(level, stream, code, left, top, width, height):
    """Put `code` on a random free cell of a region. (x, y); x is -1 where there is none (return `NO_ROOM` then)."""
    x, y = find_free(level, stream, left, top, width, height, ENDLESS)
    if x >= 0:
        put(level, x, y, code)
    return x, y


@jit(_nrt=False)
def place_anywhere(level, stream, code):
    """`place` on the whole board."""
    return place(level, stream, code, 0, 0, level.board[WIDTH], level.board[HEIGHT])


@jit(_nrt=False)
def place_agent(level, stream, left, top, width, height, tries=ENDLESS):
    """The agent on a random free cell of a region, facing anywhere. `FINE` or `NO_ROOM`."""
    level.body[X], level.body[Y] = -1, -1
    x, y = find_free(level, stream, left, top, width, height, tries)
    if x < 0:
        return NO_ROOM
    set_agent(level, x, y, integer_below(stream, 4))
    return FINE


@jit(_nrt=False)
def place_agent_anywhere(level, stream):
    """`place_agent` on the whole board."""
    return place_agent(level, stream, 0, 0, level.board[WIDTH], level.board[HEIGHT])
