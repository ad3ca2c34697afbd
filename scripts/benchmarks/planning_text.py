"""The planners' figures as text within 80 columns and as Markdown."""

from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from rltk.scripts.benchmarks.planning_peers import OURS
from rltk.scripts.benchmarks.table import print_text

if TYPE_CHECKING:
    from rltk.scripts.benchmarks.planning import Line, Result

HEAD = ("method", "time (seeds)", "x ours", "x compact", "error", "MB")


def print_result(result: "Result") -> None:
    """One case: its size, a table, and what is to be said of its lines."""
    title = f"{result.case}: {result.states:,} states, {result.outcomes:,} outcomes"
    print_text(f"\n{title}; reference within {result.reference:.0e}")
    table = Table(box=None, pad_edge=False)
    for name in HEAD:
        table.add_column(name, justify="left" if name == "method" else "right", overflow="fold")
    for line in result.lines.values():
        if line.seconds:
            table.add_row(*_cells(line))
    Console(width=80).print(table)
    for remark in _remarks(result):
        print_text(f"  {remark}")


def one_line(line: "Line") -> str:
    """The newest seed of a line: seconds, and how many times ours that is."""
    ratios = [f"{_three(ratio[-1])}x" for ratio in line.ratios.values()]
    runs = f"{line.rounds[-1]} runs" if line.rounds else ""
    columns = (f"{line.method:<22}", f"{_times(line.seconds[-1:]):>8}", f"{runs:>8}")
    return "  ".join([*columns, *(f"{ratio:>8}" for ratio in ratios)])


def to_markdown(machine: str, results: list["Result"], cold: dict[str, float]) -> str:
    """The same for a page."""
    parts = [f"Machine: {machine}."]
    for result in results:
        parts.append(
            f"### {result.case}\n\n{result.states:,} states, {result.outcomes:,} outcomes; "
            f"reference within {result.reference:.0e}.\n"
        )
        rows = [_cells(line) for line in result.lines.values() if line.seconds]
        parts[-1] += "\n" + "\n".join(_markdown_row(row) for row in (HEAD, ("---",) * len(HEAD), *rows))
        remarks = "\n".join(f"- {remark}" for remark in _remarks(result))
        parts += [remarks] if remarks else []
    if cold:
        rows = [(what, f"{seconds:.2f} s") for what, seconds in cold.items()]
        parts.append("\n".join(_markdown_row(row) for row in (("cold", ""), ("---", "---"), *rows)))
    return "\n\n".join(parts) + "\n"


def _markdown_row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(line: "Line") -> tuple[str, ...]:
    ratios = (line.ratios.get(method.name, []) for method in OURS)
    return (
        line.method,
        _times(line.seconds),
        *(f"{_three(min(ratio))}x" if ratio else "" for ratio in ratios),
        f"{max(line.errors):.0e}" if line.errors else "",
        f"{line.megabytes:.0f}" if line.megabytes is not None else "",
    )


def _times(seconds: list[float]) -> str:
    """The median and the range over seeds, all in the same unit."""
    middle = median(seconds)
    factor, unit = (1e3, "ms") if middle < 1 else (1.0, "s")
    low, high = (_three(factor * bound) for bound in (min(seconds), max(seconds)))
    return f"{_three(factor * middle)} {unit}" + (f" ({low}..{high})" if len(seconds) > 1 else "")


def _three(number: float) -> str:
    """Three figures, never in powers of ten."""
    return f"{number:.3g}" if number < 999.5 else f"{number:.0f}"


def _remarks(result: "Result") -> list[str]:
    return [f"{line.method}: {line.remark}" for line in result.lines.values() if line.remark]
