"""How much is done in one go is found by doing it."""

import pytest

from rltk.runs import pace
from rltk.runs.pace import MOMENT, Pace


@pytest.fixture
def clock(monkeypatch):
    """A clock that tells what it is told."""

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def goes(pace, clock, unit, count=8):
    """The sizes of so many goes, where a unit takes `unit` seconds."""
    sizes = []
    for _ in range(count):
        begun = clock.now
        clock.now += pace.count * unit
        sizes.append(pace.count)
        pace.note(pace.count, begun)
    return sizes


@pytest.mark.parametrize("unit", [1e-6, 1e-4, 3e-3, 0.02])
def test_goes_grow_to_a_moment_and_not_beyond(clock, unit):
    """From one unit on, to between an eighth of a moment and a moment."""
    last = goes(Pace(), clock, unit, 12)[-1]

    assert MOMENT / 8 <= last * unit <= MOMENT


def test_what_grows_slow_is_cut_smaller(clock):
    """A go that took too long is a quarter the next time, and one unit at least."""
    assert goes(Pace(1000), clock, 0.03) == [1000, 250, 62, 15, 3, 1, 1, 1]


def test_a_short_go_says_nothing_of_a_long_one(clock):
    """What was cut by something else, and so was quick, is no reason to do more."""
    pace = Pace(100)
    pace.note(3, clock.now)

    assert pace.count == 100


def test_there_is_a_longest(clock):
    """However quick it is."""
    assert goes(Pace(1, longest=20), clock, 1e-9, 4) == [1, 4, 16, 20]
