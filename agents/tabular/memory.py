"""Memories that grow: what a method keeps of each step has as much room as the coming steps need."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def lengthened(memory: Any, names: Iterable[str], needed: int) -> Any:
    """`memory`, a NamedTuple of arrays, with those of these names at least `needed` long; at least twice as long as
    before where they grow, so that growing is rare."""
    longer = {}
    for name in names:
        array = getattr(memory, name)
        if array.size < needed:
            room = max(needed, 2 * array.size) - array.size
            longer[name] = np.concatenate([array, np.zeros(room, dtype=array.dtype)])
    return memory._replace(**longer)
