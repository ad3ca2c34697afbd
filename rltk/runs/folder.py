"""Names of run folders that can't leave their root, and the lock that keeps a folder to one process."""

import contextlib
import os
import re
import time
import weakref
from pathlib import Path
from types import ModuleType

from rltk.errors import ArgumentError, CheckpointError

try:
    import fcntl as _fcntl
except ImportError:  # Windows
    fcntl: ModuleType | None = None
else:
    fcntl = _fcntl

LOCK = "run.lock"
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_LONGEST = 120  # File systems take 255 bytes; counters, suffixes and temporary names need some of them.
# Windows keeps these for devices, whatever their extension.
_RESERVED = {"CON", "PRN", "AUX", "NUL"} | {f"{device}{n}" for device in ("COM", "LPT") for n in range(1, 10)}


def safe_name(name: str, what: str = "name") -> str:
    """`name`, if it can be one folder's or file's name on any system; ArgumentError, calling it `what`, if not."""
    if not isinstance(name, str) or not _SAFE.fullmatch(name) or name.endswith("."):
        raise ArgumentError(
            f"{what} is {name!r}, but expected is one name of letters, digits, '_', '-', '+' and '.', that starts with "
            "a letter, digit or '_' and does not end with '.': no path"
        )
    if len(name) > _LONGEST:
        raise ArgumentError(f"{what} has {len(name)} characters, but at most {_LONGEST} were expected: {name[:40]}...")
    if name.partition(".")[0].upper() in _RESERVED:
        raise ArgumentError(f"{what} is {name!r}, which is reserved for a device on Windows; choose another")
    return name


def run_name(env: str, algorithm: str, seed: int, now: float | None = None) -> str:
    """`<env>__<algorithm>__<seed>__<time>` in safe characters: "rltk/FourRooms-v0" gives "rltk-FourRooms-v0".

    now: Unix seconds; None is the present. Raises ArgumentError at a part that is empty, absolute or goes upwards.
    """
    parts = [_part(env, "env"), _part(algorithm, "algorithm"), str(seed)]
    parts.append(time.strftime("%Y%m%d-%H%M%S", time.localtime(now)))
    return safe_name("__".join(parts), "the run's name, made of env, algorithm, seed and time,")


def _part(text: str, what: str) -> str:
    if not isinstance(text, str) or any(piece in ("", ".", "..") for piece in re.split(r"[/\\:]", text)):
        raise ArgumentError(
            f"{what} is {text!r}, which would be no folder's name inside the root; expected is an id such as "
            "'rltk/FourRooms-v0'"
        )
    return re.sub(r"[^A-Za-z0-9_.+-]", "-", text)


def new_folder(root: Path, name: str) -> Path:
    """Make and return `root/name`, or `root/name-2` and so on: a folder that nobody else has."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            folder = root / (name if number == 1 else f"{name}-{number}")
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise CheckpointError(
            f"no folder for the run can be made in {root}: {error}; make room, or choose another root"
        ) from error
    raise CheckpointError(f"{root} holds 9,999 runs called {name!r}; choose another name")


class FolderLock:
    """Holds `folder` for this process until `release`; the operating system lets go when the process ends, however.

    Raises CheckpointError if another process, or another Run of this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._handle: int | None = None
        try:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        except OSError as error:
            raise CheckpointError(f"{self.path} can't be opened: {error}; mend the folder's permissions") from error
        try:
            _lock(handle)
            os.ftruncate(handle, 0)
            os.write(handle, f"{os.getpid()}\n".encode())
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise CheckpointError(
                f"{folder} is in use by another run (process {holder}), and two would spoil each other's checkpoints; "
                "wait for that one, or start a new run"
            ) from None
        except OSError as error:
            os.close(handle)
            raise CheckpointError(f"{self.path} can't be locked: {error}; use a folder on a local disk") from error
        self._handle = handle
        _HELD.add(self)

    def __del__(self) -> None:
        # A run that nobody finished must not hold its folder until this process ends.
        self.release()

    def release(self) -> None:
        """Let others have the folder; twice does no harm."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


_HELD: weakref.WeakSet[FolderLock] = weakref.WeakSet()


def _release_in_child() -> None:
    # A forked worker inherits the lock, and would hold it after this process was killed. Closing its own handle
    # leaves the parent's lock as it is.
    for lock in list(_HELD):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)


def _lock(handle: int) -> None:
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    try:
        # Far behind the content, which then stays readable for the error message.
        os.lseek(handle, 1 << 20, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        os.lseek(handle, 0, os.SEEK_SET)
    except OSError as error:
        os.lseek(handle, 0, os.SEEK_SET)
        raise BlockingIOError(str(error)) from error
