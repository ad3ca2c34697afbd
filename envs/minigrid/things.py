"""What MiniGrid's users touch: things with names instead of codes, the grid that holds them, the actions' names.

Source: minigrid 3.2.0, core/world_object.py, core/grid.py, core/actions.py, for the names.
"""

from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid import cells
from rltk.envs.minigrid.level import HEIGHT, WIDTH, Levels, inner
from rltk.errors import ArgumentError


class Actions(IntEnum):
    """The seven actions."""

    left = 0
    right = 1
    forward = 2
    pickup = 3
    drop = 4
    toggle = 5
    done = 6


class Thing:
    """What stands on a cell: `type`, `color`, for a door `is_open` and `is_locked`, for a box `contains`.

    It never changes: what happens to the cell later makes another thing. Two are equal if they look and hold the same.
    """

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code

    @property
    def type(self) -> str:
        """Such as "door"."""
        return cells.TYPES[cells.TRIPLES[self.code, 0]]

    @property
    def color(self) -> str:
        """Such as "red"."""
        return cells.COLOURS[cells.TRIPLES[self.code, 1]]

    @property
    def is_open(self) -> bool:
        """Whether it is a door, and open."""
        return self._is_door(cells.OPEN)

    @property
    def is_locked(self) -> bool:
        """Whether it is a door, and locked."""
        return self._is_door(cells.LOCKED)

    def _is_door(self, state: int) -> bool:
        return bool(cells.FLAGS[self.code] & cells.IS_DOOR) and cells.TRIPLES[self.code, 2] == state

    @property
    def contains(self) -> "Thing | None":
        """What a box holds."""
        return thing_of(cells.contents_of(self.code)) if cells.FLAGS[self.code] & cells.IS_BOX else None

    def can_overlap(self) -> bool:
        """Whether the agent can step on it."""
        return bool(cells.FLAGS[self.code] & cells.WALKABLE)

    def can_pickup(self) -> bool:
        """Whether the agent can carry it."""
        return bool(cells.FLAGS[self.code] & cells.CARRIABLE)

    def see_behind(self) -> bool:
        """Whether light passes."""
        return bool(cells.FLAGS[self.code] & cells.SEE_THROUGH)

    def encode(self) -> tuple[int, int, int]:
        """(object, colour, state), as the view shows it."""
        kind, colour, state = (int(number) for number in cells.TRIPLES[self.code])
        return kind, colour, state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing) and self.code == other.code

    def __hash__(self) -> int:
        return hash(self.code)

    def __repr__(self) -> str:
        state = f" {cells.STATES[self.encode()[2]]}" if self.type == "door" else ""
        return f"<{self.color}{state} {self.type}{f' with {self.contains}' if self.contains else ''}>"


@cache
def thing_of(code: int) -> Thing | None:
    """The thing of this code; None for an empty or unseen cell."""
    return None if code in (cells.UNSEEN, cells.EMPTY) else Thing(code)


def code_of_thing(thing: Any) -> int:
    """The code of a `Thing`, of None (an empty cell), or of what has its attributes, such as minigrid's objects."""
    if thing is None:
        return cells.EMPTY
    if isinstance(thing, Thing):
        return thing.code
    try:
        contains = getattr(thing, "contains", None)
        state = cells.OPEN if getattr(thing, "is_open", False) else cells.CLOSED
        state = cells.LOCKED if getattr(thing, "is_locked", False) else state
        return cells.code_of(thing.type, thing.color, state, code_of_thing(contains))
    except AttributeError:
        raise ArgumentError(f"a thing: None, or an object with `type` and `color`; found {thing!r}") from None


class GridView:
    """The board of one level of a batch, as MiniGrid's `Grid`: `get`, `set`, `encode`, `width`, `height`."""

    def __init__(self, levels: Levels, i: int) -> None:
        self._cells = inner(levels)[i]  # (height, width)
        self.width, self.height = int(levels.board[WIDTH]), int(levels.board[HEIGHT])

    def _check(self, x: int, y: int) -> None:
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise ArgumentError(
                f"(x, y): a cell from (0, 0) to ({self.width - 1}, {self.height - 1}); found ({x}, {y})"
            )

    def get(self, x: int, y: int) -> Thing | None:
        """What stands at (x, y); None where the cell is empty."""
        self._check(x, y)
        return thing_of(int(self._cells[y, x]))

    def set(self, x: int, y: int, thing: Any) -> None:
        """Let `thing` stand at (x, y), or nothing where it is None."""
        self._check(x, y)
        self._cells[y, x] = code_of_thing(thing)

    @property
    def grid(self) -> list[Thing | None]:
        """What stands on every cell, row by row."""
        return [thing_of(code) for code in self._cells.ravel().tolist()]

    def encode(self) -> NDArray[np.uint8]:
        """(width, height, 3) uint8: every cell's (object, colour, state)."""
        return cells.TRIPLES[self._cells].transpose(1, 0, 2)

    def codes(self) -> NDArray[np.uint8]:
        """(height, width) uint8: every cell's code (`cells.py`), a copy."""
        return self._cells.copy()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GridView) and np.array_equal(self._cells, other._cells)

    __hash__ = None  # type: ignore[assignment]  # it changes
