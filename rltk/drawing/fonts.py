"""Text on pictures, in the DejaVu Sans that matplotlib ships: headless and desktop pictures agree.

A picture has one size for words (`WORDS`) and one for the numbers in its cells, the largest that fits.
"""

import os
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from rltk.drawing.colours import Colour
from rltk.drawing.pygame_check import load_pygame

WORDS = 13
LINE = 18  # the height of a line of words, in pixels
SMALLEST = 8


@cache
def font_path() -> str:
    """Return the path of the font's file."""
    import matplotlib

    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


@cache
def _font(size: int) -> Any:
    pygame = load_pygame()
    if not pygame.font.get_init():
        pygame.font.init()
    return pygame.font.Font(font_path(), size)


def _with_font(size: int, use: Any) -> Any:
    """Call use(font). Other libraries call pygame.quit(), after which every font has to be loaded again."""
    pygame = load_pygame()
    if not pygame.font.get_init():
        _font.cache_clear()
    try:
        return use(_font(size))
    except pygame.error:
        _font.cache_clear()
        return use(_font(size))


@lru_cache(4096)
def text_size(text: str, size: int = WORDS) -> tuple[int, int]:
    """Return (width, height) in pixels of a line of text."""
    width, height = _with_font(size, lambda font: font.size(text))
    return int(width), int(height)


@lru_cache(4096)
def render(text: str, size: int, colour: Colour, crop: bool = False) -> Any:
    """Return a surface with the text; crop leaves only its ink, so that it can be centred exactly."""
    surface = _with_font(size, lambda font: font.render(text, True, colour))
    if crop and text.strip():
        surface = surface.subsurface(surface.get_bounding_rect())
    return surface


def largest_size(texts: Iterable[str], width: float, height: float, largest: int) -> int | None:
    """Return the largest font size, from SMALLEST to largest, in which every text fits width x height pixels.

    None where even the smallest does not fit.
    """
    # Digits are equally wide in this font, so the longest few stand for all of thousands of numbers.
    longest = sorted(set(texts), key=len)[-8:]
    for size in range(largest, SMALLEST - 1, -1):
        inks = [render(text, size, (0, 0, 0), True).get_size() for text in longest]
        if all(ink[0] <= width and ink[1] <= height for ink in inks):
            return size
    return None


def wrap(text: str, width: int, size: int = WORDS) -> list[str]:
    """Break text into lines of at most `width` pixels; a word that is too wide alone is cut with an ellipsis."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if text_size(longer, size)[0] <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = cut(word, width, size)
        lines.append(line)
    return lines


def cut(text: str, width: int, size: int = WORDS) -> str:
    """Shorten one line to `width` pixels, with an ellipsis where something had to go."""
    if text_size(text, size)[0] <= width:
        return text
    while text and text_size(text + "…", size)[0] > width:
        text = text[:-1]
    return text + "…"
