"""A family of MiniGrid's levels to copy: say how a level is built, and rltk derives everything else.

From one function come levels for any seed, drawn from NumPy's stream as MiniGrid draws them; environments single and
batched, with all observation modes and pictures; and the exact model of each level, so its shortest plan and optimum.
Copy this file, change it, and keep its test, `tests/envs/minigrid/test_minigrid_families.py`.

The levels: a row of rooms between which there are closed doors, of which one is locked; its key lies in the agent's
room, the first. The goal is in the last room.
"""

import gymnasium as gym

import rltk
from rltk.envs.minigrid import Builder, Random, level_family
from rltk.envs.minigrid.cells import COLOURS


@level_family("RowOfRooms", "get to the green goal square")
def row_of_rooms(level: Builder, random: Random, width: int = 13, height: int = 6, rooms: int = 3) -> None:
    """The further arguments are the options of the environments. `width` and `height`, or `size`, are the board's."""
    level.surround()
    pitch = (width - 1) // rooms
    locked, colour = random.integers(1, rooms), random.choice(sorted(COLOURS))
    for room in range(1, rooms):
        x = room * pitch
        level.vertical_wall(x, 0)
        # Things are said in words (`words.py`).
        door = f"{colour} door locked" if room == locked else "grey door closed"
        level.put(x, random.integers(1, height - 1), door)
    level.place(f"{colour} key", 0, 0, pitch, height)
    level.place_agent(0, 0, pitch, height)
    level.place("green goal", (rooms - 1) * pitch + 1, 0)


if __name__ == "__main__":
    env = gym.make("rltk/MiniGrid-v0", family=row_of_rooms, rooms=4, max_steps=200)
    env.reset(seed=0)
    print(rltk.envs.minigrid.Layout.from_env(env))
    print(rltk.solve(env, gamma=0.99))
