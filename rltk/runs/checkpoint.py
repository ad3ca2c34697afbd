"""Checkpoints that survive a kill at any moment, a full disk and a flipped bit.

A folder holds generations, numbered upwards:

    00000007-step-50000/
        arrays.safetensors    the arrays of the state
        state.json            the rest (see `rltk.runs.trees`)
        rings.json            where the rows of its rings lie, if it has any
        manifest.json         format_version, step, rltk's version, size and sha256 of these files, and its own sha256
    segments/                 rows of rings, shared by all generations (see `rltk.runs.segments`)

A generation is written under a temporary name, every file and the folder synced to disk, and then renamed; only then
are older ones removed, and only beyond `keep` that are whole. A folder has one writer at a time (`Run` holds a lock).
Nothing is unpickled or evaluated, and no file name is taken from a file.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rltk import __version__
from rltk.errors import CheckpointError
from rltk.files import sync
from rltk.runs.checks import whole
from rltk.runs.disk import damage, damaged, digest, make_folder, refuse_constant, size, verify_file
from rltk.runs.segments import SavedRing, read_ring, remove_segments, write_segments
from rltk.runs.trees import DTYPES, Arrays, join, split

FORMAT_VERSION = 2
ARRAYS, STATE, RINGS, MANIFEST = "arrays.safetensors", "state.json", "rings.json", "manifest.json"
# The files beside the manifest. Without rings a generation is written as version 1, which an older rltk reads.
_FILES = {1: (ARRAYS, STATE), 2: (ARRAYS, STATE, RINGS)}
_GENERATION = re.compile(r"([0-9]{8,18})-step-([0-9]{1,20})")
_SAVING, _REMOVING = ".saving-", ".removing-"
_LARGEST_MANIFEST = 65536


class NewerFormatError(CheckpointError):
    """The checkpoint is whole, but of a format that only a newer rltk reads."""


@dataclass(frozen=True)
class Checkpoint:
    """A generation that was read: its folder, its timestep and its state."""

    path: Path
    step: int
    state: dict[str, Any]


def write_checkpoint(folder: str | Path, state: Mapping[str, Any], *, step: int, keep: int = 2) -> Path:
    """Save `state` as the newest generation in `folder` and return the generation's path.

    state: nested dicts (str keys) and lists of NumPy arrays (bool, integer, float16 to float64), `Ring`s of such, str,
    int, float, bool and None. Of a ring, only the rows are written that no older generation holds. step: the timestep,
    at least 0. keep: how many whole generations stay.

    Raises ArgumentError, with nothing written, if the state holds anything else; CheckpointError if the disk refuses,
    with the older generations untouched.
    """
    parent = Path(folder)
    step, keep = whole("step", step), whole("keep", keep, 1)
    plain, arrays = split(state)
    proved: set[str] = set()
    try:
        text = _json(plain)
        make_folder(parent)
        _remove_leftovers(parent)
        older = generations(parent)
        number = _number(older[0]) + 1 if older else 1
        target = parent / f"{number:08d}-step-{step}"
        saved = write_segments(parent, arrays.rings, map(_rings_of, older), proved)
        texts = {STATE: text} | ({RINGS: _json({name: ring.plain() for name, ring in saved.items()})} if saved else {})
        _write_generation(parent / f"{_SAVING}{number:08d}", target, step, texts, arrays.single)
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint of step {step} could not be saved in {parent}: {error}; older generations there are as "
            "they were; make room or mend the folder's permissions, and save again"
        ) from error
    else:
        _remove_old(parent, older, keep - 1, proved)
    finally:
        _remove_segments(parent)
    return target


def read_checkpoint(folder: str | Path) -> dict[str, Any]:
    """The state in one generation's folder, bit for bit as it was saved; arrays are writable and in memory.

    Raises CheckpointError, naming the file and how to mend it, if anything was lost, changed or added to.
    """
    return _read(Path(folder))[1]


def latest_checkpoint(folder: str | Path) -> Checkpoint | None:
    """The newest whole generation in `folder`; None if there has never been one.

    A damaged newest one is passed over with a warning that names it and what is used instead. Raises CheckpointError
    if all are damaged, or if the newest is of a newer format: to pass over that one would throw learning away.
    """
    damaged: list[str] = []
    for path in generations(Path(folder)):
        try:
            step, state = _read(path)
        except NewerFormatError:
            raise
        except CheckpointError as error:
            damaged.append(f"{path}: {error}")
            continue
        if damaged:
            warnings.warn(f"going on from {path}, because {'; and '.join(damaged)}", UserWarning, stacklevel=2)
        return Checkpoint(path, step, state)
    if damaged:
        raise CheckpointError(f"no generation in {folder} can be read: {'; and '.join(damaged)}")
    return None


def generations(folder: str | Path) -> list[Path]:
    """The folders of all generations in `folder`, newest first, damaged ones among them."""
    try:
        found = [path for path in Path(folder).iterdir() if _GENERATION.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CheckpointError(f"the folder of checkpoints {folder} can't be listed: {error}") from error
    return sorted(found, key=_number, reverse=True)


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


# Writing.


def _write_generation(
    saving: Path, target: Path, step: int, texts: dict[str, bytes], arrays: dict[str, np.ndarray]
) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    names = (ARRAYS, *texts)
    try:
        saving.mkdir()
        try:
            save_file(arrays, str(saving / ARRAYS))
        except SafetensorError as error:
            raise OSError(str(error)) from error
        for name, text in texts.items():
            (saving / name).write_bytes(text)
        fields = {
            "format_version": next(version for version, files in _FILES.items() if files == names),
            "rltk": __version__,
            "step": step,
            "files": {
                name: {"bytes": (saving / name).stat().st_size, "sha256": digest(saving / name)} for name in names
            },
        }
        (saving / MANIFEST).write_bytes(_rendered(fields))
        for name in (*names, MANIFEST):
            sync(saving / name)
        sync(saving)
        os.rename(saving, target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(saving, ignore_errors=True)
        raise


def _json(plain: Any) -> bytes:
    return json.dumps(plain, allow_nan=False, separators=(",", ":")).encode()


def _rendered(fields: dict[str, Any]) -> bytes:
    """The manifest's only valid spelling: what differs by one byte is damaged."""
    own = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
    return json.dumps({**fields, "sha256": own}, indent=1, sort_keys=True).encode() + b"\n"


def _remove_leftovers(parent: Path) -> None:
    for path in parent.iterdir():
        if path.name.startswith((_SAVING, _REMOVING)):
            shutil.rmtree(path, ignore_errors=True)


def _remove_old(parent: Path, older: list[Path], keep: int, proved: set[str]) -> None:
    """Remove all of `older` (newest first) that lie beyond `keep` whole ones; what can't be removed stays."""
    whole = 0
    for path in older:
        if whole < keep:
            # Read in full: an old generation may go only when there is proof of a newer one.
            with contextlib.suppress(CheckpointError):
                _verify_segments(path, _verified(path), proved)
                whole += 1
            continue
        with contextlib.suppress(OSError):
            # Renamed first: a kill halfway must not leave what looks like a damaged generation.
            removing = parent / f"{_REMOVING}{path.name}"
            os.rename(path, removing)
            shutil.rmtree(removing, ignore_errors=True)


def _remove_segments(parent: Path) -> None:
    """Remove the segments that no generation needs; none, where one can't say what it needs."""
    with contextlib.suppress(OSError):
        rings = [_saved_rings(path, _manifest(path)) for path in generations(parent)]
        remove_segments(parent, {part.sha256 for saved in rings for ring in saved.values() for part in ring.segments})


# Reading.


def _read(folder: Path) -> tuple[int, dict[str, Any]]:
    manifest = _verified(folder)
    with damage(folder / STATE):
        plain = json.loads((folder / STATE).read_bytes(), parse_constant=refuse_constant)
    arrays = _read_arrays(folder / ARRAYS)
    with damage(folder / RINGS):
        rings = {name: read_ring(folder.parent, ring) for name, ring in _saved_rings(folder, manifest).items()}
    with damage(folder / STATE):
        return manifest["step"], join(plain, Arrays(arrays, rings))


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    try:
        arrays = load_file(str(path))
    except MemoryError:
        raise
    except Exception as error:  # A foreign parser meets a foreign file: it may raise anything.
        raise damaged(path, f"is no file of arrays ({type(error).__name__}: {error})") from error
    for name, array in arrays.items():
        if array.dtype.name not in DTYPES:
            raise damaged(path, f"holds the array {name!r} of dtype {array.dtype}, expected {', '.join(DTYPES)}")
    return arrays


def _saved_rings(folder: Path, manifest: dict[str, Any]) -> dict[str, SavedRing]:
    """What a generation says of its rings. Raises CheckpointError unless that is what was written."""
    path = folder / RINGS
    if RINGS not in manifest["files"]:
        return {}
    verify_file(path, manifest["files"][RINGS]["bytes"], manifest["files"][RINGS]["sha256"])
    with damage(path):
        return {name: SavedRing.from_plain(ring) for name, ring in json.loads(path.read_bytes()).items()}


def _rings_of(folder: Path) -> dict[str, SavedRing]:
    """The rings of an older generation; none, where it is damaged."""
    try:
        return _saved_rings(folder, _manifest(folder))
    except CheckpointError:
        return {}


def _verify_segments(folder: Path, manifest: dict[str, Any], proved: set[str]) -> None:
    """Raise CheckpointError unless the generation's segments, but for those `proved` already, are what was written."""
    for ring in _saved_rings(folder, manifest).values():
        for part in ring.segments:
            if part.sha256 not in proved:
                verify_file(part.path(folder.parent), part.bytes, part.sha256)
                proved.add(part.sha256)


def _verified(folder: Path) -> dict[str, Any]:
    """The manifest of `folder`, once it and the files beside it are proved to be what was written."""
    manifest = _manifest(folder)
    for name, expected in manifest["files"].items():
        verify_file(folder / name, expected["bytes"], expected["sha256"])
    return manifest


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of `folder`, once it is proved to be what was written."""
    path = folder / MANIFEST
    with damage(folder):
        is_folder = folder.is_dir()
    if not is_folder:
        raise CheckpointError(
            f"{folder} is no checkpoint: it is no folder; expected is one that holds {ARRAYS}, {STATE} and {MANIFEST}"
        )
    if size(path) > _LARGEST_MANIFEST:
        raise damaged(path, f"has {size(path)} bytes, more than any manifest")
    with damage(path):
        content = path.read_bytes()
        manifest = json.loads(content)
        if not isinstance(manifest, dict):
            raise ValueError("it holds no object")
        fields = {key: value for key, value in manifest.items() if key != "sha256"}
        if _rendered(fields) != content:
            raise ValueError("it is not what was written: its sha256 differs")
        version = fields.get("format_version")
        if type(version) is int and version > FORMAT_VERSION:
            raise NewerFormatError(
                f"{folder} has format_version {version}, written by rltk {fields.get('rltk')!r}, and this rltk "
                f"({__version__}) reads up to {FORMAT_VERSION}; install a newer rltk"
            )
        _check_fields(fields)
    return fields


def _check_fields(fields: dict[str, Any]) -> None:
    version, step = fields.get("format_version"), fields.get("step")
    if type(version) is not int or version not in _FILES or type(step) is not int or step < 0:
        raise ValueError("format_version or step is not what rltk writes")
    files = fields.get("files")
    if not isinstance(files, dict) or sorted(files) != sorted(_FILES[version]):
        raise ValueError(f"its files are not exactly {', '.join(_FILES[version])}")
    for entry in files.values():
        if not isinstance(entry, dict) or sorted(entry) != ["bytes", "sha256"] or type(entry["bytes"]) is not int:
            raise ValueError("a file is not described by bytes and sha256")
