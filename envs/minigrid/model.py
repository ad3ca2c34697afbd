"""The exact model of one level: T and R of every state that can be reached, found by the kernel that steps it.

    T(s' | s, a) = 1 for the state s' that action a leads to;   R(s, a) = 1 at success, -1 at a penalty, 0 else

MiniGrid pays 1 - 0.9 t / max_steps at success, which no stationary model can hold; this one declares 1 and is asked
with gamma < 1, so that the optimum is the shortest way: V*(s) = gamma^(d(s) - 1), d(s) steps from success.

State 0 is the level's own; the others are numbered in the order of their distance from it.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.actions import NOTHING, PENALTY, SUCCESS
from rltk.envs.minigrid.cells import CARRIABLE, COLOURS, EMPTY, FLAGS, IS_DOOR, STATES, TRIPLES, TYPES
from rltk.envs.minigrid.explore import ALL, NOT_ALL, distances, explore, plan_of
from rltk.envs.minigrid.level import BODY, MISSION, ORIGIN, RULE, STRIDE, VIEW, Level, Levels, copied
from rltk.envs.minigrid.rules import OBSTACLES_RULE
from rltk.envs.minigrid.states import (
    AGENT,
    FACING,
    FIRST_THING,
    bound,
    digits_now,
    digits_of,
    look_of,
    parts_of,
    put_states,
)
from rltk.envs.minigrid.view import observe_some
from rltk.errors import ModelError, SizeError
from rltk.mdp import MDP
from rltk.mdp.rows import Rows

MOST_STATES = 5_000_000  # of a model
MOST_SEARCHED = 50_000_000  # in search of a plan
MOST_AT_ONCE = 1024  # levels that are made of states at a time: they stay in the cache
MOST_NUMBERS = 2.0**62  # a state's number must fit in 64 bits
ACTIONS = ("left", "right", "forward", "pickup", "drop", "toggle", "done")
DIRECTIONS = ("right", "down", "left", "up")
_FIXED = (FLAGS & (CARRIABLE | IS_DOOR) == 0) & (np.arange(256) != EMPTY)  # by code: what never changes


class LevelModel:
    """Every state of a level that can be reached, and what each action leads to.

    level: is copied. n_actions: of the environment. most: states.

    Raises SizeError, with the number, where there may be or are more states than `most`, and ModelError where things
    move by themselves.
    """

    def __init__(self, level: Level, n_actions: int, most: int = MOST_STATES) -> None:
        refuse_obstacles(level)
        self._level = copied(level)
        self.parts, first = parts_of(self._level)
        self.bound = bound(self.parts)
        if self.bound >= MOST_NUMBERS:
            raise SizeError(self._too_many("may have", self.bound))
        end, self.reached = explore(
            self._level, self.parts, first, n_actions, most=most, keep=True, until_success=False
        )
        if end != ALL:
            raise SizeError(self._too_many(f"has more than {most:,} states; it may have", self.bound))

    @staticmethod
    def _too_many(verb: str, states: float) -> str:
        return (
            f"this level {verb} up to {states:.3g} states, for each thing that can be carried multiplies them by the "
            "cells on which it may lie. Take a smaller level, or ask for a shortest plan, which needs no table: "
            "env.unwrapped.shortest_plan()"
        )

    @property
    def n_states(self) -> int:
        """How many states can be reached."""
        return self.reached.numbers.size

    @cached_property
    def mdp(self) -> MDP:
        """T and R with the declared reward. Every row has one outcome; an end leads nowhere."""
        n, n_actions = self.reached.outcome.shape
        outcome = self.reached.outcome.reshape(-1)
        reward = (outcome == SUCCESS).astype(np.float64) - (outcome == PENALTY)
        start = np.zeros(n)
        start[0] = 1.0
        form = Rows(
            n,
            n_actions,
            np.arange(n * n_actions + 1),
            self.reached.next_state.reshape(-1),
            np.ones(n * n_actions),
            reward,
            outcome != NOTHING,
            outcome == SUCCESS,
        )
        return MDP(form, start, state_labels=self.describe, action_labels=lambda a: ACTIONS[a])

    @cached_property
    def distance(self) -> NDArray[np.int32]:
        """(S,): the steps of a shortest plan from each state, -1 where there is none."""
        return distances(self.reached.next_state, self.reached.outcome)

    def value(self, gamma: float) -> NDArray[np.float64]:
        """(S,): V* under the declared reward, gamma^(d - 1); exact but for rounding. For gamma below 1."""
        return np.where(self.distance > 0, float(gamma) ** (self.distance - 1.0), 0.0)

    def describe(self, state: int) -> str:
        """A state in words: "agent at (1, 3) facing right; yellow key carried; yellow door locked at (4, 2)"."""
        digits = np.empty(self.parts.ranges.size, dtype=np.int64)
        digits_of(self.parts, self.reached.numbers[state], digits)
        n, n_things = self.parts.cells.size, self.parts.things.size
        words = [f"agent at {self._place(digits[AGENT])} facing {DIRECTIONS[digits[FACING]]}"]
        for i in range(n_things):
            code, place = look_of(self.parts, i, digits[FIRST_THING + i])
            where = f"at {self._place(place)}" if place < n else ("carried" if place == n else "gone")
            words.append(f"{_name(int(code))} {where}")
        for i, at in enumerate(self.parts.doors.tolist()):
            state_word = STATES[digits[FIRST_THING + n_things + i]]
            words.append(f"{_name(int(self.parts.ground[at]))} {state_word} at {self._xy(at)}")
        return "; ".join(words)

    def _place(self, cell: int) -> tuple[int, int]:
        return self._xy(int(self.parts.cells[cell]))

    def _xy(self, at: int) -> tuple[int, int]:
        y, x = divmod(at - int(self._level.board[ORIGIN]), int(self._level.board[STRIDE]))
        return x, y

    def batches(self, states: NDArray[np.int64]) -> Iterator[tuple[slice, Levels]]:
        """(Where in `states` (N,), levels that are in these states), piece by piece; the next piece reuses the levels.

        For looking at: of the registers, only where the agent is and what it carries, and the mission, are the state's.
        """
        room = min(states.size, MOST_AT_ONCE)
        level, numbers = self._level, self.reached.numbers[states]
        grid = np.empty((room, level.grid.size), dtype=np.uint8)
        body, memory = np.repeat(level.body[None], room, axis=0), np.repeat(level.memory[None], room, axis=0)
        digits, standing = np.empty(self.parts.ranges.size, dtype=np.int64), np.zeros(level.grid.size, dtype=np.int32)
        for begin in range(0, states.size, MOST_AT_ONCE):
            some = numbers[begin : begin + room]
            levels = Levels(grid[: some.size], body[: some.size], memory[: some.size], level.board)
            put_states(levels, self.parts, some, digits, standing)
            yield slice(begin, begin + some.size), levels

    def images(self, states: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """(images (N, V, V, 3), directions (N,)): the agent's view in (N,) `states`, as triples."""
        view = int(self._level.board[VIEW])
        images = np.empty((states.size, 3 * view * view), dtype=np.uint8)
        directions = np.empty(states.size, dtype=np.int64)
        for where, levels in self.batches(states):
            observe_some(levels, np.arange(len(levels.grid)), images[where], directions[where])
        return images.reshape(-1, view, view, 3), directions

    def alias_classes(self, observer: Any = None) -> NDArray[np.int64]:
        """(S,): states with the same number look the same to the agent: its view and direction; or all that an
        `observer` (`observing.py`) shows. The mission is the same in all states of a level."""
        states = np.arange(self.n_states)
        if observer is None:
            images, directions = self.images(states)
            seen = np.column_stack([images.reshape(self.n_states, -1), directions.astype(np.uint8)])
        else:
            seen = observer.bytes_of(self, states)
        rows = np.ascontiguousarray(seen).view(np.dtype((np.void, seen.shape[1]))).reshape(-1)
        return np.unique(rows, return_inverse=True)[1].reshape(-1).astype(np.int64)

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self.reached.numbers)

    def holds(self, level: Level) -> bool:
        """Whether the things of `level` are those of this one."""
        return digits_now(self.parts, level) >= 0

    def state_of(self, level: Level) -> int:
        """The state that `level`, this one after some steps, is in; -1 where it is none of them, as after an end."""
        number = digits_now(self.parts, level)
        at = int(np.searchsorted(self.reached.numbers, number, sorter=self._order)) if number >= 0 else self.n_states
        found = at < self.n_states and self.reached.numbers[self._order[at]] == number
        return int(self._order[at]) if found else -1

    @property
    def mission_number(self) -> int:
        """Of the level's mission among the family's."""
        return int(self._level.body[MISSION])


def shortest_plan(level: Level, n_actions: int, most: int = MOST_SEARCHED) -> NDArray[np.int8] | None:
    """(L,) the actions of a shortest way to success in `level`; None where there is none. Raises as `LevelModel`."""
    refuse_obstacles(level)
    copy = copied(level)
    parts, first = parts_of(copy)
    if bound(parts) >= MOST_NUMBERS:
        raise SizeError(f"this level may have up to {bound(parts):.3g} states, too many even to be counted")
    end, reached = explore(copy, parts, first, n_actions, most=most, keep=False, until_success=True)
    if end == NOT_ALL:
        raise SizeError(f"none of the first {most:,} states is a success; take a smaller level")
    return plan_of(reached)


def refuse_obstacles(level: Level) -> None:
    """Raise ModelError where things move by themselves."""
    if level.board[RULE] == OBSTACLES_RULE:
        raise ModelError("obstacles move at random; this level's states are not enumerated yet")


def same_level(one: Level, other: Level) -> bool:
    """Whether two levels differ only in what an episode changes: where the agent and things are, and the steps."""
    walls = _FIXED[one.grid], _FIXED[other.grid]
    ours = [*range(MISSION, BODY)]
    return bool(
        (walls[0] == walls[1]).all()
        and (one.grid[walls[0]] == other.grid[walls[1]]).all()
        and (one.body[ours] == other.body[ours]).all()
    )


def _name(code: int) -> str:
    kind, colour, _ = TRIPLES[code].tolist()
    return f"{COLOURS[colour]} {TYPES[kind]}"
