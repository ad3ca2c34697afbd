"""Regenerate the figures of Sutton and Barto's book with their settings, and hold its claims against the numbers."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from rltk.errors import ArgumentError
from rltk.runs import ProgressBar
from rltk.scripts.figures import experiment, named
from rltk.scripts.figures.experiment import Claim, Experiment, title_of
from rltk.scripts.program import start


@dataclass
class Textbook:
    """Regenerate figures of Sutton and Barto (2018), and see whether they hold.

    Example: rltk textbook

    Example: rltk textbook 6.5 figure-12.3 --runs 0.1
    """

    figures: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Which, by number or name; all if none. A wrong name lists them."""
    runs: float = 1.0
    """How many runs, as a multiple of each figure's own."""
    out: str = "runs/textbook"
    """The folder for pictures (.png) and numbers (.json)."""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Textbook, run, argv, "textbook")


def run(config: Textbook) -> None:
    """Make the figures that `config` names, then print one table."""
    names = named(config.figures)
    if not 0 < config.runs <= 1000:
        raise ArgumentError(f"runs is a multiple of each figure's own, above 0 and up to 1000; it is {config.runs:g}")
    folder = Path(config.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"out: the folder {folder} can't be made ({error}); choose another") from error
    experiments = [experiment(name) for name in names]
    parts, done, rows = [len(one.cells(config.runs)) for one in experiments], 0, []
    with ProgressBar(sum(parts), "textbook", "parts") as bar:
        for one in experiments:
            begin = time.perf_counter()

            def tick(name: str = one.name) -> None:
                nonlocal done
                done += 1
                bar.update(done, now=name)

            values = one.measure(config.runs, tick)
            one.write(values, folder)
            rows.append((one, one.claims(values), time.perf_counter() - begin))
    _print(rows)
    which = f"{len(rows)} figures" if len(rows) > 1 else title_of(rows[0][0].name)
    print(f"\nwrote the picture (.png) and the numbers (.json) of {which} in\n  {folder}")


def _print(rows: Sequence[tuple[Experiment, Sequence[Claim], float]]) -> None:
    """Of each figure its claims, within 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    table.add_column("figure", no_wrap=True)
    table.add_column("the book says", width=31)
    table.add_column("measured", width=28)
    table.add_column("holds", no_wrap=True)
    for one, claims, seconds in rows:
        for place, claim in enumerate(claims):
            figure = f"{title_of(one.name)}\n{seconds:.1f} s" if place == 0 else ""
            table.add_row(figure, claim.text, claim.measured, claim.verdict, end_section=place == len(claims) - 1)
        table.add_row()
    Console(width=80, highlight=False).print(table)
    print(
        "measured: mean ± standard error. holds: yes or no where the difference is more\n"
        "than three standard errors, open where there were too few runs to tell."
    )


if __name__ == "__main__":
    sys.exit(main())
