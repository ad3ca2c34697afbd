"""`rltk bench minigrid` in small: every row is measured, and what is not installed is said."""

import sys

import pytest

from rltk.envs.minigrid.ids import FAMILIES
from rltk.errors import ModelError
from rltk.scripts.benchmarks import minigrid, sb3
from rltk.scripts.benchmarks.table import print_rows


@pytest.fixture
def small(monkeypatch):
    """A few steps of a few environments, and three families."""
    for name, value in {"_ENVS": 4, "_STEPS": 5, "_PEER_STEPS": 10, "_PEER_RESETS": 2, "_LEVELS": 2}.items():
        monkeypatch.setattr(minigrid, name, value)
    monkeypatch.setattr(sb3, "_ROLLOUT", 4)
    for family in list(FAMILIES):
        if family not in ("Empty", "Fetch", "DoorKey"):
            monkeypatch.delitem(FAMILIES, family)


def test_every_row_is_measured(small, capsys):
    """Ours, the peer's and their ratio, within 80 columns; peers that are not there have none."""
    rows = minigrid.bench_minigrid(1)

    ours = [row.what for row in rows if row.peer != "not installed"]
    assert ours[:2] == ["DoorKey-8x8-v0, steps", "DoorKey-8x8-v0, steps, egocentric_rgb"]
    assert {"Empty-5x5-v0, steps", "Fetch-5x5-N2-v0, levels", "DoorKey-8x8-v0, levels: plans"} <= set(ours)
    assert len([what for what in ours if "PPO" in what]) == 3
    for row in rows:
        if row.ratio:
            assert float(row.ratio.rstrip("x").replace(",", "")) > 0
    print_rows(rows)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_without_minigrid_it_says_how_to_get_it(monkeypatch):
    """The peer is no dependency of rltk."""
    monkeypatch.setattr(minigrid, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "minigrid", None)
    with pytest.raises(ModelError, match="pip install"):
        minigrid.bench_minigrid(1)
