"""The model of a level in which nothing moves by itself, and shortest plans.

    T(s' | s, a) = 1 for the state s' that action a leads to

so that under the declared reward the optimum is the shortest way: V*(s) = gamma^(d(s) - 1), d(s) steps from success.
States are numbered in the order of their distance from the level's own.
"""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.cells import EMPTY, STATES
from rltk.envs.minigrid.level import CARRYING, RULE, TARGET, Level, Levels, copied
from rltk.envs.minigrid.models.base import LevelModel, name_of
from rltk.envs.minigrid.models.explore import ALL, NOT_ALL, distances, explore, plan_of
from rltk.envs.minigrid.models.states import (
    AGENT,
    FACING,
    FIRST_THING,
    Parts,
    bound,
    digits_now,
    digits_of,
    look_of,
    parts_of,
    put_states,
)
from rltk.envs.minigrid.rules import CARRY_RULE, OBSTACLES_RULE
from rltk.errors import ModelError, SizeError

MOST_STATES = 5_000_000  # of a model
MOST_SEARCHED = 50_000_000  # in search of a plan
MOST_NUMBERS = 2.0**62  # a state's number must fit in 64 bits


class StillModel(LevelModel):
    """Every state of a level in which nothing moves by itself.

    most: states. Raises SizeError, with the number, where there may be or are more states, and ModelError where a board
    does not tell its state.
    """

    def __init__(self, level: Level, n_actions: int, most: int = MOST_STATES) -> None:
        super().__init__(level, n_actions)
        refuse_target_in_hand(level)
        self.parts, first = parts_of(self._level)
        refuse_twins_in_boxes(self.parts)
        self.bound = bound(self.parts)
        if self.bound >= MOST_NUMBERS:
            raise SizeError(self._too_many("may have", self.bound))
        end, self.reached = explore(
            self._level, self.parts, first, n_actions, most=most, keep=True, until_success=False
        )
        if end != ALL:
            raise SizeError(self._too_many(f"has more than {most:,} states; it may have", self.bound))
        self.numbers = self.reached.numbers

    @staticmethod
    def _too_many(verb: str, states: float) -> str:
        return (
            f"this level {verb} up to {states:.3g} states, for each thing that can be carried multiplies them by the "
            "cells on which it may lie. Take a smaller level, or ask for a shortest plan, which needs no table: "
            "env.unwrapped.shortest_plan()"
        )

    def _outcomes(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.uint8]]:
        n = self.reached.outcome.size
        return np.arange(n + 1), self.reached.next_state.reshape(-1), np.ones(n), self.reached.outcome.reshape(-1)

    def _put(self, levels: Levels, numbers: NDArray[np.int64]) -> None:
        digits, standing = np.empty(self.parts.ranges.size, dtype=np.int64), np.zeros(levels.grid.shape[1], np.int32)
        put_states(levels, self.parts, numbers, digits, standing)

    def number_in(self, level: Level) -> int:
        """See `LevelModel`."""
        return digits_now(self.parts, level)

    @cached_property
    def distance(self) -> NDArray[np.int32]:
        """(S,): the steps of a shortest plan from each state, -1 where there is none."""
        return distances(self.reached.next_state, self.reached.outcome)

    def value(self, gamma: float) -> NDArray[np.float64]:
        """(S,): V* under the declared reward, gamma^(d - 1); exact but for rounding. For gamma below 1."""
        return np.where(self.distance > 0, float(gamma) ** (self.distance - 1.0), 0.0)

    def describe(self, state: int) -> str:
        """See `LevelModel`."""
        digits = np.empty(self.parts.ranges.size, dtype=np.int64)
        digits_of(self.parts, self.numbers[state], digits)
        n, n_things = self.parts.cells.size, self.parts.things.size
        words = [self._agent(self._place(digits[AGENT]), digits[FACING])]
        for i in range(n_things):
            code, place = look_of(self.parts, i, digits[FIRST_THING + i])
            where = f"at {self._place(place)}" if place < n else ("carried" if place == n else "gone")
            words.append(f"{name_of(int(code))} {where}")
        for i, at in enumerate(self.parts.doors.tolist()):
            state_word = STATES[digits[FIRST_THING + n_things + i]]
            words.append(f"{name_of(int(self.parts.ground[at]))} {state_word} at {self._xy(at)}")
        return "; ".join(words)

    def _place(self, cell: int) -> tuple[int, int]:
        return self._xy(int(self.parts.cells[cell]))


def shortest_plan(level: Level, n_actions: int, most: int = MOST_SEARCHED) -> NDArray[np.int8] | None:
    """(L,) the actions of a shortest way to success in `level`; None where there is none.

    Raises SizeError where the first `most` states hold none, ModelError where things move by themselves, or where the
    agent carries already what it is to pick up.
    """
    if level.board[RULE] == OBSTACLES_RULE:
        raise ModelError("obstacles move at random, so no plan is sure; solve the level's mdp() instead")
    refuse_target_in_hand(level)
    copy = copied(level)
    parts, first = parts_of(copy)
    if bound(parts) >= MOST_NUMBERS:
        raise SizeError(f"this level may have up to {bound(parts):.3g} states, too many even to be counted")
    end, reached = explore(copy, parts, first, n_actions, most=most, keep=False, until_success=True)
    if end == NOT_ALL:
        raise SizeError(f"none of the first {most:,} states is a success; take a smaller level")
    return plan_of(reached)


def refuse_target_in_hand(level: Level) -> None:
    """Raise ModelError where the rule would have to remember the place in which the target is set down."""
    if level.board[RULE] == CARRY_RULE and level.body[CARRYING] == level.body[TARGET] != 0:
        raise ModelError(
            "the agent carries already what it is to pick up, and where it sets that down is no part of a state. "
            "Let the thing lie on the board"
        )


def refuse_twins_in_boxes(parts: Parts) -> None:
    """Raise ModelError where, once a box is open, two states look alike in all: a board would not tell its state."""
    held = [
        (code, box) for code, box in zip(parts.contents.tolist(), parts.things.tolist(), strict=True) if code > EMPTY
    ]
    for code, box in held:
        if code in parts.things.tolist() or any(code == other and box != twin for other, twin in held):
            raise ModelError(
                f"a box holds a {name_of(code)} like another of this level, so that once it is open a board may be two "
                "states. Give one of them another colour, or ask for shortest_plan(), which is exact here too"
            )
