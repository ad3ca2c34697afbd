"""minigrid 3.2.0 beside rltk, and a policy that finds every ending. Each family of `ids.py` enters by itself.

With RLTK_FULL=1 in the environment the runs have the lengths of the full comparison: 200 seeds and 100,000 steps an id.
"""

import os
from collections import Counter, deque
from itertools import pairwise

import gymnasium as gym
import minigrid  # registers its ids
import numpy as np

import rltk
from rltk.envs.minigrid import cells
from rltk.envs.minigrid.ids import FAMILIES
from rltk.envs.minigrid.level import CARRYING, TARGET, TARGET_X, TARGET_Y
from rltk.envs.minigrid.rules import (
    FETCH_RULE,
    GO_TO_RULE,
    GOAL_RULE,
    IN_TURN_RULE,
    OBSTACLES_RULE,
    PUT_NEAR_RULE,
    STAND_RULE,
)

assert minigrid.__version__ == "3.2.0"
assert rltk.__version__  # registers rltk's ids

FULL = os.environ.get("RLTK_FULL") == "1"
SEEDS = range(200 if FULL else 50)

IDS = sorted(name for _, ids in FAMILIES.values() for name in ids)
FIRST_IDS = sorted(next(iter(ids)) for _, ids in FAMILIES.values())  # one a family
# How many seeds of each id are compared: a family's ids share one generator, and differ in its options.
SEEDS_OF = {name: SEEDS if FULL or name in FIRST_IDS else SEEDS[:25] for name in IDS}
# How long each id is stepped. So many steps of the first id of a family meet all of its endings.
STEPS = {name: 100_000 if FULL else 1_500 if name in FIRST_IDS else 200 for name in IDS}

LEFT, RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, DONE = range(7)
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))
TRIPLES = cells.TRIPLES.tolist()
PASSABLE = ((cells.FLAGS & cells.WALKABLE != 0) & (cells.FLAGS & (cells.IS_GOAL | cells.IS_LAVA) == 0)).tolist()

# How an episode may end besides success, which all but GOAL_RULE without a goal on the board can reach.
BAD_ENDINGS = {
    FETCH_RULE: {"failure"},
    GO_TO_RULE: {"failure"},
    IN_TURN_RULE: {"failure"},
    STAND_RULE: {"failure"},
    PUT_NEAR_RULE: {"failure"},
    OBSTACLES_RULE: {"penalty"},
}


def endings_of(env):
    """The endings that `env`, rltk's own, can have by its rule and by what stands on its board; time besides."""
    flags = cells.FLAGS[env.grid.codes()]
    rule = env._setting.plan.rule
    endings = set(BAD_ENDINGS.get(rule, ()))
    if rule != GOAL_RULE or (flags & cells.IS_GOAL).any():
        endings.add("success")
    if (flags & cells.IS_LAVA).any():
        endings.add("failure")
    return endings


def is_locked(code):
    """Whether it is a locked door."""
    return cells.FLAGS[code] & cells.IS_DOOR != 0 and TRIPLES[code][2] == cells.LOCKED


def key_colour(code):
    """A key's colour; None of all else."""
    return TRIPLES[code][1] if cells.TYPES[TRIPLES[code][0]] == "key" else None


def twins(name, **options):
    """(minigrid's environment, rltk's), both without wrappers."""
    return gym.make(name, **options).unwrapped, gym.make(f"rltk/{name}", **options).unwrapped


def assert_same_observation(found, expected, where=""):
    """image, direction and mission, types of arrays included."""
    assert found.keys() == expected.keys(), where
    assert found["image"].dtype == expected["image"].dtype, where
    assert np.array_equal(found["image"], expected["image"]), where
    assert found["direction"] == expected["direction"], where
    assert found["mission"] == expected["mission"], where


def assert_same_level(mine, theirs, where=""):
    """The whole board, the agent and what it carries and is told."""
    assert np.array_equal(mine.grid.encode(), theirs.grid.encode()), where
    assert tuple(mine.agent_pos) == tuple(theirs.agent_pos), where
    assert mine.agent_dir == theirs.agent_dir, where
    assert mine.mission == theirs.mission, where
    assert mine.max_steps == theirs.max_steps, where
    assert (mine.carrying is None) == (theirs.carrying is None), where
    assert mine.carrying is None or mine.carrying.encode() == theirs.carrying.encode(), where
    for i, thing in enumerate(theirs.grid.grid):  # row by row
        held = getattr(thing, "contains", None)
        if held is not None:
            assert mine.grid.get(i % mine.width, i // mine.width).contains.encode() == held.encode(), where


class Errands:
    """Goes to things and does with them what can be done: opens doors, fetches keys, steps on goals and into lava.

    Each episode has its own share of actions at random, from none to half. What to go for is drawn with weights, so
    that in the long run every ending is met, and stepping around aimlessly is rare.
    """

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.begin()

    def begin(self):
        """A new episode."""
        self.plan = deque()
        self.noise = self.random.choice([0.0, 0.03, 0.2, 0.5])
        self.recklessness = self.random.choice([0.0, 0.1, 1.0])

    def __call__(self, env):
        """An action in `env`, rltk's own."""
        if self.random.random() < self.noise:
            self.plan.clear()
            return int(self.random.integers(env.action_space.n))
        if not self.plan:
            self.plan.extend(self._errand(env))
        return min(self.plan.popleft(), int(env.action_space.n) - 1)

    def _errand(self, env):
        state = env.get_state()
        codes, body = state["grid"].tolist(), state["body"].tolist()
        carried, target = body[CARRYING], (body[TARGET_X], body[TARGET_Y])
        paths = self._reach(codes, env.agent_pos)
        things = {place: codes[place[1]][place[0]] for place in self.beside}
        marked = {place for place, code in things.items() if place == target or code == body[TARGET]}
        self.locks = {TRIPLES[code][1] for code in things.values() if is_locked(code)}
        wants = [self._want(code, carried) * (10 if place in marked else 1) for place, code in things.items()]
        useful = carried and key_colour(carried) in self.locks
        weights = np.array([*wants, 0.02 if not carried else 0.1 if useful else 2.0])
        pick = self.random.choice(len(weights), p=weights / weights.sum())
        if pick == len(things):  # somewhere, to drop what is carried
            places = list(paths)
            turns = self._walk(paths, env, places[self.random.integers(len(places))])
            return [*turns, self.random.choice([LEFT, RIGHT, FORWARD]), DROP if carried else FORWARD]
        place = list(things)[pick]
        return [*self._walk(paths, env, place), self._deed(things[place], place in marked, env)]

    def _want(self, code, carried):
        kind, colour, state = TRIPLES[code]
        name = cells.TYPES[kind]
        if name == "door":
            if state == cells.LOCKED:
                return 40.0 if carried == cells.KEY + colour else 0.05
            return 5.0 if state == cells.CLOSED else 0.1
        if name in ("key", "ball", "box"):
            inside = cells.contents_of(code) if name == "box" else code
            return 0.02 if carried else 8.0 if key_colour(inside) in self.locks else 1.0
        return {"goal": 10.0, "lava": self.recklessness}.get(name, 0.0)

    def _deed(self, code, marked, env):
        name, whim = cells.TYPES[TRIPLES[code][0]], self.random.random()
        if whim < (0.6 if env._setting.plan.rule == GO_TO_RULE else 0.1):
            return DONE
        if name in ("goal", "lava"):
            return FORWARD
        if name == "door":
            return TOGGLE
        return TOGGLE if name == "box" and self.random.random() < (0.03 if marked else 0.6) else PICK_UP

    def _reach(self, codes, start):
        """{cell that can be walked to: the one before it}; `self.beside`: {thing: such a cell beside it}."""
        paths, self.beside, queue = {start: None}, {}, deque([start])
        while queue:
            here = queue.popleft()
            for dx, dy in AHEAD:
                there = here[0] + dx, here[1] + dy
                if there in paths or not (0 <= there[0] < len(codes[0]) and 0 <= there[1] < len(codes)):
                    continue
                code = codes[there[1]][there[0]]
                if PASSABLE[code]:
                    paths[there] = here
                    queue.append(there)
                if code != cells.EMPTY:
                    self.beside.setdefault(there, here)
        return paths

    def _walk(self, paths, env, goal):
        """Actions that go to face `goal`, or to stand there if it is a place like any other."""
        steps = [goal]
        before = self.beside.get(goal, paths.get(goal))
        while before is not None:
            steps.append(before)
            before = paths[before]
        steps.reverse()
        direction, actions = env.agent_dir, []
        for here, there in pairwise(steps):
            wanted = AHEAD.index((there[0] - here[0], there[1] - here[1]))
            actions += {0: [], 1: [RIGHT], 2: [RIGHT, RIGHT], 3: [LEFT]}[(wanted - direction) % 4]
            direction = wanted
            if there != goal:
                actions.append(FORWARD)
        return actions


def lockstep(name, steps, seed=0, policy=None, **options):
    """Step both for `steps` steps, comparing everything; how often each kind of ending was met."""
    theirs, mine = twins(name, **options)
    policy = policy or Errands(seed)
    endings = Counter()
    assert_same_observation(mine.reset(seed=seed)[0], theirs.reset(seed=seed)[0])
    for step in range(steps):
        action = policy(mine)
        where = f"{name}, step {step}, action {action}"
        found, expected = mine.step(action), theirs.step(action)
        assert found[1:] == expected[1:], where
        assert_same_observation(found[0], expected[0], where)
        if found[2] or found[3]:
            if found[2]:
                endings["success" if found[1] > 0 else "penalty" if found[1] < 0 else "failure"] += 1
            if found[3]:
                endings["time"] += 1
            assert_same_level(mine, theirs, where)
            assert_same_observation(mine.reset()[0], theirs.reset()[0], where)
            policy.begin()
    assert_same_level(mine, theirs)
    return endings
