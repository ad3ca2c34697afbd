"""What states mean, and which states of two MDPs mean the same."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rltk.mdp.model import MDP


@dataclass(frozen=True, eq=False)
class Cells:
    """State labels of a world in which only some places are states: state `s` is place `cells[s]` of `shape`."""

    cells: np.ndarray  # (S,) integers, ascending: places of `shape`, row by row
    shape: tuple[int, ...]

    def __call__(self, state: int) -> tuple[int, ...]:
        """(row, column, ...) of `state`."""
        return tuple(int(i) for i in np.unravel_index(int(self.cells[state]), self.shape))


def carried_over(value: np.ndarray, known: "MDP", mdp: "MDP", elsewhere: float) -> np.ndarray:
    """(S,): `value` of the states of `known` for the states of `mdp` with the same label; `elsewhere` for the rest."""
    ours, theirs = _cells(mdp.state_labels), _cells(known.state_labels)
    if ours is None or theirs is None or ours.shape != theirs.shape:
        by_label = {known.label(s): v for s, v in enumerate(value.tolist())}
        return np.array([by_label.get(mdp.label(s), elsewhere) for s in range(mdp.n_states)])
    at = np.minimum(np.searchsorted(theirs.cells, ours.cells), theirs.cells.size - 1)
    return np.where(theirs.cells[at] == ours.cells, value[at], elsewhere)


def _cells(labels: Any) -> Cells | None:
    if isinstance(labels, tuple):
        return Cells(np.arange(int(np.prod(labels))), labels)
    return labels if isinstance(labels, Cells) else None
