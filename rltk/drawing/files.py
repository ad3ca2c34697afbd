"""Files that are whole or not there: written beside their place under another name, then renamed."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rltk.errors import ArgumentError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new path in the folder of `path` (made if missing) to write to, and rename it on success.

    On any error the new file is removed and what stood at `path` before stays. Raises ArgumentError where `path` is a
    folder or its folder can't be made.
    """
    target = Path(path)
    if target.is_dir():
        raise ArgumentError(f"path: a file to write, found the folder {target}; add a file name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"path: the folder {target.parent} can't be made ({error}); choose another") from error
    # The suffix stays, because writers choose their format by it.
    partial = target.with_name(f".{target.stem}.{secrets.token_hex(4)}{target.suffix}")
    try:
        yield partial
        os.replace(partial, target)
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
