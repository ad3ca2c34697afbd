"""A sum tree: leaves that can be set, and found by cumulative sum, in O(log N).

    tree[1] is the total; node i is the sum of nodes 2i and 2i + 1; leaf k is node `leaves` + k, leaves a power of two

A leaf is found for a mass u in [0, total) by going left where u < left, and right with u - left otherwise. Each node is
computed anew from its two children whenever one changes, never by adding a difference: so its value is that of the
leaves as they are, however many updates there were.

Source: Schaul, Quan, Antonoglou and Silver (2016), "Prioritized experience replay", appendix B.2.1.
"""

import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp.jit import jit


@jit
def set_leaves(tree, positions, values):
    """Set leaf positions[i] to values[i], in this order, and mend the sums above them.

    tree: (2 * leaves,) float64. positions: (M,) int64. values: (M,) float64.
    """
    leaves = len(tree) // 2
    for i in range(len(positions)):
        node = leaves + positions[i]
        tree[node] = values[i]
        node //= 2
        while node >= 1:
            tree[node] = tree[2 * node] + tree[2 * node + 1]
            node //= 2


@jit
def rebuild(tree):
    """Compute every sum from the leaves."""
    for node in range(len(tree) // 2 - 1, 0, -1):
        tree[node] = tree[2 * node] + tree[2 * node + 1]


@jit
def find_leaves(tree, masses, positions):
    """Write into positions (M,) the leaves at the cumulative sums `masses` (M,), each in [0, tree[1]).

    A leaf of zero is never found, though rounding may carry a mass past the end of a sum.
    """
    leaves = len(tree) // 2
    for i in range(len(masses)):
        mass = masses[i]
        node = 1
        while node < leaves:
            node *= 2
            if mass >= tree[node] and tree[node + 1] > 0.0:
                mass -= tree[node]
                node += 1
        positions[i] = node - leaves


class SumTree:
    """`size` leaves, all zero at first, of non-negative numbers.

    values: (size,) float64, a view of the leaves; set them with `set`, or call `rebuild` after writing into them.
    """

    def __init__(self, size: int) -> None:
        self._tree = np.zeros(_nodes(size))
        leaves = len(self._tree) // 2
        self.values = self._tree[leaves : leaves + size]

    @staticmethod
    def bytes_needed(size: int) -> int:
        """How many bytes a tree of `size` leaves takes."""
        return 8 * _nodes(size)

    @property
    def total(self) -> float:
        """The sum of all leaves."""
        return float(self._tree[1])

    def set(self, positions: np.ndarray, values: np.ndarray) -> None:
        """Set leaves at `positions` (M,) int64 to `values` (M,); of equal positions the last one counts.

        Raises ArgumentError at a position out of range, or a value that is negative or not finite.
        """
        positions, values = np.asarray(positions, np.int64), np.asarray(values, np.float64)
        if positions.size and (positions.min() < 0 or positions.max() >= len(self.values)):
            raise ArgumentError(
                f"positions from {positions.min()} to {positions.max()}: below {len(self.values)} expected"
            )
        if positions.shape != values.shape or not (np.isfinite(values) & (values >= 0)).all():
            raise ArgumentError("values: finite numbers of at least 0 were expected, one for each position")
        set_leaves(self._tree, positions, values)

    def find(self, masses: np.ndarray) -> np.ndarray:
        """The leaves (M,) int64 in which the cumulative sums `masses` (M,), each in [0, total), fall.

        Raises ArgumentError if all leaves are zero.
        """
        if not self.total > 0:
            raise ArgumentError("all leaves of the tree are zero, so none can be found; set some first")
        positions = np.empty(len(masses), np.int64)
        find_leaves(self._tree, np.asarray(masses, np.float64), positions)
        return positions

    def rebuild(self) -> None:
        """Compute all sums anew, after `values` was written into."""
        rebuild(self._tree)


def _nodes(size: int) -> int:
    # A tree of one leaf needs its root beside it.
    return 2 << max(0, size - 1).bit_length()
