"""A map as data: cells, what their symbols mean, and the rules of the world. `str(map)` writes it as text again.

Rewards add up: every action pays `step`; one that a wall or the edge holds back pays `bump` besides; entering a cell
pays its symbol's `enter.reward`, and an action taken on a cell its `leave.reward`. An agent that is put somewhere by
`enter.to` or `leave.to` does not enter that cell, and one that stays where it is enters nothing.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell, Direction
from rltk.envs.map_text import quoted
from rltk.errors import ArgumentError

DIRECTIONS: dict[str, Direction] = {
    "up": (-1, 0),
    "right": (0, 1),
    "down": (1, 0),
    "left": (0, -1),
    "up-right": (-1, 1),
    "down-right": (1, 1),
    "down-left": (1, -1),
    "up-left": (-1, -1),
    "stay": (0, 0),
}
SLIPS = ("sides", "others")
KINDS = {kind.name.lower(): kind for kind in Cell}


@dataclass(frozen=True)
class Effect:
    """What entering or leaving a cell adds: a reward, and the symbol on whose one cell the agent is put."""

    reward: float = 0.0
    to: str | None = None


@dataclass(frozen=True)
class Symbol:
    """What a character on a map means. `enter` and `leave` are as the module says; None adds nothing."""

    character: str
    kind: Cell = Cell.FLOOR
    terminal: bool = False
    success: bool = False
    start: bool = False
    label: str = ""
    enter: Effect = field(default_factory=Effect)
    leave: Effect | None = None


def symbol_of_kind(character: str, kind: Cell, moved: bool = False) -> Symbol:
    """The symbol that has only this kind's own properties. `moved`: entering puts the agent elsewhere."""
    ends = kind in (Cell.GOAL, Cell.PIT, Cell.LAVA) and not moved
    good = kind is Cell.GOAL and not moved
    enter = Effect(1.0 if good else 0.0)
    return Symbol(character, kind, terminal=ends, success=good, start=kind is Cell.START, enter=enter)


BUILT_IN = {
    "#": symbol_of_kind("#", Cell.WALL),
    ".": symbol_of_kind(".", Cell.FLOOR),
    " ": symbol_of_kind(" ", Cell.FLOOR),
    "S": symbol_of_kind("S", Cell.START),
    "G": symbol_of_kind("G", Cell.GOAL),
    "H": symbol_of_kind("H", Cell.PIT),
}


@dataclass(frozen=True, eq=False)
class GridMap:
    """A grid world. `rltk.envs.gridworld.parse_map` makes one from text, `load_map` from a file or a shipped name.

    cells: (H, W) uint8, indices into `legend`. slip: the probability of not going where the action says. slip_to:
    "sides" (a right angle either way, half each) or "others" (any other direction among the actions, equally).
    """

    cells: NDArray[np.uint8]
    legend: tuple[Symbol, ...]
    name: str = ""
    source: str = ""
    slip: float = 0.0
    slip_to: str = "sides"
    actions: tuple[str, ...] = ("up", "right", "down", "left")
    max_episode_steps: int | None = None
    step_reward: float = 0.0
    bump_reward: float = 0.0

    def __post_init__(self) -> None:
        self.cells.flags.writeable = False

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.cells.shape

    def with_slip(self, slip: float) -> "GridMap":
        """The same map with another `slip`; ArgumentError unless it is a probability that these actions can have."""
        if isinstance(slip, bool) or not isinstance(slip, int | float | np.integer | np.floating) or not 0 <= slip <= 1:
            raise ArgumentError(f"slip: a probability from 0 to 1; found {slip!r}")
        if slip > 0 and not can_slip(self.actions, self.slip_to):
            raise ArgumentError(f"slip: the actions {', '.join(self.actions)} leave no other direction to slip to")
        return replace(self, slip=float(slip))

    def lines(self) -> list[str]:
        """The grid's lines."""
        codes = np.array([ord(symbol.character) for symbol in self.legend], dtype="<u4")[self.cells]
        return [row.tobytes().decode("utf-32-le", "surrogatepass") for row in codes]

    def __str__(self) -> str:
        settings = _settings(self)
        return "\n".join([*self.lines(), *(["---", *settings] if settings else [])]) + "\n"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GridMap):
            return NotImplemented
        return self.lines() == other.lines() and _settings(self) == _settings(other)

    __hash__ = None  # type: ignore[assignment]


def can_slip(actions: tuple[str, ...], slip_to: str) -> bool:
    """Whether a map with these actions has somewhere to slip to."""
    moving = [action for action in actions if action != "stay"]
    return not moving or slip_to == "sides" or len(moving) > 1


def _settings(grid: GridMap) -> list[str]:
    """The TOML lines of everything that differs from a plain map, in a fixed order."""
    plain: dict[str, Any] = {name: entry.default for name, entry in GridMap.__dataclass_fields__.items()}
    lines = [
        f"{name} = {to_toml(getattr(grid, name))}"
        for name in ("name", "source", "slip", "slip_to", "actions", "max_episode_steps")
        if getattr(grid, name) != plain[name]
    ]
    rewards = [
        f"{key} = {to_toml(value)}" for key, value in (("step", grid.step_reward), ("bump", grid.bump_reward)) if value
    ]
    if rewards:
        lines += ["", "[rewards]", *rewards]
    for symbol in sorted(grid.legend, key=lambda symbol: symbol.character):
        if symbol == BUILT_IN.get(symbol.character):
            continue
        lines += ["", f"[legend.{to_toml(symbol.character)}]", f'kind = "{symbol.kind.name.lower()}"']
        own = symbol_of_kind(symbol.character, symbol.kind, symbol.enter.to is not None)
        lines += [
            f"{key} = {to_toml(getattr(symbol, key))}"
            for key in ("terminal", "success", "start", "label", "enter", "leave")
            if getattr(symbol, key) != getattr(own, key)
        ]
    return lines


def to_toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(to_toml(entry) for entry in value) + "]"
    if isinstance(value, Effect):
        to = "" if value.to is None else f", to = {to_toml(value.to)}"
        return f"{{ reward = {to_toml(value.reward)}{to} }}"
    return repr(value)
