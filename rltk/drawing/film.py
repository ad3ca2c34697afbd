"""Episodes as GIFs that loop, with a pause at the end.

All frames share one palette of 64 colours, so nothing flickers: the commonest 32 colours as they are, the rest by
median cut (Heckbert, 1982) of what remains.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.drawing.files import replacing
from rltk.errors import ArgumentError, SizeError

COLOURS = 64
MOST_PIXELS = 2_000_000_000
_EXACT = 32
_SAMPLED = 12  # how many frames are counted to tell common colours from rare ones


def save_gif(path: str | os.PathLike[str], frames: Iterable[Any], fps: float = 10, pause: float = 1.5) -> None:
    """Write frames as an endlessly looping GIF; nothing is left at `path` unless all of it was written.

    frames: (h, w, 3) uint8 arrays, all of one shape, at least one. fps: frames a second, up to 50 (the format counts
    in hundredths of a second). pause: seconds for which the last frame stays on besides.
    Raises ArgumentError for other frames, rates or names, SizeError past two gigapixels.
    """
    if os.path.splitext(os.fspath(path))[1].lower() != ".gif":
        raise ArgumentError(f"path of a GIF: a name that ends in .gif, found {os.fspath(path)!r}")
    if not 0 < fps <= 50:
        raise ArgumentError(f"fps of a GIF: above 0 and up to 50 frames a second, found {fps!r}")
    if not 0 <= pause <= 60:
        raise ArgumentError(f"pause of a GIF: 0 to 60 seconds, found {pause!r}")
    pictures = _checked(frames)
    from PIL import Image

    palette, index = _palette(pictures)
    duration = max(20, round(100 / fps) * 10)  # milliseconds
    durations = [duration] * len(pictures)
    durations[-1] = min(65_000, duration + round(pause * 100) * 10)

    def indexed() -> Iterator[Any]:
        for picture in pictures:
            image = Image.fromarray(index[_packed(picture)]).convert("P")
            image.putpalette(palette.tobytes())
            yield image

    images = indexed()
    with replacing(path) as partial:
        next(images).save(
            partial, format="GIF", save_all=True, append_images=images, duration=durations, loop=0, optimize=False
        )


def _checked(frames: Iterable[Any]) -> list[NDArray[np.uint8]]:
    pictures: list[NDArray[np.uint8]] = []
    pixels = 0
    for number, frame in enumerate(frames):
        array = np.asarray(frame)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
            raise ArgumentError(
                f"frame {number} of a GIF: an (h, w, 3) uint8 array, found {array.shape} of {array.dtype}; "
                'environments made with render_mode="rgb_array" return such from render()'
            )
        if pictures and array.shape != pictures[0].shape:
            raise ArgumentError(f"frame {number} of a GIF: the first one's shape {pictures[0].shape}, {array.shape}")
        pixels += array.shape[0] * array.shape[1]
        if pixels > MOST_PIXELS:
            raise SizeError(f"GIF: more than {MOST_PIXELS / 1e9:.0f} gigapixels; film fewer steps or smaller cells")
        pictures.append(array)
    if not pictures:
        raise ArgumentError("frames of a GIF: at least one is needed, found none")
    return pictures


def _packed(picture: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return each pixel's colour as one number, red first."""
    wide = picture.astype(np.int32)
    return (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]


def _unpacked(colours: NDArray[Any]) -> NDArray[np.uint8]:
    return np.stack([colours >> 16, (colours >> 8) & 255, colours & 255], axis=-1).astype(np.uint8)


def _palette(pictures: Sequence[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the palette (<= 64, 3) and a table that gives every packed colour of the frames its index in it."""
    seen = np.zeros(1 << 24, bool)
    for picture in pictures:
        seen[_packed(picture)] = True
    colours = np.flatnonzero(seen)
    chosen = colours if len(colours) <= COLOURS else _chosen(pictures, colours)
    palette = _unpacked(chosen)
    index = np.zeros(1 << 24, np.uint8)
    for start in range(0, len(colours), 65_536):  # in parts: photographs have millions of colours
        part = colours[start : start + 65_536]
        away = _unpacked(part).astype(np.int32)[:, None] - palette.astype(np.int32)  # (part, palette, 3)
        index[part] = (away**2).sum(-1).argmin(1)
    return palette, index


def _chosen(pictures: Sequence[NDArray[np.uint8]], colours: NDArray[Any]) -> NDArray[Any]:
    from PIL import Image

    counts = np.zeros(len(colours), np.int64)
    for number in np.unique(np.linspace(0, len(pictures) - 1, _SAMPLED).astype(int)):
        found, often = np.unique(_packed(pictures[number]), return_counts=True)
        counts[np.searchsorted(colours, found)] += often
    order = np.argsort(-counts, kind="stable")
    exact, rest = colours[order[:_EXACT]], order[_EXACT:]
    # Logarithms, so that a small agent's edge is not outvoted by a wall.
    weight = 1 + np.log2(1 + counts[rest]).astype(int)
    pixels = _unpacked(np.repeat(colours[rest], weight))[None]
    reduced = Image.fromarray(pixels).quantize(COLOURS - _EXACT, method=Image.Quantize.MEDIANCUT)
    flat = reduced.getpalette() or []
    others = np.array(flat[: 3 * (COLOURS - _EXACT)], np.int64).reshape(-1, 3)
    return np.unique(np.concatenate([exact, others @ np.array([1 << 16, 1 << 8, 1])]))
