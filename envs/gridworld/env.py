"""Grid worlds from maps: text, a file, or one of the textbooks' that are shipped."""

from typing import Any

from rltk.envs.gridworld.compile import compile_map
from rltk.envs.gridworld.loading import MapSource, load_map
from rltk.envs.gridworld.map import GridMap
from rltk.envs.tabular import TabularEnv, TabularVectorEnv
from rltk.envs.tabular.env import checked_limit

DEFAULT_MAP = "example"


class GridWorldEnv(TabularEnv):
    """The world of a map.

    map: its text, a path, or a name from `shipped_maps()`. slip: another probability of slipping than the map's. The
    other options are those of `TabularEnv`. A limit on steps in the map holds besides any other: the lower counts.

    Raises MapError with line and column, UnknownNameError, ArgumentError, or SizeError.
    """

    def __init__(
        self,
        map: MapSource = DEFAULT_MAP,
        *,
        slip: float | None = None,
        max_episode_steps: int | None = None,
        **options: Any,
    ) -> None:
        self.map = map_of(map, slip)
        mdp, layout = compile_map(self.map)
        limit = lower(max_episode_steps, self.map.max_episode_steps)
        super().__init__(mdp, layout=layout, max_episode_steps=limit, **options)


class GridWorldVectorEnv(TabularVectorEnv):
    """The batched form of `GridWorldEnv`, with the options of `TabularVectorEnv`."""

    def __init__(
        self,
        num_envs: int = 1,
        map: MapSource = DEFAULT_MAP,
        *,
        slip: float | None = None,
        max_episode_steps: int | None = None,
        **options: Any,
    ) -> None:
        self.map = map_of(map, slip)
        mdp, layout = compile_map(self.map)
        limit = lower(max_episode_steps, self.map.max_episode_steps)
        super().__init__(mdp, num_envs, layout=layout, max_episode_steps=limit, **options)


def map_of(source: MapSource, slip: float | None) -> GridMap:
    """The map, with another slip where one is asked for."""
    grid = load_map(source)
    return grid if slip is None else grid.with_slip(slip)


def lower(*limits: int | None) -> int | None:
    """The lowest limit that is one; ArgumentError where one is no limit."""
    return min((limit for limit in map(checked_limit, limits) if limit is not None), default=None)
