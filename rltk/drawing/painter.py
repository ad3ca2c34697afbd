"""From a `Scene` to pixels, painted by pygame into a numpy array: no display is opened, so it works anywhere.

The ground is painted once and kept. A frame then costs the few sprites that move and one copy.
"""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing import fonts, layers, legend, sprites, tiles
from rltk.drawing.colours import AGENT, OKABE_ITO, SLATE, ink
from rltk.drawing.layers import Shown
from rltk.drawing.scene import Cell, Direction, Overlay, Place, Scene, Token
from rltk.errors import ArgumentError, SizeError

FITS = 720  # the pixels that a map's longer side takes by default
LARGEST_CELL = 120
MOST_PIXELS = 64_000_000
_LABELS_FROM = 24  # the smallest cell that has room for a letter in its corner
_WALLS_FROM = 3


def default_cell_size(shape: tuple[int, int]) -> int:
    """Return the cell size in pixels at which a map of (H, W) cells fits 720 pixels: 1 to 120.

    >>> default_cell_size((13, 13)), default_cell_size((4, 4)), default_cell_size((1000, 1000))
    (55, 120, 1)
    """
    return max(1, min(LARGEST_CELL, FITS // max(*shape, 1)))


class Painter:
    """Paints scenes of one shape, one after the other, quickly.

    shape: (H, W) in cells. cell_size: pixels, `default_cell_size` if None.
    Raises ArgumentError for a shape or size that is no positive integer, SizeError past 64 megapixels.
    """

    def __init__(self, shape: tuple[int, int], cell_size: int | None = None) -> None:
        if len(shape) != 2 or not all(isinstance(side, Integral) and side > 0 for side in shape):
            raise ArgumentError(f"shape of a painter: (H, W) in cells, both positive integers; found {shape!r}")
        if cell_size is not None and (not isinstance(cell_size, Integral) or cell_size < 1):
            raise ArgumentError(f"cell_size: pixels a cell, a positive integer or None; found {cell_size!r}")
        self.shape = (int(shape[0]), int(shape[1]))
        self.cell_size = int(cell_size) if cell_size is not None else default_cell_size(self.shape)
        height, width = self.shape[0] * self.cell_size, self.shape[1] * self.cell_size
        if height * width > MOST_PIXELS:
            raise SizeError(
                f"a picture of {self.shape[0]} x {self.shape[1]} cells of {self.cell_size} pixels has "
                f"{height * width / 1e6:,.0f} megapixels, more than {MOST_PIXELS // 10**6}; "
                "choose a smaller cell_size or a part of the map"
            )
        self._frame, self._surface = legend.canvas(height, width)
        self._ground: NDArray[np.uint8] | None = None  # what lies under everything that moves
        self._bare: NDArray[np.uint8] | None = None  # the same without numbers and arrows, for cells that are taken
        self._ground_key: tuple[Any, ...] | None = None
        self._shown = Shown()
        self._legend: NDArray[np.uint8] | None = None
        self._dirty: list[tuple[slice, slice]] = []

    def paint(self, scene: Scene, overlay: Overlay | None = None, caption: str | None = None) -> NDArray[np.uint8]:
        """Return a new (h, w, 3) uint8 RGB picture, (H, W) * cell_size without overlay and caption.

        overlay: painted onto the cells, its legend to the right of the map. caption: a strip of text below.
        The map's upper left corner is always the picture's. Raises SizeError where scene, overlay and painter do not
        fit each other.
        """
        if scene.shape != self.shape:
            raise SizeError(f"scene: this painter paints {self.shape} cells, found {scene.shape}; make another Painter")
        self._lay_ground(scene, overlay)
        self._paint_movers(scene)
        if overlay is None and not caption:
            return self._frame.copy()
        return legend.beside(self._frame, self._legend, caption)

    def cell_at(self, x: int, y: int) -> Place | None:
        """Return the (row, column) of the cell at pixel (x, y) of a picture, or None beside the map."""
        row, column = y // self.cell_size, x // self.cell_size
        inside = 0 <= row < self.shape[0] and 0 <= column < self.shape[1]
        return (row, column) if inside else None

    def _lay_ground(self, scene: Scene, overlay: Overlay | None) -> None:
        if self._ground is not None and self._is_laid(scene, overlay):
            for place in self._dirty:
                self._frame[place] = self._ground[place]
            self._dirty.clear()
            return
        if overlay is not None:
            layers.check(overlay, scene)
        tiles.lay(scene.cells, self.cell_size, self._frame)
        self._shown = Shown()
        if overlay is not None:
            self._shown = layers.paint_colours(self._frame, scene, overlay, self.cell_size)
            self._paint_starts(scene)
        self._paint_walls(scene)
        self._paint_labels(scene)
        self._legend = None
        self._bare = None
        if overlay is not None:
            self._bare = self._frame.copy()
            layers.paint_marks(self._frame, self._surface, scene, overlay, self.cell_size, self._shown)
            self._legend = legend.paint_legend(overlay, self._shown, len(self._frame))
        self._ground = self._frame.copy()
        # Copies, because an environment may change its own arrays in place.
        states = None if overlay is None else scene.states.copy()
        self._ground_key = (scene.cells.copy(), states, scene.placed_labels, scene.walls, scene.actions, overlay)
        self._dirty.clear()

    def _is_laid(self, scene: Scene, overlay: Overlay | None) -> bool:
        assert self._ground_key is not None
        cells, states, labels, walls, actions, known_overlay = self._ground_key
        return (
            overlay is known_overlay
            and labels == scene.placed_labels
            and walls == scene.walls
            and np.array_equal(cells, scene.cells)
            and (overlay is None or (actions == scene.actions and np.array_equal(states, scene.states)))
        )

    def _paint_starts(self, scene: Scene) -> None:
        """Draw the rings of starts again, over the overlay's colours."""
        size = tiles.ring_size(self.cell_size)
        if self.cell_size < layers.SECTORS_FROM:
            return
        for row, column in np.argwhere((scene.cells == Cell.START) & (scene.states >= 0)):
            ground = self._frame[row * self.cell_size + 2, column * self.cell_size + self.cell_size // 2]
            sprite = sprites.ring(size, tiles.ring_thickness(self.cell_size), ink(ground))
            offset = (self.cell_size - size) // 2
            self._surface.blit(sprite, (column * self.cell_size + offset, row * self.cell_size + offset))

    def _paint_walls(self, scene: Scene) -> None:
        if self.cell_size < _WALLS_FROM:
            return
        size = self.cell_size
        thick = max(1, round(size / 12))
        for first, second in scene.walls:
            row, column = max(first[0], second[0]), max(first[1], second[1])
            low = thick // 2
            if first[0] == second[0]:  # side by side
                left = column * size - low
                self._frame[row * size : (row + 1) * size + 1, left : left + thick] = SLATE
            else:
                top = row * size - low
                self._frame[top : top + thick, column * size : (column + 1) * size + 1] = SLATE

    def _paint_labels(self, scene: Scene) -> None:
        """Write each cell's letter into its upper left corner, where the cell is large enough."""
        if self.cell_size < _LABELS_FROM:
            return
        size = max(fonts.SMALLEST, min(18, self.cell_size // 4))
        for row, column, text in scene.placed_labels:
            wide, high = fonts.render(text, size, (0, 0, 0), True).get_size()
            if wide > self.cell_size * 0.85:
                continue
            margin = max(2, self.cell_size // 9)
            y = row * self.cell_size + margin + high // 2 + 1
            x = column * self.cell_size + margin + wide // 2 + 1
            layers.write(self._frame, self._surface, text, size, y, x)

    def _paint_movers(self, scene: Scene) -> None:
        carried = [token for token in scene.tokens if (token.row, token.column) == scene.agent]
        for token in scene.tokens:
            if (token.row, token.column) != scene.agent:
                self._paint_token(token, 0.62)
        if scene.agent is not None:
            shape = "disc" if scene.heading is None or scene.heading == (0, 0) else "triangle"
            # A triangle fills less of its square than a disc does.
            share = 0.6 if shape == "disc" else 0.8
            # Too small for the white rim that sets it off, blue would vanish among cividis' blues.
            blends = self._shown.limits is not None and self.cell_size < 24
            self._place(scene.agent, shape, share, OKABE_ITO[6] if blends else AGENT, scene.heading)
        for token in carried:  # on top of the agent and smaller, so that both are seen
            self._paint_token(token, 0.36)

    def _paint_token(self, token: Token, share: float) -> None:
        place = (token.row, token.column)
        side = self._place(place, token.shape, share, OKABE_ITO[token.colour], token.heading)
        if token.label:
            size = fonts.largest_size([token.label], side * 0.7, side * 0.5, 18)
            if size is not None:
                y = token.row * self.cell_size + self.cell_size // 2
                x = token.column * self.cell_size + self.cell_size // 2
                layers.write(self._frame, self._surface, token.label, size, y, x)

    def _place(self, place: Place, shape: str, share: float, colour: Any, heading: Direction | None) -> int:
        """Paint a marker in the middle of a cell and return its side in pixels."""
        cell = self.cell_size
        side = max(1, round(cell * share))
        side = min(cell, side + (side - cell) % 2)
        if cell < 6:  # too few pixels for a gap around
            side = cell
        top, left = place[0] * cell, place[1] * cell
        spot = (slice(top, top + cell), slice(left, left + cell))
        if self._bare is not None and spot not in self._dirty:
            self._frame[spot] = self._bare[spot]  # else digits would peep out behind the marker
        self._dirty.append(spot)
        if cell < 4:
            self._frame[top : top + cell, left : left + cell] = colour
            return cell
        turned = heading if shape == "triangle" else None
        offset = (cell - side) // 2
        self._surface.blit(sprites.marker(shape, side, colour, turned), (left + offset, top + offset))
        return side


def paint(
    scene: Scene, cell_size: int | None = None, overlay: Overlay | None = None, caption: str | None = None
) -> NDArray[np.uint8]:
    """Return a picture (h, w, 3) uint8 of one scene; for many of the same world, a `Painter` is quicker.

    cell_size: pixels, `default_cell_size` if None; the rest as in `Painter.paint`. Raises ArgumentError or SizeError.
    """
    return Painter(scene.shape, cell_size).paint(scene, overlay, caption)
