"""How light spreads: the few instructions of `spread` against MiniGrid's loops, for every row there can be."""

import numpy as np
import pytest

from rltk.envs.minigrid.view import spread
from rltk.mdp import jit


@jit(_nrt=False)
def spread_all(view, out):
    """(2, 2^V, 2^V) int64: what is seen in this row and the next, by the cells seen so far and those that are clear."""
    for seen in range(1 << view):
        for clear in range(1 << view):
            out[0, seen, clear], out[1, seen, clear] = spread(seen, clear, view)


def by_loops(seen, clear, view):
    """minigrid 3.2.0, core/grid.py, `process_vis`: one row, to the right and back."""
    row, above = [seen >> i & 1 for i in range(view)], [0] * view
    for i in range(view - 1):
        if row[i] and clear >> i & 1:
            row[i + 1] = above[i + 1] = above[i] = 1
    for i in reversed(range(1, view)):
        if row[i] and clear >> i & 1:
            row[i - 1] = above[i - 1] = above[i] = 1
    return sum(bit << i for i, bit in enumerate(row)), sum(bit << i for i, bit in enumerate(above))


@pytest.mark.parametrize("view", [3, 5, 7])
def test_light_spreads_as_in_minigrids_loops(view):
    """All pairs of what is seen and what is clear."""
    found = np.zeros((2, 1 << view, 1 << view), dtype=np.int64)
    spread_all(view, found)
    inside = (1 << view) - 1
    for seen in range(1 << view):
        for clear in range(1 << view):
            assert tuple(found[:, seen, clear] & inside) == by_loops(seen, clear, view), (seen, clear)


def test_light_spreads_through_wide_rows():
    """Random rows of the widest view."""
    draw = np.random.default_rng(0)
    inside = (1 << 61) - 1
    for _ in range(200):
        seen, clear = int(draw.integers(1 << 61)), int(draw.integers(1 << 61)) | int(draw.integers(1 << 61))
        found = spread(seen, clear, 61)
        assert (found[0] & inside, found[1] & inside) == by_loops(seen, clear, 61)
