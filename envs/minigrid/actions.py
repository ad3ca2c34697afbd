"""What the seven actions do: turn left, turn right, go forward, pick up, drop, toggle, done.

Walking onto a goal or into lava is an outcome of the step; everything else that may end an episode is a family's rule
(`rules.py`). Toggling opens and closes doors, unlocks one with the key of its colour, which is kept, and opens a box,
which leaves what it held. Things can only be dropped on an empty cell.

Source: minigrid 3.2.0, minigrid_env.py (`step`) and core/world_object.py (`toggle`).
"""

import numpy as np

from rltk.envs.minigrid.board import AHEAD_X, AHEAD_Y, index
from rltk.envs.minigrid.cells import (
    BALL,
    BOX,
    CARRIABLE,
    CLOSED,
    DOOR,
    EMPTY,
    FLAGS,
    HELD_BALL,
    HELD_KEY,
    IS_BOX,
    IS_DOOR,
    IS_GOAL,
    IS_LAVA,
    KEY,
    LOCKED,
    N_HELD,
    WALKABLE,
)
from rltk.envs.minigrid.level import CARRYING, DIRECTION, STRIDE, X, Y
from rltk.mdp import jit

TURN_LEFT, TURN_RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, DONE = range(7)
N_ACTIONS = 7

# How a step ended the episode, or not. SUCCESS pays, PENALTY costs 1.
NOTHING, SUCCESS, FAILURE, PENALTY = range(4)


@jit(_nrt=False)
def toggled(code, carried):
    """What becomes of the thing `code` when it is toggled by an agent that carries `carried`."""
    flags = FLAGS[code]
    if flags & IS_DOOR:
        state = (code - DOOR) % 3
        if state == LOCKED:
            return code - LOCKED if carried == KEY + (code - DOOR) // 3 else code
        return code - 1 if state == CLOSED else code + 1
    if flags & IS_BOX:
        held = (code - BOX) % N_HELD
        if held == 0:
            return np.int64(EMPTY)
        return KEY + held - HELD_KEY if held < HELD_BALL else BALL + held - HELD_BALL
    return code


@jit(_nrt=False, inline="always")
def act(level, action):
    """Do `action`. (outcome, the code that stood ahead before it)."""
    grid, body = level.grid, level.body
    direction = body[DIRECTION]
    ahead_x, ahead_y = AHEAD_X[direction], AHEAD_Y[direction]
    at = np.uint64(index(level, body[X], body[Y]) + ahead_x + ahead_y * level.board[STRIDE])
    front = np.int64(grid[at])
    flags = FLAGS[front]
    carried = np.int64(body[CARRYING])
    if action == TURN_LEFT:
        body[DIRECTION] = (direction + 3) & 3
    elif action == TURN_RIGHT:
        body[DIRECTION] = (direction + 1) & 3
    elif action == FORWARD:
        if flags & WALKABLE:
            body[X] += ahead_x
            body[Y] += ahead_y
            if flags & IS_GOAL:
                return SUCCESS, front
            if flags & IS_LAVA:
                return FAILURE, front
    elif action == PICK_UP:
        if flags & CARRIABLE and carried == 0:
            body[CARRYING] = front
            grid[at] = EMPTY
    elif action == DROP:
        if front == EMPTY and carried != 0:
            grid[at] = carried
            body[CARRYING] = 0
    elif action == TOGGLE:
        grid[at] = toggled(front, carried)
    return NOTHING, front
