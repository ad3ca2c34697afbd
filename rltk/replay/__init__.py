"""Memories of transitions for learners that learn from them more than once: uniform, prioritised, n-step, sequences.

Names are loaded when they are first used, for they bring torch and, where priorities are kept, numba.
"""

from typing import TYPE_CHECKING

from rltk.lazy import lazily

if TYPE_CHECKING:
    from rltk.replay.batches import Arrays, Batch, SequenceBatch
    from rltk.replay.prioritised import PrioritisedReplay
    from rltk.replay.replay import Replay
    from rltk.replay.sum_tree import SumTree

_HOMES = {
    "Arrays": "batches",
    "Batch": "batches",
    "PrioritisedReplay": "prioritised",
    "Replay": "replay",
    "SequenceBatch": "batches",
    "SumTree": "sum_tree",
}

__all__ = ["Arrays", "Batch", "PrioritisedReplay", "Replay", "SequenceBatch", "SumTree"]

__getattr__, __dir__ = lazily(__name__, _HOMES)
