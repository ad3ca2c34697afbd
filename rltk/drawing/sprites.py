"""Small antialiased shapes, painted once and kept: discs, rings, squares, triangles and arrows.

A shape is painted four times too large in white on black and scaled down; its grey is the coverage of each pixel, used
as the alpha of one plain colour. So edges have no fringe on any ground.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from rltk.drawing.colours import BLACK, WHITE, Colour
from rltk.drawing.pygame_check import load_pygame
from rltk.drawing.scene import Direction

Points = list[tuple[float, float]]
_OVERSAMPLE = 4


def stamp(size: int, colour: Colour, draw: Callable[[Any, float], None]) -> Any:
    """Return a size x size surface in one colour whose alpha is the coverage of what draw(surface, scale) paints."""
    pygame = load_pygame()
    large = pygame.Surface((size * _OVERSAMPLE, size * _OVERSAMPLE), 0, 32)
    draw(large, _OVERSAMPLE)
    coverage = pygame.surfarray.array3d(pygame.transform.smoothscale(large, (size, size)))[:, :, 0]
    sprite = pygame.Surface((size, size), pygame.SRCALPHA, 32)
    sprite.fill((*colour, 0))
    alpha = pygame.surfarray.pixels_alpha(sprite)
    alpha[:] = coverage
    del alpha  # it locks the surface while it lives
    return sprite


def _circle(radius: float, size: int, hole: float = 0.0) -> Callable[[Any, float], None]:
    def draw(surface: Any, scale: float) -> None:
        pygame = load_pygame()
        centre = (size * scale / 2, size * scale / 2)
        pygame.draw.circle(surface, WHITE, centre, radius * scale)
        if hole > 0:
            pygame.draw.circle(surface, BLACK, centre, hole * scale)

    return draw


def _polygon(points: Points) -> Callable[[Any, float], None]:
    def draw(surface: Any, scale: float) -> None:
        load_pygame().draw.polygon(surface, WHITE, [(x * scale, y * scale) for x, y in points])

    return draw


def _turned(points: Points, heading: Direction, centre: float) -> Points:
    """Turn points, given about the origin and pointing right, into the heading, about (centre, centre)."""
    length = math.hypot(*heading) or 1.0
    sine, cosine = heading[0] / length, heading[1] / length
    return [(centre + x * cosine - y * sine, centre + x * sine + y * cosine) for x, y in points]


@lru_cache(1024)
def marker(shape: str, size: int, colour: Colour, heading: Direction | None = None, rim: Colour | None = WHITE) -> Any:
    """Return a size x size surface with a disc, ring, square or triangle that fills it, with a rim around.

    heading: the (row, column) direction of a triangle; without one it points up. Below 14 pixels there is no rim.
    """
    if rim is None or size < 14:
        return stamp(size, colour, _outline(shape, size, heading, 0.0))
    thickness = max(1.0, size / 22)
    surface = stamp(size, rim, _outline(shape, size, heading, 0.0))
    surface.blit(stamp(size, colour, _outline(shape, size, heading, thickness)), (0, 0))
    return surface


def _outline(shape: str, size: int, heading: Direction | None, inset: float) -> Callable[[Any, float], None]:
    half = size / 2
    if shape == "disc":
        return _circle(half - inset, size)
    if shape == "ring":
        return _circle(half - inset, size, max(0.0, half * 0.62 + inset))
    if shape == "square":
        low, high = inset + size * 0.06, size * 0.94 - inset
        return _polygon([(low, low), (high, low), (high, high), (low, high)])
    # An isosceles triangle whose sides all move in by the inset: its corners move towards the incentre.
    corners = [(0.92 * half, 0.0), (-0.68 * half, -0.82 * half), (-0.68 * half, 0.82 * half)]
    sides = [math.dist(corners[1], corners[2]), math.dist(corners[0], corners[2]), math.dist(corners[0], corners[1])]
    around = sum(sides)
    x = sum(side * corner[0] for side, corner in zip(sides, corners, strict=True)) / around
    radius = sides[0] * (corners[0][0] - corners[1][0]) / around
    share = max(0.0, 1 - inset / radius)
    points = [(x + (corner[0] - x) * share, corner[1] * share) for corner in corners]
    return _polygon(_turned(points, heading or (-1, 0), half))


@lru_cache(64)
def ring(size: int, thickness: float, colour: Colour) -> Any:
    """Return a size x size surface with a plain ring of the given thickness in pixels."""
    return stamp(size, colour, _circle(size / 2, size, size / 2 - thickness))


@lru_cache(4096)
def arrow(size: int, heading: Direction, start: int, length: int, colour: Colour) -> Any:
    """Return a size x size surface with an arrow along the heading that begins `start` pixels from the middle.

    The head is `size / 7` long and shrinks with an arrow shorter than that.
    """
    shaft = max(1.0, size / 24) / 2
    head = min(float(length), max(4.0, size / 7))
    wide = max(shaft, head * 0.5)
    neck, tip = start + length - head, start + length
    points: Points = [(neck, -wide), (tip, 0.0), (neck, wide)]
    if length > head:
        points = [(start, -shaft), (neck, -shaft), *points, (neck, shaft), (start, shaft)]
    return stamp(size, colour, _polygon(_turned(points, heading, size / 2)))


def coverage(surface: Any) -> np.ndarray:
    """Return the (h, w) alpha of a sprite, 0 to 1, for painting into arrays."""
    return load_pygame().surfarray.array_alpha(surface).T / 255.0
