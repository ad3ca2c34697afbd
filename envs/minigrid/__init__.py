"""MiniGrid's levels, seed for seed, in compiled batches: `MiniGridEnv` and `MiniGridVectorEnv`.

Levels of your own are a `Layout` each, or a family of them: `level_family` in plain Python, `Family` compiled.

The names are loaded when they are first used: registering the ids reads only `ids.py`.
"""

from typing import TYPE_CHECKING

from rltk.lazy import lazily

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
    "Builder": "making.builder",
    "Family": "family",
    "Layout": "making.layout",
    "MiniGridEnv": "env",
    "MiniGridVectorEnv": "vector_env",
    "Missions": "missions",
    "Plan": "family",
    "Random": "making.builder",
    "Rooms": "making.room_builder",
    "level_family": "making.python_family",
    "register": "family",
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

__getattr__, __dir__ = lazily(__name__, _HOMES)
