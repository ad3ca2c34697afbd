"""The colours of every picture: readable without colour vision, in grey and on paper.

Categories are the eight colours of Okabe and Ito (2008), "Color universal design"; values are cividis (Nunez,
Anderton and Renslow, 2018). Text is black or white by the contrast ratio of WCAG 2.1: one of the two always exceeds
4.5 to 1.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rltk.drawing.scene import Cell

Colour = tuple[int, int, int]

OKABE_ITO: tuple[Colour, ...] = (
    (0, 0, 0),  # black
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # reddish purple
)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
PAPER: Colour = (255, 255, 255)
GRID: Colour = (221, 221, 214)
SLATE: Colour = (71, 85, 105)
RING: Colour = (100, 116, 139)
PIT_RIM: Colour = (128, 128, 136)
AGENT: Colour = OKABE_ITO[5]
NO_VALUE: Colour = (200, 200, 200)

CELLS: dict[Cell, Colour] = {
    Cell.FLOOR: (248, 248, 245),
    Cell.WALL: SLATE,
    Cell.GOAL: OKABE_ITO[3],
    Cell.PIT: (24, 24, 27),
    Cell.LAVA: (240, 120, 20),
    Cell.START: (248, 248, 245),
    Cell.MARK: (214, 222, 238),
}
# These end the episode in almost every world: an overlay leaves them as they are unless it is told otherwise.
TERMINAL_LOOKING = (Cell.GOAL, Cell.PIT, Cell.LAVA)


@cache
def colour_map(diverging: bool = False) -> NDArray[np.uint8]:
    """Return (256, 3) colours: cividis, or red through white to blue for differences (negative is blue)."""
    import matplotlib

    colours = matplotlib.colormaps["RdBu_r" if diverging else "cividis"](np.linspace(0, 1, 256))
    table = np.rint(colours[:, :3] * 255).astype(np.uint8)
    table.flags.writeable = False
    return table


def colour_of(values: ArrayLike, limits: tuple[float, float], diverging: bool = False) -> NDArray[np.uint8]:
    """Return the colours (..., 3) of values (...); what is not finite is grey. Equal limits give the middle colour."""
    values = np.asarray(values, dtype=float)
    low, high = limits
    finite = np.isfinite(values)
    with np.errstate(over="ignore", invalid="ignore"):
        share = np.where(finite, values - low, 0.0) / (high - low) if high > low else np.full(values.shape, 0.5)
    index = np.rint(np.clip(np.nan_to_num(share), 0, 1) * 255).astype(np.intp)
    colours = colour_map(diverging)[index]
    colours[~finite] = NO_VALUE
    return colours


def colour_limits(values: ArrayLike, diverging: bool = False) -> tuple[float, float]:
    """Return (low, high) of the finite values, symmetric about zero if diverging; (0, 0) where there are none."""
    values = np.asarray(values, dtype=float)
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 0.0
    if diverging:
        reach = float(np.abs(finite).max())
        return -reach, reach
    return float(finite.min()), float(finite.max())


def luminance(colours: ArrayLike) -> NDArray[np.float64]:
    """Return the relative luminance (...) of sRGB colours (..., 3), from 0 to 1."""
    share = np.asarray(colours, dtype=float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def is_dark(colours: ArrayLike) -> NDArray[np.bool_]:
    """Return (...) bool: white contrasts better than black on these colours (..., 3)."""
    return luminance(colours) < 0.179  # the grey on which black and white contrast equally, 4.58 to 1


def ink(colour: ArrayLike) -> Colour:
    """Return black or white, whichever reads better on the colour (3,)."""
    return WHITE if bool(is_dark(colour)) else BLACK
