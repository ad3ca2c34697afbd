"""Objectives: what an encoder is taught by, before or beside reinforcement learning.

Names are loaded when they are first used, so `import rltk.objectives` does not read torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltk.objectives.combined import OBJECTIVES, Combined, objectives_of
    from rltk.objectives.objective import Batch, Loss, Objective

_HOMES = {
    "Batch": "objective",
    "Combined": "combined",
    "Loss": "objective",
    "OBJECTIVES": "combined",
    "Objective": "objective",
    "objectives_of": "combined",
}

__all__ = ["OBJECTIVES", "Batch", "Combined", "Loss", "Objective", "objectives_of"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltk.objectives' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(f"rltk.objectives.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
