"""MiniGrid's levels, seed for seed, in compiled batches: `MiniGridEnv` and `MiniGridVectorEnv`.

The names are loaded when they are first used: registering the ids reads only `ids.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltk.envs.minigrid.env import MiniGridEnv
    from rltk.envs.minigrid.vector_env import MiniGridVectorEnv

_HOMES = {"MiniGridEnv": "rltk.envs.minigrid.env", "MiniGridVectorEnv": "rltk.envs.minigrid.vector_env"}

__all__ = ["MiniGridEnv", "MiniGridVectorEnv"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltk.envs.minigrid' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
