"""Callbacks stop what they should, and the progress bar never harms what it watches."""

import contextlib
import io
import re
import subprocess
import sys
import textwrap
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from rltk.errors import ArgumentError
from rltk.runs import CallbackList, Progress, ProgressBar, call_all

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


def test_every_callback_is_called_and_only_false_stops():
    seen = []

    def answering(answer):
        def callback(progress):
            seen.append((answer, progress.timestep))
            return answer

        return callback

    progress = Progress(agent=None, timestep=5)
    assert call_all([answering(None), answering(True), answering(0), answering([])], progress)
    assert not call_all([answering(False), answering(True)], progress)
    assert not call_all([answering(np.False_)], progress)
    assert call_all([], progress)
    assert seen[-3:] == [(False, 5), (True, 5), (np.False_, 5)]


def test_a_list_of_callbacks_takes_what_a_learner_was_given():
    count = []
    callbacks = CallbackList(None, count.append, [count.append, (lambda progress: False,)])

    assert len(callbacks) == 3
    assert callbacks(Progress(None, 1)) is False
    assert len(count) == 2
    assert CallbackList(None)(Progress(None, 1)) is True
    with pytest.raises(ArgumentError, match="callback is 3"):
        CallbackList(3)


def test_callbacks_keep_their_own_beat():
    """Reached or passed, once; those without one keep the list's; the end is for all."""

    class Beat:
        def __init__(self, every):
            self.every, self.told = every, []

        def __call__(self, progress):
            self.told.append(progress.timestep)

    three, five, plain = Beat(3), Beat(5), []
    callbacks = CallbackList([three, five], lambda progress: plain.append(progress.timestep), every=4, timestep=2)
    for timestep in (3, 4, 9):
        assert callbacks.due <= timestep
        callbacks(Progress(None, timestep))
    assert callbacks.due == 10
    callbacks(Progress(None, 11), at_end=True)

    assert (three.told, five.told, plain) == ([3, 9, 11], [9, 11], [4, 9, 11])
    stopping = CallbackList(lambda progress: False, five, every=2)
    assert not stopping(Progress(None, 2))
    assert five.told == [9, 11, 2]  # none misses the last step
    assert CallbackList(None).due == float("inf")
    with pytest.raises(ArgumentError, match="every is 0"):
        CallbackList(Beat(0))


def test_progress_is_frozen():
    with pytest.raises(FrozenInstanceError):
        Progress(None, 1).timestep = 2  # type: ignore[misc]


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def run(file, seconds, clock=None, total=1000, **fields):
    clock = clock or Clock()
    with ProgressBar(total, "training", file=file, clock=clock) as bar:
        for done in range(0, 1001, 10):
            clock.now += seconds / 100
            bar.update(done, **fields)
    return file.getvalue()


def test_a_log_gets_a_few_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    written = run(io.StringIO(), 45.0, ep_rew_mean=0.9312345, note="ok")

    lines = written.splitlines()
    assert 4 <= len(lines) <= 7
    assert not CONTROL.search(written)
    assert all(len(line) <= 80 for line in lines)
    assert re.fullmatch(r"training: \d+/1,000 steps  2\d/s  0:00:\d\d left  ep_rew_mean 0\.9312  note ok", lines[1])
    assert lines[-1].startswith("training: 1,000/1,000 steps")


@pytest.mark.parametrize("seconds", [0.0, 0.4])
def test_what_is_done_at_once_shows_nothing(terminal, seconds):
    assert run(io.StringIO(), seconds) == ""
    assert run(terminal, seconds) == ""


def shown(written: str) -> list[str]:
    """What a terminal line held, each time it was drawn."""
    return [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", written)]


def test_a_terminal_gets_a_bar_of_at_most_80_columns(terminal):
    written = run(terminal, 20.0, ep_rew_mean=0.5, suboptimality=0.25, a_long_name="a long value", more=1, and_more=2)

    lines = [line for line in shown(written) if line]
    assert any("━" in line for line in lines)
    assert all(len(line) <= 80 for line in lines)
    assert re.search(r"1,000/1,000 steps  \d+/s  ep_rew_mean 0.5", lines[-1])
    assert written.count("\n") == 1
    assert written.endswith("\x1b[?25h")  # The cursor is shown again.


def test_a_narrow_terminal_an_unknown_total_and_markup_do_no_harm(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    clock = Clock()
    with ProgressBar(None, "[red]sweeps[/nope]", unit="[bold]", file=terminal, clock=clock) as bar:
        for done in range(50):
            clock.now += 0.2
            bar.update(done, residual=1e-9)
    lines = [line for line in shown(terminal.getvalue()) if line]
    assert lines
    assert all(len(line) <= 30 for line in lines)


def test_no_color_and_dumb_terminals_are_heeded(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", run(terminal, 5.0))
    monkeypatch.setenv("TERM", "dumb")
    assert not CONTROL.search(run(Terminal(), 5.0))


@pytest.mark.parametrize("tty", [True, False])
@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("closed"), OSError(5, "gone")])
def test_a_terminal_that_breaks_does_not_reach_the_work(monkeypatch, tty, error):
    monkeypatch.setenv("TERM", "xterm")

    class Broken(Terminal):
        def isatty(self):
            return tty

        def write(self, text):
            raise error

    run(Broken(), 5.0)


def test_no_standard_error_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    clock = Clock()
    with ProgressBar(10, clock=clock) as bar:
        clock.now += 5
        bar.update(10)


def test_an_ascii_terminal_gets_ascii(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    clock = Clock()
    with ProgressBar(10, "größe", file=file, clock=clock) as bar:
        clock.now += 5
        bar.update(5)
    file.flush()
    assert raw.getvalue().startswith(b"gr??e: 5/10 steps")


def test_a_resumed_run_counts_only_its_own_rate():
    clock = Clock()
    bar = ProgressBar(2000, start=1000, file=io.StringIO(), clock=clock)
    clock.now += 2.0
    bar.update(1100)
    assert bar.text() == "1,100/2,000 steps  50/s  0:00:18 left"
    assert len(bar.text(20)) <= 20
    bar.close()
    bar.close()
    bar.update(1200)


@pytest.mark.parametrize("total", [-1, 1.5, "9"])
def test_a_bad_total_is_refused(total):
    with pytest.raises(ArgumentError, match="total is"):
        ProgressBar(total)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
def test_on_a_real_terminal_printing_into_a_pipe_stays_in_the_pipe():
    """rich may take over standard output; then what a script prints would land on standard error."""
    import os
    import pty

    script = textwrap.dedent(
        """
        import time
        from rltk.runs import ProgressBar
        with ProgressBar(4, "work") as bar:
            for done in range(5):
                time.sleep(0.15)
                bar.update(done)
                print("line", done)
        """
    )
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
        check=True,
    )
    os.close(theirs)
    pieces = []
    with contextlib.suppress(OSError):  # How Linux says that the other end is closed.
        while piece := os.read(ours, 65536):
            pieces.append(piece)
    os.close(ours)
    drawn = b"".join(pieces).decode()

    assert done.stdout.decode().splitlines() == [f"line {n}" for n in range(5)]
    assert "4/4 steps" in drawn
    assert "line" not in drawn
