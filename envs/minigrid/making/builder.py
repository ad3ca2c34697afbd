"""Levels built in plain Python: `Builder` has the verbs of `board.py`, `Random` draws from an environment's stream.

The verbs draw in MiniGrid's order from NumPy's stream, for they are the same kernels: a `_gen_grid` of MiniGrid that is
rewritten with them gives the same levels for the same seeds. What would write beyond the board, or can't be, is an
error; kernels don't check, so this does.

    level = Builder(9, 5, seed=0)
    level.surround()
    level.vertical_wall(4, 0)
    level.put(4, 2, "yellow door locked")
    level.place("yellow key", 0, 0, 4, 5)
    level.put(7, 3, "green goal")
    level.place_agent(0, 0, 4, 5)
    layout = level.layout(mission="use the key to open the door and then get to the goal")
"""

from collections.abc import Callable, MutableSequence, Sequence
from typing import Any, TypeVar

import numpy as np

from rltk.envs.minigrid import board
from rltk.envs.minigrid.cells import BALL, N_COLOURS
from rltk.envs.minigrid.family import check_direction, check_size
from rltk.envs.minigrid.level import (
    CARRYING,
    DIRECTION,
    FINE,
    FOREVER,
    HEIGHT,
    OTHER,
    OTHER_X,
    OTHER_Y,
    TARGET,
    TARGET_X,
    TARGET_Y,
    WIDTH,
    Level,
    X,
    Y,
    clear,
    inner,
    make_levels,
)
from rltk.envs.minigrid.making.layout import Layout, Place
from rltk.envs.minigrid.making.words import code_of_words, words_of
from rltk.envs.minigrid.rules import GOAL_RULE
from rltk.envs.tabular.options import check_integer, check_number
from rltk.errors import ArgumentError, LevelError
from rltk.mdp import stream_of
from rltk.mdp import streams as draws

DIRECTIONS = ("right", "down", "left", "up")
TRIES = 100_000  # with a condition in Python
Anything = TypeVar("Anything")


class Random:
    """Draws from a stream (6,) uint64 with the meanings of NumPy's `Generator`, bit for bit: whatever else draws from
    the stream, such as the verbs of a `Builder`, goes on where this one stands."""

    def __init__(self, stream: np.ndarray) -> None:
        self._stream = stream

    def integers(self, low: int, high: int | None = None) -> int:
        """An integer from `low` up to but not including `high`; with one argument, from 0."""
        low, high = (0, low) if high is None else (low, high)
        low, high = _integer("low", low), _integer("high", high)
        if not 1 <= high - low < 2**32:
            raise ArgumentError(f"integers: high is more than low, by less than 2**32; found low {low}, high {high}")
        return int(draws.integer_between(self._stream, low, high))

    def choice(self, items: Sequence[Anything]) -> Anything:
        """One of `items`, each as likely as any other."""
        if not len(items):
            raise ArgumentError("choice: at least one item; found none")
        return items[int(draws.integer_below(self._stream, len(items)))]

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Put a list in a random order, in place."""
        for last in range(len(items) - 1, 0, -1):
            other = int(draws.integer_up_to(self._stream, last))
            items[last], items[other] = items[other], items[last]

    def random(self) -> float:
        """A number in [0, 1)."""
        return float(draws.random(self._stream))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in [low, high)."""
        return float(draws.uniform(self._stream, check_number("low", low), check_number("high", high)))


class Builder:
    """A level under construction: an empty board of width x height cells, (0, 0) in its upper left corner.

    What stands on a cell is said in words (`words.py`), such as "yellow door locked"; None is an empty cell. A region
    is left, top, width, height, cut off at the board's edge; without one, it is the board.

    seed: of the draws. Raises ArgumentError for what can't be, LevelError where no place is found.
    """

    def __init__(self, width: int, height: int, *, seed: int | None = None) -> None:
        width, height = check_size("width", width, 1), check_size("height", height, 1)
        levels = make_levels(1, width, height, view=3, sees_through=False, rule=GOAL_RULE, limit=FOREVER, memory=0)
        level = Level(levels.grid[0], levels.body[0], levels.memory[0], levels.board)
        self._take(level, stream_of(np.random.default_rng(seed)))

    @classmethod
    def on(cls, level: Level, stream: np.ndarray) -> "Builder":
        """A builder that works on `level` itself, which it clears, and draws from `stream` (6,) uint64."""
        builder = cls.__new__(cls)
        builder._take(level, stream)
        return builder

    @classmethod
    def of(cls, layout: Layout, *, seed: int | None = None) -> "Builder":
        """A builder that begins with `layout`, but for its mission, rule and the like."""
        builder = cls(layout.width, layout.height, seed=seed)
        builder._cells[...] = layout.codes
        for register, value in enumerate(layout.registers()):
            builder._level.body[register] = value
        builder._balls = list(layout.obstacles)
        return builder

    def _take(self, level: Level, stream: np.ndarray) -> None:
        clear(level)
        self._level, self._stream = level, stream
        rows = inner(level._replace(grid=level.grid[None]))  # type: ignore[arg-type]  # a batch of one
        self._cells = rows[0]  # (height, width), a view
        self._balls: list[Place] = []  # in the order in which they came
        self.random = Random(stream)
        self.mission: str | None = None

    @property
    def width(self) -> int:
        """Cells from left to right."""
        return int(self._level.board[WIDTH])

    @property
    def height(self) -> int:
        """Cells from top to bottom."""
        return int(self._level.board[HEIGHT])

    # Cells

    def get(self, x: int, y: int) -> str:
        """What stands at (x, y), in words; "empty" where nothing does."""
        return words_of(int(board.get(self._level, *self._place(x, y))))

    def put(self, x: int, y: int, thing: Any) -> None:
        """Let `thing` be what stands at (x, y)."""
        self._put(*self._place(x, y), code_of_words(thing))

    def horizontal_wall(self, x: int, y: int, length: int | None = None, thing: Any = "grey wall") -> None:
        """`length` cells of `thing` to the right from (x, y); to the board's edge if it is not said."""
        x, y = self._place(x, y)
        length = self._length(length, self.width - x)
        board.horizontal_wall(self._level, x, y, length, code_of_words(thing))

    def vertical_wall(self, x: int, y: int, length: int | None = None, thing: Any = "grey wall") -> None:
        """`length` cells of `thing` down from (x, y); to the board's edge if it is not said."""
        x, y = self._place(x, y)
        length = self._length(length, self.height - y)
        board.vertical_wall(self._level, x, y, length, code_of_words(thing))

    def wall_rectangle(self, x: int, y: int, width: int, height: int) -> None:
        """The outline of a rectangle whose upper left cell is (x, y)."""
        x, y = self._place(x, y)
        width, height = self._length(width, self.width - x), self._length(height, self.height - y)
        board.wall_rectangle(self._level, x, y, width, height)

    def surround(self) -> None:
        """Walls along the board's edge."""
        board.surround(self._level)

    def place(
        self,
        thing: Any,
        left: int = 0,
        top: int = 0,
        width: int | None = None,
        height: int | None = None,
        *,
        reject: Callable[[int, int], bool] | None = None,
    ) -> Place:
        """Put `thing` on a random free cell of a region, not the agent's, for which not `reject(x, y)`: (x, y)."""
        code, region = code_of_words(thing), self._region(left, top, width, height)
        if reject is None:
            x, y = board.find_free(self._level, self._stream, *region, board.ENDLESS)
        else:
            x, y = self._find(region, reject)
        if x < 0:
            raise LevelError(f"no free cell was found for '{words_of(code)}' in {_named(region)}; leave more room")
        self._put(int(x), int(y), code)
        return int(x), int(y)

    # The agent

    def set_agent(self, x: int, y: int, direction: int | str = 0) -> None:
        """The agent at (x, y), looking right, down, left or up: a number from 0 to 3, or the word."""
        x, y = self._place(x, y)
        board.set_agent(self._level, x, y, direction_of(direction))

    def place_agent(self, left: int = 0, top: int = 0, width: int | None = None, height: int | None = None) -> Place:
        """The agent on a random free cell of a region, facing anywhere: (x, y)."""
        region = self._region(left, top, width, height)
        if board.place_agent(self._level, self._stream, *region, board.ENDLESS) != FINE:
            raise LevelError(f"no free cell was found for the agent in {_named(region)}; leave more room")
        return self.agent

    @property
    def agent(self) -> Place:
        """(x, y) of the agent; (-1, -1) as long as there is none."""
        return int(self._level.body[X]), int(self._level.body[Y])

    def carry(self, thing: Any) -> None:
        """Let the agent carry a key, a ball or a box, or nothing (None)."""
        self._level.body[CARRYING] = 0 if thing is None else code_of_words(thing)

    # What the rule asks for

    def set_target(self, x: int, y: int) -> None:
        """Let what stands at (x, y) be the target of the family's rule (`layout_text.py` lists them)."""
        board.set_target(self._level, *self._place(x, y))

    def set_other(self, x: int, y: int) -> None:
        """Let (x, y) be the other place of the family's rule."""
        self._level.body[OTHER_X], self._level.body[OTHER_Y] = self._place(x, y)

    # The result

    def layout(self, *, mission: str | None = None, rule: str = "goal", **fields: Any) -> Layout:
        """What was built. fields: those of `Layout` besides, such as max_steps."""
        if self.agent[0] < 0:
            raise LevelError("there is no agent; call set_agent or place_agent")
        body = self._level.body.tolist()
        return Layout(
            self._cells,
            self.agent,
            body[DIRECTION],
            body[CARRYING],
            mission=(self.mission or "") if mission is None else mission,
            rule=rule,
            target=body[TARGET],
            target_at=(body[TARGET_X], body[TARGET_Y]),
            other=body[OTHER],
            other_at=(body[OTHER_X], body[OTHER_Y]),
            obstacles=self._obstacles() if rule == "obstacles" else (),
            **fields,
        )

    def _obstacles(self) -> tuple[Place, ...]:
        """All balls, in the order in which they came."""
        found = np.argwhere((self._cells >= BALL) & (self._cells < BALL + N_COLOURS))
        places = [(x, y) for y, x in found.tolist()]
        known = [place for place in dict.fromkeys(self._balls) if place in places]
        return (*known, *(place for place in places if place not in known))

    # Checks

    def _put(self, x: int, y: int, code: int) -> None:
        board.put(self._level, x, y, code)
        if BALL <= code < BALL + N_COLOURS:
            self._balls.append((x, y))

    def _place(self, x: Any, y: Any) -> Place:
        x, y = _integer("x", x), _integer("y", y)
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise ArgumentError(
                f"(x, y): a cell of the board, from (0, 0) to ({self.width - 1}, {self.height - 1}); found ({x}, {y})"
            )
        return x, y

    def _length(self, length: Any, most: int) -> int:
        found = most if length is None else check_integer("length", length, 1)
        if found > most:
            raise ArgumentError(f"a wall of {found} cells from there leaves the board; at most {most} fit")
        return found

    def _region(self, left: Any, top: Any, width: Any, height: Any) -> tuple[int, int, int, int]:
        left, top = _integer("left", left), _integer("top", top)
        width = self.width if width is None else check_integer("width", width, 1)
        height = self.height if height is None else check_integer("height", height, 1)
        # MiniGrid moves a corner that is beyond the edge, not the region's other end.
        left, top = max(left, 0), max(top, 0)
        width, height = min(width, self.width - left), min(height, self.height - top)
        if width < 1 or height < 1:
            raise ArgumentError(f"region: cells of the board; found none at ({left}, {top}), which is beyond its edge")
        return left, top, width, height

    def _find(self, region: tuple[int, int, int, int], reject: Callable[[int, int], bool]) -> Place:
        left, top, width, height = region
        for _ in range(TRIES):
            x, y = self.random.integers(left, left + width), self.random.integers(top, top + height)
            if self.get(x, y) == "empty" and (x, y) != self.agent and not reject(x, y):
                return x, y
        return -1, -1


def direction_of(value: Any) -> int:
    """A direction from its number or its word."""
    if isinstance(value, str):
        if value not in DIRECTIONS:
            raise ArgumentError(f"direction: one of {', '.join(DIRECTIONS)}; found {value!r}")
        return DIRECTIONS.index(value)
    return check_direction("direction", value)


def _integer(name: str, value: Any) -> int:
    return check_integer(name, value, -(2**31))


def _named(region: tuple[int, int, int, int]) -> str:
    left, top, width, height = region
    return f"the {width} x {height} cells from ({left}, {top})"
