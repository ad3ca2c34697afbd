"""The programs on levels that are made at random: one level is chosen, and stays."""

import pytest

from rltk.scripts import plan, watch


def test_plan_solves_the_level_that_is_asked_for(capsys):
    """Two levels of DoorKey-5x5, of different optima; the same level, the same answer."""
    told = []
    for level in ("3", "1", "3"):
        assert plan.main(["--env", "rltk/MiniGrid-DoorKey-5x5-v0", "--level", level]) == 0
        told.append([line for line in capsys.readouterr().out.splitlines() if line.startswith("optimum")])
    assert told[0] == told[2] != told[1]


def test_watch_plays_the_optimum_of_one_level(monkeypatch):
    """Every episode is that level, and takes as long as its shortest plan."""
    seen = []
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    original = watch.watch
    monkeypatch.setattr(watch, "watch", lambda *args, **options: seen.append(original(*args, **options)))
    options = ["--env", "rltk/MiniGrid-DoorKey-5x5-v0", "--level", "1", "--episodes", "2", "--fps", "240"]
    assert watch.main(options) == 0
    assert seen[0].lengths == (7, 7)
    assert seen[0].returns == pytest.approx((1 - 0.9 * 7 / 250,) * 2)
