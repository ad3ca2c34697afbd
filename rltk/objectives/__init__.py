"""Objectives: what an encoder is taught by, before or beside reinforcement learning.

Names are loaded when they are first used, so `import rltk.objectives` does not read torch.
"""

from typing import TYPE_CHECKING

from rltk.lazy import lazily

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

__getattr__, __dir__ = lazily(__name__, _HOMES)
