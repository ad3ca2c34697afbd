"""The one door to pygame: it is loaded late, without its greeting, and not where two copies overwrite each other.

`pygame` and `pygame-ce` install files of the same names, so having both breaks either silently.
`python -m rltk.drawing.pygame_check` says so and how to mend it, with exit status 1.
"""

import os
import sys
from functools import cache
from importlib import import_module, metadata
from typing import Any

from rltk.errors import DisplayError


def check_pygame() -> str:
    """Return which distribution provides pygame, "pygame-ce" or "pygame".

    Raises DisplayError, with the commands that mend it, where both are installed or none is.
    """
    found = [name for name in ("pygame", "pygame-ce") if _is_installed(name)]
    if len(found) == 2:
        raise DisplayError(
            "both pygame and pygame-ce are installed; they overwrite each other's files. Keep one:\n"
            "    python -m pip uninstall -y pygame pygame-ce\n"
            "    python -m pip install pygame-ce"
        )
    if not found:
        raise DisplayError("pygame is missing, so nothing can be painted. Install it: python -m pip install pygame-ce")
    return found[0]


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


@cache
def load_pygame() -> Any:
    """Return the module pygame with its font module ready to be used; no display is opened and nothing printed.

    Raises DisplayError as `check_pygame` does, or where the import fails.
    """
    check_pygame()
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        pygame = import_module("pygame")
        import_module("pygame.font")
    except ImportError as error:
        raise DisplayError(
            f"pygame can't be loaded ({error}). Install it afresh: python -m pip install --force-reinstall pygame-ce"
        ) from error
    return pygame


def main() -> int:
    """Print nothing and return 0, or print what is wrong to standard error and return 1."""
    try:
        check_pygame()
    except DisplayError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
