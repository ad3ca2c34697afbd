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
from typing import Any

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
)
from rltk.envs.map_text import MapText

_MOST_SYMBOLS = 250
_LARGEST_REWARD = 1e300  # sums of a few stay finite
_SETTINGS = ("name", "source", "slip", "slip_to", "actions", "max_episode_steps", "rewards", "legend")
_ENTRIES = ("kind", "terminal", "success", "start", "label", "enter", "leave")


def parse_map(text: str, origin: str = "map") -> GridMap:
    """The map that `text` describes. `origin` (a file's name) stands before line and column in a MapError."""
    return _Parser(text, origin).parse()


class _Parser(MapText):
    def parse(self) -> GridMap:
        grid, first = self.grid_lines("S..G")
        table = self.toml()
        legend = self._legend(table)
        cells = self.numbers(grid, first, (symbol.character for symbol in legend))
        settings = self._settings(table)
        self._check_places(cells, legend, first)
        return GridMap(cells, tuple(legend), **settings)

    def _settings(self, table: dict[str, Any]) -> dict[str, Any]:
        self.check_keys(table, _SETTINGS, ())
        rewards = table.get("rewards", {})
        self.expect(isinstance(rewards, dict), ("rewards",), "a table with step and bump", rewards)
        self.check_keys(rewards, ("step", "bump"), ("rewards",))
        out: dict[str, Any] = {key: self._text(table, key) for key in ("name", "source")}
        slip, slip_to = table.get("slip", 0.0), table.get("slip_to", "sides")
        self.expect(_is_number(slip) and 0 <= slip <= 1, ("slip",), "a probability from 0 to 1", slip)
        self.expect(slip_to in SLIPS, ("slip_to",), f"one of {', '.join(SLIPS)}", slip_to)
        actions = table.get("actions", ["up", "right", "down", "left"])
        right = isinstance(actions, list) and all(
            isinstance(action, str) and action in DIRECTIONS for action in actions
        )
        self.expect(right and len(actions) > 0, ("actions",), f"a list of {', '.join(DIRECTIONS)}", actions)
        self.expect(len(set(actions)) == len(actions), ("actions",), "each action once", actions)
        self.expect(
            slip == 0 or can_slip(tuple(actions), slip_to), ("slip",), "0, as there is no other direction", slip
        )
        limit = table.get("max_episode_steps")
        self.expect(
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
        self.expect(isinstance(entries, dict), ("legend",), "tables such as [legend.G]", entries)
        self.expect(len(entries) <= _MOST_SYMBOLS, ("legend",), f"at most {_MOST_SYMBOLS} symbols", len(entries))
        symbols = dict(BUILT_IN)
        for character, entry in entries.items():
            where = ("legend", character)
            self.expect(len(character) == 1 and character not in "\r\n", where, "one character as a symbol", character)
            self.expect(isinstance(entry, dict), where, "a table that says what the symbol means", entry)
            symbols[character] = self._symbol(character, entry)
        return list(symbols.values())

    def _symbol(self, character: str, entry: dict[str, Any]) -> Symbol:
        where = ("legend", character)
        self.check_keys(entry, _ENTRIES, where)
        built_in = BUILT_IN.get(character)
        kind = entry.get("kind", built_in.kind.name.lower() if built_in else "floor")
        self.expect(isinstance(kind, str) and kind in KINDS, (*where, "kind"), f"one of {', '.join(KINDS)}", kind)
        enter = self._effect(entry, "enter", where) if "enter" in entry else None
        leave = self._effect(entry, "leave", where) if "leave" in entry else None
        own = symbol_of_kind(character, KINDS[kind], enter is not None and enter.to is not None)
        flags = {}
        for key in ("terminal", "success", "start"):
            flags[key] = entry.get(key, getattr(own, key))
            self.expect(isinstance(flags[key], bool), (*where, key), "true or false", flags[key])
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
                self.fail(*self.find((*where, key)), f"the symbol {symbol.character!r} {what}")

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
        self.expect(isinstance(value, dict), where, '{ reward = 1.0, to = "S" }, either or both', value)
        self.check_keys(value, ("reward", "to"), where)
        to = value.get("to")
        self.expect(to is None or (isinstance(to, str) and len(to) == 1), where, "one symbol as `to`", to)
        return Effect(self._reward(value, "reward", where), to)

    def _reward(self, table: dict[str, Any], key: str, where: tuple[str, ...]) -> float:
        value = table.get(key, 0.0)
        self.expect(_is_number(value) and abs(value) <= _LARGEST_REWARD, where, "a finite number", value)
        return float(value)

    def _text(self, table: dict[str, Any], key: str, where: tuple[str, ...] = ()) -> str:
        value = table.get(key, "")
        self.expect(isinstance(value, str), (*where, key), "text in quotes", value)
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
                self.expect(
                    count == 1, where, "as `to` a symbol that is on the map once", f"{effect.to!r}, {count} times"
                )
                self.expect(legend[target or 0].kind is not Cell.WALL, where, "as `to` a cell", "a wall")


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, int) and not isinstance(value, bool)  # however large: it is compared, not converted
