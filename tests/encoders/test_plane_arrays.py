"""What planes tell compiled code is how they read: the same planes follow from the arrays alone."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rltk.encoders import Planes


def box(low, high, shape, dtype=np.int64):
    return spaces.Box(np.broadcast_to(dtype(low), shape), np.broadcast_to(dtype(high), shape), dtype=dtype)


def by_arrays(planes, boards):
    """(n, planes, height, width), made cell by cell from `Planes.arrays`."""
    reading, rows = planes.arrays(), np.asarray(boards).reshape(len(boards), -1)
    out = np.zeros((len(rows), planes.channels, planes.height, planes.width), np.float32)
    for y, x, channel in np.ndindex(reading.sources.shape):
        shown = rows[:, reading.sources[y, x, channel]]
        low, high, first = reading.low[channel], reading.high[channel], reading.first[channel]
        for i, value in enumerate(shown.tolist()):
            if high < low:
                out[i, first, y, x] = np.float32(value) * np.float32(reading.scales[channel])
            elif low <= value <= high:
                out[i, first + int(value) - low, y, x] = 1
    return out


@pytest.mark.parametrize(
    "space",
    [
        box([0, 0, 0], [10, 5, 1], (4, 3, 3), np.uint8),
        box([-3, 0, -9], [-1, 255, 200], (3, 4, 3)),
        box([1, 10], [1, 90], (2, 5, 2)),
        box(0, 3, (2, 5, 6), np.uint8),
        box([0, 7], [3, 8], (3, 5, 6, 2), np.uint8),
        box(-1, 1, (3, 4, 2), np.float32),
        box(0, 255, (36, 40, 3), np.uint8),
    ],
    ids=[
        "symbols",
        "below zero, and numbers",
        "one that never changes",
        "channels first",
        "a stack",
        "floats",
        "pixels",
    ],
)
def test_the_same_planes_follow_from_the_arrays(space):
    """Symbols, numbers and pixels, each axis where it is, and what the space has not shows nothing."""
    space.seed(0)
    boards, planes = np.stack([space.sample() for _ in range(3)]), Planes(space)
    if space.dtype == np.uint8 and len(space.shape) == 3:
        boards[0, 1, 1, 1] = 99

    np.testing.assert_array_equal(by_arrays(planes, boards), planes(torch.from_numpy(boards)))
