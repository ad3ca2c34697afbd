"""ObstructedMaze of two rooms: one locked door, whose key may be hidden in a box and before which a ball may stand.

Source: minigrid 3.2.0, envs/obstructedmaze.py (`ObstructedMaze_1Dlhb`).
"""

from rltk.envs.minigrid.family import Family, Plan, check_flag
from rltk.envs.minigrid.level import NO_ROOM, RIGHT
from rltk.envs.minigrid.levels.obstructedmaze import add_key, add_locked_door, begin, finish, maze_plan
from rltk.mdp import jit

_, COLUMNS, ROWS, KEY_IN_BOX, BLOCKED = range(5)


@jit(_nrt=False)
def generate(level, options, stream):
    """options: the rooms, whether the key is in a box, and whether the door is blocked."""
    colour = level.memory[begin(level, stream, options[COLUMNS], options[ROWS])]
    add_locked_door(level, stream, 0, 0, RIGHT, colour, options[BLOCKED])
    if not add_key(level, stream, 0, 0, colour, options[KEY_IN_BOX]):
        return NO_ROOM
    return finish(level, stream, 1, 0, 0, 0)


def plan(key_in_box: bool = True, blocked: bool = True) -> Plan:
    """key_in_box: the key lies in a box. blocked: a ball stands before the door."""
    options = int(check_flag("key_in_box", key_in_box)), int(check_flag("blocked", blocked))
    return maze_plan(2, 1, 2, options)


FAMILY = Family("ObstructedMaze1Dlhb", generate, plan)
