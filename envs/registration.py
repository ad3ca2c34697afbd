"""The ids that `import rltk` registers with Gymnasium, as strings: nothing is loaded until an environment is made.

Time limits are Gymnasium's where the environment is Gymnasium's. A map of one's own brings its limit in its file.
"""

from typing import Any

import gymnasium as gym

from rltk.envs.minigrid.ids import FAMILIES, OWN_FAMILIES

_GRIDWORLD = "rltk.envs.gridworld:GridWorldEnv", "rltk.envs.gridworld:GridWorldVectorEnv"
_MAZE = "rltk.envs.gridworld:MazeEnv", "rltk.envs.gridworld:MazeVectorEnv"
_TAXI = "rltk.envs.gridworld:TaxiEnv", "rltk.envs.gridworld:TaxiVectorEnv"
_RACETRACK = "rltk.envs.gridworld:RacetrackEnv", "rltk.envs.gridworld:RacetrackVectorEnv"
_WINDY = "rltk.envs.gridworld:WindyGridworldEnv", "rltk.envs.gridworld:WindyGridworldVectorEnv"
_CHANGING = "rltk.envs.gridworld:ChangingMazeEnv", "rltk.envs.gridworld:ChangingMazeVectorEnv"
_CLASSICS = "rltk.envs.classics"
_RANDOM_WALK = f"{_CLASSICS}:RandomWalkEnv", f"{_CLASSICS}:RandomWalkVectorEnv"
_GAMBLER = f"{_CLASSICS}:GamblersProblemEnv", f"{_CLASSICS}:GamblersProblemVectorEnv"
_CAR_RENTAL = f"{_CLASSICS}:JacksCarRentalEnv", f"{_CLASSICS}:JacksCarRentalVectorEnv"
_BIAS = f"{_CLASSICS}:MaximizationBiasEnv", f"{_CLASSICS}:MaximizationBiasVectorEnv"
_BLACKJACK = f"{_CLASSICS}:BlackjackEnv", f"{_CLASSICS}:BlackjackVectorEnv"
_MINIGRID = "rltk.envs.minigrid:MiniGridEnv", "rltk.envs.minigrid:MiniGridVectorEnv"
_BANDIT = f"{_CLASSICS}:BanditEnv", f"{_CLASSICS}:BanditVectorEnv"

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
    "rltk/WindyGridworld-v0": (_WINDY, 10_000, {}),
    "rltk/WindyGridworldKings-v0": (_WINDY, 10_000, {"moves": "kings"}),
    "rltk/WindyGridworldStochastic-v0": (_WINDY, 10_000, {"moves": "kings", "stochastic": True}),
    "rltk/RandomWalk-v0": (_RANDOM_WALK, 10_000, {}),
    "rltk/GamblersProblem-v0": (_GAMBLER, 1000, {}),
    "rltk/JacksCarRental-v0": (_CAR_RENTAL, 365, {}),
    "rltk/MaximizationBias-v0": (_BIAS, 10, {}),
    "rltk/Blackjack-v0": (_BLACKJACK, 100, {}),
    "rltk/Bandit-v0": (_BANDIT, 1000, {}),
    "rltk/Racetrack-v0": (_RACETRACK, 1000, {}),
    "rltk/DynaMaze-v0": (_GRIDWORLD, 10_000, {"map": "dyna_maze"}),
    "rltk/BlockingMaze-v0": (
        _CHANGING,
        10_000,
        {"maps": ("blocking_maze_1", "blocking_maze_2"), "changes": (1000,)},
    ),
    "rltk/ShortcutMaze-v0": (
        _CHANGING,
        10_000,
        {"maps": ("shortcut_maze_1", "shortcut_maze_2"), "changes": (3000,)},
    ),
}
# MiniGrid's environments truncate by themselves, after their `max_steps`.
IDS |= {
    f"rltk/{name}": (_MINIGRID, None, {"family": family, **options})
    for family, (_, ids) in (FAMILIES | OWN_FAMILIES).items()
    for name, options in ids.items()
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
