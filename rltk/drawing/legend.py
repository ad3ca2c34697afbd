"""What stands around a map: the legend beside it and the strip of words below."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing import fonts, sprites
from rltk.drawing.colours import BLACK, GRID, PAPER, colour_map
from rltk.drawing.layers import REACH, Shown
from rltk.drawing.numbers import decimals_for, number
from rltk.drawing.pygame_check import load_pygame
from rltk.drawing.scene import Overlay

PAD = 10
_BAR = 14
_TEXT_WIDTH = 130
_SHORTEST, _LONGEST = 60, 240
_KEY = 40  # the size of the sample arrow's cell


def canvas(height: int, width: int) -> tuple[NDArray[np.uint8], Any]:
    """Return a white (height, width, 3) array and the pygame surface that paints into the same memory."""
    pixels = np.full((height, width, 3), PAPER, np.uint8)
    return pixels, load_pygame().image.frombuffer(pixels, (width, height), "RGB")


def paint_strip(lines: str | Sequence[str], width: int) -> NDArray[np.uint8]:
    """Return (h, width, 3) uint8: lines of text, black on white, wrapped to the width; h is one line's at least.

    Strings keep their own line breaks.
    """
    text = lines if isinstance(lines, str) else "\n".join(lines)
    wrapped = fonts.wrap(text, max(1, width - 2 * PAD))
    pixels, surface = canvas(fonts.LINE * max(1, len(wrapped)) + PAD, width)
    for index, line in enumerate(wrapped):
        surface.blit(fonts.render(line, fonts.WORDS, BLACK), (PAD, PAD // 2 + index * fonts.LINE))
    return pixels


def paint_legend(overlay: Overlay, shown: Shown, height: int) -> NDArray[np.uint8]:
    """Return (h, w, 3) uint8: title, colour bar with limits, notes and the key of the arrows; h >= height."""
    title = fonts.wrap(overlay.title, _TEXT_WIDTH) if overlay.title else []
    notes = [line for note in (*overlay.notes, shown.note) if note for line in fonts.wrap(note, _TEXT_WIDTH)]
    ticks = _ticks(overlay, shown)
    words = fonts.LINE * (len(title) + len(notes))
    key = (_KEY + 3 * fonts.LINE // 2) if shown.arrows else 0
    gaps = PAD * (2 + bool(title) + bool(notes) + bool(key))
    bar = 0
    if shown.limits is not None:
        bar = int(np.clip(height - words - key - gaps - fonts.LINE, _SHORTEST, _LONGEST))
    widths = [fonts.text_size(line)[0] for line in (*title, *notes)]
    widths += [_BAR + 8 + fonts.text_size(text)[0] for _, text in ticks]
    widths += [fonts.text_size(line)[0] for line in _key_words()] if key else []
    needed = words + key + gaps + (bar + fonts.LINE if bar else 0)
    pixels, surface = canvas(max(height, needed), max(widths, default=0) + 2 * PAD)
    y = _paint_words(surface, title, PAD)
    if bar:
        y += fonts.LINE // 2
        _paint_bar(pixels, surface, overlay, ticks, y, bar)
        y += bar + fonts.LINE // 2 + PAD
    y = _paint_words(surface, notes, y)
    if key:
        _paint_key(surface, y)
    return pixels


def _paint_words(surface: Any, lines: list[str], y: int) -> int:
    for line in lines:
        surface.blit(fonts.render(line, fonts.WORDS, BLACK), (PAD, y))
        y += fonts.LINE
    return y + PAD if lines else y


def _ticks(overlay: Overlay, shown: Shown) -> list[tuple[float, str]]:
    """Return (share of the bar from below, text) for the limits, the middle and the optimum."""
    if shown.limits is None:
        return []
    low, high = shown.limits
    decimals = decimals_for(low, high)
    if low == high:
        ticks = [(0.5, number(low, decimals))]
    else:
        ticks = [(share, number(low + share * (high - low), decimals)) for share in (0.0, 0.5, 1.0)]
    if overlay.optimum is not None and np.isfinite(overlay.optimum):
        share = 0.5 if low == high else float(np.clip((overlay.optimum - low) / (high - low), 0, 1))
        # Where two labels would meet, the optimum's stays: it says more.
        ticks = [tick for tick in ticks if abs(tick[0] - share) > 0.3]
        ticks.append((share, f"{number(overlay.optimum, decimals)} {overlay.optimum_name}"))
    return ticks


def _paint_bar(
    pixels: NDArray[np.uint8], surface: Any, overlay: Overlay, ticks: list[tuple[float, str]], top: int, height: int
) -> None:
    index = np.rint(np.linspace(255, 0, height)).astype(int)
    pixels[top : top + height, PAD : PAD + _BAR] = colour_map(overlay.diverging)[index][:, None]
    for share, text in ticks:
        y = top + round((1 - share) * (height - 1))
        pixels[y, PAD + _BAR : PAD + _BAR + 4] = BLACK
        surface.blit(fonts.render(text, fonts.WORDS, BLACK), (PAD + _BAR + 8, y - fonts.LINE // 2 + 1))


def _key_words() -> tuple[str, str]:
    return "probability 1", "probability ½"


def _paint_key(surface: Any, top: int) -> None:
    """Two sample arrows, so that a length can be read as a probability."""
    for line, (share, text) in enumerate(zip((1.0, 0.5), _key_words(), strict=True)):
        surface.blit(fonts.render(text, fonts.WORDS, BLACK), (PAD, top + line * (fonts.LINE + _KEY // 2)))
        length = round(REACH * _KEY * share)
        arrow = sprites.arrow(_KEY, (0, 1), -_KEY // 2, length, BLACK)
        surface.blit(arrow, (PAD, top + line * (fonts.LINE + _KEY // 2) + fonts.LINE - _KEY // 4))


def beside(map_picture: NDArray[np.uint8], legend: NDArray[np.uint8] | None, caption: str | None) -> NDArray[np.uint8]:
    """Return one picture: the map, the legend on its right, the caption's strip below."""
    height, width = map_picture.shape[:2]
    tall = max(height, len(legend)) if legend is not None else height
    wide = width + (legend.shape[1] if legend is not None else 0)
    strip = paint_strip(caption, wide) if caption else None
    whole = np.full((tall + (len(strip) if strip is not None else 0), wide, 3), PAPER, np.uint8)
    whole[:height, :width] = map_picture
    if legend is not None:
        whole[: len(legend), width:] = legend
    if strip is not None:
        whole[tall:] = strip
        whole[tall, :] = GRID
    return whole
