"""Rings in checkpoints: a row goes to the disk once, in a segment that all generations of a folder share.

    segments/<sha256>.safetensors      consecutive rows of a ring; the name is the sha256 of the file
    00000007-step-50000/rings.json     for each ring its arrays' shapes, how many rows were written, and its segments

A segment is never changed. A new generation takes over an older one's segments as far as their rows are, bit for bit,
what the ring holds now, which is looked up in the files: a run that was taken up from an older generation writes other
rows under the same numbers, and a file may have been damaged since. The rest is written anew. Segments are synced
before the generation that needs them gets its name; those that none needs any more are removed after.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rltk.errors import CheckpointError
from rltk.files import sync
from rltk.ring import Ring
from rltk.runs.disk import SEGMENTS, damage, damaged, make_folder, verify_size
from rltk.runs.trees import DTYPES

LARGEST = 64 * 2**20  # Bytes of rows in a segment: what is held in memory while it is written or read.
_SAVING, _ENDING = ".saving-", ".safetensors"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Segment:
    """Rows `first` to `first + rows` of a ring, in a file of so many bytes and of this sha256."""

    first: int
    rows: int
    bytes: int
    sha256: str

    @property
    def end(self) -> int:
        """The number of the first row after it."""
        return self.first + self.rows

    def path(self, parent: Path) -> Path:
        """Where it lies, in the folder of checkpoints `parent`."""
        return parent / SEGMENTS / f"{self.sha256}{_ENDING}"


@dataclass(frozen=True)
class SavedRing:
    """What `rings.json` says of a ring: name -> (dtype, shape), the rows ever written, its segments in order."""

    arrays: dict[str, tuple[str, tuple[int, ...]]]
    written: int
    segments: list[Segment]

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        arrays = {name: [dtype, list(shape)] for name, (dtype, shape) in self.arrays.items()}
        return {"arrays": arrays, "written": self.written, "segments": [asdict(part) for part in self.segments]}

    @classmethod
    def from_plain(cls, plain: Any) -> "SavedRing":
        """Back from JSON. Raises ValueError at anything that `plain` does not write."""
        try:
            arrays = {name: (dtype, tuple(shape)) for name, (dtype, shape) in plain["arrays"].items()}
            saved = cls(arrays, plain["written"], [Segment(**part) for part in plain["segments"]])
            numbers = [saved.written, *(n for part in saved.segments for n in (part.first, part.rows, part.bytes))]
            numbers += [n for _, shape in arrays.values() for n in shape]
            right = all(type(n) is int and n >= 0 for n in numbers)
            right &= all(dtype in DTYPES and shape for dtype, shape in arrays.values()) and bool(arrays)
            right &= all(_SHA256.fullmatch(part.sha256) for part in saved.segments)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a ring is not described as rltk does it: {error}") from error
        if not right:
            raise ValueError("a ring is not described as rltk does it")
        return saved


def write_segments(
    parent: Path, rings: Mapping[str, Ring], older: Iterable[Mapping[str, SavedRing]], proved: set[str]
) -> dict[str, SavedRing]:
    """Write the rows of `rings` that no segment of `older` holds, and say where all of them lie.

    proved: gets the sha256 of each segment that was found whole or written. Raises OSError if the disk refuses.
    """
    known = list(older)
    saved = {}
    for name, ring in rings.items():
        arrays = {key: (array.dtype.name, array.shape) for key, array in ring.arrays.items()}
        parts = {part for rings_then in known if name in rings_then for part in rings_then[name].segments}
        saved[name] = SavedRing(arrays, ring.written, list(_cover(parent, ring, parts, proved)))
    if any(ring.segments for ring in saved.values()):
        sync(parent / SEGMENTS)
    return saved


def read_ring(parent: Path, saved: SavedRing) -> Ring:
    """The ring, with zeros where no row is alive. Raises CheckpointError, which names the file, if one is damaged."""
    ring = Ring({name: np.zeros(shape, dtype) for name, (dtype, shape) in saved.arrays.items()}, saved.written)
    at = ring.alive.start
    for part in saved.segments:
        content = _content(part, parent)
        overlap = range(max(part.first, at), min(part.end, ring.alive.stop))
        if part.first > at or not _fits(content, part, ring):
            raise damaged(part.path(parent), "does not hold the rows that it should")
        for slots, rows in _pieces(part, overlap, ring.capacity):
            for key, array in ring.arrays.items():
                array[slots] = content[key][rows]
        at = max(at, overlap.stop)
    if at < ring.alive.stop:
        raise ValueError(f"no segment holds row {at}")
    return ring


def remove_segments(parent: Path, needed: set[str]) -> None:
    """Remove every segment but the `needed` ones, and what a kill left half written; what can't be removed stays."""
    folder = parent / SEGMENTS
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            if path.name.removesuffix(_ENDING) not in needed:
                with contextlib.suppress(OSError):
                    path.unlink()
    if not needed:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _cover(parent: Path, ring: Ring, known: set[Segment], proved: set[str]) -> Iterator[Segment]:
    """Segments for all rows that are alive, in order: known ones where they hold them, else new ones."""
    candidates = sorted(known, key=lambda part: (part.end, part.sha256), reverse=True)
    at, stop = ring.alive.start, ring.alive.stop
    while at < stop:
        found = None
        for part in [part for part in candidates if part.first <= at < part.end]:
            if _holds(part, parent, ring, proved):
                found = part
                break
            candidates.remove(part)
        if found is None:
            until = min((part.first for part in candidates if part.first > at), default=stop)
            found = _write(parent, ring, at, min(until, stop, at + _most_rows(ring)))
            proved.add(found.sha256)
        yield found
        at = found.end


def _holds(part: Segment, parent: Path, ring: Ring, proved: set[str]) -> bool:
    """Whether the file is whole and each of its rows that is alive is what the ring holds."""
    try:
        content = _content(part, parent)
    except CheckpointError:
        return False
    proved.add(part.sha256)
    overlap = range(max(part.first, ring.alive.start), min(part.end, ring.alive.stop))
    return _fits(content, part, ring) and all(
        _same_bits(content[key][rows], array[slots])
        for slots, rows in _pieces(part, overlap, ring.capacity)
        for key, array in ring.arrays.items()
    )


def _write(parent: Path, ring: Ring, first: int, stop: int) -> Segment:
    from safetensors.numpy import save

    rows = np.arange(first, stop) % ring.capacity
    content = save({f"/{key}": array[rows] for key, array in ring.arrays.items()})
    part = Segment(first, stop - first, len(content), hashlib.sha256(content).hexdigest())
    path = part.path(parent)
    make_folder(path.parent)
    saving = path.with_name(f"{_SAVING}{part.sha256}")
    try:
        saving.write_bytes(content)
        sync(saving)
        os.replace(saving, path)
    except BaseException:
        with contextlib.suppress(OSError):
            saving.unlink()
        raise
    return part


def _content(part: Segment, parent: Path) -> dict[str, np.ndarray]:
    """The arrays in a segment's file. Raises CheckpointError, which names it, unless it is what was written."""
    from safetensors.numpy import load

    path = part.path(parent)
    verify_size(path, part.bytes)
    with damage(path):
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise ValueError("its content is not what was written: its sha256 is not its name")
    try:
        return {key.removeprefix("/"): array for key, array in load(content).items()}
    except MemoryError:
        raise
    except Exception as error:  # A foreign parser meets a foreign file: it may raise anything.
        raise damaged(path, f"is no file of arrays ({type(error).__name__}: {error})") from error


def _fits(content: Mapping[str, np.ndarray], part: Segment, ring: Ring) -> bool:
    """Whether a file's arrays are rows of the ring's."""
    found = {key: (array.dtype, array.shape) for key, array in content.items()}
    return found == {key: (array.dtype, (part.rows, *array.shape[1:])) for key, array in ring.arrays.items()}


def _pieces(part: Segment, numbers: range, capacity: int) -> Iterator[tuple[slice, slice]]:
    """Where the rows `numbers` lie: slices of the ring and of the segment, two of each where they go around."""
    at = numbers.start
    while at < numbers.stop:
        count = min(numbers.stop - at, capacity - at % capacity)
        yield slice(at % capacity, at % capacity + count), slice(at - part.first, at - part.first + count)
        at += count


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal in every bit, so that NaN is itself and -0.0 is not 0.0."""
    first, second = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (a, b))
    return np.array_equal(first, second)


def _most_rows(ring: Ring) -> int:
    row = sum(array[:1].nbytes for array in ring.arrays.values())
    return max(1, LARGEST // max(1, row))
