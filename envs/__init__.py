"""Every environment. Each knows its exact MDP: `env.unwrapped.mdp()`.

Names are loaded when they are first used, so that registering ids (`import rltk`) loads neither numba nor SciPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rltk.envs.gridworld import GridMap, GridWorldEnv, GridWorldVectorEnv, MazeEnv, TaxiEnv, shipped_maps
    from rltk.envs.tabular import Layout, TabularEnv, TabularVectorEnv

_HOMES = {
    "GridMap": "rltk.envs.gridworld",
    "GridWorldEnv": "rltk.envs.gridworld",
    "GridWorldVectorEnv": "rltk.envs.gridworld",
    "Layout": "rltk.envs.tabular",
    "MazeEnv": "rltk.envs.gridworld",
    "TabularEnv": "rltk.envs.tabular",
    "TabularVectorEnv": "rltk.envs.tabular",
    "TaxiEnv": "rltk.envs.gridworld",
    "shipped_maps": "rltk.envs.gridworld",
}

__all__ = [
    "GridMap",
    "GridWorldEnv",
    "GridWorldVectorEnv",
    "Layout",
    "MazeEnv",
    "TabularEnv",
    "TabularVectorEnv",
    "TaxiEnv",
    "shipped_maps",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rltk.envs' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
