"""A level as a person types it, and back. Every fault is a MapError that names line and column.

    ########
    #>..#..#     # wall, . or space empty, > v < ^ the agent, G green goal, ~ lava
    #.k.D.G#
    ########
    ---
    mission = "use the key to open the door and then get to the goal"
    max_steps = 100             # or inf; where it is not said, 4 a cell
    see_through_walls = true    # also name and source, as text
    rule = "carry"              # when an episode ends besides on a goal or in lava: see below
    target = "blue ball"
    target_at = [6, 2]          # (x, y): [0, 0] is the upper left cell
    [agent]
    on = "red door open"        # what it stands on
    carrying = "yellow key"
    [legend]                    # what other symbols mean: in the words of `words.py`
    k = "yellow key"
    D = "yellow door locked"

| rule | an episode ends when | marks |
| --- | --- | --- |
| "goal" | (nothing besides) | |
| "carry" | the one thing is picked up | target, target_at |
| "fetch" | anything is picked up; well if it looks like the target | target |
| "go to" | "done" is said; well beside that place. Toggling ends it too | target_at |
| "open" | that door is open after a toggle | target_at |
| "in turn" | the other door is opened, well after the first | target_at, other_at |
| "stand" | the agent stands there, or, badly, at the other place | target_at, other_at |
| "put near" | the target is dropped near that place; any other pick-up or drop is bad | target, other_at |
| "obstacles" | the agent walks into anything, which costs 1; balls move | obstacles = [[x, y], ...] |

A mark that is not given is found where the level leaves no choice: target_at is the place of the one thing that looks
like `target`, `target` is what stands at target_at, other_at the place of `other`; obstacles are all balls, in reading
order.
"""

import string
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.envs.map_text import UNKNOWN, MapText, quoted
from rltk.envs.minigrid import cells
from rltk.envs.minigrid.making.layout import (
    MOST_BYTES,
    MOST_CELLS,
    READS,
    RULES,
    Layout,
    LayoutFault,
    Place,
    checked_place,
)
from rltk.envs.minigrid.making.words import EXPECTED, code_of_words, words_of
from rltk.errors import ArgumentError, MapError

AGENTS = ">v<^"  # by direction
BUILT_IN = {"#": cells.OUTSIDE, ".": cells.EMPTY, " ": cells.EMPTY, "G": cells.GOAL + cells.GREEN, "~": cells.LAVA}
_MOST_SYMBOLS = UNKNOWN - len(AGENTS) - len(BUILT_IN)
_MARKS = ("target", "target_at", "other", "other_at", "obstacles")
_SETTINGS = ("mission", "rule", *_MARKS, "max_steps", "see_through_walls", "name", "source")
# Symbols by which a level is written: the first that is free of those for its kind, then any.
_FAVOURITES = {"key": "kK", "ball": "bB", "box": "xX", "wall": "wW", "floor": "fF", "goal": "gG"}
_DOORS = {cells.OPEN: "oO", cells.CLOSED: "dD", cells.LOCKED: "Ll"}
_ANY = [c for c in string.ascii_letters + string.digits + "".join(map(chr, range(0xC0, 0x180))) if c not in "vG×÷"]


def parse_layout(text: Any, origin: str = "level") -> Layout:
    """The level that `text` describes. `origin` (a file's name) stands before line and column in a MapError."""
    if not isinstance(text, str):
        raise ArgumentError(f"text: a level as text; found {type(text).__name__}")
    if len(text) > MOST_BYTES:
        raise MapError(f"{origin}, line 1, column 1: a text of {len(text):,} characters; at most {MOST_BYTES:,}")
    return _Parser(text, origin).parse()


class _Parser(MapText):
    def parse(self) -> Layout:
        grid, first = self.grid_lines("#>.G#")
        if len(grid) * len(grid[0]) > MOST_CELLS:
            self.fail(first, 0, f"a board of {len(grid[0])} x {len(grid)} cells; at most {MOST_CELLS:,} cells fit")
        table = self.toml()
        self.check_keys(table, (*_SETTINGS, "agent", "legend"), ())
        symbols = {**BUILT_IN, **self._legend(table)}
        numbers = self.numbers(grid, first, [*AGENTS, *symbols])
        place, direction = self._agent(numbers, first)
        under, carrying = self._body(table)
        codes = np.array([under] * len(AGENTS) + list(symbols.values()), dtype=np.uint8)[numbers]
        settings = {key: table[key] for key in _SETTINGS if key in table and key not in _MARKS}
        rule = table.get("rule", "goal")
        self.expect(isinstance(rule, str) and rule in RULES, ("rule",), f"one of {', '.join(RULES)}", rule)
        try:
            marks = self._marks(table, rule, codes)
            return Layout(codes, place, direction, carrying, **settings, **marks)
        except LayoutFault as fault:
            where = {"agent": ("agent", "on"), "carrying": ("agent", "carrying")}.get(fault.key, (fault.key,))
            self.fail(*self.find(where), str(fault))

    def entry_for(self, character: str) -> str:
        return f'[legend] as {quoted(character)} = "red ball"'

    def _legend(self, table: dict[str, Any]) -> dict[str, int]:
        entries = table.get("legend", {})
        self.expect(isinstance(entries, dict), ("legend",), 'a table of symbols, such as k = "yellow key"', entries)
        self.expect(len(entries) <= _MOST_SYMBOLS, ("legend",), f"at most {_MOST_SYMBOLS} symbols", len(entries))
        for character in entries:
            where = ("legend", character)
            right = len(character) == 1 and character not in "\r\n"
            self.expect(right, where, "one character as a symbol", character)
            free = character not in AGENTS
            self.expect(
                free, where, 'another symbol, as this is the agent; what it stands on is [agent] on = "..."', character
            )
        return {character: self._code(words, ("legend", character)) for character, words in entries.items()}

    def _code(self, words: Any, where: tuple[str, ...]) -> int:
        self.expect(isinstance(words, str), where, EXPECTED, words)
        try:
            return code_of_words(words, ".".join(where))
        except ArgumentError as error:
            self.fail(*self.find(where), str(error))

    def _agent(self, numbers: NDArray[np.uint8], first: int) -> tuple[Place, int]:
        """(its place, its direction)."""
        found = np.argwhere(numbers < len(AGENTS))
        if not len(found):
            self.fail(first, 0, "the level has no agent; write > v < or ^ where it stands, as it faces")
        if len(found) > 1:
            y, x = found[1].tolist()
            self.fail(first + y, x, "a second agent; write one > v < or ^ only")
        y, x = found[0].tolist()
        return (x, y), int(numbers[y, x])

    def _body(self, table: dict[str, Any]) -> tuple[int, int]:
        """(the code of what the agent stands on, the code of what it carries or 0)."""
        agent = table.get("agent", {})
        self.expect(isinstance(agent, dict), ("agent",), 'a table with on = "..." and carrying = "..."', agent)
        self.check_keys(agent, ("on", "carrying"), ("agent",))
        under = self._code(agent["on"], ("agent", "on")) if "on" in agent else cells.EMPTY
        return under, self._code(agent["carrying"], ("agent", "carrying")) if "carrying" in agent else 0

    def _marks(self, table: dict[str, Any], rule: str, codes: NDArray[np.uint8]) -> dict[str, Any]:
        """The marks that are given, and those that the rule reads and the level leaves no choice about."""
        marks: dict[str, Any] = {key: table[key] for key in ("target_at", "other_at", "obstacles") if key in table}
        marks |= {key: self._code(table[key], (key,)) for key in ("target", "other") if key in table}
        for key in READS[rule]:
            thing = key.removesuffix("_at")
            if key in marks:
                continue
            if key == thing:
                given = f"{key}_at" in marks
                self.expect(given, ("rule",), f'{key} = "..." besides, for the rule {rule!r}', "none")
                x, y = checked_place(f"{key}_at", marks[f"{key}_at"], codes.shape)
                marks[key] = int(codes[y, x])
            else:
                self.expect(thing in marks, ("rule",), f"{key} = [x, y] besides, for the rule {rule!r}", "none")
                found = np.argwhere(codes == marks[thing])
                what = f"a thing that is on the level once, or {key} = [x, y] besides"
                self.expect(len(found) == 1, (thing,), what, f"'{words_of(marks[thing])}', {len(found)} times")
                marks[key] = tuple(found[0, ::-1].tolist())
        if rule == "obstacles" and "obstacles" not in marks:
            balls = (codes >= cells.BALL) & (codes < cells.BALL + cells.N_COLOURS)
            marks["obstacles"] = [(x, y) for y, x in np.argwhere(balls).tolist()]
        return marks


# Writing


def written(layout: Layout) -> str:
    """The text of a level."""
    symbols = _symbols(layout)
    points = np.zeros(cells.N_CODES, dtype="<u4")
    points[list(symbols)] = [ord(symbol) for symbol in symbols.values()]
    grid = points[layout.codes]
    x, y = layout.agent
    grid[y, x] = ord(AGENTS[layout.direction])
    lines = [row.tobytes().decode("utf-32-le") for row in grid]
    settings = [*_settings(layout), *_tables(layout, symbols)]
    return "\n".join([*lines, *(["---", *settings] if settings else [])]) + "\n"


def _symbols(layout: Layout) -> dict[int, str]:
    """A symbol for each code on the level."""
    built_in = {code: symbol for symbol, code in reversed(BUILT_IN.items()) if symbol != " "}
    taken = {*BUILT_IN, *AGENTS}
    symbols = {}
    for code in np.unique(layout.codes).tolist():
        if code in built_in:
            symbols[code] = built_in[code]
            continue
        kind, _, state = cells.TRIPLES[code].tolist()
        favourites = _DOORS[state] if cells.TYPES[kind] == "door" else _FAVOURITES[cells.TYPES[kind]]
        symbols[code] = next(symbol for symbol in (*favourites, *_ANY) if symbol not in taken)
        taken.add(symbols[code])
    return symbols


def _settings(layout: Layout) -> list[str]:
    """The lines of all that differs from a plain level."""
    lines = [f"{key} = {quoted(getattr(layout, key))}" for key in ("name", "source", "mission") if getattr(layout, key)]
    if layout.max_steps is not None:
        lines.append(f"max_steps = {layout.max_steps}")
    if layout.see_through_walls:
        lines.append("see_through_walls = true")
    if layout.rule != "goal":
        lines.append(f"rule = {quoted(layout.rule)}")
    for thing in ("target", "other"):
        code, at = getattr(layout, thing), f"{thing}_at"
        if code:
            lines.append(f"{thing} = {quoted(words_of(code))}")
        if at in READS[layout.rule] or getattr(layout, at) != (0, 0):
            lines.append(f"{at} = {list(getattr(layout, at))}")
    if layout.rule == "obstacles":
        lines.append(f"obstacles = {[list(place) for place in layout.obstacles]}")
    return lines


def _tables(layout: Layout, symbols: dict[int, str]) -> list[str]:
    """The lines of the agent and of the legend."""
    under = layout.code_at(layout.agent)
    agent = [] if under == cells.EMPTY else [f"on = {quoted(words_of(under))}"]
    if layout.carrying:
        agent.append(f"carrying = {quoted(words_of(layout.carrying))}")
    used = set(np.delete(layout.codes.ravel(), layout.agent[1] * layout.width + layout.agent[0]).tolist())
    legend = [
        f"{symbol if symbol.isascii() else quoted(symbol)} = {quoted(words_of(code))}"
        for code, symbol in symbols.items()
        if symbol not in BUILT_IN and code in used
    ]
    return [
        *(["", "[agent]", *agent] if agent else []),
        *(["", "[legend]", *legend] if legend else []),
    ]
