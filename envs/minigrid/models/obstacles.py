"""The exact model of a level in which obstacles move.

The state is where the agent is and heads, and the place of each obstacle, in their order: they move one after the other
before the agent does. An obstacle looks n = 101 times at a random cell of the square of m cells around it, of which f
are free, and goes to the first free one that it sees:

    P(it goes to a given free cell) = (1 - (1 - f/m)^n) / f,        P(it stays) = (1 - f/m)^n

A way less likely than a rounding error of 1 is left out: with three free cells or more, an obstacle moves. Every way
that all obstacles may go is followed on the board itself; then the agent acts by the kernel that steps it.

Source: minigrid 3.2.0, envs/dynamicobstacles.py (`step`) and minigrid_env.py (`place_obj`).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.actions import FORWARD, NOTHING
from rltk.envs.minigrid.board import get, index, put
from rltk.envs.minigrid.cells import EMPTY, FLAGS, WALKABLE
from rltk.envs.minigrid.level import (
    CARRYING,
    DIRECTION,
    HEIGHT,
    ORIGIN,
    STEPS,
    STRIDE,
    WIDTH,
    Level,
    Levels,
    X,
    Y,
    level_of,
)
from rltk.envs.minigrid.models.base import LevelModel, name_of
from rltk.envs.minigrid.models.explore import ALL, NOT_ALL, fill_table, place_in
from rltk.envs.minigrid.rules import (
    OBSTACLE_REACH,
    OBSTACLE_TRIES,
    go_among_obstacles,
    is_blocked,
    move_obstacle,
)
from rltk.envs.minigrid.scattering import COUNT as OBSTACLES
from rltk.envs.minigrid.scattering import place_of, set_place
from rltk.errors import SizeError
from rltk.mdp import jit

MOST_OUTCOMES = 30_000_000
_FEW = 1 << 22  # numbers: a table of them is taken at once
_NEGLIGIBLE = 2.0**-53
_MOST_WAYS = OBSTACLE_REACH * OBSTACLE_REACH
N_OBSTACLE_ACTIONS = FORWARD + 1

# Digits of a state's number before those of the obstacles' places.
AGENT, FACING, FIRST_OBSTACLE = range(3)
# Registers of a search.
STATES, OUTCOMES, DONE = range(3)


class Room(NamedTuple):
    """What can change: where the agent and the obstacles may be."""

    cells: NDArray[np.int64]  # (n,): indices in `grid` of the cells on which an obstacle or the agent can stand
    number: NDArray[np.int32]  # (grid,): of a cell among these, -1 for others
    obstacles: NDArray[np.uint8]  # (k,): the code of each
    weights: NDArray[np.int64]  # (2 + k,): of the digits
    ground: NDArray[np.uint8]  # (grid,): the level without its obstacles


class Found(NamedTuple):
    """The n states that were found and their m outcomes; while a search goes on, room for more of them."""

    numbers: NDArray[np.int64]  # (n,): of the state
    row_end: NDArray[np.int64]  # (n, A): where the outcomes of the state's action end
    next_state: NDArray[np.int32]  # (m,): the state itself where the action ends the episode
    probability: NDArray[np.float64]  # (m,)
    outcome: NDArray[np.uint8]  # (m,): `actions.NOTHING`, SUCCESS ...
    registers: NDArray[np.int64]  # (3,): see above


def room_of(level: Level) -> tuple[Room, NDArray[np.int64]]:
    """(what can change in `level`, the digits of the state that it is in). SizeError where states can't be numbered."""
    grid, count = level.grid, int(level.memory[OBSTACLES])
    rows = int(level.board[ORIGIN]) + np.arange(int(level.board[HEIGHT]))[:, None] * int(level.board[STRIDE])
    inside = (rows + np.arange(int(level.board[WIDTH]))).ravel()
    here = index(level, int(level.body[X]), int(level.body[Y]))
    places = np.array([index(level, *place_of(level, k)) for k in range(count)], dtype=np.int64)
    cells = inside[(FLAGS[grid[inside]] & WALKABLE != 0) | np.isin(inside, [here, *places])]
    number = np.full(grid.size, -1, dtype=np.int32)
    number[cells] = np.arange(cells.size)
    ranges = [4] + [cells.size] * count
    if cells.size * float(np.prod(np.array(ranges, dtype=float))) >= 2.0**62:
        raise SizeError(too_many(cells.size, count))
    ground = grid.copy()
    ground[places] = EMPTY
    weights = np.append(np.cumprod(ranges[::-1])[::-1], 1).astype(np.int64)
    digits = np.array([number[here], int(level.body[DIRECTION]), *number[places]], dtype=np.int64)
    return Room(cells, number, grid[places], weights, ground), digits


def size_of(cells: int, obstacles: int) -> tuple[float, float]:
    """(states, outcomes): about so many there are at least, with the agent and the obstacles on different cells, and
    two ways for an obstacle to go."""
    states = 4.0 * math.prod(max(cells - i, 1) for i in range(obstacles + 1))
    return states, states * N_OBSTACLE_ACTIONS * 2.0**obstacles


def too_many(cells: int, obstacles: int) -> str:
    """The refusal of a level with so many cells and obstacles."""
    states, outcomes = size_of(cells, obstacles)
    return (
        f"this level has about {states:.3g} states, in which {obstacles} obstacles go many ways: at least "
        f"{outcomes:.3g} outcomes, and at most {MOST_OUTCOMES:,} fit. Take a smaller level or fewer obstacles; "
        "rltk.evaluate samples where the model is too large"
    )


def explore_obstacles(level: Level, room: Room, first: NDArray[np.int64], n_actions: int) -> Found:
    """All states that can be reached from that with the digits `first`. `level` is left in any state.

    Raises SizeError where there are more than `MOST_OUTCOMES` outcomes.
    """
    count = room.obstacles.size
    numbers = int(room.cells.size * room.weights[0])
    few = numbers <= _FEW
    at_once = n_actions * _MOST_WAYS**count  # the most outcomes of one state
    if max(at_once, size_of(room.cells.size, count)[1]) > MOST_OUTCOMES:
        raise SizeError(too_many(room.cells.size, count))
    n, m = (min(numbers, _FEW) if few else 4096) + at_once, 64 * at_once
    found = Found(
        np.empty(n, dtype=np.int64),
        np.empty((n, n_actions), dtype=np.int64),
        np.empty(m, dtype=np.int32),
        np.empty(m),
        np.empty(m, dtype=np.uint8),
        np.array([1, 0, 0]),
    )
    level.grid[:] = room.ground
    found.numbers[0] = (first * room.weights).sum()
    scratch = np.empty((count + 1, _MOST_WAYS, 2), dtype=np.int64), np.empty((count + 1, 4)), np.empty_like(first)
    while True:
        table = np.full(numbers if few else 1 << (2 * found.numbers.size).bit_length(), -1, dtype=np.int32)
        fill_table(found.registers[STATES], found.numbers, table, few)
        end = expand_obstacles(level, room, n_actions, found, table, few, at_once, *scratch)
        states, outcomes, _ = (int(register) for register in found.registers)
        if end == ALL:
            by_state = {name: getattr(found, name)[:states] for name in ("numbers", "row_end")}
            by_outcome = {name: getattr(found, name)[:outcomes] for name in ("next_state", "probability", "outcome")}
            return found._replace(**by_state, **by_outcome)
        if outcomes + at_once > MOST_OUTCOMES:
            raise SizeError(too_many(room.cells.size, count))
        if states + at_once > found.numbers.size:
            found = found._replace(numbers=_twice(found.numbers), row_end=_twice(found.row_end))
        if outcomes + at_once > found.probability.size:
            longer = {name: _twice(getattr(found, name)) for name in ("next_state", "probability", "outcome")}
            found = found._replace(**longer)


def _twice(array: NDArray[Any]) -> NDArray[Any]:
    new = np.empty((2 * len(array), *array.shape[1:]), dtype=array.dtype)
    new[: len(array)] = array
    return new


@jit(_nrt=False)
def list_ways(level, k, ways):
    """Fill `ways` (9, 2) with where the k-th obstacle may go, its own place last. (how many free cells there are, the
    chance of each, the chance that it stays)."""
    x, y = place_of(level, k)
    reach = OBSTACLE_REACH // 2
    cells, free = 0, 0
    for there_x in range(max(x - reach, 0), min(x + reach + 1, level.board[WIDTH])):
        for there_y in range(max(y - reach, 0), min(y + reach + 1, level.board[HEIGHT])):
            cells += 1
            if get(level, there_x, there_y) == EMPTY and (there_x != level.body[X] or there_y != level.body[Y]):
                ways[free, 0], ways[free, 1] = there_x, there_y
                free += 1
    ways[free, 0], ways[free, 1] = x, y
    if free == 0:
        return free, 0.0, 1.0
    stays = (1.0 - free / cells) ** OBSTACLE_TRIES
    return free, (1.0 - stays) / free, stays


@jit(_nrt=False)
def put_obstacles(room, number, level, digits):
    """Let `level` be in the state `number`; its grid was `room.ground`. Fills its digits."""
    for i in range(digits.size):
        digits[i] = number // room.weights[i]
        number %= room.weights[i]
    for k in range(room.obstacles.size):
        at = room.cells[digits[FIRST_OBSTACLE + k]]
        level.grid[at] = room.obstacles[k]
        at -= level.board[ORIGIN]
        set_place(level, k, at % level.board[STRIDE], at // level.board[STRIDE])
    at = room.cells[digits[AGENT]] - level.board[ORIGIN]
    level.body[X], level.body[Y] = at % level.board[STRIDE], at // level.board[STRIDE]
    level.body[DIRECTION], level.body[CARRYING], level.body[STEPS] = digits[FACING], 0, 0


@jit(_nrt=False)
def take_obstacles(level):
    """Make the grid the ground again."""
    for k in range(level.memory[OBSTACLES]):
        x, y = place_of(level, k)
        put(level, x, y, EMPTY)


@jit(_nrt=False)
def number_now(room, level):
    """The number of the state that `level` is in."""
    number = room.number[index(level, level.body[X], level.body[Y])] * room.weights[AGENT]
    number += level.body[DIRECTION] * room.weights[FACING]
    for k in range(room.obstacles.size):
        x, y = place_of(level, k)
        number += room.number[index(level, x, y)] * room.weights[FIRST_OBSTACLE + k]
    return number


@jit(_nrt=False)
def expand_obstacles(level, room, n_actions, found, table, few, at_once, ways, odds, digits):
    """Try all actions in the states that were found, until there is no new one (`ALL`) or no room for the next state's
    outcomes (`NOT_ALL`). ways (k + 1, 9, 2), odds (k + 1, 4) and digits (2 + k,) to work in."""
    registers = found.registers
    while registers[DONE] < registers[STATES]:
        if registers[STATES] + at_once > found.numbers.size or registers[OUTCOMES] + at_once > found.probability.size:
            return NOT_ALL
        here = registers[DONE]
        put_obstacles(room, found.numbers[here], level, digits)
        blocked = is_blocked(level)
        for action in range(n_actions):
            follow_ways(level, room, here, action, blocked, found, table, few, ways, odds)
            found.row_end[here, action] = registers[OUTCOMES]
        take_obstacles(level)
        registers[DONE] += 1
    return ALL


@jit(_nrt=False)
def follow_ways(level, room, here, action, blocked, found, table, few, ways, odds):
    """Enter the outcomes of `action` in the state `here`, one for each way that all obstacles may go.

    ways[k]: where obstacle k may go, given where those before it went; odds[k]: how many ways were tried, the number of
    its free cells, the chance of each, the chance that it stays.
    """
    count = room.obstacles.size
    k, chance = 0, 1.0
    if count == 0:
        enter(level, room, here, action, blocked, 1.0, found, table, few)
        return
    open_ways(level, 0, chance, ways, odds)
    while k >= 0:
        tried, free = np.int64(odds[k, 0]), np.int64(odds[k, 1])
        odds[k, 0] += 1
        if tried > free:  # all were, and the obstacle is back in its own place
            k -= 1
            continue
        chance = odds[k, 2] if tried < free else odds[k, 3]
        move_obstacle(level, k, ways[k, tried, 0], ways[k, tried, 1])
        if chance < _NEGLIGIBLE:
            continue
        if k + 1 < count:
            k += 1
            open_ways(level, k, chance, ways, odds)
        else:
            enter(level, room, here, action, blocked, chance, found, table, few)


@jit(_nrt=False)
def open_ways(level, k, chance, ways, odds):
    """Begin with the ways of obstacle k. chance: of what those before it did."""
    free, each, stays = list_ways(level, k, ways[k])
    odds[k, 0], odds[k, 1], odds[k, 2], odds[k, 3] = 0, free, chance * each, chance * stays


@jit(_nrt=False)
def enter(level, room, here, action, blocked, chance, found, table, few):
    """Let the agent act among the obstacles as they stand, and enter what comes of it. All that ends is one outcome."""
    body, registers = level.body, found.registers
    x, y, direction = body[X], body[Y], body[DIRECTION]
    outcome = go_among_obstacles(level, action, blocked)
    there = here
    if outcome == NOTHING:
        number = number_now(room, level)
        place = np.uint64(place_in(table, few, found.numbers, number))
        there = np.int64(table[place])
        if there < 0:
            there = registers[STATES]
            registers[STATES] += 1
            table[place], found.numbers[there] = there, number
    body[X], body[Y], body[DIRECTION] = x, y, direction
    last = registers[OUTCOMES] - 1
    begin = found.row_end[here, action - 1] if action > 0 else (found.row_end[here - 1, -1] if here > 0 else 0)
    if outcome != NOTHING and last >= begin and found.outcome[last] == outcome:
        found.probability[last] += chance
        return
    at = registers[OUTCOMES]
    found.next_state[at], found.probability[at], found.outcome[at] = there, chance, outcome
    registers[OUTCOMES] += 1


@jit(_nrt=False)
def put_all_obstacles(room, numbers, levels, digits):
    """Let level k of a batch be in the state `numbers[k]`, whatever stood on its grid."""
    for k in range(numbers.size):
        level = level_of(levels, k)
        for i in range(level.grid.size):
            level.grid[i] = room.ground[i]
        put_obstacles(room, numbers[k], level, digits)


class ObstacleModel(LevelModel):
    """Every state of a level in which obstacles move. Raises SizeError, with the numbers, where it is too large."""

    def __init__(self, level: Level, n_actions: int) -> None:
        super().__init__(level, n_actions)
        self.room, first = room_of(self._level)
        self.found = explore_obstacles(self._level, self.room, first, n_actions)
        self.numbers = self.found.numbers
        self._digits = np.empty_like(first)

    def _outcomes(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.uint8]]:
        found = self.found
        return np.append(0, found.row_end.reshape(-1)), found.next_state, found.probability, found.outcome

    def _put(self, levels: Levels, numbers: NDArray[np.int64]) -> None:
        put_all_obstacles(self.room, numbers, levels, self._digits)

    def number_in(self, level: Level) -> int:
        """See `LevelModel`."""
        count = self.room.obstacles.size
        if level.memory[OBSTACLES] != count:
            return -1
        places = [index(level, *place_of(level, k)) for k in range(count)]
        here = [index(level, int(level.body[X]), int(level.body[Y])), *places]
        ground = level.grid.copy()
        ground[places] = EMPTY
        if (ground != self.room.ground).any() or (self.room.number[here] < 0).any() or level.body[CARRYING]:
            return -1
        return int(number_now(self.room, level))

    def describe(self, state: int) -> str:
        """See `LevelModel`."""
        rest, digits = int(self.numbers[state]), []
        for weight in self.room.weights.tolist():
            digit, rest = divmod(rest, weight)
            digits.append(digit)
        places = [self._xy(int(self.room.cells[digit])) for digit in (digits[AGENT], *digits[FIRST_OBSTACLE:])]
        things = [
            f"{name_of(int(code))} at {place}" for code, place in zip(self.room.obstacles, places[1:], strict=True)
        ]
        return "; ".join([self._agent(places[0], digits[FACING]), *things])
