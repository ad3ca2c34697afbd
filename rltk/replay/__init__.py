"""Memories of transitions for learners that learn from them more than once: uniform, prioritised, n-step, sequences.

Names are loaded when they are first used, for they bring torch and, where priorities are kept, numba.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltk.replay' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"rltk.replay.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
