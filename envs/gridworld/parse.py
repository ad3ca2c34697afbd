"""From a map's text to a `GridMap`. Every fault is a MapError that names line and column.

    S..#     the grid, line by line: # wall, . or space floor, S start, G goal, H pit
    .#.G
    ---      then, if anything is to be said besides, TOML:
    slip = 0.2                            # total probability of not going where the action says
    slip_to = "sides"                     # at a right angle, half each; or "others": any other direction, equally
    actions = ["up", "right", "down", "left"]   # in this order; also "up-right" ... "up-left" and "stay"
    max_episode_steps = 100
    [rewards]
    step = -0.04                          # every action
    bump = 0.0                            # added where wall or edge holds the agent back
    [legend.C]                            # what C means on the grid
    kind = "pit"                          # floor, wall, goal, pit, lava, start or mark
    enter = { reward = -99.0, to = "S" }  # entering pays this besides, and puts the agent on the one S
    leave = { reward = 10.0 }             # so does every action taken here; `to` as above
    terminal = false                      # also success, start (true or false) and label (text)

A goal is terminal and a success and pays 1, a pit or lava is terminal, unless the legend says otherwise.
"""

import math
import re
import tomllib
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell
from rltk.envs.gridworld.map import (
    BUILT_IN,
    DIRECTIONS,
    KINDS,
    SLIPS,
    Effect,
    GridMap,
    Symbol,
    can_slip,
    symbol_of_kind,
    to_toml,
)
from rltk.errors import MapError

SEPARATOR = "---"
_MOST_SYMBOLS = 250
_LARGEST_REWARD = 1e300  # sums of a few stay finite
_SETTINGS = ("name", "source", "slip", "slip_to", "actions", "max_episode_steps", "rewards", "legend")
_ENTRIES = ("kind", "terminal", "success", "start", "label", "enter", "leave")


def parse_map(text: str, origin: str = "map") -> GridMap:
    """The map that `text` describes. `origin` (a file's name) stands before line and column in a MapError."""
    return _Parser(text, origin).parse()


class _Parser:
    def __init__(self, text: str, origin: str) -> None:
        self.origin = origin
        # Only a newline ends a line: whatever else Python would split at is an unknown symbol.
        self.lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
        ends = [number for number, line in enumerate(self.lines) if line.rstrip() == SEPARATOR]
        self.separator = ends[0] if ends else len(self.lines)

    def parse(self) -> GridMap:
        grid, first = self._grid_lines()
        table = self._toml()
        legend = self._legend(table)
        cells = self._cells(grid, first, legend)
        settings = self._settings(table)
        self._check_places(cells, legend, first)
        return GridMap(cells, tuple(legend), **settings)

    # The grid

    def _grid_lines(self) -> tuple[list[str], int]:
        """The grid's lines without empty ones before and after, and the number of the first in the file, from 0."""
        first, last = 0, self.separator
        while first < last and not self.lines[first]:
            first += 1
        while last > first and not self.lines[last - 1]:
            last -= 1
        if first == last:
            self.fail(0, 0, "the map is empty; expected lines of symbols such as 'S..G'")
        grid = self.lines[first:last]
        width = len(grid[0])
        for row, line in enumerate(grid):
            if len(line) != width:
                self.fail(
                    first + row,
                    min(len(line), width),
                    f"this line has {len(line)} symbols, the first has {width}; make all lines equally long "
                    "(# is a wall, a space is floor)",
                )
        return grid, first

    def _cells(self, grid: list[str], first: int, legend: list[Symbol]) -> NDArray[np.uint8]:
        codes = np.frombuffer("".join(grid).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        known = [ord(symbol.character) for symbol in legend]
        table = np.full(max(int(codes.max()), *known) + 1, 255, dtype=np.uint8)
        table[known] = np.arange(len(known))
        cells = table[codes].reshape(len(grid), -1)
        unknown = np.flatnonzero(cells == 255)
        if unknown.size:
            row, column = divmod(int(unknown[0]), cells.shape[1])
            self.fail(
                first + row,
                column,
                f"unknown symbol {grid[row][column]!r}; the map knows {' '.join(repr(s.character) for s in legend)}. "
                f"Say what it means under [legend.{to_toml(grid[row][column])}] after a line {SEPARATOR}",
            )
        return cells

    # What stands after the separator

    def _toml(self) -> dict[str, Any]:
        try:
            return tomllib.loads("\n".join(self.lines[self.separator + 1 :]))
        except (ValueError, RecursionError) as error:
            found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            line, column = (int(found[1]), int(found[2]) - 1) if found else (len(self.lines) - self.separator - 1, 0)
            what = re.sub(r" \(at .*\)$", "", str(error))
            self.fail(self.separator + line, column, f"this is no TOML: {what}")

    def _settings(self, table: dict[str, Any]) -> dict[str, Any]:
        self._check_keys(table, _SETTINGS, ())
        rewards = table.get("rewards", {})
        self._expect(isinstance(rewards, dict), ("rewards",), "a table with step and bump", rewards)
        self._check_keys(rewards, ("step", "bump"), ("rewards",))
        out: dict[str, Any] = {key: self._text(table, key) for key in ("name", "source")}
        slip, slip_to = table.get("slip", 0.0), table.get("slip_to", "sides")
        self._expect(_is_number(slip) and 0 <= slip <= 1, ("slip",), "a probability from 0 to 1", slip)
        self._expect(slip_to in SLIPS, ("slip_to",), f"one of {', '.join(SLIPS)}", slip_to)
        actions = table.get("actions", ["up", "right", "down", "left"])
        right = isinstance(actions, list) and all(
            isinstance(action, str) and action in DIRECTIONS for action in actions
        )
        self._expect(right and len(actions) > 0, ("actions",), f"a list of {', '.join(DIRECTIONS)}", actions)
        self._expect(len(set(actions)) == len(actions), ("actions",), "each action once", actions)
        self._expect(
            slip == 0 or can_slip(tuple(actions), slip_to), ("slip",), "0, as there is no other direction", slip
        )
        limit = table.get("max_episode_steps")
        self._expect(
            limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit > 0),
            ("max_episode_steps",),
            "a positive number of steps",
            limit,
        )
        for key in ("step", "bump"):
            out[f"{key}_reward"] = self._reward(rewards, key, ("rewards", key))
        return {**out, "slip": float(slip), "slip_to": slip_to, "actions": tuple(actions), "max_episode_steps": limit}

    def _legend(self, table: dict[str, Any]) -> list[Symbol]:
        entries = table.get("legend", {})
        self._expect(isinstance(entries, dict), ("legend",), "tables such as [legend.G]", entries)
        self._expect(len(entries) <= _MOST_SYMBOLS, ("legend",), f"at most {_MOST_SYMBOLS} symbols", len(entries))
        symbols = dict(BUILT_IN)
        for character, entry in entries.items():
            where = ("legend", character)
            self._expect(len(character) == 1 and character not in "\r\n", where, "one character as a symbol", character)
            self._expect(isinstance(entry, dict), where, "a table that says what the symbol means", entry)
            symbols[character] = self._symbol(character, entry)
        return list(symbols.values())

    def _symbol(self, character: str, entry: dict[str, Any]) -> Symbol:
        where = ("legend", character)
        self._check_keys(entry, _ENTRIES, where)
        built_in = BUILT_IN.get(character)
        kind = entry.get("kind", built_in.kind.name.lower() if built_in else "floor")
        self._expect(isinstance(kind, str) and kind in KINDS, (*where, "kind"), f"one of {', '.join(KINDS)}", kind)
        enter = self._effect(entry, "enter", where) if "enter" in entry else None
        leave = self._effect(entry, "leave", where) if "leave" in entry else None
        own = symbol_of_kind(character, KINDS[kind], enter is not None and enter.to is not None)
        flags = {}
        for key in ("terminal", "success", "start"):
            flags[key] = entry.get(key, getattr(own, key))
            self._expect(isinstance(flags[key], bool), (*where, key), "true or false", flags[key])
        if "success" not in entry and not flags["terminal"]:
            flags["success"] = False
        symbol = Symbol(
            character,
            KINDS[kind],
            **flags,
            label=self._text(entry, "label", where),
            enter=enter or own.enter,
            leave=leave,
        )
        self._check_symbol(symbol, where)
        return symbol

    def _check_symbol(self, symbol: Symbol, where: tuple[str, ...]) -> None:
        def refuse(wrong: bool, key: str, what: str) -> None:
            if wrong:
                self.fail(*self._find((*where, key)), f"the symbol {symbol.character!r} {what}")

        if symbol.kind is Cell.WALL:
            active = symbol.terminal or symbol.start or symbol.success or symbol.leave or symbol.enter != Effect()
            refuse(bool(active), "kind", "is a wall, which can't be entered, left, started on or ended on")
        refuse(symbol.success and not symbol.terminal, "success", "is a success, so it has to be terminal as well")
        refuse(symbol.terminal and symbol.start, "start", "is terminal, so no episode can start there")
        refuse(symbol.terminal and symbol.leave is not None, "leave", "is terminal, so it is never left")
        refuse(
            symbol.terminal and symbol.enter.to is not None,
            "terminal",
            "puts the agent elsewhere when entered, so it can't be terminal; let the cell it leads to be",
        )

    def _effect(self, entry: dict[str, Any], key: str, where: tuple[str, ...]) -> Effect:
        value, where = entry[key], (*where, key)
        self._expect(isinstance(value, dict), where, '{ reward = 1.0, to = "S" }, either or both', value)
        self._check_keys(value, ("reward", "to"), where)
        to = value.get("to")
        self._expect(to is None or (isinstance(to, str) and len(to) == 1), where, "one symbol as `to`", to)
        return Effect(self._reward(value, "reward", where), to)

    def _reward(self, table: dict[str, Any], key: str, where: tuple[str, ...]) -> float:
        value = table.get(key, 0.0)
        self._expect(_is_number(value) and abs(value) <= _LARGEST_REWARD, where, "a finite number", value)
        return float(value)

    def _text(self, table: dict[str, Any], key: str, where: tuple[str, ...] = ()) -> str:
        value = table.get(key, "")
        self._expect(isinstance(value, str), (*where, key), "text in quotes", value)
        return value

    # What the grid and the legend say together

    def _check_places(self, cells: NDArray[np.uint8], legend: list[Symbol], first: int) -> None:
        counts = np.bincount(cells.reshape(-1), minlength=len(legend))
        by_character = {symbol.character: i for i, symbol in enumerate(legend)}
        if not any(symbol.start and counts[i] for i, symbol in enumerate(legend)):
            self.fail(first, 0, "the map has no start; write S where an episode begins")
        for symbol in legend:
            for key, effect in (("enter", symbol.enter), ("leave", symbol.leave)):
                if effect is None or effect.to is None:
                    continue
                target = by_character.get(effect.to)
                count = 0 if target is None else int(counts[target])
                where = ("legend", symbol.character, key)
                self._expect(
                    count == 1, where, "as `to` a symbol that is on the map once", f"{effect.to!r}, {count} times"
                )
                self._expect(legend[target or 0].kind is not Cell.WALL, where, "as `to` a cell", "a wall")

    # Faults

    def _check_keys(self, table: dict[str, Any], known: tuple[str, ...], where: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                name = ".".join((*where, key))
                self.fail(*self._find((*where, key)), f"unknown setting {name!r}; there are {', '.join(known)}")

    def _expect(self, right: bool, where: tuple[str, ...], expected: str, found: Any) -> None:
        if not right:
            self.fail(*self._find(where), f"{'.'.join(where)}: expected {expected}; found {_short(found)}")

    def _find(self, where: tuple[str, ...]) -> tuple[int, int]:
        """Line and column, from 0, at which the setting `where` is made, or its table's; tomllib does not tell."""
        for depth in range(len(where), 0, -1):
            header: tuple[str, ...] = ()
            for number in range(self.separator + 1, len(self.lines)):
                line = self.lines[number]
                if line.lstrip().startswith("["):
                    header = _path(line) or header
                    path = header
                elif "=" in line:
                    path = header + (_path(line.partition("=")[0] + "= 0") or ("",))
                else:
                    continue
                if path[:depth] == where[:depth] and len(path) >= depth:
                    return number, len(line) - len(line.lstrip())
        return min(self.separator + 1, len(self.lines) - 1), 0

    def fail(self, line: int, column: int, what: str) -> NoReturn:
        """Raise a MapError; line and column are counted from 0 here and from 1 for people."""
        raise MapError(f"{self.origin}, line {line + 1}, column {column + 1}: {what}")


def _path(line: str) -> tuple[str, ...]:
    """The dotted key of a TOML line, () if it is none."""
    try:
        table: Any = tomllib.loads(line)
    except (ValueError, RecursionError):
        return ()
    path: tuple[str, ...] = ()
    while isinstance(table, dict) and len(table) == 1:
        key, table = next(iter(table.items()))
        path += (key,)
    return path


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, int) and not isinstance(value, bool)  # however large: it is compared, not converted


def _short(value: Any) -> str:
    text = value if isinstance(value, str) and value.startswith("'") else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
