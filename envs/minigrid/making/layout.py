"""A level as data: what stands where, the agent, what it is told, and what ends an episode. It never changes.

`Layout.from_text` reads what a person types and `to_text` writes it again (`layout_text.py`); `load` and `save` do so
with files; `Layout.from_env` is the level of an environment as it stands now; `Builder` makes one from Python. To play
one: `gym.make("rltk/MiniGrid-v0", layout=...)`, or `env.reset(options={"layout": ...})` in any MiniGrid environment.
"""

import os
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.envs.map_text import decoded, short
from rltk.envs.minigrid.cells import BALL, CARRIABLE, EMPTY, FLAGS, IS_DOOR, N_CODES, N_COLOURS, OUTSIDE, WALKABLE
from rltk.envs.minigrid.level import (
    BODY,
    CARRYING,
    DIRECTION,
    FOREVER,
    MAX_STEPS,
    OTHER,
    OTHER_X,
    OTHER_Y,
    RULE,
    SEES_THROUGH,
    TARGET,
    TARGET_X,
    TARGET_Y,
    X,
    Y,
)
from rltk.envs.minigrid.making.words import words_of
from rltk.envs.minigrid.rules import (
    CARRY_RULE,
    FETCH_RULE,
    GO_TO_RULE,
    GOAL_RULE,
    IN_TURN_RULE,
    OBSTACLES_RULE,
    OPEN_RULE,
    PUT_NEAR_RULE,
    STAND_RULE,
)
from rltk.errors import ArgumentError, MapError, SizeError, UnknownNameError

# What `rule` is called, and which of the marks each reads: a thing's look (target) or places (target_at, other_at).
RULES = {
    "goal": GOAL_RULE,
    "carry": CARRY_RULE,
    "fetch": FETCH_RULE,
    "go to": GO_TO_RULE,
    "open": OPEN_RULE,
    "in turn": IN_TURN_RULE,
    "stand": STAND_RULE,
    "put near": PUT_NEAR_RULE,
    "obstacles": OBSTACLES_RULE,
}
READS: dict[str, tuple[str, ...]] = {
    "goal": (),
    "carry": ("target", "target_at"),
    "fetch": ("target",),
    "go to": ("target_at",),
    "open": ("target_at",),
    "in turn": ("target_at", "other_at"),
    "stand": ("target_at", "other_at"),
    "put near": ("target", "other_at"),
    "obstacles": (),
}
RULE_NAMES = {number: name for name, number in RULES.items()}

MOST_CELLS = 1_000_000
MOST_BYTES = 16_000_000  # of a file
STEPS_PER_CELL = 4  # the time limit where none is said
Place = tuple[int, int]


class LayoutFault(ArgumentError):
    """What is wrong with a layout, and with which of its settings (`key`)."""

    def __init__(self, key: str, expected: str, found: Any) -> None:
        super().__init__(f"{key}: expected {expected}; found {short(found)}")
        self.key = key


@dataclass(frozen=True, eq=False, repr=False)
class Layout:
    """One level.

    codes: (H, W) uint8, what stands on each cell (`cells.py`). agent: (x, y) on a cell that can be walked on.
    direction: 0 right, 1 down, 2 left, 3 up. carrying: the code of a key, ball or box, or 0. mission: what the agent is
    told; empty leaves it to the environment. rule: one of `RULES`, which says when an episode ends; of target, other
    (codes) and target_at, other_at (places) each reads some, as `rules.py` says. obstacles: where the balls are that
    move, in the order in which they do. max_steps: a number, `math.inf`, or None for 4 a cell.

    Raises ArgumentError, or SizeError for a board that is too large.
    """

    codes: NDArray[np.uint8]
    agent: Place
    direction: int = 0
    carrying: int = 0
    mission: str = ""
    rule: str = "goal"
    target: int = 0
    target_at: Place = (0, 0)
    other: int = 0
    other_at: Place = (0, 0)
    obstacles: tuple[Place, ...] = ()
    max_steps: float | None = None
    see_through_walls: bool = False
    name: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # frozen for others
        set_field(self, "codes", _checked_codes(self.codes))
        _check_words(self)
        for field in ("agent", "target_at", "other_at"):
            set_field(self, field, checked_place(field, getattr(self, field), self.codes.shape))
        for field, most in (("direction", 4), ("carrying", N_CODES), ("target", N_CODES), ("other", N_CODES)):
            value = getattr(self, field)
            _expect(_is_integer(value) and 0 <= value < most, field, f"a number from 0 to {most - 1}", value)
            set_field(self, field, int(value))
        set_field(self, "obstacles", self._places(self.obstacles))
        set_field(self, "max_steps", _checked_max_steps(self.max_steps))
        flag = self.see_through_walls
        _expect(isinstance(flag, bool | np.bool_), "see_through_walls", "true or false", flag)
        set_field(self, "see_through_walls", bool(flag))
        self._check_agent()
        self._check_marks()

    # Checks

    def _places(self, value: Any) -> tuple[Place, ...]:
        _expect(isinstance(value, list | tuple | np.ndarray), "obstacles", "a list of cells [x, y]", value)
        _expect(not len(value) or self.rule == "obstacles", "obstacles", "none but with the rule 'obstacles'", value)
        places = tuple(checked_place("obstacles", place, self.codes.shape) for place in value)
        for place in places:
            ball = BALL <= self.code_at(place) < BALL + N_COLOURS
            _expect(ball, "obstacles", "places where balls are", f"'{words_of(self.code_at(place))}' at {list(place)}")
        _expect(len(set(places)) == len(places), "obstacles", "each place once", list(places))
        return places

    def _check_agent(self) -> None:
        under = self.code_at(self.agent)
        what = "the agent on a cell that can be walked on: empty, floor, goal, lava or an open door"
        _expect(bool(FLAGS[under] & WALKABLE), "agent", what, f"'{words_of(under)}' at {list(self.agent)}")
        carriable = self.carrying == 0 or FLAGS[self.carrying] & CARRIABLE
        _expect(bool(carriable), "carrying", "a key, a ball or a box, or nothing", _said(self.carrying))

    def _check_marks(self) -> None:
        if "target" in READS[self.rule]:
            fits = bool(FLAGS[self.target] & CARRIABLE)
            _expect(fits, "target", f"a key, a ball or a box, for the rule '{self.rule}'", _said(self.target))
        if self.rule in ("open", "in turn"):
            for key in READS[self.rule]:
                place = getattr(self, key)
                what = f"a door's place, for the rule '{self.rule}'"
                _expect(bool(FLAGS[self.code_at(place)] & IS_DOOR), key, what, _said(self.code_at(place)))

    # What it says

    @property
    def width(self) -> int:
        """Cells from left to right."""
        return self.codes.shape[1]

    @property
    def height(self) -> int:
        """Cells from top to bottom."""
        return self.codes.shape[0]

    def code_at(self, place: Place) -> int:
        """The code of the cell (x, y)."""
        return int(self.codes[place[1], place[0]])

    @property
    def rule_number(self) -> int:
        """The rule as `rules.py` numbers it."""
        return RULES[self.rule]

    @property
    def limit(self) -> float:
        """`max_steps`, also where it is not said."""
        return STEPS_PER_CELL * self.codes.size if self.max_steps is None else self.max_steps

    def registers(self) -> list[int]:
        """(BODY,) numbers: `Level.body` as an episode begins, but for the time limit."""
        body = [0] * BODY
        body[X], body[Y], body[DIRECTION], body[CARRYING] = *self.agent, self.direction, self.carrying
        body[TARGET], body[TARGET_X], body[TARGET_Y] = self.target, *self.target_at
        body[OTHER], body[OTHER_X], body[OTHER_Y] = self.other, *self.other_at
        return body

    def memory(self) -> list[int]:
        """`Level.memory`: for the rule "obstacles" their list, else nothing."""
        if self.rule != "obstacles":
            return []
        return [len(self.obstacles), *(part for place in self.obstacles for part in place)]

    def _facts(self) -> tuple[Any, ...]:
        return tuple(getattr(self, field) for field in self.__dataclass_fields__ if field != "codes")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Layout):
            return NotImplemented
        return np.array_equal(self.codes, other.codes) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash((self.codes.tobytes(), self._facts()))

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        name = f" {short(self.name)}" if self.name else ""
        return f"<Layout{name} of {self.width} x {self.height} cells>"

    def __reduce__(self) -> Any:
        return Layout, (self.codes, *self._facts())

    def __deepcopy__(self, memo: dict[int, Any]) -> "Layout":
        return self  # nothing in it changes

    # Where layouts come from, and where they go

    @classmethod
    def empty(cls, width: int, height: int) -> "Layout":
        """An empty room with walls around it, the agent in its upper left corner; at least 3 cells along a side."""
        for name, size in (("width", width), ("height", height)):
            if not _is_integer(size) or size < 3:
                raise ArgumentError(f"{name}: an integer, at least 3; found {size!r}")
        if width * height > MOST_CELLS:
            raise _too_large(width, height)
        codes = np.full((height, width), EMPTY, dtype=np.uint8)
        codes[[0, -1]] = OUTSIDE
        codes[:, [0, -1]] = OUTSIDE
        return cls(codes, (1, 1))

    @classmethod
    def from_env(cls, env: Any, i: int = 0) -> "Layout":
        """The level of a MiniGrid environment as it stands now, or of environment `i` of a batch. The steps done are
        not part of it."""
        inner = getattr(env, "unwrapped", env)
        core: Any = getattr(inner, "_core", None)
        if not hasattr(core, "level") or not inner._started:
            raise ArgumentError("env: a MiniGrid environment of rltk that was reset; no level was found in it")
        if not 0 <= i < core.count:
            raise ArgumentError(f"i: an environment from 0 to {core.count - 1}; found {i!r}")
        level, missions = core.level(i), core.setting.plan.missions
        body, rule = level.body.tolist(), RULE_NAMES[int(level.board[RULE])]
        listed = level.memory[1 : 1 + 2 * int(level.memory[0])] if rule == "obstacles" else np.zeros(0, dtype=np.int32)
        return cls(
            core.cells[i],
            (body[X], body[Y]),
            body[DIRECTION],
            body[CARRYING],
            mission=missions.texts[int(core.mission_numbers[i])],
            rule=rule,
            target=body[TARGET],
            target_at=(body[TARGET_X], body[TARGET_Y]),
            other=body[OTHER],
            other_at=(body[OTHER_X], body[OTHER_Y]),
            obstacles=tuple((x, y) for x, y in listed.reshape(-1, 2).tolist()),
            max_steps=inf if body[MAX_STEPS] == FOREVER else body[MAX_STEPS],
            see_through_walls=bool(level.board[SEES_THROUGH]),
        )

    @classmethod
    def from_text(cls, text: str, origin: str = "level") -> "Layout":
        """The level that `text` describes; a MapError names `origin`, line and column of what is wrong."""
        from rltk.envs.minigrid.making.layout_text import parse_layout

        return parse_layout(text, origin)

    def to_text(self) -> str:
        """The text that `from_text` reads as this very layout."""
        from rltk.envs.minigrid.making.layout_text import written

        return written(self)

    @classmethod
    def load(cls, path: str | Path) -> "Layout":
        """The level in a text file. Raises UnknownNameError where there is none, MapError for one that is wrong."""
        try:
            with open(path, "rb") as file:
                content = file.read(MOST_BYTES + 1)
        except (FileNotFoundError, ValueError):
            raise UnknownNameError(
                f"layout: there is no file {str(path)!r}. A level given as text has a newline at the end of each line"
            ) from None
        except OSError as error:
            raise MapError(f"{path}: can't be read as a level ({error.strerror or error})") from None
        if len(content) > MOST_BYTES:
            raise MapError(f"{path}: too large for a level, of which a file has {MOST_BYTES:,} bytes at most")
        return cls.from_text(decoded(content, str(path)), str(path))

    def save(self, path: str | Path) -> Path:
        """Write the text as a UTF-8 file, whole or not at all, and return where it is. OSError where that can't be."""
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with open(partial, "wb") as file:
                file.write(self.to_text().encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return target

    def with_changes(self, **fields: Any) -> "Layout":
        """The same but for these fields, such as `max_steps=math.inf`."""
        unknown = [name for name in fields if name not in self.__dataclass_fields__]
        if unknown:
            known = ", ".join(self.__dataclass_fields__)
            raise ArgumentError(f"a layout has no {', '.join(unknown)}; it has {known}")
        return replace(self, **fields)


def layout_of(source: Any) -> Layout:
    """A layout from itself, its text (anything with a newline), or the path of a file."""
    if isinstance(source, Layout):
        return source
    if not isinstance(source, str | Path):
        raise ArgumentError(f"layout: a Layout, its text or the path of a file; found {short(source)}")
    if isinstance(source, str) and "\n" in source:
        return Layout.from_text(source)
    return Layout.load(source)


def _expect(right: bool, key: str, expected: str, found: Any) -> None:
    if not right:
        raise LayoutFault(key, expected, found)


def checked_place(key: str, value: Any, shape: tuple[int, ...]) -> Place:
    """`value` as a cell (x, y) of a board of this (H, W)."""
    height, width = shape
    try:
        x, y = value
        inside = _is_integer(x) and _is_integer(y) and 0 <= x < width and 0 <= y < height
    except (TypeError, ValueError):
        inside = False
    _expect(inside, key, f"a cell [x, y] from [0, 0] to [{width - 1}, {height - 1}]", value)
    return int(x), int(y)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _said(code: int) -> str:
    return f"'{words_of(code)}'" if code else "nothing"


def _too_large(width: int, height: int) -> SizeError:
    return SizeError(f"a board of {width} x {height} cells; at most {MOST_CELLS:,} cells fit")


def _checked_codes(codes: Any) -> NDArray[np.uint8]:
    array = np.asarray(codes)
    if array.ndim == 2 and array.size > MOST_CELLS:
        raise _too_large(*array.shape[::-1])
    if array.ndim != 2 or array.size == 0 or not np.issubdtype(array.dtype, np.integer):
        raise LayoutFault("codes", "whole numbers of shape (H, W)", f"'{array.dtype} of shape {array.shape}'")
    wrong = array[(array < 1) | (array >= N_CODES)]
    _expect(not wrong.size, "codes", f"numbers from 1 to {N_CODES - 1}", wrong[:3].tolist())
    own = array.astype(np.uint8)
    own.flags.writeable = False
    return own


def _check_words(layout: Layout) -> None:
    for key in ("mission", "name", "source"):
        text = getattr(layout, key)
        _expect(isinstance(text, str) and len(text) <= 10_000, key, "a text of 10,000 characters at most", text)
        _expect(text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text), key, "Unicode text", text)
    known = isinstance(layout.rule, str) and layout.rule in RULES
    _expect(known, "rule", f"one of {', '.join(RULES)}", layout.rule)


def _checked_max_steps(value: Any) -> float | None:
    if value is None or (isinstance(value, float) and value == inf):
        return value
    _expect(
        _is_integer(value) and 1 <= value < FOREVER, "max_steps", f"a number from 1 to {FOREVER - 1}, or inf", value
    )
    return int(value)
