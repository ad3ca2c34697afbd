"""A progress bar for people that stays out of the way: on a terminal one moving line, in a log a plain line at times.

Nothing appears for what is done at once, and nothing that the terminal does (closed, too narrow, no Unicode) ever
reaches the work that is being watched.
"""

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

from rltk.runs.checks import whole

_WIDTH = 80
_BAR = 10  # The least width left for the bar itself.
_WINDOW = 30.0  # Seconds over which the rate is averaged: compiling in the first ones must not spoil it for long.


class ProgressBar:
    """How much of `total` is done, at what rate, and how long it will still take.

        with ProgressBar(100_000, "training") as bar:
            bar.update(2_000, ep_rew_mean=0.93)

    total: None if unknown. start: what was done before, by the run that is resumed. file: None is standard error.
    On a terminal the line moves ten times a second, after half a second; elsewhere a line without control codes is
    printed after one second, every ten seconds, and at the end. NO_COLOR and TERM=dumb are heeded.
    """

    def __init__(
        self,
        total: int | None,
        description: str = "",
        unit: str = "steps",
        *,
        start: int = 0,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total = None if total is None else whole("total", total)
        self.description = " ".join(description.split())[:30]
        self.unit = unit
        self._file = sys.stderr if file is None else file
        self._clock = clock
        self._done = whole("start", start)
        self._fields: dict[str, Any] = {}
        self._live = _is_terminal(self._file)
        self._silent = self._file is None
        self._shown = self._closed = False
        self._rich: Any = None
        self._width = _WIDTH
        now = clock()
        self._next = now + (0.5 if self._live else 1.0)
        self._marks: deque[tuple[float, int]] = deque([(now, self._done)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def update(self, done: int, **fields: float | str) -> None:
        """Say that `done` units of the total are done, and what else to show; cheap enough for every step."""
        self._done = done
        if fields:
            self._fields |= fields
        now = self._clock()
        if now >= self._next and not self._silent and not self._closed:
            self._mark(now)
            self._show()
            self._next = now + (0.1 if self._live else 10.0)

    def close(self) -> None:
        """Draw the last state, if anything was drawn before, and give the terminal back."""
        if self._closed:
            return
        self._closed = True
        if self._shown and not self._silent:
            self._mark(self._clock())
            self._show()
        if self._rich is not None:
            with contextlib.suppress(Exception):  # The terminal may be gone, which is not this program's trouble.
                self._rich.stop()

    def text(self, width: int = _WIDTH) -> str:
        """The figures as plain text of at most `width` characters: done, rate, remaining time, then the fields."""
        parts = [f"{self._done:,}{'' if self.total is None else f'/{self.total:,}'} {self.unit}"]
        rate = self._rate()
        if rate > 0:
            parts.append(f"{rate:,.{0 if rate >= 10 else 1}f}/s")
            if self.total is not None and self.total > self._done:
                parts.append(f"{_duration((self.total - self._done) / rate)} left")
        parts += [f"{name} {_figure(value)}" for name, value in self._fields.items()]
        line = parts[0]
        for part in parts[1:]:
            if len(line) + 2 + len(part) > width:
                break
            line += f"  {part}"
        return line[:width]

    def _mark(self, now: float) -> None:
        self._marks.append((now, self._done))
        while len(self._marks) > 2 and self._marks[0][0] < now - _WINDOW:
            self._marks.popleft()

    def _rate(self) -> float:
        (began, before), (now, done) = self._marks[0], self._marks[-1]
        return (done - before) / (now - began) if now > began else 0.0

    def _show(self) -> None:
        try:
            if self._live:
                self._draw()
            else:
                self._print()
            self._shown = True
        except Exception:  # A closed pipe, a lost terminal, an odd encoding: the work goes on without a bar.
            self._silent = True

    def _print(self) -> None:
        prefix = f"{self.description}: " if self.description else ""
        line = prefix + self.text(_WIDTH - len(prefix))
        encoding = getattr(self._file, "encoding", None) or "utf-8"
        print(line.encode(encoding, "replace").decode(encoding), file=self._file, flush=True)

    def _draw(self) -> None:
        if self._rich is None:
            self._start()
        self._rich.update(0, completed=self._done, figures=self._figures())
        self._rich.refresh()

    def _figures(self) -> str:
        return self.text(max(self._width - len(self.description) - _BAR - 2, 1))

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        class QuietConsole(Console):
            def on_broken_pipe(self) -> None:
                raise BrokenPipeError  # rich would end the program, and point its standard output at nothing.

        console = QuietConsole(file=self._file, force_jupyter=False)
        self._width = min(_WIDTH, console.width)
        console.width = self._width
        columns = [
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=_BAR)),
            TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True)),
        ]
        # Without a refreshing thread: nothing to leave behind in a fork. Standard output is taken over only where it
        # is a terminal too, or what a script prints into a pipe would land on standard error.
        self._rich = Progress(
            *columns[0 if self.description else 1 :],
            console=console,
            auto_refresh=False,
            expand=True,
            redirect_stdout=_is_terminal(sys.stdout),
            redirect_stderr=_is_terminal(sys.stderr),
        )
        self._rich.add_task(self.description, total=self.total, completed=self._done, figures=self._figures())
        self._rich.start()


def _is_terminal(file: Any) -> bool:
    if os.name != "nt" and os.environ.get("TERM", "") in ("", "dumb", "unknown"):
        return False
    try:
        return bool(file.isatty())
    except Exception:  # None, closed, or no real file: whatever it is, it is no terminal.
        return False


def _duration(seconds: float) -> str:
    whole_seconds = min(int(seconds + 0.5), 359_999_999)
    hours, rest = divmod(whole_seconds, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
