"""The exact model of one level: T and R of every state that can be reached, found by the kernel that steps it.

    R(s, a) = 1 at success, -1 at a penalty, 0 else

MiniGrid pays 1 - 0.9 t / max_steps at success, which no stationary model can hold; this one declares 1 and is asked
with gamma < 1. What an episode really pays follows from it by the clock (`rltk.evaluate`).

State 0 is the level's own. `still.py` has the model of levels in which nothing moves by itself, `obstacles.py` that of
those in which something does.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.actions import NOTHING, PENALTY, SUCCESS
from rltk.envs.minigrid.cells import CARRIABLE, COLOURS, EMPTY, FLAGS, IS_DOOR, TRIPLES, TYPES
from rltk.envs.minigrid.level import BODY, MISSION, ORIGIN, STRIDE, VIEW, Level, Levels, copied
from rltk.envs.minigrid.view import observe_some
from rltk.mdp import MDP
from rltk.mdp.rows import Rows

MOST_AT_ONCE = 1024  # levels that are made of states at a time: they stay in the cache
ACTIONS = ("left", "right", "forward", "pickup", "drop", "toggle", "done")
DIRECTIONS = ("right", "down", "left", "up")
_FIXED = (FLAGS & (CARRIABLE | IS_DOOR) == 0) & (np.arange(256) != EMPTY)  # by code: what never changes


class LevelModel(ABC):
    """Every state of a level that can be reached, and what each action leads to.

    level: is copied. n_actions: of the environment. A model of another kind of level fills `numbers` (S,) int64, what
    its states are counted by, and says what they are.
    """

    numbers: NDArray[np.int64]

    def __init__(self, level: Level, n_actions: int) -> None:
        self._level = copied(level)
        self.n_actions = n_actions

    @abstractmethod
    def _outcomes(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.uint8]]:
        """(row_start, next_state, probability, outcome) of every state and action. An end leads nowhere."""

    @abstractmethod
    def _put(self, levels: Levels, numbers: NDArray[np.int64]) -> None:
        """Let level k of a batch be in the state that is counted as `numbers[k]`."""

    @abstractmethod
    def number_in(self, level: Level) -> int:
        """What the state of `level` is counted by; -1 where its things are not those of this level."""

    @abstractmethod
    def describe(self, state: int) -> str:
        """A state in words: "agent at (1, 3) facing right; yellow key carried; yellow door locked at (4, 2)"."""

    @property
    def n_states(self) -> int:
        """How many states can be reached."""
        return self.numbers.size

    @cached_property
    def mdp(self) -> MDP:
        """T and R with the declared reward."""
        row_start, next_state, probability, outcome = self._outcomes()
        reward = (outcome == SUCCESS).astype(np.float64) - (outcome == PENALTY)
        start = np.zeros(self.n_states)
        start[0] = 1.0
        ended, success = outcome != NOTHING, outcome == SUCCESS
        form = Rows(self.n_states, self.n_actions, row_start, next_state, probability, reward, ended, success)
        return MDP(form, start, state_labels=self.describe, action_labels=ACTIONS.__getitem__)

    # What is seen

    def batches(self, states: NDArray[np.int64]) -> Iterator[tuple[slice, Levels]]:
        """(Where in `states` (N,), levels that are in these states), piece by piece; the next piece reuses the levels.

        For looking at: of the registers, only where the agent is and what it carries, and the mission, are the state's.
        """
        room = min(states.size, MOST_AT_ONCE)
        level, numbers = self._level, self.numbers[states]
        grid = np.empty((room, level.grid.size), dtype=np.uint8)
        body, memory = np.repeat(level.body[None], room, axis=0), np.repeat(level.memory[None], room, axis=0)
        for begin in range(0, states.size, MOST_AT_ONCE):
            some = numbers[begin : begin + room]
            levels = Levels(grid[: some.size], body[: some.size], memory[: some.size], level.board)
            self._put(levels, some)
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

    @property
    def mission_number(self) -> int:
        """Of the level's mission among the family's."""
        return int(self._level.body[MISSION])

    # Where a level stands

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        return np.argsort(self.numbers)

    def holds(self, level: Level) -> bool:
        """Whether the things of `level` are those of this one."""
        return self.number_in(level) >= 0

    def state_of(self, level: Level) -> int:
        """The state that `level`, this one after some steps, is in; -1 where it is none of them, as after an end."""
        number = self.number_in(level)
        at = int(np.searchsorted(self.numbers, number, sorter=self._order)) if number >= 0 else self.n_states
        found = at < self.n_states and self.numbers[self._order[at]] == number
        return int(self._order[at]) if found else -1

    # Words

    def _agent(self, place: tuple[int, int], direction: int) -> str:
        return f"agent at {place} facing {DIRECTIONS[direction]}"

    def _xy(self, at: int) -> tuple[int, int]:
        """(x, y) of a cell of the grid."""
        y, x = divmod(at - int(self._level.board[ORIGIN]), int(self._level.board[STRIDE]))
        return x, y


def same_level(one: Level, other: Level) -> bool:
    """Whether two levels differ only in what an episode changes: where the agent and things are, and the steps."""
    walls = _FIXED[one.grid], _FIXED[other.grid]
    ours = [*range(MISSION, BODY)]
    return bool(
        (walls[0] == walls[1]).all()
        and (one.grid[walls[0]] == other.grid[walls[1]]).all()
        and (one.body[ours] == other.body[ours]).all()
    )


def name_of(code: int) -> str:
    """A thing's colour and kind."""
    kind, colour, _ = TRIPLES[code].tolist()
    return f"{COLOURS[colour]} {TYPES[kind]}"
