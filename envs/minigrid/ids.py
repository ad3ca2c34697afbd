"""Which ids there are: per family its file in `levels/`, and MiniGrid's ids with their options. Only names and numbers.

Source: minigrid 3.2.0, __init__.py (`register_minigrid_envs`).
"""

from typing import Any

# family -> (module of rltk.envs.minigrid.levels, {MiniGrid's id: options})
FAMILIES: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "DoorKey": (
        "doorkey",
        {
            "MiniGrid-DoorKey-5x5-v0": {"size": 5},
            "MiniGrid-DoorKey-6x6-v0": {"size": 6},
            "MiniGrid-DoorKey-8x8-v0": {"size": 8},
            "MiniGrid-DoorKey-16x16-v0": {"size": 16},
        },
    ),
    "Empty": (
        "empty",
        {
            "MiniGrid-Empty-5x5-v0": {"size": 5},
            "MiniGrid-Empty-Random-5x5-v0": {"size": 5, "agent_start_pos": None},
            "MiniGrid-Empty-6x6-v0": {"size": 6},
            "MiniGrid-Empty-Random-6x6-v0": {"size": 6, "agent_start_pos": None},
            "MiniGrid-Empty-8x8-v0": {},
            "MiniGrid-Empty-16x16-v0": {"size": 16},
        },
    ),
}
