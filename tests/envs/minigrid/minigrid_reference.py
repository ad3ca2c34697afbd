"""minigrid 3.2.0 beside rltk, and a policy that finds every ending. Each family of `ids.py` enters by itself.

With RLTK_FULL=1 in the environment the runs have the lengths of the full comparison: 200 seeds and 100,000 steps an id.
"""

import os
from collections import deque
from itertools import pairwise

import gymnasium as gym
import minigrid  # registers its ids
import numpy as np

import rltk
from rltk.envs.minigrid import cells
from rltk.envs.minigrid.ids import FAMILIES
from rltk.envs.minigrid.level import CARRYING, TARGET, TARGET_X, TARGET_Y

assert minigrid.__version__ == "3.2.0"
assert rltk.__version__  # registers rltk's ids

FULL = os.environ.get("RLTK_FULL") == "1"
SEEDS = range(200 if FULL else 50)
STEPS = 100_000 if FULL else 1_000

IDS = sorted(name for _, ids in FAMILIES.values() for name in ids)
FIRST_IDS = sorted(next(iter(ids)) for _, ids in FAMILIES.values())  # one a family

LEFT, RIGHT, FORWARD, PICK_UP, DROP, TOGGLE, DONE = range(7)
AHEAD = ((1, 0), (0, 1), (-1, 0), (0, -1))


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
    for x in range(mine.width):
        for y in range(mine.height):
            held = getattr(theirs.grid.get(x, y), "contains", None)
            if held is not None:
                assert mine.grid.get(x, y).contains.encode() == held.encode(), where


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
        codes, body = state["grid"], state["body"]
        carried = int(body[CARRYING])
        paths, things = self._reach(codes, tuple(env.agent_pos))
        marked = [(x, y) == (body[TARGET_X], body[TARGET_Y]) or codes[y, x] == body[TARGET] for x, y in things]
        wants = [
            self._want(codes[y, x], carried) * (10 if mark else 1) for (x, y), mark in zip(things, marked, strict=True)
        ]
        weights = np.array([*wants, 0.5 if carried else 0.02])
        pick = self.random.choice(len(weights), p=weights / weights.sum())
        if pick == len(things):  # somewhere, to drop what is carried
            places = list(paths)
            turns = self._walk(paths, env, places[self.random.integers(len(places))])
            return [*turns, self.random.choice([LEFT, RIGHT, FORWARD]), DROP if carried else FORWARD]
        x, y = things[pick]
        return [*self._walk(paths, env, (x, y)), self._deed(codes[y, x], marked[pick])]

    def _want(self, code, carried):
        kind, colour, state = cells.TRIPLES[code]
        name = cells.TYPES[kind]
        if name == "door":
            if state == cells.LOCKED:
                return 20.0 if carried == cells.KEY + colour else 0.05
            return 5.0 if state == cells.CLOSED else 0.1
        if name in ("key", "ball", "box"):
            return 0.02 if carried else 2.0 if name == "key" else 1.0
        return {"goal": 10.0, "lava": self.recklessness}.get(name, 0.0)

    def _deed(self, code, marked):
        name = cells.TYPES[cells.TRIPLES[code, 0]]
        if self.random.random() < 0.1:
            return DONE
        if name in ("goal", "lava"):
            return FORWARD
        if name == "door":
            return TOGGLE
        return TOGGLE if name == "box" and self.random.random() < (0.03 if marked else 0.4) else PICK_UP

    def _reach(self, codes, start):
        """({cell that can be walked to: the one before it}, [thing beside such a cell, with itself as a last step])."""
        paths, things, queue = {start: None}, {}, deque([start])
        while queue:
            here = queue.popleft()
            for dx, dy in AHEAD:
                there = here[0] + dx, here[1] + dy
                if there in paths or not (0 <= there[0] < codes.shape[1] and 0 <= there[1] < codes.shape[0]):
                    continue
                flags = cells.FLAGS[codes[there[1], there[0]]]
                if flags & cells.WALKABLE and not flags & (cells.IS_GOAL | cells.IS_LAVA):
                    paths[there] = here
                    queue.append(there)
                if codes[there[1], there[0]] != cells.EMPTY:
                    things.setdefault(there, here)
        self.beside = things
        return paths, list(things)

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
    endings = {"success": 0, "failure": 0, "time": 0, "both": 0}
    assert_same_observation(mine.reset(seed=seed)[0], theirs.reset(seed=seed)[0])
    for step in range(steps):
        action = policy(mine)
        where = f"{name}, step {step}, action {action}"
        found, expected = mine.step(action), theirs.step(action)
        assert found[1:] == expected[1:], where
        assert_same_observation(found[0], expected[0], where)
        if found[2] or found[3]:
            kind = "success" if found[1] > 0 else "failure" if found[2] else "time"
            endings["both" if found[2] and found[3] else kind] += 1
            assert_same_level(mine, theirs, where)
            assert_same_observation(mine.reset()[0], theirs.reset()[0], where)
            policy.begin()
    assert_same_level(mine, theirs)
    return endings
