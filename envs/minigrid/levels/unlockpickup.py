"""UnlockPickup: two rooms with a locked door between them; a box in the other room is to be picked up.

Source: minigrid 3.2.0, envs/unlockpickup.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import BOX_KIND, KEY_KIND, colour_of, set_target
from rltk.envs.minigrid.family import Family, Plan, plan_of_rooms
from rltk.envs.minigrid.level import MISSION, NO_ROOM, RIGHT
from rltk.envs.minigrid.missions import COLOUR_WORDS, Missions
from rltk.envs.minigrid.rooms import DRAW, add_door, add_object, build_rooms, place_agent_in_room
from rltk.envs.minigrid.rules import CARRY_RULE
from rltk.mdp import jit


@jit(_nrt=False)
def generate(level, options, stream):
    """options: the rooms."""
    build_rooms(level, stream, options[0], options[1], options[2])
    box_x, box_y, box = add_object(level, stream, 1, 0, BOX_KIND, DRAW)
    if box_x < 0:
        return NO_ROOM
    _, _, colour = add_door(level, stream, 0, 0, RIGHT, DRAW, 1)
    x, _, _ = add_object(level, stream, 0, 0, KEY_KIND, colour)
    if x < 0:
        return NO_ROOM
    set_target(level, box_x, box_y)
    level.body[MISSION] = colour_of(box)
    return place_agent_in_room(level, stream, 0, 0)


def plan() -> Plan:
    """No options of its own."""
    missions = Missions("pick up the {} box", COLOUR_WORDS)
    return plan_of_rooms(6, 2, 1, max_steps=8 * 6**2, missions=missions, rule=CARRY_RULE)


FAMILY = Family("UnlockPickup", generate, plan)
