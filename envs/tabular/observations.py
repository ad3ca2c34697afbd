"""Observation modes: what an agent is shown of a state. Each is a function of the state alone.

| mode | space | what it is |
| --- | --- | --- |
| `index` | Discrete(S) | the state's number |
| `onehot` | Box (S,) float32 | 1 at the state's number |
| `coords` | MultiDiscrete | the state's coordinates: row and column, and what else it is made of |
| `symbolic` | Box (H, W, C) uint8 | channel 0 the kind of cell, 1 the bits of what stands there, 2 thin walls if any |
| `egocentric` | Box (view_size, view_size, C) uint8 | the window of `symbolic` about the agent; outside is wall |
| `rgb` | Box (c H, c W, 3) uint8 | the painted picture; a cell has c = max(8, ceil(36 / min(H, W))) pixels a side |

All states' observations are kept in one table where they fit, so that a step costs a gather.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rltk.envs.tabular.layout import Layout
from rltk.errors import ArgumentError, SizeError, UnknownNameError

MODES = ("index", "onehot", "coords", "symbolic", "egocentric", "rgb")
RGB_CELL = 8  # pixels a side of a cell, at least
RGB_SIDE = 36  # pixels a side of a picture, at least: fewer are too few for Stable-Baselines3's CnnPolicy
TABLE_LIMIT = 64 * 2**20  # bytes for the table of all states' observations
OBSERVATION_LIMIT = 16 * 2**20  # bytes for one observation
BATCH_LIMIT = 8 * 2**30  # bytes for one call of `of`


class Observations:
    """The observations of all states in one mode. Raises UnknownNameError for a mode there is not, SizeError where one
    observation alone would be larger than 16 MiB."""

    def __init__(self, layout: Layout, mode: str = "index", view_size: int = 7) -> None:
        if mode not in MODES:
            raise UnknownNameError(f"observation: there is no mode {mode!r}; choose one of {', '.join(MODES)}")
        whole = isinstance(view_size, int) and not isinstance(view_size, bool)
        if mode == "egocentric" and not (whole and view_size > 0 and view_size % 2 == 1):
            raise ArgumentError(f"view_size is an odd number of cells, at least 1; found {view_size!r}")
        self.mode = mode
        self._layout = layout
        self._view_size = view_size
        self._nbytes, shape = _size(layout, mode, view_size)
        if self._nbytes > OBSERVATION_LIMIT:
            raise SizeError(
                f"observation={mode!r}: one observation of this world would be {shape}, "
                f"{self._nbytes / 2**20:,.0f} MiB; the limit is {OBSERVATION_LIMIT // 2**20} MiB. "
                "Use 'egocentric', 'coords' or 'index'"
            )
        self.space = _space(layout, mode, shape)
        self._compute: Callable[[NDArray[np.int64]], NDArray[Any]] = getattr(self, f"_{mode}")
        self._painter: Any = None
        self._table: NDArray[Any] | None = None
        self._known: NDArray[np.bool_] | None = None  # the rows of the table that are filled; None when all are
        self._has_table = mode != "index" and layout.n_states * self._nbytes <= TABLE_LIMIT

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_painter": None}  # a painter holds surfaces, which can't be pickled

    def of(self, states: Any) -> NDArray[Any]:
        """A new array (N, ...) with the observations of (N,) states."""
        states = np.asarray(states)
        if states.ndim != 1 or not (np.issubdtype(states.dtype, np.integer) or states.size == 0):
            raise ArgumentError(f"states: an (N,) array of state numbers; found {states.dtype} of shape {states.shape}")
        if states.size and (states.min() < 0 or states.max() >= self._layout.n_states):
            raise ArgumentError(
                f"states: numbers from 0 to {self._layout.n_states - 1}; found {states.min()} to {states.max()}"
            )
        if states.size * self._nbytes > BATCH_LIMIT:
            raise SizeError(
                f"the {self.mode} observations of {states.size:,} states would take "
                f"{states.size * self._nbytes / 2**30:,.1f} GiB; ask for fewer at a time"
            )
        return self.take(states.astype(np.int64))

    def take(self, states: NDArray[np.int64]) -> NDArray[Any]:
        """`of` for states known to be right."""
        if not self._has_table:
            return self._compute(states)
        self._fill(states)
        assert self._table is not None
        return self._table[states]

    def one(self, state: int) -> Any:
        """A new observation of one state; an int in the mode `index`."""
        if self.mode == "index":
            return state
        if self._table is None or self._known is not None:
            return self.take(np.array([state]))[0]
        return self._table[state].copy()

    def _fill(self, states: NDArray[np.int64]) -> None:
        count = self._layout.n_states
        if self._table is None:
            if self.mode != "rgb":
                self._table = self._compute(np.arange(count))
                return
            # Painting is slow: a picture is made when its state is first seen.
            self._table = np.zeros((count, *self.space.shape), dtype=self.space.dtype)  # type: ignore[misc]
            self._known = np.zeros(count, dtype=bool)
        if self._known is None:
            return
        missing = np.unique(states[~self._known[states]])
        if missing.size:
            self._table[missing] = self._compute(missing)
            self._known[missing] = True
            if self._known.all():
                self._known = None

    def _index(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        return states.copy()

    def _onehot(self, states: NDArray[np.int64]) -> NDArray[np.float32]:
        out = np.zeros((states.size, self._layout.n_states), dtype=np.float32)
        out[np.arange(states.size), states] = 1.0
        return out

    def _coords(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._layout.coords(states)

    def _symbolic(self, states: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._layout.symbolic(states)

    def _egocentric(self, states: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self._layout.egocentric(states, self._view_size)

    def _rgb(self, states: NDArray[np.int64]) -> NDArray[np.uint8]:
        if self._painter is None:
            from rltk.drawing import Painter

            self._painter = Painter(self._layout.shape, rgb_cell(self._layout.shape))
        out = np.empty((states.size, *self.space.shape), dtype=np.uint8)  # type: ignore[misc]
        for i, state in enumerate(states):
            out[i] = self._painter.paint(self._layout.scene(int(state)))
        return out


def rgb_cell(shape: tuple[int, int]) -> int:
    """The side in pixels of a cell in the `rgb` observation of a map of this shape."""
    return max(RGB_CELL, -(-RGB_SIDE // min(shape)))


def _size(layout: Layout, mode: str, view_size: int) -> tuple[int, tuple[int, ...]]:
    """Bytes and shape of one observation."""
    height, width = layout.shape
    channels = 3 if layout.walls else 2
    sizes: dict[str, tuple[int, tuple[int, ...]]] = {
        "index": (8, ()),
        "onehot": (4, (layout.n_states,)),
        "coords": (8, (len(layout.sizes),)),
        "symbolic": (1, (height, width, channels)),
        "egocentric": (1, (view_size, view_size, channels)),
        "rgb": (1, (rgb_cell(layout.shape) * height, rgb_cell(layout.shape) * width, 3)),
    }
    itemsize, shape = sizes[mode]
    return itemsize * int(np.prod(shape, dtype=object)), shape


def _space(layout: Layout, mode: str, shape: tuple[int, ...]) -> spaces.Space[Any]:
    if mode == "index":
        return spaces.Discrete(layout.n_states)
    if mode == "coords":
        return spaces.MultiDiscrete(list(layout.sizes))
    if mode == "onehot":
        return spaces.Box(0.0, 1.0, shape, np.float32)
    if mode == "rgb":
        return spaces.Box(0, 255, shape, np.uint8)
    # Tight bounds: SB3 takes a Box from 0 to 255 for an image and would divide these small codes by 255.
    high = np.broadcast_to(layout.channel_highs, shape).copy()
    return spaces.Box(np.zeros(shape, np.uint8), high, dtype=np.uint8)
