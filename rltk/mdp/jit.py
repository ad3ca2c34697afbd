"""The one decorator that compiles kernels, and a cache on disk that never gives old results.

numba keys a cached kernel by the caller's own source file, so with plain `cache=True` an edited *callee* goes on giving
old results. Here the cache's folder is named after a hash of every kernel source in reach, so that any edit makes a
new folder, and the key of a kernel made in a closure is the names of what it closes over, so that it is found again by
the next process.

Settings that every kernel shares: IEEE arithmetic in the order written (no fastmath: the same seed must give the same
bits) and NumPy's division by zero. A kernel that makes no arrays can be told to count no references to those it is
given, `@jit(_nrt=False)`; in a loop that steps through a world the counting costs more than all the rest. The folder is
`$RLTK_CACHE_DIR`, else `$XDG_CACHE_HOME/rltk`, else `~/.cache/rltk`.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.types import unliteral  # type: ignore[attr-defined]

PACKAGE = Path(__file__).resolve().parents[2]
FOLDERS = ("rltk", "envs", "agents")
KEPT_CACHES = 4


def jit(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile `function` with numba and keep the machine code on disk. Use as `@jit` or `@jit(parallel=True)`."""
    if function is None:
        return lambda f: jit(f, **options)
    # Said outright, since a kernel that is called would otherwise take it over from its caller.
    counts_references = options.pop("_nrt", True)
    # A second entry point, for callers in C, would be a tenth of the compiler's work, and nobody has use for it.
    options = {"error_model": "numpy", "no_cfunc_wrapper": True, **options}
    dispatcher = numba.njit(_nrt=counts_references, **options)(function)
    _forget_literals(dispatcher)
    folder = _cache_folder(Path(function.__code__.co_filename).resolve())
    if folder is not None:
        # numba reads its cache folder from its configuration when a cache is made, and only then.
        settings: Any = numba.config
        before, settings.CACHE_DIR = settings.CACHE_DIR, str(folder)
        try:
            dispatcher._cache = _KernelCache(function)
        finally:
            settings.CACHE_DIR = before
    return dispatcher


def _forget_literals(dispatcher: Any) -> None:
    """Compile what another kernel calls once for all whole numbers and truth values.

    numba compiles it for each constant that it is called with: `room(level, 0, 1)` and `room(level, 1, 0)` would be two
    machine codes. Where a call is short enough to be inlined the compiler sees the constant all the same.
    """
    template_for = getattr(dispatcher, "get_call_template", None)
    if template_for is None:  # NUMBA_DISABLE_JIT leaves functions as they are
        return

    def get_call_template(args: Any, kws: Any) -> Any:
        return template_for(tuple(map(unliteral, args)), {name: unliteral(arg) for name, arg in kws.items()})

    dispatcher.get_call_template = get_call_template


class _KernelCache(FunctionCache):
    """numba's cache with a key that is the same in every process, for kernels made in closures too."""

    def _index_key(self, signature: Any, codegen: Any) -> tuple[Any, ...]:
        cells = self._py_func.__closure__ or ()
        return signature, codegen.magic_tuple(), tuple(_name(cell.cell_contents) for cell in cells)


def _name(value: Any, above: tuple[Any, ...] = ()) -> str:
    """What tells `value`, which a kernel closes over, from any other, the same in every process."""
    function = getattr(value, "py_func", value)
    if code := getattr(function, "__code__", None):
        # Line and bytes tell apart the lambdas and local functions that share a name.
        inner = ", ".join(_name(cell.cell_contents) for cell in function.__closure__ or ())
        constants = [constant for constant in code.co_consts if not hasattr(constant, "co_code")]
        body = hashlib.sha256(code.co_code + repr(constants).encode()).hexdigest()[:16]
        name = f"{function.__module__}.{function.__qualname__}:{code.co_firstlineno}:{body}({inner})"
        return name if code in above or _is_ours(code) else name + _globals(function, (*above, code))
    if isinstance(value, np.ndarray):  # repr leaves out the middle of a long array
        return f"{value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, tuple):
        return f"({', '.join(_name(item, above) for item in value)})"
    text = repr(value)
    return text if " at 0x" not in text else f"{type(value).__module__}.{type(value).__qualname__}"


def _is_ours(code: Any) -> bool:
    """Whether the folder of our own kernels is named after this code's source already."""
    source = Path(code.co_filename).resolve()
    return any(source.is_relative_to(PACKAGE / name) for name in FOLDERS)


def _globals(function: Any, above: tuple[Any, ...]) -> str:
    """What a user's kernel takes from its module: constants, and the kernels that it calls."""
    names = (name for name in function.__code__.co_names if name in function.__globals__)
    return "".join(f"|{name}={_name(function.__globals__[name], above)}" for name in names)


def cache_root() -> Path:
    """The folder in which kernels and nothing else are cached."""
    if named := os.environ.get("RLTK_CACHE_DIR"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rltk"


_folders: dict[tuple[str, ...], Path | None] = {}


def _cache_folder(source: Path) -> Path | None:
    """The folder for kernels of this source file, or None where nothing can be written."""
    inside = any(source.is_relative_to(PACKAGE / name) for name in FOLDERS)
    roots = tuple(str(PACKAGE / name) for name in FOLDERS) + (() if inside else (str(source.parent),))
    if roots not in _folders:
        _folders[roots] = _make_folder(cache_root() / "kernels" / _digest(roots))
    return _folders[roots]


def _digest(roots: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for root in roots:
        # A user's kernel may lie anywhere, the home folder included: there only the file's neighbours are read.
        recursive = Path(root).parent == PACKAGE
        for path in sorted(_sources(Path(root), recursive)):
            content = path.read_bytes()
            if b"jit" in content:
                digest.update(str(path).encode() + b"\0" + content + b"\0")
    return digest.hexdigest()[:16]


def _sources(root: Path, recursive: bool) -> Iterator[Path]:
    for path in root.rglob("*.py") if recursive else root.glob("*.py"):
        if path.is_file():
            yield path


def _make_folder(folder: Path) -> Path | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(b"")
        probe.unlink()
        siblings = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in siblings[:-KEPT_CACHES]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError:
        return None
    return folder
