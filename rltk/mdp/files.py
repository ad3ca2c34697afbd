"""An MDP as a file: `.npz` arrays without pickles, written whole or not at all, validated anew when read."""

import contextlib
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from rltk.errors import MDPError, SizeError
from rltk.mdp.model import MDP
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows
from rltk.mdp.validation import refuse_size

FORMAT_VERSION = 1

_DTYPES: dict[str, type] = {
    "row_start": np.int64,
    "next_state": np.int32,
    "probability": np.float64,
    "reward": np.float64,
    "terminated": np.bool_,
    "success": np.bool_,
    "reward_noise": np.float64,
    "moves": np.int32,
    "noise": np.float64,
}
_OTHERS = ("holds", "format_version", "form", "sizes", "start", "state_labels", "action_labels")


def save(mdp: MDP, path: str | Path) -> Path:
    """Write `mdp` to `path` (`.npz` is added where it is missing) and return the path."""
    path = Path(path)
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    arrays = {name: array for name, array in vars(mdp.form).items() if name in _DTYPES and array is not None}
    for name in ("state_labels", "action_labels"):
        if isinstance(labels := getattr(mdp, name), tuple):
            arrays[name] = np.array(labels, dtype=np.int64)
    sizes = np.array([mdp.n_states, mdp.n_actions], dtype=np.int64)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            version, form = np.int64(FORMAT_VERSION), np.array(mdp.form.name)
            content = {"format_version": version, "form": form, "sizes": sizes, "start": mdp.start, **arrays}
            np.savez_compressed(file, holds=np.array(sorted(content)), **content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise MDPError(f"{path} can't be written: {error.strerror or error}. Nothing was left behind") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return path


def load(path: str | Path) -> MDP:
    """The MDP in the file `path`."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            nbytes = sum(info.file_size for info in members.values())
            refuse_size(f"the content of {path}", nbytes, "Is it an MDP file?")
            # A name that is not known may be one that was damaged: passing it over would lose an array silently.
            if strange := sorted(set(members) - {f"{name}.npy" for name in (*_DTYPES, *_OTHERS)}):
                raise MDPError(f"it holds {strange[0]!r}, which mdp.save does not write")
            content = {name.removesuffix(".npy"): _array(archive, info) for name, info in members.items()}
    except FileNotFoundError:
        raise MDPError(f"{path}: there is no such file") from None
    except SizeError as error:
        raise MDPError(str(error)) from None
    except Exception as error:  # zlib raises errors of its own, a damaged header nearly any
        raise MDPError(f"{path} is no MDP file, or is damaged ({error}); write it again with mdp.save") from None
    try:
        return _mdp(content)
    except KeyError as error:
        raise MDPError(f"{path} lacks the array {error}; it was not written by mdp.save") from None
    except (TypeError, ValueError, OverflowError, IndexError) as error:
        raise MDPError(f"{path}: {error}") from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array; its header is held against the bytes that follow before any memory is taken."""
    with archive.open(member) as file:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(file)]
        shape, _, dtype = read(file)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise MDPError(f"{member.filename} declares shape {shape} but holds {member.file_size} bytes")
    with archive.open(member) as file:
        return npy.read_array(file, allow_pickle=False)


def _mdp(content: dict[str, Any]) -> MDP:
    version = int(content["format_version"])
    if version != FORMAT_VERSION:
        raise MDPError(f"format_version is {version}; this rltk reads {FORMAT_VERSION}. Use the rltk that wrote it")
    # A zip file whose directory is damaged can lose members without a word.
    if lost := sorted(set(content["holds"].tolist()) - set(content)):
        raise KeyError(lost[0])
    for name, dtype in _DTYPES.items():
        if name in content and content[name].dtype != dtype:
            raise MDPError(f"{name} has dtype {content[name].dtype}; expected {np.dtype(dtype)}")
    arrays = {name: content[name] for name in _DTYPES if name in content}
    kind = str(content["form"])
    if kind not in ("rows", "moves"):
        raise MDPError(f"form is {kind!r}; expected 'rows' or 'moves'")
    n_states, n_actions = (int(n) for n in content["sizes"])
    form: Rows | Moves = Rows(n_states, n_actions, **arrays) if kind == "rows" else Moves(**arrays)
    labels: dict[str, Any] = {
        name: tuple(content[name].tolist()) for name in ("state_labels", "action_labels") if name in content
    }
    return MDP(form, content["start"], **labels)
