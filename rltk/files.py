"""Files that must hold what was written: synced to the disk, and in their place whole or not at all."""

import contextlib
import os
import secrets
from pathlib import Path


def sync(path: Path) -> None:
    """Have the disk hold `path`, a file or folder, before going on."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders.
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path`: a kill at any moment leaves what stood there before, or all of the new.

    Raises OSError where the disk refuses; nothing is left behind then.
    """
    saving = path.with_name(f".{path.name}.{secrets.token_hex(4)}.saving")
    try:
        saving.write_bytes(content)
        sync(saving)
        os.replace(saving, path)
        sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            saving.unlink(missing_ok=True)
