"""Things scattered over a board, in a list: `memory` begins with how many there are, then x, y of each.

Of what stands at a place on the list, the board knows the rest.
"""

from rltk.envs.minigrid.board import finder, get
from rltk.mdp import jit

COUNT = 0


def list_memory(count: int) -> int:
    """Words of `memory` that a list of `count` places needs."""
    return 1 + 2 * count


@jit(_nrt=False)
def clear_list(level):
    """An empty list."""
    level.memory[COUNT] = 0


@jit(_nrt=False)
def enlist(level, x, y):
    """(x, y) becomes the last place of the list."""
    memory = level.memory
    at = 1 + 2 * memory[COUNT]
    memory[at], memory[at + 1] = x, y
    memory[COUNT] += 1


@jit(_nrt=False)
def place_of(level, k):
    """(x, y) of the k-th place of the list."""
    return level.memory[1 + 2 * k], level.memory[2 + 2 * k]


@jit(_nrt=False)
def set_place(level, k, x, y):
    """(x, y) becomes the k-th place of the list."""
    level.memory[1 + 2 * k], level.memory[2 + 2 * k] = x, y


@jit(_nrt=False)
def is_listed(level, code):
    """Whether `code` stands at some place of the list."""
    for k in range(level.memory[COUNT]):
        x, y = place_of(level, k)
        if get(level, x, y) == code:
            return True
    return False


@jit(_nrt=False)
def near_listed(level, x, y):
    """Whether (x, y) is a place of the list, or touches one at a side or corner."""
    for k in range(level.memory[COUNT]):
        other_x, other_y = place_of(level, k)
        if abs(x - other_x) <= 1 and abs(y - other_y) <= 1:
            return True
    return False


find_away = finder(near_listed)
