"""The ids that `import rltk` registers with Gymnasium, as strings: nothing is loaded until an environment is made.

Time limits are Gymnasium's where the environment is Gymnasium's. A map of one's own brings its limit in its file.
"""

from typing import Any

import gymnasium as gym

_GRIDWORLD = "rltk.envs.gridworld:GridWorldEnv", "rltk.envs.gridworld:GridWorldVectorEnv"
_MAZE = "rltk.envs.gridworld:MazeEnv", "rltk.envs.gridworld:MazeVectorEnv"
_TAXI = "rltk.envs.gridworld:TaxiEnv", "rltk.envs.gridworld:TaxiVectorEnv"

# id -> (single and batched entry point, time limit in steps, further arguments)
IDS: dict[str, tuple[tuple[str, str], int | None, dict[str, Any]]] = {
    "rltk/GridWorld-v0": (_GRIDWORLD, None, {}),
    "rltk/RussellNorvig4x3-v0": (_GRIDWORLD, 100, {"map": "russell_norvig_4x3"}),
    "rltk/SuttonBarto5x5-v0": (_GRIDWORLD, 100, {"map": "sutton_barto_5x5"}),
    "rltk/SuttonBarto4x4-v0": (_GRIDWORLD, 100, {"map": "sutton_barto_4x4"}),
    "rltk/CliffWalking-v0": (_GRIDWORLD, 1000, {"map": "cliff_walking"}),
    "rltk/FourRooms-v0": (_GRIDWORLD, 500, {"map": "four_rooms"}),
    "rltk/FrozenLake-v0": (_GRIDWORLD, 100, {"map": "frozen_lake"}),
    "rltk/FrozenLake8x8-v0": (_GRIDWORLD, 200, {"map": "frozen_lake_8x8"}),
    "rltk/Taxi-v0": (_TAXI, 200, {}),
    "rltk/Maze-v0": (_MAZE, None, {}),
}


def register_all() -> None:
    """Register every id that is not registered yet."""
    for name, ((entry_point, vector_entry_point), limit, kwargs) in IDS.items():
        if name not in gym.registry:
            gym.register(
                id=name,
                entry_point=entry_point,
                vector_entry_point=vector_entry_point,
                max_episode_steps=limit,
                kwargs=kwargs,
            )
