"""Empty: an empty room with a goal in its lower right corner.

The agent starts in the upper left corner, or anywhere. Walls hide nothing.

Source: minigrid 3.2.0, envs/empty.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld: modular & customizable
reinforcement learning environments for goal-oriented tasks", NeurIPS Datasets and Benchmarks.
"""

from rltk.envs.minigrid.board import place_agent_anywhere, put, set_agent, surround
from rltk.envs.minigrid.cells import GOAL, GREEN
from rltk.envs.minigrid.family import NOWHERE, Family, Plan, check_direction, check_place, check_size
from rltk.envs.minigrid.level import FINE, HEIGHT, WIDTH
from rltk.envs.minigrid.missions import Missions
from rltk.mdp import jit

START_X, START_Y, START_DIRECTION = range(3)


@jit(_nrt=False)
def generate(level, options, stream):
    """options: where the agent starts, or -1 for anywhere, and its direction."""
    surround(level)
    put(level, level.board[WIDTH] - 2, level.board[HEIGHT] - 2, GOAL + GREEN)
    if options[START_X] < 0:
        return place_agent_anywhere(level, stream)
    set_agent(level, options[START_X], options[START_Y], options[START_DIRECTION])
    return FINE


def plan(size: int = 8, agent_start_pos: tuple[int, int] | None = (1, 1), agent_start_dir: int = 0) -> Plan:
    """size: cells along a side, walls included. agent_start_pos: None is anywhere, facing anywhere."""
    size = check_size("size", size, 3 if agent_start_pos is not None else 4)
    start = NOWHERE if agent_start_pos is None else check_place("agent_start_pos", agent_start_pos, size, size)
    return Plan(
        width=size,
        height=size,
        max_steps=4 * size**2,
        missions=Missions("get to the green goal square"),
        options=(*start, check_direction("agent_start_dir", agent_start_dir)),
        see_through_walls=True,
    )


FAMILY = Family("Empty", generate, plan)
