"""Pictures of levels, pixel for pixel MiniGrid's: tiles, the agent's view, the whole board.

A tile is drawn three times as fine as it is shown and averaged. What is seen is lighter:

    shade <- shade + 0.3 (255 - shade)

and the agent is a red triangle on top. There are few different tiles, so all are drawn once for a size; a picture is
then put together from them by copying rows, in words of 64 bits where a tile's row is made of such. The agent's view is
a function of what it observes: what it does not see is a dark empty tile. On the board, what it sees is lighter.

Source: minigrid 3.2.0, core/world_object.py (shapes and colours), core/grid.py (`render_tile`), utils/rendering.py.
"""

import math
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.board import AHEAD_X, AHEAD_Y
from rltk.envs.minigrid.cells import CLOSED, LOCKED, N_COLOURS, OPEN, TRIPLES, TYPES
from rltk.envs.minigrid.level import DIRECTION, ORIGIN, STRIDE, UP, VIEW, X, Y, level_of
from rltk.mdp import jit

SHADES = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (112, 39, 195), (255, 255, 0), (100, 100, 100)])
_FINER = 3
_NOBODY = 4  # in the place of the agent's direction
_STATES = 3
COMMON_RUN = 3  # words of a tile's row at MiniGrid's size of 8 pixels, for which the loop is unrolled
_LAVA, _BLACK, _LINE, _AGENT = (255, 128, 0), (0, 0, 0), (100, 100, 100), (255, 0, 0)

# Every look: a triple (object, colour, state) as one number.
N_LOOKS = len(TYPES) * N_COLOURS * _STATES
LOOK_OF_CODE = ((TRIPLES[:, 0].astype(np.int64) * N_COLOURS + TRIPLES[:, 1]) * _STATES + TRIPLES[:, 2]).astype(np.int64)

Shape = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]


@cache
def tiles_of(size: int) -> NDArray[np.uint8]:
    """(looks, 5, 2, size, size, 3) uint8: every look, by the agent's direction (4: it is elsewhere), unseen or seen."""
    tiles = np.zeros((N_LOOKS, _NOBODY + 1, 2, size, size, 3), dtype=np.uint8)
    for code in np.unique(LOOK_OF_CODE, return_index=True)[1].tolist():
        kind, colour, state = TRIPLES[code].tolist()
        plain = _drawn(TYPES[kind], colour, state, size)
        for direction in range(_NOBODY + 1):
            tile = plain.copy()
            if direction != _NOBODY:
                _fill(tile, _turned(_triangle, direction), _AGENT)
            for seen in range(2):
                tiles[LOOK_OF_CODE[code], direction, seen] = _averaged(_lighter(tile) if seen else tile)
    tiles.flags.writeable = False
    return tiles


@cache
def runs_of(size: int) -> NDArray[Any]:
    """(looks * 5 * 2, size, run): `tiles_of` with rows as `in_runs` has them."""
    tiles = tiles_of(size)
    return in_runs(tiles.reshape(-1, size, size, 3), size)


def in_runs(pictures: NDArray[np.uint8], size: int) -> NDArray[Any]:
    """A view of pictures (..., w, 3): (..., n) the numbers of a row, in words of 64 bits where those of a tile fit."""
    rows = pictures.reshape(*pictures.shape[:-2], -1)
    return rows.view(np.uint64) if 3 * size % 8 == 0 else rows


@jit(_nrt=False, inline="always")
def look_at(image, at):
    """The number of the triple at `image[at:at + 3]`."""
    return (np.int64(image[np.uint64(at)]) * N_COLOURS + image[np.uint64(at + 1)]) * _STATES + image[np.uint64(at + 2)]


@jit(_nrt=False, inline="always")
def tile_of(look, agent, seen):
    """The number of a tile among `runs_of`."""
    return (look * (_NOBODY + 1) + agent) * 2 + seen


@jit(_nrt=False, inline="always")
def lay_tiles(plan, tiles, run, frame):
    """Fill a frame (h t, w run), row after row of it, with the tiles whose numbers `plan` (h, w) int64 holds."""
    size = tiles.shape[1]
    for row in range(plan.shape[0]):
        for y in range(size):
            at, line = np.uint64(0), frame[np.uint64(row * size + y)]
            for column in range(plan.shape[1]):
                tile = tiles[np.uint64(plan[row, np.uint64(column)]), np.uint64(y)]
                for i in range(run):
                    line[at + np.uint64(i)] = tile[np.uint64(i)]
                at += np.uint64(run)


@jit(_nrt=False, inline="always")
def lay(plan, tiles, frame):
    """`lay_tiles`, with its inner loop unrolled for the common size."""
    if tiles.shape[2] == COMMON_RUN:
        lay_tiles(plan, tiles, COMMON_RUN, frame)
    else:
        lay_tiles(plan, tiles, tiles.shape[2], frame)


@jit(_nrt=False)
def draw_views(images, tiles, plan, frames):
    """What the agent sees, as it stands upright: frames (N, V t, V run) of images (N, V * V * 3).

    tiles: `runs_of`. plan: (V, V) int64 to work in.
    """
    view = plan.shape[0]
    for n in range(images.shape[0]):
        for i in range(view):
            for j in range(view):
                look = look_at(images[n], 3 * (i * view + j))
                agent = UP if i == view // 2 and j == view - 1 else _NOBODY
                plan[j, i] = tile_of(look, agent, 1 if look > 0 else 0)
        lay(plan, tiles, frames[n])


@jit(_nrt=False)
def draw_boards(levels, which, images, highlight, tiles, plan, frames):
    """The boards of the levels `which` (K,): frames (K, height t, width run). images (K, V * V * 3): what is seen.

    tiles: `runs_of`. plan: (height, width) int64 to work in. highlight: what is seen is lighter.
    """
    view, (height, width) = levels.board[VIEW], plan.shape
    for k in range(which.size):
        level = level_of(levels, which[k])
        body = level.body
        for y in range(height):
            for x in range(width):
                code = level.grid[levels.board[ORIGIN] + y * levels.board[STRIDE] + x]
                plan[y, x] = tile_of(LOOK_OF_CODE[code], _NOBODY, 0)
        x, y = body[X], body[Y]
        plan[y, x] += tile_of(0, body[DIRECTION] - _NOBODY, 0)
        if highlight:
            ahead_x, ahead_y = AHEAD_X[body[DIRECTION]], AHEAD_Y[body[DIRECTION]]
            for i in range(view):
                for j in range(view):
                    far, right = view - 1 - j, i - view // 2
                    x, y = body[X] + far * ahead_x - right * ahead_y, body[Y] + far * ahead_y + right * ahead_x
                    if look_at(images[k], 3 * (i * view + j)) > 0 and 0 <= x < width and 0 <= y < height:
                        plan[y, x] += tile_of(0, 0, 1)
        lay(plan, tiles, frames[k])


# Drawing a tile


def _drawn(kind: str, colour: int, state: int, size: int) -> NDArray[np.uint8]:
    """(3 size, 3 size, 3): the thing on an empty tile, fine."""
    tile = np.zeros((_FINER * size, _FINER * size, 3), dtype=np.uint8)
    _fill(tile, _rectangle(0, 0.031, 0, 1), _LINE)
    _fill(tile, _rectangle(0, 1, 0, 0.031), _LINE)
    for shape, shade in _strokes(kind, SHADES[colour], state):
        _fill(tile, shape, shade)
    return tile


def _strokes(kind: str, shade: NDArray[np.int64], state: int) -> list[tuple[Shape, object]]:
    """What a thing is drawn with, one over the other: (shape, shade)."""
    whole = _rectangle(0, 1, 0, 1)
    if kind in ("goal", "wall"):
        return [(whole, shade)]
    if kind == "floor":
        return [(_rectangle(0.031, 1, 0.031, 1), shade / 2)]
    if kind == "lava":
        return [(whole, _LAVA), *((wave, _BLACK) for wave in _waves())]
    if kind == "door":
        return _door(whole, shade, state)
    if kind == "key":
        bit = [
            _rectangle(0.50, 0.63, 0.31, 0.88),
            _rectangle(0.38, 0.50, 0.59, 0.66),
            _rectangle(0.38, 0.50, 0.81, 0.88),
        ]
        ring = [(_circle(0.56, 0.28, 0.190), shade), (_circle(0.56, 0.28, 0.064), _BLACK)]
        return [*((part, shade) for part in bit), *ring]
    if kind == "ball":
        return [(_circle(0.5, 0.5, 0.31), shade)]
    if kind == "box":
        slit = _rectangle(0.16, 0.84, 0.47, 0.53)
        return [(_square(0.12), shade), (_square(0.18), _BLACK), (slit, shade)]
    return []


def _waves() -> list[Shape]:
    """Three zigzags."""
    waves = []
    for low, high in ((0.3 + 0.2 * i, 0.4 + 0.2 * i) for i in range(3)):
        ends = [(0.1, low), (0.3, high), (0.5, low), (0.7, high), (0.9, low)]
        waves += [_line(*begin, *end, 0.03) for begin, end in pairwise(ends)]
    return waves


def _door(whole: Shape, shade: NDArray[np.int64], state: int) -> list[tuple[Shape, object]]:
    if state == OPEN:
        return [(_rectangle(0.88, 1.00, 0.00, 1.00), shade), (_rectangle(0.92, 0.96, 0.04, 0.96), _BLACK)]
    if state == LOCKED:
        return [(whole, shade), (_square(0.06), 0.45 * shade), (_rectangle(0.52, 0.75, 0.50, 0.56), shade)]
    assert state == CLOSED
    frame = [(_square(0.04), _BLACK), (_square(0.08), shade), (_square(0.12), _BLACK)]
    return [(whole, shade), *frame, (_circle(0.75, 0.50, 0.08), shade)]


def _fill(tile: NDArray[np.uint8], shape: Shape, shade: object) -> None:
    middle = (np.arange(len(tile)) + 0.5) / len(tile)
    tile[shape(middle[None, :], middle[:, None])] = np.asarray(shade).astype(np.uint8)


def _lighter(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (tile + 0.30 * (255 - tile)).clip(0, 255).astype(np.uint8)


def _averaged(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = len(tile) // _FINER
    return tile.reshape(size, _FINER, size, _FINER, 3).mean(axis=3).mean(axis=1).astype(np.uint8)


def _rectangle(left: float, right: float, top: float, bottom: float) -> Shape:
    return lambda x, y: (x >= left) & (x <= right) & (y >= top) & (y <= bottom)


def _square(margin: float) -> Shape:
    return _rectangle(margin, round(1 - margin, 2), margin, round(1 - margin, 2))


def _circle(centre_x: float, centre_y: float, radius: float) -> Shape:
    return lambda x, y: (x - centre_x) ** 2 + (y - centre_y) ** 2 <= radius * radius


def _line(x0: float, y0: float, x1: float, y1: float, radius: float) -> Shape:
    """Within `radius` of a line; its ends are rounded to 32 bits, as MiniGrid's are."""
    begin, end = np.array([x0, y0], dtype=np.float32), np.array([x1, y1], dtype=np.float32)
    way = end - begin
    length = np.linalg.norm(way)
    way = way / length

    def near(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        along = np.clip((x - begin[0]) * way[0] + (y - begin[1]) * way[1], 0, length)
        off_x, off_y = x - (begin[0] + along * way[0]), y - (begin[1] + along * way[1])
        inside = _rectangle(min(x0, x1) - radius, max(x0, x1) + radius, min(y0, y1) - radius, max(y0, y1) + radius)
        return inside(x, y) & (np.sqrt(off_x**2 + off_y**2) <= radius)

    return near


def _triangle(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The agent, facing right, by barycentric coordinates; corners rounded to 32 bits, as MiniGrid's are."""
    a, b, c = (np.array(corner, dtype=np.float32) for corner in ((0.12, 0.19), (0.87, 0.50), (0.12, 0.81)))
    v0, v1 = c - a, b - a
    v2x, v2y = x - a[0], y - a[1]
    d00, d01, d11 = np.dot(v0, v0), np.dot(v0, v1), np.dot(v1, v1)
    d02, d12 = v0[0] * v2x + v0[1] * v2y, v1[0] * v2x + v1[1] * v2y
    scale = 1 / (d00 * d11 - d01 * d01)
    u, v = (d11 * d02 - d01 * d12) * scale, (d00 * d12 - d01 * d02) * scale
    return (u >= 0) & (v >= 0) & (u + v < 1)


def _turned(shape: Shape, direction: int) -> Shape:
    """`shape` turned by so many quarters about the middle."""
    cos, sin = math.cos(-0.5 * math.pi * direction), math.sin(-0.5 * math.pi * direction)

    def turned(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
        x, y = x - 0.5, y - 0.5
        return shape(0.5 + x * cos - y * sin, 0.5 + y * cos + x * sin)

    return turned
