"""LockedRoom: six rooms along a hallway, one of them locked, with the goal in it; the key lies in another one.

Source: minigrid 3.2.0, envs/lockedroom.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import door, draw_colours, horizontal_wall, place_agent, put, surround, vertical_wall
from rltk.envs.minigrid.cells import CLOSED, GOAL, GREEN, KEY, LOCKED, N_COLOURS
from rltk.envs.minigrid.family import Family, Plan, check_size
from rltk.envs.minigrid.level import FINE, HEIGHT, MISSION, NO_ROOM, WIDTH
from rltk.envs.minigrid.missions import COLOUR_WORDS, Missions
from rltk.mdp import jit
from rltk.mdp.streams import integer_below, integer_between

N_ROOMS = N_COLOURS  # numbered from the top, the left one of a row first; `memory` holds their colours


@jit(_nrt=False)
def hallway(level):
    """The columns of the hallway's left and right wall."""
    middle = level.board[WIDTH] // 2
    return middle - 2, middle + 2


@jit(_nrt=False)
def random_place(level, stream, number):
    """(x, y) somewhere in a room."""
    left, right = hallway(level)
    third = level.board[HEIGHT] // 3
    corner_x, corner_y = right if number % 2 else 0, number // 2 * third
    x = integer_between(stream, corner_x + 1, corner_x + left)
    return x, integer_between(stream, corner_y + 1, corner_y + third)


@jit(_nrt=False)
def generate(level, options, stream):
    """No options."""
    width, height = level.board[WIDTH], level.board[HEIGHT]
    left, right = hallway(level)
    third = height // 3
    surround(level)
    vertical_wall(level, left, 0, height)
    vertical_wall(level, right, 0, height)
    for row in range(3):
        horizontal_wall(level, 0, row * third, left)
        horizontal_wall(level, right, row * third, width - right)
    locked = integer_below(stream, N_ROOMS)
    x, y = random_place(level, stream, locked)
    put(level, x, y, GOAL + GREEN)
    draw_colours(level, stream, 0)
    for number in range(N_ROOMS):
        state = LOCKED if number == locked else CLOSED
        put(level, right if number % 2 else left, number // 2 * third + 3, door(level.memory[number], state))
    with_key = integer_below(stream, N_ROOMS)
    while with_key == locked:
        with_key = integer_below(stream, N_ROOMS)
    x, y = random_place(level, stream, with_key)
    colour = level.memory[locked]
    put(level, x, y, KEY + colour)
    if place_agent(level, stream, left, 0, right - left, height) != FINE:
        return NO_ROOM
    level.body[MISSION] = (colour * N_COLOURS + level.memory[with_key]) * N_COLOURS + colour
    return FINE


def plan(size: int = 19) -> Plan:
    """size: cells along a side, walls included; on fewer than 12 the doors would lie where walls meet."""
    size = check_size("size", size, 12)
    return Plan(
        width=size,
        height=size,
        max_steps=10 * size,
        missions=Missions(
            "get the {} key from the {} room, unlock the {} door and go to the goal", *(COLOUR_WORDS,) * 3
        ),
        memory=N_ROOMS,
    )


FAMILY = Family("LockedRoom", generate, plan)
