"""Every environment. Each knows its exact MDP: `env.unwrapped.mdp()`.

Names are loaded when they are first used, so that registering ids (`import rltk`) loads neither numba nor SciPy.
"""

from typing import TYPE_CHECKING

from rltk.lazy import lazily

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
    "BanditEnv": "classics",
    "BlackjackEnv": "classics",
    "ChangingEnv": "tabular",
    "ChangingMazeEnv": "gridworld",
    "ChangingVectorEnv": "tabular",
    "GamblersProblemEnv": "classics",
    "GridMap": "gridworld",
    "GridWorldEnv": "gridworld",
    "GridWorldVectorEnv": "gridworld",
    "JacksCarRentalEnv": "classics",
    "Layout": "tabular",
    "MaximizationBiasEnv": "classics",
    "MazeEnv": "gridworld",
    "MiniGridEnv": "minigrid",
    "MiniGridVectorEnv": "minigrid",
    "RacetrackEnv": "gridworld",
    "RandomWalkEnv": "classics",
    "TabularEnv": "tabular",
    "TabularVectorEnv": "tabular",
    "TaxiEnv": "gridworld",
    "WindyGridworldEnv": "gridworld",
    "sb3": "sb3",
    "shipped_maps": "gridworld",
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

__getattr__, __dir__ = lazily(__name__, _HOMES)
