"""What all parts of the benchmark share: a row, the machine it was measured on, turns, and children to measure in."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One line of the table: ours and, where there is one, the peer's figure."""

    what: str
    ours: str
    peer: str = ""
    ratio: str = ""


def print_rows(rows: Iterable[Row]) -> None:
    """The machine, then each row as it is measured, within 80 columns."""
    print_text(machine())
    _print_row(Row("what", "ours", "peer", "ratio"))
    for row in rows:
        _print_row(row)


def _print_row(row: Row) -> None:
    """One line, or more where `what` is long. Its own table, since the widths of rows to come are not known."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, width in {"what": 42, "ours": 12, "peer": 12, "ratio": 11}.items():
        table.add_column(name, justify="left" if name == "what" else "right", width=width, overflow="fold")
    table.add_row(*astuple(row))
    Console(width=80).print(table)


def print_text(text: str) -> None:
    """A plain paragraph within 80 columns."""
    Console(width=80, highlight=False).print(text, markup=False)


def machine(*more: str) -> str:
    """The processor, its cores, and the versions of Python, NumPy, SciPy, numba and of `more` distributions."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    versions = [f"{name} {version(name)}" for name in ("numpy", "scipy", "numba", *more)]
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {', '.join(versions)}"


def in_turns(rounds: int, ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    """The medians of both, which take turns."""
    pairs = [(ours(), peer()) for _ in range(rounds)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def rate_row(what: str, ours: float, peer: float) -> Row:
    """A row of two rates a second."""
    ratio = ours / peer
    return Row(what, f"{_rate(ours)}/s", f"{_rate(peer)}/s", f"{ratio:.3g}x" if ratio < 999.5 else f"{ratio:,.0f}x")


def _rate(rate: float) -> str:
    return f"{rate / 1e6:.1f}M" if rate >= 1e6 else f"{rate / 1e3:.0f}k"


def measured(code: str, *arguments: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run `code` in a new process with `arguments`; it prints its figures as JSON on its last line."""
    command = [sys.executable, "-c", code, *arguments]
    child = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=child, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])
