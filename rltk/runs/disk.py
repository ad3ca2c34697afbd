"""Files that must hold what was written: synced when written, proved when read, and named when damaged."""

import contextlib
import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rltk.errors import CheckpointError
from rltk.files import sync

SEGMENTS = "segments"  # The folder of what several generations share.
_MEND = "put the file back from a copy, or delete this folder to go on from the generation before it"
_MEND_SEGMENT = "put the file back from a copy, or delete the generations that need it to go on from one before them"


def make_folder(folder: Path) -> None:
    """Make `folder` and have the disk hold its name."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync(folder.parent)


def digest(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_file(path: Path, bytes_written: int, sha256: str) -> None:
    """Raise CheckpointError, which names `path`, unless it is the file that was written."""
    verify_size(path, bytes_written)
    with damage(path):
        if digest(path) != sha256:
            raise ValueError("its content is not what was written: its sha256 differs from the manifest's")


def verify_size(path: Path, bytes_written: int) -> None:
    """Raise CheckpointError unless `path` is as long as it should be: before that, no file is read."""
    if size(path) != bytes_written:
        raise damaged(path, f"has {size(path)} bytes, but {bytes_written} were written")


def size(path: Path) -> int:
    """The bytes of a regular file. Raises CheckpointError where it is missing or is none."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise damaged(path, "is missing") from None
    except OSError as error:
        raise damaged(path, f"can't be read: {error}") from error
    if not stat.S_ISREG(found.st_mode):
        raise damaged(path, "is no regular file")
    return found.st_size


def damaged(path: Path, what: str) -> CheckpointError:
    """The error that says what is wrong with `path`."""
    return CheckpointError(f"{path} {what}; {_MEND_SEGMENT if path.parent.name == SEGMENTS else _MEND}")


@contextlib.contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn what goes wrong while reading into a CheckpointError that names `path`."""
    try:
        yield
    except CheckpointError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, f"is damaged: {error}") from error


def refuse_constant(name: str) -> Any:
    """For `json.loads`: NaN and infinities are no JSON."""
    raise ValueError(f"it holds {name}, which is no JSON")
