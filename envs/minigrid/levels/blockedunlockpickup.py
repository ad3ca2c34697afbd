"""BlockedUnlockPickup: two rooms with a locked door between them, and a ball before it; a box is to be picked up.

Source: minigrid 3.2.0, envs/blockedunlockpickup.py; Chevalier-Boisvert et al. (2023), "Minigrid & Miniworld".
"""

from rltk.envs.minigrid.board import BOX_KIND, KEY_KIND, colour_of, put, random_colour, set_target
from rltk.envs.minigrid.cells import BALL
from rltk.envs.minigrid.family import Family, Plan, plan_of_rooms
from rltk.envs.minigrid.level import MISSION, NO_ROOM, RIGHT
from rltk.envs.minigrid.missions import COLOUR_WORDS, Missions
from rltk.envs.minigrid.rooms import DRAW, add_door, add_object, build_rooms, place_agent_in_room
from rltk.envs.minigrid.rules import CARRY_RULE
from rltk.mdp import jit

# MiniGrid may speak of keys in this family, but never does.
WORDS = ("box", "key")
N_WORDS = len(WORDS)


@jit(_nrt=False)
def generate(level, options, stream):
    """options: the rooms."""
    build_rooms(level, stream, options[0], options[1], options[2])
    box_x, box_y, box = add_object(level, stream, 1, 0, BOX_KIND, DRAW)
    if box_x < 0:
        return NO_ROOM
    door_x, door_y, colour = add_door(level, stream, 0, 0, RIGHT, DRAW, 1)
    put(level, door_x - 1, door_y, BALL + random_colour(stream))
    x, _, _ = add_object(level, stream, 0, 0, KEY_KIND, colour)
    if x < 0:
        return NO_ROOM
    set_target(level, box_x, box_y)
    level.body[MISSION] = colour_of(box) * N_WORDS
    return place_agent_in_room(level, stream, 0, 0)


def plan() -> Plan:
    """No options of its own."""
    missions = Missions("pick up the {} {}", COLOUR_WORDS, WORDS)
    return plan_of_rooms(6, 2, 1, max_steps=16 * 6**2, missions=missions, rule=CARRY_RULE)


FAMILY = Family("BlockedUnlockPickup", generate, plan)
