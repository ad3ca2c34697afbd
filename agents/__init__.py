"""Everything that yields a policy. Names are loaded when they are first used."""

from importlib import import_module
from typing import Any

from rltk.errors import UnknownAttributeError

_HOMES = {
    "BackwardInduction": "rltk.agents.planning",
    "GaussSeidel": "rltk.agents.planning",
    "InexactPolicyIteration": "rltk.agents.planning",
    "LinearProgramming": "rltk.agents.planning",
    "ModifiedPolicyIteration": "rltk.agents.planning",
    "PolicyIteration": "rltk.agents.planning",
    "PrioritisedSweeping": "rltk.agents.planning",
    "RelativeValueIteration": "rltk.agents.planning",
    "SoftValueIteration": "rltk.agents.planning",
    "Solution": "rltk.agents.planning",
    "TopologicalValueIteration": "rltk.agents.planning",
    "ValueIteration": "rltk.agents.planning",
    "QLearning": "rltk.agents.tabular",
    "LAOStar": "rltk.agents.search",
    "LRTDP": "rltk.agents.search",
    "MCTS": "rltk.agents.search",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise UnknownAttributeError(f"rltk.agents has no agent {name!r}; it has {', '.join(sorted(_HOMES))}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
