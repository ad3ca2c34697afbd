"""A layout in place of a family's level, for one episode of any MiniGrid environment."""

from typing import Any

import numpy as np
from gymnasium import spaces

from rltk.envs.minigrid.core import Core
from rltk.envs.minigrid.family import View, configure
from rltk.envs.minigrid.making.layout import layout_of
from rltk.errors import ArgumentError


def core_for(source: Any, home: Core, mission: str) -> Core:
    """A core of one level that plays a layout, seen, shown and limited as the levels of `home` are.

    source: as `layout_of` takes it; None is `home` itself. mission: how the environment says it. A layout that says
    none is given the first sentence of the family.

    Raises ArgumentError where the mission is none of the family's and can't be said otherwise than as text.
    """
    if source is None:
        return home
    layout, setting = layout_of(source), home.setting
    sentences = setting.plan.missions.texts
    known = not layout.mission or layout.mission in sentences
    if not known and mission not in ("text", "none"):
        raise ArgumentError(
            f"options['layout']: its mission, {layout.mission!r}, is none of the {len(sentences)} that this "
            f"environment knows, and mission={mission!r} can't say it; take mission='text' or mission='none'"
        )
    shared = {name: value for name, value in setting.arguments.items() if name in View.__dataclass_fields__}
    limit = setting.arguments["max_steps"]
    return Core(configure("Layout", layout=layout, missions=sentences if known else None, max_steps=limit, **shared), 1)


def misfit_of(observation: Any, space: spaces.Space[Any]) -> ArgumentError | None:
    """What to raise where an observation has not its space's shapes, since the board has another size; else None."""
    parts: list[tuple[Any, Any]] = [(observation, space)]
    if isinstance(observation, dict) and isinstance(space, spaces.Dict):
        parts = [(part, space[name]) for name, part in observation.items()]
    for part, room in parts:
        if isinstance(part, np.ndarray) and part.shape != room.shape:
            return ArgumentError(
                f"options['layout']: a board of this size is seen as {part.shape}, but the observations of this "
                f"environment have the shape {room.shape}; make one for it: gym.make('rltk/MiniGrid-v0', layout=...)"
            )
    return None
