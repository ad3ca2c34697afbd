"""What a state looks like: its coordinates, its cell on a picture, and what stands where.

A layout turns state indices into arrays for observations and into a `Scene` for painters. The single and the batched
environment share one. `Layout.of_mdp` serves an MDP that has no picture of its own: its states, row by row, in a grid
as square as can be.
"""

from collections.abc import Sequence
from functools import cached_property
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.scene import Cell, Direction, Place, Scene, Token
from rltk.mdp import MDP

# Bits of what stands in a cell, channel 1 of symbolic observations.
AGENT, PASSENGER, DESTINATION, ABOARD = 1, 2, 4, 8
# Bits of the thin walls around a cell, channel 2 of symbolic observations where a world has any.
WALL_UP, WALL_RIGHT, WALL_DOWN, WALL_LEFT = 1, 2, 4, 8
_WALL_BITS = {(-1, 0): WALL_UP, (0, 1): WALL_RIGHT, (1, 0): WALL_DOWN, (0, -1): WALL_LEFT}

Mark = tuple[int, NDArray[np.int64], NDArray[np.int64]]


class Layout:
    """Where the agent of each state stands on a grid of cells.

    cells: (H, W) uint8 of `Cell`. places: (S,) the agent's cell as row * W + column.
    sizes: the shape whose unravelled state index is a state's coordinates; None takes (row, column).
    actions: per action the (row, column) direction it heads for, or None. labels: (row, column, text) on the picture.
    walls: thin walls, each a pair of neighbouring cells.

    A subclass with more than an agent on its grid extends `marks` (observations) and `tokens` (pictures).
    """

    mark_bits = AGENT

    def __init__(
        self,
        cells: NDArray[np.uint8],
        places: NDArray[np.integer],
        *,
        sizes: tuple[int, ...] | None = None,
        actions: Sequence[Direction | None] = (),
        labels: Sequence[tuple[int, int, str]] = (),
        walls: Sequence[tuple[Place, Place]] = (),
    ) -> None:
        self.cells = cells
        self.places = places
        self.sizes = self.shape if sizes is None else sizes
        self._unravels = sizes is not None
        self.actions = tuple(actions)
        self.labels = tuple(labels)
        self.walls = tuple(walls)
        for array in (cells, places):
            array.flags.writeable = False

    @classmethod
    def of_mdp(cls, mdp: MDP) -> "Layout":
        """States row by row in a grid as square as can be, or in that of a two-dimensional `state_labels` shape."""
        labels = mdp.state_labels
        sizes = labels if isinstance(labels, tuple) else None
        columns = isqrt(mdp.n_states - 1) + 1
        shape = sizes if sizes is not None and len(sizes) == 2 else (-(-mdp.n_states // columns), columns)
        cells = np.full(shape, Cell.WALL, dtype=np.uint8)
        kinds = cells.reshape(-1)[: mdp.n_states]
        kinds[:] = Cell.FLOOR
        kinds[mdp.start > 0] = Cell.START if (mdp.start > 0).sum() < mdp.n_states else Cell.FLOOR
        entered, good = _endings(mdp)
        kinds[entered] = Cell.PIT
        kinds[good] = Cell.GOAL
        return cls(cells, np.arange(mdp.n_states, dtype=np.int32), sizes=sizes, actions=(None,) * mdp.n_actions)

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the grid."""
        return self.cells.shape

    @property
    def n_states(self) -> int:
        """S."""
        return self.places.size

    def position(self, states: NDArray[np.integer]) -> NDArray[np.int64]:
        """(N, 2) row and column of the agent in each of (N,) states."""
        return np.stack(np.divmod(self.places[states].astype(np.int64), self.shape[1]), axis=-1)

    def coords(self, states: NDArray[np.integer]) -> NDArray[np.int64]:
        """(N, k) coordinates of (N,) states, each below the same entry of `sizes` (k,)."""
        if not self._unravels:
            return self.position(states)
        return np.stack(np.unravel_index(states, self.sizes), axis=-1).astype(np.int64)

    def marks(self, states: NDArray[np.integer]) -> list[Mark]:
        """What stands where in each of (N,) states: (bit, rows (N,), columns (N,)); a row of -1 is nowhere."""
        position = self.position(states)
        return [(AGENT, position[:, 0], position[:, 1])]

    @cached_property
    def ground(self) -> NDArray[np.uint8]:
        """(H, W, C) what never changes: channel 0 the `Cell`, 1 empty, and 2 thin walls where there are any."""
        ground = np.zeros((*self.shape, 3 if self.walls else 2), dtype=np.uint8)
        ground[..., 0] = self.cells
        for (r, c), (row, column) in self.walls:
            ground[r, c, 2] |= _WALL_BITS[row - r, column - c]
            ground[row, column, 2] |= _WALL_BITS[r - row, c - column]
        ground.flags.writeable = False
        return ground

    @property
    def channel_highs(self) -> NDArray[np.uint8]:
        """(C,) the largest number in each channel of `symbolic` and `egocentric`."""
        return np.array([max(Cell), self.mark_bits, 15][: self.ground.shape[-1]], dtype=np.uint8)

    def symbolic(self, states: NDArray[np.integer]) -> NDArray[np.uint8]:
        """(N, H, W, C): the ground, with the bits of what stands in each cell in channel 1."""
        out = np.tile(self.ground, (len(states), 1, 1, 1))
        for bit, rows, columns in self.marks(states):
            there = np.flatnonzero(rows >= 0)
            out[there, rows[there], columns[there], 1] |= np.uint8(bit)
        return out

    def egocentric(self, states: NDArray[np.integer], view_size: int) -> NDArray[np.uint8]:
        """(N, view_size, view_size, C): the window of `symbolic` with the agent in the middle; outside is WALL."""
        reach = view_size // 2
        padded = np.pad(self.ground, ((reach, reach), (reach, reach), (0, 0)))
        inside = np.zeros(padded.shape[:2], dtype=bool)
        inside[reach : reach + self.shape[0], reach : reach + self.shape[1]] = True
        padded[~inside, 0] = Cell.WALL
        position = self.position(states)
        span = np.arange(view_size)
        rows, columns = position[:, :1] + span, position[:, 1:] + span  # (N, view_size) in the padded grid
        out = padded[rows[:, :, None], columns[:, None, :]]
        for bit, mark_rows, mark_columns in self.marks(states):
            row, column = mark_rows - position[:, 0] + reach, mark_columns - position[:, 1] + reach
            seen = (mark_rows >= 0) & (row >= 0) & (row < view_size) & (column >= 0) & (column < view_size)
            there = np.flatnonzero(seen)
            out[there, row[there], column[there], 1] |= np.uint8(bit)
        return out

    @cached_property
    def _state_of_cell(self) -> NDArray[np.int32]:
        states = np.full(self.cells.size, -1, dtype=np.int32)
        states[self.places] = np.arange(self.n_states, dtype=np.int32)
        states.flags.writeable = False
        return states.reshape(self.shape)

    def cell_states(self, state: int) -> NDArray[np.int32]:
        """(H, W): the state in which the agent stands in that cell and all else is as in `state`; -1 for none."""
        return self._state_of_cell

    def tokens(self, state: int) -> tuple[Token, ...]:
        """What lies on the cells in `state`, besides the agent."""
        return ()

    def scene(self, state: int) -> Scene:
        """The picture of `state`, as data."""
        row, column = self.position(np.array([state]))[0]
        return Scene(
            cells=self.cells,
            states=self.cell_states(state),
            actions=self.actions,
            agent=(int(row), int(column)),
            tokens=self.tokens(state),
            labels=self.labels,
            walls=self.walls,
        )


def _endings(mdp: MDP) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    """The states entered by outcomes that end the episode, and those entered by a success."""
    form = mdp.form
    entered = form.next_state if hasattr(form, "next_state") else form.moves
    found = []
    for flags in (form.terminated, form.success):
        if flags is None:
            found.append(np.empty(0, dtype=np.int64))
        elif flags.shape == entered.shape:
            found.append(entered[flags])
        else:
            found.append(np.flatnonzero(flags))
    return found[0], found[1]
