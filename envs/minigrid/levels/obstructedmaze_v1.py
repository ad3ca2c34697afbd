"""ObstructedMaze, version 1: as `obstructedmaze.py`, but a room's keys are placed after its balls, which crush none.

Source: minigrid 3.2.0, envs/obstructedmaze_v1.py.
"""

from rltk.envs.minigrid.family import Family, Plan
from rltk.envs.minigrid.levels.obstructedmaze import full_plan, generate


def plan(
    agent_room: tuple[int, int] = (1, 1),
    key_in_box: bool = True,
    blocked: bool = True,
    num_quarters: int = 4,
    num_rooms_visited: int = 25,
) -> Plan:
    """agent_room: (column, row). key_in_box: keys lie in boxes. blocked: balls stand before doors.

    num_quarters: corners with doors. num_rooms_visited: an episode's time, in rooms.
    """
    return full_plan(agent_room, key_in_box, blocked, num_quarters, num_rooms_visited, keys_last=True)


FAMILY = Family("ObstructedMazeFullV1", generate, plan)
