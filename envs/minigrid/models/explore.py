"""Every state that can be reached in a level, breadth first, by the same kernel that steps it.

A state's number (`states.py`) is its place in a table where there are few numbers. Where there are many, it is looked
up in one with open addressing: the place is the number times a large odd constant, and what is taken moves on to the
next. States are numbered as they are found, the present one first; so the first action that succeeds ends a shortest
plan, and the way back to it is kept as each state's parent.

The shortest way from every state follows backwards, from the states in which an action succeeds:

    d(s) = 1 + min_a d(s')         over actions that end nothing; 1 where an action succeeds

Source: Moore (1959), "The shortest path through a maze"; Knuth (1998), The Art of Computer Programming 3, section 6.4.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.actions import NOTHING, SUCCESS
from rltk.envs.minigrid.board import index
from rltk.envs.minigrid.level import CARRYING, DIRECTION, STEPS, Level, X, Y
from rltk.envs.minigrid.models.states import Parts, bound, digits_of, number_after, number_of, put_state, take_things
from rltk.envs.minigrid.rules import advance, ahead_of
from rltk.mdp import jit

_FIRST_ROOM = 2048  # of states
_FEW = 1 << 18  # numbers: a table of them fits the cache
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio

# How a search ended: out of room, all states found, or a success found.
NOT_ALL, ALL, FOUND = range(3)
# Registers of a search: states found, states whose actions were tried, and the first success.
COUNT, DONE, LAST_STATE, LAST_ACTION = range(4)


class Reached(NamedTuple):
    """The n states that were found; while a search goes on, room for more of them."""

    numbers: NDArray[np.int64]  # (n,): of the state, as `states.py` counts
    parent: NDArray[np.int32]  # (n,): the state from which it was first found; -1 for the first
    action: NDArray[np.int8]  # (n,): by which action
    next_state: NDArray[np.int32]  # (n, A), the state itself where the action ends the episode; (0, A) if not kept
    outcome: NDArray[np.uint8]  # (n, A): `actions.NOTHING`, SUCCESS ...; (0, A) if not kept
    registers: NDArray[np.int64]  # (4,): see above


def explore(
    level: Level, parts: Parts, first: NDArray[np.int64], n_actions: int, *, most: int, keep: bool, until_success: bool
) -> tuple[int, Reached]:
    """(how it ended, the states that can be reached from that with the digits `first`), of a level in which nothing
    moves by itself. `level` is left in any state.

    most: stop after so many states. keep: keep every transition. until_success: stop at the first success.
    """
    most = max(most, n_actions + 1)
    numbers = bound(parts)
    few = numbers <= _FEW
    room = min(int(numbers) + n_actions if few else _FIRST_ROOM, most)  # room that is never used costs nothing
    kept = room if keep else 0
    reached = Reached(
        np.empty(room, dtype=np.int64),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.int8),
        np.empty((kept, n_actions), dtype=np.int32),
        np.empty((kept, n_actions), dtype=np.uint8),
        np.array([1, 0, -1, -1]),
    )
    level.grid[:] = parts.ground
    first = first.copy()
    reached.numbers[0], reached.parent[0], reached.action[0] = number_of(parts, first), -1, -1
    scratch = np.empty((2, first.size), dtype=np.int64), np.zeros(level.grid.size, dtype=np.int32)
    while True:
        size = int(numbers) if few else 1 << (2 * reached.numbers.size).bit_length()  # at most half full
        table = np.full(size, -1, dtype=np.int32)
        fill_table(reached.registers[COUNT], reached.numbers, table, few)
        end = expand(
            level, parts, n_actions, keep, until_success, reached, table, few, *scratch, np.zeros(6, dtype=np.uint64)
        )
        count = int(reached.registers[COUNT])
        if end != NOT_ALL or reached.numbers.size >= most:
            return end, reached._replace(**{name: array[:count] for name, array in _by_state(reached)})
        room = min(2 * reached.numbers.size, most)
        reached = reached._replace(**{name: _longer(array, room) for name, array in _by_state(reached)})


def _by_state(reached: Reached) -> Iterator[tuple[str, NDArray[Any]]]:
    """The arrays whose first axis is the state's."""
    return ((name, array) for name, array in reached._asdict().items() if name != "registers")


def _longer(array: NDArray[Any], room: int) -> NDArray[Any]:
    new = np.empty((room if array.size else 0, *array.shape[1:]), dtype=array.dtype)
    new[: len(array)] = array
    return new


@jit(_nrt=False, inline="always")
def place_in(table, few, numbers, number):
    """Where `number` stands in a table, or would. few: there is a place for each; else there are 2^k places."""
    if few:
        return number
    mask = table.size - 1
    place = np.int64(((np.uint64(number) * _SPREAD) >> np.uint64(32)) & np.uint64(mask))
    while table[np.uint64(place)] >= 0 and numbers[table[np.uint64(place)]] != number:
        place = (place + 1) & mask
    return place


@jit(_nrt=False)
def fill_table(count, numbers, table, few):
    """Enter the first `count` numbers into a table of free places."""
    for i in range(count):
        table[place_in(table, few, numbers, numbers[i])] = i


@jit(_nrt=False)
def expand(level, parts, n_actions, keep, until_success, reached, table, few, digits, standing, stream):
    """Try all actions in the states that were found, until there is no new one (`ALL`), a success (`FOUND`) or no room
    for the next state's successors (`NOT_ALL`). digits: (2, d) int64 and standing: (grid,) int32 to work in. stream:
    never read, since nothing moves by itself."""
    registers, numbers = reached.registers, reached.numbers
    body, old, new = level.body, digits[0], digits[1]
    while registers[DONE] < registers[COUNT]:
        if registers[COUNT] + n_actions > numbers.size:
            return NOT_ALL
        here = registers[DONE]
        digits_of(parts, numbers[here], old)
        carried = put_state(parts, old, level, standing)
        x, y, direction, held = body[X], body[Y], body[DIRECTION], body[CARRYING]
        ahead_x, ahead_y = ahead_of(level)
        at = index(level, ahead_x, ahead_y)
        front = np.int64(level.grid[at])
        for action in range(n_actions):
            outcome = advance(level, stream, action)
            there = here
            same = body[X] == x and body[Y] == y and body[DIRECTION] == direction and level.grid[at] == front
            if outcome == NOTHING and not same:
                number = number_after(parts, numbers[here], old, level, at, front, carried, standing, new)
                place = np.uint64(place_in(table, few, numbers, number))
                there = np.int64(table[place])
                if there < 0:
                    there = registers[COUNT]
                    registers[COUNT] += 1
                    table[place] = there
                    numbers[there], reached.parent[there], reached.action[there] = number, here, action
            elif outcome == SUCCESS and registers[LAST_STATE] < 0:
                registers[LAST_STATE], registers[LAST_ACTION] = here, action
            if keep:
                reached.next_state[here, action], reached.outcome[here, action] = there, outcome
            level.grid[at] = front
            body[X], body[Y], body[DIRECTION], body[CARRYING], body[STEPS] = x, y, direction, held, 0
        take_things(parts, old, level)
        registers[DONE] += 1
        if until_success and registers[LAST_STATE] >= 0:
            return FOUND
    return ALL


@jit
def distances(next_state, outcome):
    """(n,) int32: the least number of steps to success from each state, -1 where there is no way."""
    n, n_actions = next_state.shape
    begin = np.zeros(n + 1, dtype=np.int64)
    for s in range(n):
        for a in range(n_actions):
            if outcome[s, a] == NOTHING and next_state[s, a] != s:
                begin[next_state[s, a] + 1] += 1
    begin = np.cumsum(begin)
    fill, before = begin[:-1].copy(), np.empty(begin[-1], dtype=np.int32)
    for s in range(n):
        for a in range(n_actions):
            t = next_state[s, a]
            if outcome[s, a] == NOTHING and t != s:
                before[fill[t]] = s
                fill[t] += 1
    steps, queue, count = np.full(n, -1, dtype=np.int32), np.empty(n, dtype=np.int32), 0
    for s in range(n):
        for a in range(n_actions):
            if outcome[s, a] == SUCCESS:
                steps[s], queue[count] = 1, s
                count += 1
                break
    done = 0
    while done < count:
        t = queue[done]
        done += 1
        for i in range(begin[t], begin[t + 1]):
            s = before[i]
            if steps[s] < 0:
                steps[s], queue[count] = steps[t] + 1, s
                count += 1
    return steps


def plan_of(reached: Reached) -> NDArray[np.int8] | None:
    """(L,) the actions of the plan that ends in the first success; None where there was none."""
    state, action = (int(register) for register in reached.registers[LAST_STATE:])
    if state < 0:
        return None
    actions = [action]
    while reached.parent[state] >= 0:
        actions.append(int(reached.action[state]))
        state = int(reached.parent[state])
    return np.array(actions[::-1], dtype=np.int8)
