"""When an episode ends, and what that pays.

In every family, stepping on a goal ends the episode with success and stepping into lava ends it with nothing. A family
may have one of the rules below besides; they read the registers TARGET and OTHER of `body`, which its generator filled.

| rule | success | failure | registers |
| --- | --- | --- | --- |
| GOAL_RULE | | | |
| CARRY_RULE | the TARGET is picked up | | TARGET: a code; TARGET_X, TARGET_Y: where it is |
| FETCH_RULE | the TARGET is carried | something else is carried | TARGET: a code |
| GO_TO_RULE | "done" beside the place TARGET | "done" elsewhere, or any toggle | TARGET_X, TARGET_Y |
| OPEN_RULE | the door TARGET is open after a toggle | | TARGET_X, TARGET_Y |
| IN_TURN_RULE | OTHER is opened after TARGET | OTHER is opened first | the doors' TARGET_X ..., OTHER_X ... |
| STAND_RULE | the agent stands at TARGET | it stands at OTHER | TARGET_X ..., OTHER_X ... |
| PUT_NEAR_RULE | TARGET is dropped near OTHER | any other pick-up or drop | TARGET: a code; OTHER_X, OTHER_Y |
| OBSTACLES_RULE | | walking into anything costs 1 and ends | `memory`: how many, then x, y of each |

Under STAND_RULE to pick up is to toggle. Under OBSTACLES_RULE the obstacles move before the agent, whose way counts as
blocked if it was before they moved; all actions but the first three are to turn left.

Success pays 1 - 0.9 * (step / max_steps), where `step` counts this one: 1 where there is no limit.

Source: minigrid 3.2.0, minigrid_env.py (`_reward`) and the `step` of each family.
"""

import numpy as np

from rltk.envs.minigrid.actions import (
    DONE,
    DROP,
    FAILURE,
    FORWARD,
    NOTHING,
    PENALTY,
    PICK_UP,
    SUCCESS,
    TOGGLE,
    TURN_LEFT,
    act,
)
from rltk.envs.minigrid.board import AHEAD_X, AHEAD_Y, find_free, get, put
from rltk.envs.minigrid.cells import EMPTY, FLAGS, IS_DOOR, IS_GOAL, WALKABLE
from rltk.envs.minigrid.level import (
    CARRYING,
    DIRECTION,
    FOREVER,
    MAX_STEPS,
    OTHER_X,
    OTHER_Y,
    RULE,
    STEPS,
    TARGET,
    TARGET_X,
    TARGET_Y,
    X,
    Y,
)
from rltk.envs.minigrid.scattering import place_of, set_place
from rltk.mdp import jit

(
    GOAL_RULE,
    CARRY_RULE,
    FETCH_RULE,
    GO_TO_RULE,
    OPEN_RULE,
    IN_TURN_RULE,
    STAND_RULE,
    PUT_NEAR_RULE,
    OBSTACLES_RULE,
) = range(9)

# An obstacle looks so often for a place to go to, in a square so wide around it; then it stays.
OBSTACLE_TRIES, OBSTACLE_REACH = 101, 3


@jit(_nrt=False)
def ahead_of(level):
    """(x, y) of the cell ahead of the agent."""
    direction = level.body[DIRECTION]
    return level.body[X] + AHEAD_X[direction], level.body[Y] + AHEAD_Y[direction]


@jit(_nrt=False)
def is_open(code):
    """Whether it is an open door."""
    return FLAGS[code] & IS_DOOR != 0 and FLAGS[code] & WALKABLE != 0


@jit(_nrt=False, inline="always")
def advance(level, stream, action):
    """One step of an episode: its outcome. stream: for the rule under which things move.

    It is inlined, as `act` is: to hand over a level's arrays takes longer than a step.
    """
    if level.body[STEPS] < FOREVER - 1:  # the register must not overflow where no limit ends the episode
        level.body[STEPS] += 1
    rule = level.board[RULE]
    if rule == GOAL_RULE:
        outcome, _ = act(level, action)
        return outcome
    if rule == OBSTACLES_RULE:
        return advance_among_obstacles(level, stream, action)
    if rule == STAND_RULE and action == PICK_UP:
        action = TOGGLE
    carried = level.body[CARRYING]
    outcome, front = act(level, action)
    if rule == CARRY_RULE:
        return judge_carrying(level, action, carried, outcome)
    if rule == FETCH_RULE:
        if level.body[CARRYING] == 0:
            return outcome
        return SUCCESS if level.body[CARRYING] == level.body[TARGET] else FAILURE
    if rule == GO_TO_RULE:
        return judge_going(level, action, outcome)
    if rule == OPEN_RULE:
        opened = is_open(get(level, level.body[TARGET_X], level.body[TARGET_Y]))
        return SUCCESS if action == TOGGLE and opened else outcome
    if rule == IN_TURN_RULE:
        return judge_doors(level, action, front, outcome)
    if rule == STAND_RULE:
        return judge_standing(level, outcome)
    return judge_putting(level, action, carried, outcome)


@jit(_nrt=False)
def judge_carrying(level, action, carried, outcome):
    """CARRY_RULE. carried: what the agent carried before the action.

    Another thing may look like the target (a key like the key that is wanted). What the agent carries is the target if
    it looks like it and the target is not in its place; who steps on after the end may set it down elsewhere.
    """
    body = level.body
    away = get(level, body[TARGET_X], body[TARGET_Y]) != body[TARGET]
    if away and carried == body[TARGET] and body[CARRYING] == 0:
        body[TARGET_X], body[TARGET_Y] = ahead_of(level)
    return SUCCESS if action == PICK_UP and away and body[CARRYING] == body[TARGET] else outcome


@jit(_nrt=False)
def judge_going(level, action, outcome):
    """GO_TO_RULE."""
    if action == DONE:
        away = abs(level.body[X] - level.body[TARGET_X]) + abs(level.body[Y] - level.body[TARGET_Y])
        return SUCCESS if away == 1 else FAILURE
    return FAILURE if action == TOGGLE else outcome


@jit(_nrt=False)
def judge_doors(level, action, front, outcome):
    """IN_TURN_RULE. front: what stood ahead before the action."""
    body = level.body
    first, second = (
        is_open(get(level, body[TARGET_X], body[TARGET_Y])),
        is_open(get(level, body[OTHER_X], body[OTHER_Y])),
    )
    first_before, second_before = first, second
    if action == TOGGLE:
        x, y = ahead_of(level)
        if x == body[TARGET_X] and y == body[TARGET_Y]:
            first_before = is_open(front)
        if x == body[OTHER_X] and y == body[OTHER_Y]:
            second_before = is_open(front)
    if second:
        return SUCCESS if first_before else FAILURE
    return FAILURE if first and second_before else outcome


@jit(_nrt=False)
def judge_standing(level, outcome):
    """STAND_RULE."""
    body = level.body
    if body[X] == body[OTHER_X] and body[Y] == body[OTHER_Y]:
        return FAILURE
    return SUCCESS if body[X] == body[TARGET_X] and body[Y] == body[TARGET_Y] else outcome


@jit(_nrt=False)
def judge_putting(level, action, carried, outcome):
    """PUT_NEAR_RULE. carried: what the agent carried before the action."""
    body = level.body
    if action == PICK_UP and body[CARRYING] != 0 and body[CARRYING] != body[TARGET]:
        return FAILURE
    if action == DROP and carried != 0:
        x, y = ahead_of(level)
        near = abs(x - body[OTHER_X]) <= 1 and abs(y - body[OTHER_Y]) <= 1
        return SUCCESS if body[CARRYING] == 0 and near else FAILURE
    return outcome


@jit(_nrt=False)
def advance_among_obstacles(level, stream, action):
    """OBSTACLES_RULE."""
    if action > FORWARD:
        action = TURN_LEFT
    blocked = is_blocked(level)
    for k in range(level.memory[0]):
        old_x, old_y = place_of(level, k)
        x, y = find_free(level, stream, old_x - 1, old_y - 1, OBSTACLE_REACH, OBSTACLE_REACH, OBSTACLE_TRIES)
        if x >= 0:
            move_obstacle(level, k, x, y)
    return go_among_obstacles(level, action, blocked)


@jit(_nrt=False)
def is_blocked(level):
    """Whether the agent would walk into something that is no goal."""
    x, y = ahead_of(level)
    front = get(level, x, y)
    return front != EMPTY and FLAGS[front] & IS_GOAL == 0


@jit(_nrt=False)
def move_obstacle(level, k, x, y):
    """The k-th obstacle to the cell (x, y)."""
    old_x, old_y = place_of(level, k)
    code = get(level, old_x, old_y)
    put(level, old_x, old_y, EMPTY)
    put(level, x, y, code)
    set_place(level, k, x, y)


@jit(_nrt=False)
def go_among_obstacles(level, action, blocked):
    """What the agent does after the obstacles moved. blocked: as it was before they did."""
    outcome, _ = act(level, action)
    return PENALTY if action == FORWARD and blocked else outcome


@jit(_nrt=False)
def reward_of(level, outcome):
    """What a step with this outcome pays."""
    if outcome == SUCCESS:
        if level.body[MAX_STEPS] == FOREVER:
            return 1.0
        return 1.0 - 0.9 * (np.float64(level.body[STEPS]) / np.float64(level.body[MAX_STEPS]))
    return -1.0 if outcome == PENALTY else 0.0


@jit(_nrt=False)
def ends(outcome):
    """Whether a step with this outcome ends the episode."""
    return outcome != NOTHING
