"""A ring that is written to, and a folder of two generations that share a segment."""

import numpy as np
import pytest

from rltk.runs import Ring, write_checkpoint
from rltk.runs.disk import SEGMENTS


class Buffer:
    """A ring that is written to: two arrays, rows that differ from run to run by `salt`."""

    def __init__(self, capacity, salt=0):
        self.arrays = {"x": np.zeros((capacity, 3), np.float32), "flag": np.zeros(capacity, bool)}
        self.written, self.salt = 0, salt

    def add(self, count):
        for _ in range(count):
            at = self.written % len(self.arrays["x"])
            self.arrays["x"][at] = self.written + self.salt, -self.written, np.nan
            self.arrays["flag"][at] = self.written % 3 == 0
            self.written += 1
        return self

    def take_up(self, ring):
        for name, array in self.arrays.items():
            array[...] = ring.arrays[name]
        self.written = ring.written
        return self

    @property
    def ring(self):
        return Ring(self.arrays, self.written)

    @property
    def state(self):
        return {"agent": {"ring": self.ring, "w": np.ones(2)}, "n": self.written}

    def expected(self):
        """What comes back: rows that were never written are zero here as there."""
        return {name: array.tobytes() for name, array in self.arrays.items()}


@pytest.fixture
def buffers():
    return Buffer


@pytest.fixture
def two(tmp_path):
    """Two generations: the second shares the first's segment and has one of its own."""
    buffer = Buffer(20).add(6)
    first = write_checkpoint(tmp_path, buffer.state, step=6)
    shared = next((tmp_path / SEGMENTS).iterdir())
    second = write_checkpoint(tmp_path, buffer.add(3).state, step=9)
    (own,) = [path for path in (tmp_path / SEGMENTS).iterdir() if path != shared]
    return first, second, shared, own, buffer
