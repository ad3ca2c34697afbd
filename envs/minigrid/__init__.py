"""MiniGrid's levels, seed for seed, in compiled batches: `MiniGridEnv` and `MiniGridVectorEnv`.

Levels of your own are a `Layout` each, or a family of them: `level_family` in plain Python, `Family` compiled.

The names are loaded when they are first used: registering the ids reads only `ids.py`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltk.envs.minigrid.env import MiniGridEnv
    from rltk.envs.minigrid.family import Family, Plan, register
    from rltk.envs.minigrid.making.builder import Builder, Random
    from rltk.envs.minigrid.making.layout import Layout
    from rltk.envs.minigrid.making.python_family import level_family
    from rltk.envs.minigrid.making.room_builder import Rooms
    from rltk.envs.minigrid.missions import Missions
    from rltk.envs.minigrid.vector_env import MiniGridVectorEnv

_HOMES = {
    "Builder": "rltk.envs.minigrid.making.builder",
    "Family": "rltk.envs.minigrid.family",
    "Layout": "rltk.envs.minigrid.making.layout",
    "MiniGridEnv": "rltk.envs.minigrid.env",
    "MiniGridVectorEnv": "rltk.envs.minigrid.vector_env",
    "Missions": "rltk.envs.minigrid.missions",
    "Plan": "rltk.envs.minigrid.family",
    "Random": "rltk.envs.minigrid.making.builder",
    "Rooms": "rltk.envs.minigrid.making.room_builder",
    "level_family": "rltk.envs.minigrid.making.python_family",
    "register": "rltk.envs.minigrid.family",
}

__all__ = [
    "Builder",
    "Family",
    "Layout",
    "MiniGridEnv",
    "MiniGridVectorEnv",
    "Missions",
    "Plan",
    "Random",
    "Rooms",
    "level_family",
    "register",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltk.envs.minigrid' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
