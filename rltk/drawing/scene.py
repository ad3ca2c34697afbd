"""What a picture shows, as plain data: environments make a `Scene`, painters turn it into pixels.

Nothing here imports a drawing library, so an environment can describe itself where none is installed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rltk.errors import ArgumentError, SizeError

Direction = tuple[int, int]
Place = tuple[int, int]
TokenShape = Literal["disc", "square", "ring", "triangle"]
TOKEN_SHAPES: tuple[TokenShape, ...] = ("disc", "square", "ring", "triangle")


class Cell(IntEnum):
    """What the ground of a cell is. MARK is a neutral highlighted floor, such as a taxi stand."""

    FLOOR = 0
    WALL = 1
    GOAL = 2
    PIT = 3
    LAVA = 4
    START = 5
    MARK = 6


@dataclass(frozen=True)
class Token:
    """A thing that lies on a cell: a key, a passenger, a box.

    label: at most two characters. colour: 0 to 7, an index into `OKABE_ITO` (5, blue, is the agent's).
    heading: the (row, column) direction in which a triangle points; other shapes ignore it.
    Raises ArgumentError where a field can't be drawn.
    """

    row: int
    column: int
    label: str = ""
    colour: int = 1
    shape: TokenShape = "disc"
    heading: Direction | None = None

    def __post_init__(self) -> None:
        if len(self.label) > 2:
            raise ArgumentError(f"label of a token: at most 2 characters fit, found {self.label!r}; shorten it")
        if not 0 <= self.colour < 8:
            raise ArgumentError(f"colour of a token: an index from 0 to 7 into OKABE_ITO, found {self.colour!r}")
        if self.shape not in TOKEN_SHAPES:
            raise ArgumentError(f"shape of a token: one of {', '.join(TOKEN_SHAPES)}; found {self.shape!r}")


@dataclass(frozen=True, eq=False)
class Scene:
    """One moment of an environment whose world is a grid.

    cells: (H, W) uint8 of `Cell`.
    states: (H, W) int32, the index of the state in which the agent stands in that cell and all else is as it is now;
        -1 where there is none. An overlay's value of a cell is `value[states]`.
    actions: per action the (row, column) direction it heads for on the picture, None for one that does not move.
    agent: (row, column) or None; heading: the direction it faces or None, which draws a disc.
    tokens: things on cells. labels: small letters, as (row, column, text) or a mapping of (row, column) to text.
    walls: thin walls, each a pair of neighbouring cells.

    Raises ArgumentError (a field that can't be drawn) or SizeError (arrays that do not match).
    """

    cells: NDArray[np.uint8]
    states: NDArray[np.int32]
    actions: tuple[Direction | None, ...] = ()
    agent: Place | None = None
    heading: Direction | None = None
    tokens: tuple[Token, ...] = ()
    labels: tuple[tuple[int, int, str], ...] | Mapping[Place, str] = ()
    walls: tuple[tuple[Place, Place], ...] = ()
    shape: Place = field(init=False, repr=False)

    def __post_init__(self) -> None:
        cells = _frozen_view(self.cells, np.uint8, "cells")
        states = _frozen_view(self.states, np.int32, "states")
        if cells.shape != states.shape:
            raise SizeError(f"states of a scene: expected the shape of cells, {cells.shape}; found {states.shape}")
        if cells.size == 0:
            raise SizeError(f"cells of a scene: at least one cell is needed, found the shape {cells.shape}")
        if cells.max() > max(Cell):
            raise ArgumentError(f"cells of a scene: values of Cell, 0 to {int(max(Cell))}; found {int(cells.max())}")
        set_field = object.__setattr__  # the way for a frozen dataclass to tidy its own fields
        set_field(self, "cells", cells)
        set_field(self, "states", states)
        set_field(self, "shape", cells.shape)
        set_field(self, "tokens", tuple(self.tokens))
        set_field(self, "actions", tuple(self.actions))
        if isinstance(self.labels, Mapping):
            set_field(self, "labels", tuple((row, column, text) for (row, column), text in self.labels.items()))
        self._check_places()

    def _check_places(self) -> None:
        if self.agent is not None:
            self._check_place("agent", self.agent)
        for token in self.tokens:
            self._check_place("token", (token.row, token.column))
        for row, column, _ in self.placed_labels:
            self._check_place("label", (row, column))
        for first, second in self.walls:
            self._check_place("wall", first)
            self._check_place("wall", second)
            if abs(first[0] - second[0]) + abs(first[1] - second[1]) != 1:
                raise ArgumentError(f"wall of a scene: two neighbouring cells, found {first} and {second}")

    def _check_place(self, what: str, place: Place) -> None:
        height, width = self.shape
        if not (0 <= place[0] < height and 0 <= place[1] < width):
            raise ArgumentError(
                f"{what} of a scene: a (row, column) in the {height} x {width} map, found {tuple(place)}"
            )

    @property
    def placed_labels(self) -> tuple[tuple[int, int, str], ...]:
        """The labels as (row, column, text), however they were given."""
        return self.labels  # type: ignore[return-value]  # __post_init__ turned a mapping into the tuple


@dataclass(frozen=True, eq=False)
class Overlay:
    """Arrays over states that a painter lays over a scene. They are copied, so later learning does not change them.

    value: (S,) float. q: (S, A) float, -inf where an action is unavailable. At most one of the two.
    policy: (S, A) probabilities, or (S,) action indices; it may stand over value or q, or alone.
    title: what is shown, the legend's first line. notes: further lines, such as the criterion.
    optimum: a value to mark on the colour bar, with `optimum_name` beside it.
    limits: (low, high) of the colours; None takes the finite values on the picture.
    diverging: for differences: a map centred on zero with the same limits on both sides.
    terminal: (S,) bool, states whose cells keep their own look and count for no limit; None takes the cells that are
        GOAL, PIT or LAVA.

    Raises ArgumentError or SizeError.
    """

    value: Any = None
    q: Any = None
    policy: Any = None
    title: str = ""
    notes: tuple[str, ...] = ()
    optimum: float | None = None
    optimum_name: str = "optimum"
    limits: tuple[float, float] | None = None
    diverging: bool = False
    terminal: Any = None

    def __post_init__(self) -> None:
        if self.value is not None and self.q is not None:
            raise ArgumentError("overlay: value and q colour the same cells; give one of the two")
        set_field = object.__setattr__
        for name, dimensions, dtype in (("value", 1, float), ("q", 2, float), ("terminal", 1, bool)):
            if getattr(self, name) is not None:
                set_field(self, name, _copied(getattr(self, name), dimensions, dtype, name))
        if self.policy is not None:
            actions = None if self.q is None else self.q.shape[1]
            set_field(self, "policy", policy_table(self.policy, actions))
        set_field(self, "notes", (self.notes,) if isinstance(self.notes, str) else tuple(self.notes))
        if self.limits is not None:
            low, high = map(float, self.limits)
            if not (np.isfinite(low) and np.isfinite(high) and low <= high):
                raise ArgumentError(f"limits of an overlay: finite (low, high) with low <= high, found {self.limits}")
            set_field(self, "limits", (low, high))
        sizes = {len(array) for array in (self.value, self.q, self.policy, self.terminal) if array is not None}
        if len(sizes) > 1:
            raise SizeError(f"overlay: its arrays must be over the same states, found lengths {sorted(sizes)}")

    @property
    def n_states(self) -> int:
        """How many states the arrays are over; 0 for an overlay with none."""
        return max((len(array) for array in (self.value, self.q, self.policy) if array is not None), default=0)


def policy_table(policy: Any, n_actions: int | None = None) -> NDArray[np.float64]:
    """Turn a policy, (S, A) probabilities or (S,) action indices, into a new (S, A) float64 table.

    An index of -1 (no action known) gives a row of zeros. n_actions: A where indices alone do not tell.
    Raises ArgumentError where entries are no probabilities or indices.
    """
    array = np.asarray(policy)
    if array.ndim == 1 and array.dtype.kind in "iu":
        width = max(n_actions or 0, int(array.max(initial=-1)) + 1)
        if array.size and (array.min() < -1 or (n_actions is not None and array.max() >= n_actions)):
            raise ArgumentError(f"policy: action indices from 0 to {width - 1}, found {array.min()} to {array.max()}")
        return np.where(array[:, None] == np.arange(width), 1.0, 0.0)
    table = _copied(policy, 2, float, "policy")
    if not (np.isfinite(table).all() and table.min(initial=0) >= 0 and table.max(initial=0) <= 1 + 1e-6):
        raise ArgumentError("policy: (S, A) probabilities from 0 to 1, or (S,) integer actions; found other numbers")
    return table


def _frozen_view(array: Any, dtype: Any, name: str) -> Any:
    found = np.asarray(array)
    if found.ndim != 2 or found.dtype.kind not in "iu":
        raise ArgumentError(
            f"{name} of a scene: an (H, W) array of integers, found shape {found.shape} of {found.dtype}"
        )
    if found.dtype != dtype:
        info = np.iinfo(dtype)
        if found.size and (found.min() < info.min or found.max() > info.max):
            raise ArgumentError(f"{name} of a scene: integers that fit {np.dtype(dtype)}, found {found.max()}")
        found = found.astype(dtype)
    view = found.view()
    view.flags.writeable = False
    return view


def _copied(array: Any, dimensions: int, dtype: Any, name: str) -> Any:
    try:
        copy = np.array(array, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{name} of an overlay: an array of numbers, found {type(array).__name__}") from error
    if copy.ndim != dimensions:
        expected = "(S,)" if dimensions == 1 else "(S, A)"
        raise SizeError(f"{name} of an overlay: expected the shape {expected}, found {copy.shape}")
    copy.flags.writeable = False
    return copy


def directions(names: Iterable[str]) -> tuple[Direction | None, ...]:
    """Return the directions of actions named up, right, down, left or stay: `directions(["up", "stay"])`."""
    known: dict[str, Direction | None] = {
        "up": (-1, 0),
        "right": (0, 1),
        "down": (1, 0),
        "left": (0, -1),
        "stay": None,
    }
    wanted = tuple(names)
    for name in wanted:
        if name not in known:
            raise ArgumentError(f"direction: one of {', '.join(known)}; found {name!r}")
    return tuple(known[name] for name in wanted)
