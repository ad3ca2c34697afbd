"""What all maps that a person types have in common: a grid of symbols, `---`, then TOML. Faults name line and column.

    S..#     the grid, line by line, all equally long
    ---      and if anything is to be said besides, TOML
    key = "value"

`MapText` reads both halves and finds where a setting stands; what symbols and settings mean, its children say.
"""

import json
import re
import tomllib
from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from rltk.errors import MapError

SEPARATOR = "---"
UNKNOWN = 255  # in what `numbers` gives: so at most 255 symbols are known


class MapText:
    """A map's text, cut in two. `origin` (a file's name) stands before line and column in a MapError."""

    def __init__(self, text: str, origin: str) -> None:
        self.origin = origin
        # Only a newline ends a line: whatever else Python would split at is an unknown symbol.
        self.lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
        ends = [number for number, line in enumerate(self.lines) if line.rstrip() == SEPARATOR]
        self.separator = ends[0] if ends else len(self.lines)

    # The grid

    def grid_lines(self, example: str) -> tuple[list[str], int]:
        """The grid's lines without empty ones before and after, and the number of the first in the file, from 0.

        example: a line of such a map, for who gave none.
        """
        first, last = 0, self.separator
        while first < last and not self.lines[first]:
            first += 1
        while last > first and not self.lines[last - 1]:
            last -= 1
        if first == last:
            self.fail(0, 0, f"the map is empty; expected lines of symbols such as {example!r}")
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

    def numbers(self, grid: list[str], first: int, symbols: Iterable[str]) -> NDArray[np.uint8]:
        """(H, W): which of `symbols` stands on each cell of the grid; a MapError for one that is none of them."""
        known = list(symbols)
        characters = np.frombuffer("".join(grid).encode("utf-32-le", "surrogatepass"), dtype="<u4")
        points = [ord(symbol) for symbol in known]
        table = np.full(max(int(characters.max()), *points) + 1, UNKNOWN, dtype=np.uint8)
        table[points] = np.arange(len(points))
        numbers = table[characters].reshape(len(grid), -1)
        unknown = np.flatnonzero(numbers == UNKNOWN)
        if unknown.size:
            row, column = divmod(int(unknown[0]), numbers.shape[1])
            self.fail(
                first + row,
                column,
                f"unknown symbol {grid[row][column]!r}; the map knows {' '.join(map(repr, known))}. "
                f"Say what it means under {self.entry_for(grid[row][column])} after a line {SEPARATOR}",
            )
        return numbers

    def entry_for(self, character: str) -> str:
        """How the legend's entry for a symbol is written."""
        return f"[legend.{quoted(character)}]"

    # What stands after the separator

    def toml(self) -> dict[str, Any]:
        """The settings."""
        try:
            return tomllib.loads("\n".join(self.lines[self.separator + 1 :]))
        except (ValueError, RecursionError) as error:
            found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
            line, column = (int(found[1]), int(found[2]) - 1) if found else (len(self.lines) - self.separator - 1, 0)
            what = re.sub(r" \(at .*\)$", "", str(error))
            self.fail(self.separator + line, column, f"this is no TOML: {what}")

    # Faults

    def check_keys(self, table: dict[str, Any], known: tuple[str, ...], where: tuple[str, ...]) -> None:
        """Raise a MapError for a key of the table `where` that is not `known`."""
        for key in table:
            if key not in known:
                name = ".".join((*where, key))
                self.fail(*self.find((*where, key)), f"unknown setting {name!r}; there are {', '.join(known)}")

    def expect(self, right: bool, where: tuple[str, ...], expected: str, found: Any) -> None:
        """Raise a MapError about the setting `where` unless it is `right`."""
        if not right:
            self.fail(*self.find(where), f"{'.'.join(where)}: expected {expected}; found {short(found)}")

    def find(self, where: tuple[str, ...]) -> tuple[int, int]:
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


def quoted(text: str) -> str:
    """A text as TOML writes it: as JSON does, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def short(value: Any) -> str:
    """A value as an error shows it."""
    text = value if isinstance(value, str) and value.startswith("'") else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def decoded(content: bytes, path: str) -> str:
    """A file's text; a MapError where it is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise MapError(f"{path}, line {line}, column {column}: not UTF-8 ({error.reason}); save it as UTF-8") from None
