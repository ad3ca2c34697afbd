"""Unlock: two rooms with a locked door between them, which is to be opened; the key lies in the agent's room.

Source: minigrid 3.2.0, envs/unlock.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import KEY_KIND, set_target
from rltk.envs.minigrid.family import Family, Plan, plan_of_rooms
from rltk.envs.minigrid.level import NO_ROOM, RIGHT
from rltk.envs.minigrid.missions import Missions
from rltk.envs.minigrid.rooms import DRAW, add_door, add_object, build_rooms, place_agent_in_room
from rltk.envs.minigrid.rules import OPEN_RULE
from rltk.mdp import jit


@jit(_nrt=False)
def generate(level, options, stream):
    """options: the rooms."""
    build_rooms(level, stream, options[0], options[1], options[2])
    door_x, door_y, colour = add_door(level, stream, 0, 0, RIGHT, DRAW, 1)
    x, _, _ = add_object(level, stream, 0, 0, KEY_KIND, colour)
    if x < 0:
        return NO_ROOM
    set_target(level, door_x, door_y)
    return place_agent_in_room(level, stream, 0, 0)


def plan() -> Plan:
    """No options of its own."""
    return plan_of_rooms(6, 2, 1, max_steps=8 * 6**2, missions=Missions("open the door"), rule=OPEN_RULE)


FAMILY = Family("Unlock", generate, plan)
