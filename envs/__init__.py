"""Every environment. Each knows its exact MDP: `env.unwrapped.mdp()`.

Names are loaded when they are first used, so that registering ids (`import rltk`) loads neither numba nor SciPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltk.envs import sb3
    from rltk.envs.classics import (
        BanditEnv,
        BlackjackEnv,
        GamblersProblemEnv,
        JacksCarRentalEnv,
        MaximizationBiasEnv,
        RandomWalkEnv,
    )
    from rltk.envs.gridworld import (
        ChangingMazeEnv,
        GridMap,
        GridWorldEnv,
        GridWorldVectorEnv,
        MazeEnv,
        RacetrackEnv,
        TaxiEnv,
        WindyGridworldEnv,
        shipped_maps,
    )
    from rltk.envs.minigrid import MiniGridEnv, MiniGridVectorEnv
    from rltk.envs.tabular import ChangingEnv, ChangingVectorEnv, Layout, TabularEnv, TabularVectorEnv

_HOMES = {
    "BanditEnv": "rltk.envs.classics",
    "BlackjackEnv": "rltk.envs.classics",
    "ChangingEnv": "rltk.envs.tabular",
    "ChangingMazeEnv": "rltk.envs.gridworld",
    "ChangingVectorEnv": "rltk.envs.tabular",
    "GamblersProblemEnv": "rltk.envs.classics",
    "GridMap": "rltk.envs.gridworld",
    "GridWorldEnv": "rltk.envs.gridworld",
    "GridWorldVectorEnv": "rltk.envs.gridworld",
    "JacksCarRentalEnv": "rltk.envs.classics",
    "Layout": "rltk.envs.tabular",
    "MaximizationBiasEnv": "rltk.envs.classics",
    "MazeEnv": "rltk.envs.gridworld",
    "MiniGridEnv": "rltk.envs.minigrid",
    "MiniGridVectorEnv": "rltk.envs.minigrid",
    "RacetrackEnv": "rltk.envs.gridworld",
    "RandomWalkEnv": "rltk.envs.classics",
    "TabularEnv": "rltk.envs.tabular",
    "TabularVectorEnv": "rltk.envs.tabular",
    "TaxiEnv": "rltk.envs.gridworld",
    "WindyGridworldEnv": "rltk.envs.gridworld",
    "sb3": "rltk.envs.sb3",
    "shipped_maps": "rltk.envs.gridworld",
}

__all__ = [
    "BanditEnv",
    "BlackjackEnv",
    "ChangingEnv",
    "ChangingMazeEnv",
    "ChangingVectorEnv",
    "GamblersProblemEnv",
    "GridMap",
    "GridWorldEnv",
    "GridWorldVectorEnv",
    "JacksCarRentalEnv",
    "Layout",
    "MaximizationBiasEnv",
    "MazeEnv",
    "MiniGridEnv",
    "MiniGridVectorEnv",
    "RacetrackEnv",
    "RandomWalkEnv",
    "TabularEnv",
    "TabularVectorEnv",
    "TaxiEnv",
    "WindyGridworldEnv",
    "sb3",
    "shipped_maps",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltk.envs' has no attribute {name!r}; it has {', '.join(__all__)}")
    module = import_module(_HOMES[name])
    value = module if name == "sb3" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
