"""Append-only ring buffers as data: what a replay hands to a checkpoint, and gets back.

Row number t, counted over all rows ever written, lies at index t mod capacity; a row is never changed until row
t + capacity takes its place. So a checkpoint needs to write only the rows that came since the one before it
(`rltk.runs.segments`), however large the buffer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rltk.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class Ring:
    """Arrays of equal length that are written row by row, together, around and around.

    arrays: name -> (capacity, ...) array. written: how many rows were ever written; the newest min(written, capacity)
    are alive. Raises ArgumentError if there is no array, if their lengths differ or are 0, or if written is no count.
    """

    arrays: Mapping[str, np.ndarray]
    written: int

    def __post_init__(self) -> None:
        lengths = {len(array) if array.ndim else 0 for array in self.arrays.values()}
        if len(lengths) != 1 or 0 in lengths:
            shapes = {name: array.shape for name, array in self.arrays.items()}
            raise ArgumentError(
                f"a Ring's arrays have the shapes {shapes}, but at least one array was expected, and all with the same "
                "first axis of at least 1"
            )
        if type(self.written) is not int or self.written < 0:
            raise ArgumentError(f"a Ring's written is {self.written!r}, but an int of at least 0 was expected")

    @property
    def capacity(self) -> int:
        """How many rows there is room for."""
        return len(next(iter(self.arrays.values())))

    @property
    def alive(self) -> range:
        """The numbers of the rows that can still be read."""
        return range(max(0, self.written - self.capacity), self.written)
