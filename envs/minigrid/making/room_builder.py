"""A grid of rooms in plain Python: the verbs of `rooms.py` for a `Builder`.

    rooms = Rooms(level, 6, 2, 1)                     # rooms of 6 x 6 cells, walls included: 2 in a row, 1 row
    x, y = rooms.add_door(0, 0, "right", locked=True)    # what is not said is drawn
    rooms.add(0, 0, "key", "red")
    rooms.place_agent(0, 0)

Room (i, j) is in column i, row j. The draws are MiniGrid's (`RoomGrid`), in its order.
"""

from typing import Any

import numpy as np

from rltk.envs.minigrid import rooms as verbs
from rltk.envs.minigrid.board import colour_of, kind_of
from rltk.envs.minigrid.cells import CARRIABLE, COLOURS, FLAGS
from rltk.envs.minigrid.family import check_flag, check_integer_up_to
from rltk.envs.minigrid.level import FINE, NO_ROOM
from rltk.envs.minigrid.making.builder import Builder, direction_of
from rltk.envs.minigrid.making.layout import Place
from rltk.envs.minigrid.making.words import code_of_words, words_of
from rltk.envs.minigrid.rooms import DRAW, rooms_memory
from rltk.envs.tabular.options import check_integer
from rltk.errors import ArgumentError, LevelError

KINDS = ("key", "ball", "box")


class Rooms:
    """columns x rows rooms of size x size cells on the board of `level`, whose agent then stands in the middle one.

    Raises ArgumentError for what can't be, LevelError where no place is found.
    """

    def __init__(self, level: Builder, size: int, columns: int, rows: int) -> None:
        size, columns, rows = check_integer("size", size, 3), check_integer("columns", columns, 1), int(rows)
        rows = check_integer("rows", rows, 1)
        width, height = columns * (size - 1) + 1, rows * (size - 1) + 1
        if width > level.width or height > level.height:
            raise ArgumentError(
                f"{columns} x {rows} rooms of {size} x {size} cells need a board of {width} x {height}; "
                f"found one of {level.width} x {level.height}"
            )
        self.columns, self.rows = columns, rows
        self._stream = level._stream
        # Words of its own: the environment's have room for what a rule needs, and no more.
        self._level = level._level._replace(memory=np.zeros(rooms_memory(columns, rows), dtype=np.int32))
        verbs.build_rooms(self._level, self._stream, size, columns, rows)

    def corner(self, i: int, j: int) -> Place:
        """(x, y) of the upper left cell of the walls of room (i, j)."""
        x, y = verbs.room_corner(self._level, *self._room(i, j))
        return int(x), int(y)

    def add(self, i: int, j: int, kind: str | None = None, colour: str | None = None) -> Place:
        """A key, a ball or an empty box in room (i, j), not beside the agent: (x, y)."""
        i, j = self._room(i, j)
        x, y, _ = verbs.add_object(
            self._level, self._stream, i, j, _number("kind", kind, KINDS), _number("colour", colour, COLOURS)
        )
        return self._found(x, y, i, j)

    def place(self, i: int, j: int, thing: str) -> Place:
        """This key, ball or box, such as "green box with red key", in room (i, j), not beside the agent: (x, y)."""
        i, j = self._room(i, j)
        code = code_of_words(thing)
        if not FLAGS[code] & CARRIABLE:
            raise ArgumentError(f"thing: a key, a ball or a box; found '{words_of(code)}'")
        kind, colour = int(kind_of(code)), int(colour_of(code))
        x, y = verbs.place_in_room(self._level, self._stream, i, j, code, kind, colour)
        return self._found(x, y, i, j)

    def add_door(
        self, i: int, j: int, wall: int | str | None = None, colour: str | None = None, locked: bool | None = None
    ) -> Place:
        """A door in a wall of room (i, j) that has none, locked or closed: (x, y)."""
        i, j = self._room(i, j)
        number = DRAW if wall is None else self._wall(i, j, wall)
        lock = DRAW if locked is None else int(check_flag("locked", locked))
        x, y, _ = verbs.add_door(self._level, self._stream, i, j, number, _number("colour", colour, COLOURS), lock)
        if x < 0:
            raise LevelError(f"room ({i}, {j}) has no wall left for a door; add fewer")
        return int(x), int(y)

    def remove_wall(self, i: int, j: int, wall: int | str) -> None:
        """A wall of room (i, j) without a door becomes a gap."""
        i, j = self._room(i, j)
        verbs.remove_wall(self._level, i, j, self._wall(i, j, wall))

    def connect_all(self) -> None:
        """Add unlocked doors at random until every room can be reached from the agent's."""
        if self._agent_beyond() or verbs.connect_all(self._level, self._stream) != FINE:
            raise LevelError("the rooms could not be connected; lock fewer doors, and put the agent in a room")

    def add_distractors(self, i: int | None = None, j: int | None = None, count: int = 10, unique: bool = True) -> None:
        """`count` random things, in random rooms where none is said. unique: none that some room has already."""
        count, only = check_integer("count", count, 0), check_flag("unique", unique)
        i, j = self._part("i", i, self.columns), self._part("j", j, self.rows)
        if verbs.add_distractors(self._level, self._stream, i, j, count, only) == NO_ROOM:
            raise LevelError(f"no place was found for {count} things; ask for fewer, or leave more room")

    def place_agent(self, i: int | None = None, j: int | None = None) -> Place:
        """The agent in room (i, j), or a random one, facing no thing: (x, y)."""
        i, j = self._part("i", i, self.columns), self._part("j", j, self.rows)
        if verbs.place_agent_in_room(self._level, self._stream, i, j) != FINE:
            raise LevelError("no free cell was found for the agent in its room; leave more room")
        return int(self._level.body[0]), int(self._level.body[1])

    # Checks

    def _part(self, name: str, value: Any, count: int) -> int:
        return DRAW if value is None else check_integer_up_to(name, value, 0, count - 1)

    def _room(self, i: Any, j: Any) -> tuple[int, int]:
        return check_integer_up_to("i", i, 0, self.columns - 1), check_integer_up_to("j", j, 0, self.rows - 1)

    def _wall(self, i: int, j: int, wall: Any) -> int:
        number = direction_of(wall)
        if not verbs.has_neighbour(self._level, i, j, number):
            raise ArgumentError(f"wall: one with a room behind it; behind wall {wall!r} of room ({i}, {j}) is none")
        if verbs.is_passed(self._level, i, j, number):
            raise ArgumentError(f"wall: one without a door or gap; wall {wall!r} of room ({i}, {j}) has one")
        return number

    def _agent_beyond(self) -> bool:
        """Whether the agent is in no room."""
        i, j = verbs.room_at(self._level, int(self._level.body[0]), int(self._level.body[1]))
        return not (0 <= i < self.columns and 0 <= j < self.rows)

    @staticmethod
    def _found(x: int, y: int, i: int, j: int) -> Place:
        if x < 0:
            raise LevelError(f"no free cell apart from the agent was found in room ({i}, {j}); leave more room")
        return int(x), int(y)


def _number(name: str, value: Any, names: tuple[str, ...]) -> int:
    """Which of `names` it is; `DRAW` for None."""
    if value is None:
        return DRAW
    if value not in names:
        raise ArgumentError(f"{name}: one of {', '.join(names)}, or None to draw it; found {value!r}")
    return names.index(value)
