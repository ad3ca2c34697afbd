"""What every program shares: a typed dataclass as its command line, and errors told in words."""

import sys
import textwrap
from collections.abc import Callable
from typing import Any, TypeVar

import tyro

from rltk.errors import RltkError

Config = TypeVar("Config")


def start(
    config_class: type[Config],
    run: Callable[[Config], None],
    argv: list[str] | None,
    name: str,
    markers: tuple[Any, ...] = (tyro.conf.FlagConversionOff,),
) -> int:
    """Read `argv` into a `config_class`, call `run` with it, and return the exit status.

    markers: tyro's; those of most programs want every option with its value, `--progress False`.
    An error of rltk's own is told in a few lines without a traceback, status 2; an interruption has status 130.
    """
    try:
        config = tyro.cli(config_class, args=argv, prog=f"rltk {name}", config=markers)
    except SystemExit as stop:  # tyro has told what was wrong, or helped
        return int(stop.code or 0)
    try:
        run(config)
    except RltkError as error:
        lines = [
            textwrap.fill(line, 78, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False)
            for line in str(error).splitlines()
        ]
        print("\n".join([f"rltk {name}: {type(error).__name__}", *lines]), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nrltk {name}: interrupted", file=sys.stderr)
        return 130
    return 0
