"""DynamicObstacles: an empty room in which balls wander about; walking into anything but the goal costs 1 and ends.

Each ball moves before the agent does, to a random free cell beside it (`rules.py`, OBSTACLES_RULE). There are three
actions; MiniGrid takes the other four too, and turns left. Walls hide nothing.

Source: minigrid 3.2.0, envs/dynamicobstacles.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.actions import FORWARD
from rltk.envs.minigrid.board import find_free, place_agent_anywhere, put, set_agent, surround
from rltk.envs.minigrid.cells import BALL, BLUE, GOAL, GREEN
from rltk.envs.minigrid.family import NOWHERE, Family, Plan, check_direction, check_place, check_size
from rltk.envs.minigrid.level import FINE, NO_ROOM, WIDTH
from rltk.envs.minigrid.missions import Missions
from rltk.envs.minigrid.rules import OBSTACLE_TRIES, OBSTACLES_RULE
from rltk.envs.minigrid.scattering import clear_list, enlist, list_memory
from rltk.envs.tabular.options import check_integer
from rltk.mdp import jit

START_X, START_Y, START_DIRECTION, N_OBSTACLES = range(4)


@jit(_nrt=False)
def generate(level, options, stream):
    """options: where the agent starts, or -1 for anywhere, its direction, and how many obstacles there are."""
    size = level.board[WIDTH]
    surround(level)
    put(level, size - 2, size - 2, GOAL + GREEN)
    if options[START_X] >= 0:
        set_agent(level, options[START_X], options[START_Y], options[START_DIRECTION])
    elif place_agent_anywhere(level, stream) != FINE:
        return NO_ROOM
    clear_list(level)
    for _ in range(options[N_OBSTACLES]):
        x, y = find_free(level, stream, 0, 0, size, size, OBSTACLE_TRIES)
        if x < 0:
            return NO_ROOM
        put(level, x, y, BALL + BLUE)
        enlist(level, x, y)
    return FINE


def plan(
    size: int = 8,
    agent_start_pos: tuple[int, int] | None = (1, 1),
    agent_start_dir: int = 0,
    n_obstacles: int = 4,
) -> Plan:
    """size: cells along a side, walls included. agent_start_pos: None is anywhere, facing anywhere.

    n_obstacles: if they are more than size / 2 + 1, there are size / 2.
    """
    size = check_size("size", size, 4)
    start = NOWHERE if agent_start_pos is None else check_place("agent_start_pos", agent_start_pos, size, size)
    count = check_integer("n_obstacles", n_obstacles, 0)
    if count > size / 2 + 1:
        count = size // 2
    return Plan(
        width=size,
        height=size,
        max_steps=4 * size**2,
        missions=Missions("get to the green goal square"),
        options=(*start, check_direction("agent_start_dir", agent_start_dir), count),
        see_through_walls=True,
        rule=OBSTACLES_RULE,
        memory=list_memory(count),
        n_actions=FORWARD + 1,
        draws_in_step=True,
    )


FAMILY = Family("DynamicObstacles", generate, plan)
