"""Overlays: arrays over states painted onto the cells of a map, as colours, numbers and arrows."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing import fonts, sprites
from rltk.drawing.colours import BLACK, CELLS, TERMINAL_LOOKING, WHITE, colour_limits, colour_of, ink, is_dark
from rltk.drawing.numbers import decimals_for, number
from rltk.drawing.scene import Cell, Direction, Overlay, Scene
from rltk.drawing.sectors import MOST_ACTIONS, sectors
from rltk.drawing.tiles import has_grid
from rltk.errors import SizeError

ARROWS_FROM = 10  # the smallest cell, in pixels, in which an arrow can be read
SECTORS_FROM = 8
RIMS_FROM = 20
FAINTEST = 0.01  # a probability up to this draws no arrow
REACH = 0.48  # the length of an arrow of probability one, as a share of the cell
_TIE = 1e-9


@dataclass(frozen=True)
class Shown:
    """What of an overlay ended up on the picture; the legend tells it."""

    limits: tuple[float, float] | None = None  # of the colours; None where nothing is coloured
    arrows: bool = False
    note: str = ""


def check(overlay: Overlay, scene: Scene) -> None:
    """Raise SizeError where the overlay's arrays are not over the scene's states and actions."""
    states = int(scene.states.max()) + 1
    if overlay.n_states and overlay.n_states < states:
        raise SizeError(f"overlay: the scene shows state {states - 1}, but its arrays hold {overlay.n_states} states")
    for name, table in (("q", overlay.q), ("policy", overlay.policy)):
        if table is None:
            continue
        wide = table.shape[1]
        # Action indices can't tell of actions that no state takes, so a policy may have fewer columns.
        if wide > len(scene.actions) or (name == "q" and wide < len(scene.actions)):
            raise SizeError(
                f"{name} of an overlay: the scene has {len(scene.actions)} actions, the array {wide} columns"
            )


def shown_cells(scene: Scene, overlay: Overlay) -> NDArray[np.bool_]:
    """Return (H, W) bool: the cells that carry something of the overlay."""
    shown = (scene.states >= 0) & (scene.cells != Cell.WALL)
    if overlay.terminal is None:
        return shown & ~np.isin(scene.cells, TERMINAL_LOOKING)
    return shown & ~overlay.terminal[np.maximum(scene.states, 0)]


def paint_colours(frame: NDArray[np.uint8], scene: Scene, overlay: Overlay, cell_size: int) -> Shown:
    """Colour the cells by value or q.

    frame: (H * cell_size, W * cell_size, 3), changed in place.
    """
    shown = shown_cells(scene, overlay)
    limits, note = None, ""
    if overlay.q is not None:
        limits, note = _paint_q(frame, scene, overlay, cell_size, shown)
    elif overlay.value is not None:
        values = np.where(shown, overlay.value[np.maximum(scene.states, 0)], np.nan)
        limits = _limits(overlay, values[shown])
        _fill(frame, scene, colour_of(values, limits, overlay.diverging), shown, cell_size)
    arrows = overlay.policy is not None and cell_size >= ARROWS_FROM
    if overlay.policy is not None and not arrows:
        note = f"arrows need cells of {ARROWS_FROM} pixels"
    return Shown(limits, arrows, note)


def paint_marks(
    frame: NDArray[np.uint8], surface: Any, scene: Scene, overlay: Overlay, cell_size: int, told: Shown
) -> None:
    """Paint arrows or, where there are none, the numbers of the colours that `paint_colours` painted.

    surface: pygame's view of the frame's memory.
    """
    shown = shown_cells(scene, overlay)
    if overlay.policy is not None:
        if told.arrows:
            _paint_arrows(frame, surface, scene, overlay, cell_size, shown)
    elif told.limits is not None and overlay.value is not None:
        values = np.where(shown, overlay.value[np.maximum(scene.states, 0)], np.nan)
        _write_values(frame, surface, values, told.limits, shown, cell_size)
    elif told.limits is not None and cell_size >= SECTORS_FROM and overlay.q.shape[1] <= MOST_ACTIONS:
        q = overlay.q[np.maximum(scene.states, 0)]  # (H, W, A)
        _write_q(frame, surface, scene, q, told.limits, cell_size, shown)


def _limits(overlay: Overlay, values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = overlay.limits if overlay.limits is not None else colour_limits(values, overlay.diverging)
    if overlay.diverging:
        high = max(abs(low), abs(high))
        low = -high
    return low, high


def _fill(
    frame: NDArray[np.uint8], scene: Scene, colours: NDArray[np.uint8], shown: NDArray[np.bool_], cell_size: int
) -> None:
    """Give each shown cell its colour (H, W, 3), leaving grid lines and a border that tells the kind of cell."""
    first = 1 if has_grid(cell_size) else 0
    inside = np.zeros((cell_size, cell_size), bool)
    inside[first:, first:] = True
    for row in range(scene.shape[0]):
        strip = frame[row * cell_size : (row + 1) * cell_size].reshape(cell_size, -1, cell_size, 3)
        here = shown[row][None, :, None] & inside[:, None, :]  # (c, W, c)
        np.copyto(strip, colours[row][None, :, None], where=here[..., None])
    _keep_kinds(frame, scene, shown, cell_size)


def _keep_kinds(frame: NDArray[np.uint8], scene: Scene, shown: NDArray[np.bool_], cell_size: int) -> None:
    """Frame coloured cells that are neither floor nor start in the colour of their kind, where there is room."""
    if cell_size < SECTORS_FROM:
        return
    first = 1 if has_grid(cell_size) else 0
    wide = max(1, cell_size // 14)
    for row, column in np.argwhere(shown & (scene.cells != Cell.FLOOR) & (scene.cells != Cell.START)):
        cell = frame[row * cell_size : (row + 1) * cell_size, column * cell_size : (column + 1) * cell_size]
        inside = cell[first + wide : cell_size - wide, first + wide : cell_size - wide].copy()
        cell[first:, first:] = CELLS[Cell(scene.cells[row, column])]
        cell[first + wide : cell_size - wide, first + wide : cell_size - wide] = inside


def _write_values(
    frame: NDArray[np.uint8],
    surface: Any,
    values: NDArray[np.float64],
    limits: tuple[float, float],
    shown: NDArray[np.bool_],
    cell_size: int,
) -> None:
    places = np.argwhere(shown & ~np.isnan(values))
    chosen = _numbers([float(values[row, column]) for row, column in places], limits, cell_size * 0.7, cell_size * 0.3)
    if chosen is None:
        return
    texts, size = chosen
    for (row, column), text in zip(places, texts, strict=True):
        y, x = row * cell_size + cell_size // 2, column * cell_size + cell_size // 2
        write(frame, surface, text, size, y, x)


def _numbers(
    values: list[float], limits: tuple[float, float], width: float, height: float
) -> tuple[list[str], int] | None:
    """Return the texts and the font size in which they fit, giving up one decimal if that helps; None if not."""
    decimals = decimals_for(*limits)
    choices = [decimals] if decimals is None or decimals < 2 else [decimals, decimals - 1]
    largest = int(min(18, height))
    for choice in choices:
        texts = [number(value, choice) for value in values]
        size = fonts.largest_size(texts, width, height, largest) if values else None
        if size is not None:
            return texts, size
    return None


def write(frame: NDArray[np.uint8], surface: Any, text: str, size: int, y: int, x: int) -> None:
    """Write text centred on pixel (x, y), in black or white by the ground that is there."""
    picture = fonts.render(text, size, BLACK, True)
    wide, high = picture.get_size()
    top, left = max(0, y - high // 2), max(0, x - wide // 2)
    ground = frame[top : top + high, left : left + wide].reshape(-1, 3)
    if len(ground) and ink(ground.mean(0)) == WHITE:
        picture = fonts.render(text, size, WHITE, True)
    surface.blit(picture, (left, top))


def _paint_q(
    frame: NDArray[np.uint8],
    scene: Scene,
    overlay: Overlay,
    cell_size: int,
    shown: NDArray[np.bool_],
) -> tuple[tuple[float, float], str]:
    q = overlay.q[np.maximum(scene.states, 0)]  # (H, W, A)
    limits = _limits(overlay, q[shown])
    if cell_size < SECTORS_FROM or q.shape[-1] > MOST_ACTIONS:
        _fill(frame, scene, colour_of(q.max(-1), limits, overlay.diverging), shown, cell_size)
        why = "of so many actions" if q.shape[-1] > MOST_ACTIONS else "in so small cells"
        return limits, f"the best action's value, {why}"
    division = sectors(scene.actions, cell_size)
    colours = colour_of(q, limits, overlay.diverging)  # (H, W, A, 3)
    with np.errstate(invalid="ignore"):
        best = q.max(-1, keepdims=True)
        greedy = np.isfinite(q) & (q >= best - _TIE * np.maximum(1, np.abs(best)))  # (H, W, A)
    first = 1 if has_grid(cell_size) else 0
    for row, column in np.argwhere(shown):
        own = colours[row, column]  # (A, 3)
        picture = own[division.owner]  # (c, c, 3)
        dark = is_dark(own)[division.owner]
        picture[division.seam] = (picture[division.seam].astype(int) * 7 + 255) // 8
        if cell_size >= RIMS_FROM:
            rim = division.rim & greedy[row, column][division.owner]
            picture[rim] = np.where(dark[rim][:, None], 255, 0)
        top, left = row * cell_size, column * cell_size
        frame[top + first : top + cell_size, left + first : left + cell_size] = picture[first:, first:]
    _keep_kinds(frame, scene, shown, cell_size)
    return limits, "rim: the greedy action" if cell_size >= RIMS_FROM else ""


def _write_q(
    frame: NDArray[np.uint8],
    surface: Any,
    scene: Scene,
    q: NDArray[np.float64],
    limits: tuple[float, float],
    cell_size: int,
    shown: NDArray[np.bool_],
) -> None:
    """Write every action's value into its sector, if all of them fit."""
    division = sectors(scene.actions, cell_size)
    values = [float(value) for value in q[shown].ravel() if np.isfinite(value)]
    for share in (0.4, 0.34, 0.28, 0.22):
        chosen = _numbers(values, limits, cell_size * share, cell_size * 0.2)
        if chosen is None:
            return
        texts, size = chosen
        boxes = [fonts.render(text, size, BLACK, True).get_size() for text in sorted(set(texts), key=len)[-8:]]
        wide, high = max(box[0] for box in boxes), max(box[1] for box in boxes)
        spots = [division.spot(action, wide, high) for action in range(q.shape[-1])]
        if None not in spots:
            break
    else:
        return
    waiting = iter(texts)
    for row, column in np.argwhere(shown):
        for action, value in enumerate(q[row, column]):
            spot = spots[action]
            if np.isfinite(value) and spot is not None:
                y, x = spot
                write(frame, surface, next(waiting), size, row * cell_size + y, column * cell_size + x)


def _paint_arrows(
    frame: NDArray[np.uint8],
    surface: Any,
    scene: Scene,
    overlay: Overlay,
    cell_size: int,
    shown: NDArray[np.bool_],
) -> None:
    policy = overlay.policy[np.maximum(scene.states, 0)]  # (H, W, A)
    size = cell_size + cell_size % 2  # even, so that the middle of sprite and cell agree
    for row, column in np.argwhere(shown):
        top, left = row * cell_size, column * cell_size
        ground = frame[top + cell_size // 4 : top + cell_size, left + cell_size // 4 : left + cell_size]
        colour = ink(ground[: cell_size // 2 + 1, : cell_size // 2 + 1].reshape(-1, 3).mean(0))
        chosen = [
            (scene.actions[action], float(share))
            for action, share in enumerate(policy[row, column])
            if share > FAINTEST
        ]
        # Arrows begin at the rim of the dot, if there is one.
        hub = max((_dot_size(share, cell_size) // 2 for heading, share in chosen if not _moves(heading)), default=0)
        for heading, share in chosen:
            length = max(3, round(REACH * cell_size * share))
            if heading is None or not _moves(heading):
                sprite = sprites.marker("disc", _dot_size(share, cell_size), colour, None, None)
            else:
                # An arrow alone stands in the middle of its cell; several start there.
                start = -(length // 2) if len(chosen) == 1 else hub
                sprite = sprites.arrow(size, heading, start, length, colour)
            offset = (cell_size - sprite.get_width()) // 2
            surface.blit(sprite, (left + offset, top + offset))


def _moves(heading: Direction | None) -> bool:
    return heading is not None and heading != (0, 0)


def _dot_size(share: float, cell_size: int) -> int:
    """Return the diameter of the dot of an action that stays: its area is in proportion to the probability."""
    size = max(2, round(cell_size * 0.24 * math.sqrt(share)))
    return size + (size - cell_size) % 2
