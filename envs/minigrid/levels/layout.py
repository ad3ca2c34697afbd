"""Layout: a person's own level (`making/layout.py`), the same in every episode, or with the agent anywhere on it.

The generator's numbers are the level itself: whether the agent is placed at random, how many words of `memory` there
are, the registers of `body`, the memory, and the codes of all cells row by row.
"""

from collections.abc import Sequence
from typing import Any

from rltk.envs.minigrid.actions import FORWARD, N_ACTIONS
from rltk.envs.minigrid.board import place_agent_anywhere, put
from rltk.envs.minigrid.family import Family, Plan, check_flag
from rltk.envs.minigrid.level import BODY, FINE, HEIGHT, MAX_STEPS, MISSION, WIDTH
from rltk.envs.minigrid.making.layout import layout_of
from rltk.envs.minigrid.missions import Missions
from rltk.envs.minigrid.rules import OBSTACLES_RULE
from rltk.errors import ArgumentError
from rltk.mdp import jit

ANYWHERE, WORDS, REGISTERS = range(3)

# What `rltk/MiniGrid-v0` is where no layout is given.
EXAMPLE = """
########
#..#...#
#>.#...#
#..D...#
#k.#..G#
########
---
name = "example"
mission = "use the key to open the door and then get to the goal"

[legend]
D = "yellow door locked"
k = "yellow key"
"""


@jit(_nrt=False)
def generate(level, options, stream):
    """options: as the module says."""
    width, height = level.board[WIDTH], level.board[HEIGHT]
    for i in range(BODY):
        if i != MAX_STEPS:
            level.body[i] = options[REGISTERS + i]
    memory = REGISTERS + BODY
    for i in range(options[WORDS]):
        level.memory[i] = options[memory + i]
    codes = memory + options[WORDS]
    for y in range(height):
        for x in range(width):
            put(level, x, y, options[codes + y * width + x])
    if options[ANYWHERE]:
        return place_agent_anywhere(level, stream)
    return FINE


def plan(layout: Any = EXAMPLE, random_start: bool = False, missions: Sequence[str] | None = None) -> Plan:
    """layout: a `Layout`, its text, or the path of a file. random_start: the agent is on a random free cell, facing
    anywhere, in each episode. missions: all that the agent may be told, if more than the layout's own mission.
    """
    level = layout_of(layout)
    texts = (level.mission,) if missions is None else tuple(missions)
    if not texts or not all(isinstance(text, str) for text in texts) or (level.mission and level.mission not in texts):
        raise ArgumentError(f"missions: sentences, of which one is the layout's, {level.mission!r}; found {missions!r}")
    height, width = level.codes.shape
    memory, registers = level.memory(), level.registers()
    registers[MISSION] = texts.index(level.mission) if level.mission else 0
    obstacles = level.rule_number == OBSTACLES_RULE
    numbers = (
        int(check_flag("random_start", random_start)),
        len(memory),
        *registers,
        *memory,
        *level.codes.ravel().tolist(),
    )
    return Plan(
        width=width,
        height=height,
        max_steps=level.limit,
        missions=Missions("{}", texts),
        options=numbers,
        see_through_walls=level.see_through_walls,
        rule=level.rule_number,
        memory=len(memory),
        n_actions=FORWARD + 1 if obstacles else N_ACTIONS,
        draws_in_step=obstacles,
    )


FAMILY = Family("Layout", generate, plan)
