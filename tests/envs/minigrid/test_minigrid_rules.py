"""What single families are about: things that look alike, actions beyond the space, lists in the state."""

import gymnasium as gym
import numpy as np
import pytest
from minigrid_reference import AHEAD, DROP, FORWARD, IDS, PICK_UP, SEEDS, assert_same_level, lockstep, twins

from rltk.envs.minigrid import MiniGridEnv
from rltk.envs.minigrid.cells import EMPTY
from rltk.envs.minigrid.level import TARGET, TARGET_X, TARGET_Y
from rltk.envs.minigrid.rules import CARRY_RULE
from rltk.errors import ArgumentError

OBSTACLES = "MiniGrid-Dynamic-Obstacles-6x6-v0"


class AnyAction:
    """All seven actions, whatever the space says."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)

    def begin(self):
        """Nothing is planned."""

    def __call__(self, env):
        return int(self.random.choice(7, p=[0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1]))


def test_obstacles_take_the_other_actions_as_left_turns():
    """The space has three actions; minigrid turns left at the other four."""
    assert lockstep(OBSTACLES, 400, policy=AnyAction(0))["penalty"] > 0
    batch = gym.make_vec(f"rltk/{OBSTACLES}", num_envs=7)
    images = []
    for actions in (np.zeros(7, dtype=int), np.array([0, 0, 0, 3, 4, 5, 6])):
        batch.reset(seed=[1] * 7)
        images.append(batch.step(actions)[0]["image"])
    assert np.array_equal(*images)
    with pytest.raises(ArgumentError, match="0 to 2"):
        batch.step(np.full(7, 7))


def test_a_list_of_obstacles_outside_the_board_is_refused():
    """The kernel that moves them goes by it."""
    env = gym.make(f"rltk/{OBSTACLES}").unwrapped
    env.reset(seed=0)
    state = env.get_state()
    for entry, value in ((0, 4), (0, -1), (1, 6), (2, 6), (2, -1)):
        wrong = {**state, "memory": state["memory"].copy()}
        wrong["memory"][entry] = value
        with pytest.raises(ArgumentError, match="memory"):
            env.set_state(wrong)


def test_what_is_to_be_picked_up_looks_like_nothing_else():
    """In every id: so its code tells it, although minigrid asks for the very object."""
    names = [name for name in IDS if twins(name)[1]._setting.plan.rule == CARRY_RULE]
    assert len(names) == 21
    for name in names:
        env = twins(name)[1]
        for seed in SEEDS:
            env.reset(seed=seed)
            target, x, y = env.get_state()["body"][[TARGET, TARGET_X, TARGET_Y]]
            assert np.argwhere(env.grid.codes() == target).tolist() == [[y, x]]


def seeds_with_twin_keys():
    """Seeds whose KeyCorridor has two keys that look alike: one to be picked up, the other for the door."""
    for seed in range(100):
        theirs, mine = twins("MiniGrid-KeyCorridorS4R3-v0", obj_type="key")
        theirs.reset(seed=seed)
        mine.reset(seed=seed)
        keys = np.argwhere(mine.grid.codes() == mine.get_state()["body"][TARGET])
        if len(keys) == 2:
            yield theirs, mine, {(int(x), int(y)) for y, x in keys}


def test_of_two_keys_that_look_alike_one_is_meant():
    """minigrid asks whether it is the object; rltk, whether it lies where the object was put. After the end too."""
    levels = list(seeds_with_twin_keys())
    assert len(levels) > 5
    for theirs, mine, keys in levels:
        target = tuple(int(part) for part in mine.get_state()["body"][[TARGET_X, TARGET_Y]])
        (other,) = keys - {target}

        def go_and(place, action, theirs=theirs, mine=mine):
            """Stand beside `place`, face it, act."""
            for direction, (dx, dy) in enumerate(AHEAD):
                x, y = place[0] - dx, place[1] - dy
                if mine.grid.codes()[y, x] == EMPTY:
                    for env in (theirs, mine):
                        env.agent_pos, env.agent_dir = np.array([x, y]), direction
                    break
            found, expected = mine.step(action), theirs.step(action)
            assert found[1:] == expected[1:]
            assert_same_level(mine, theirs)
            return found[2]

        corridor = [(x, y) for x, y in zip(*np.nonzero(mine.grid.codes().T == EMPTY), strict=True) if 4 <= x <= 5]
        here, there = corridor[0], corridor[-1]
        assert not go_and(other, PICK_UP)
        assert not go_and(here, DROP)
        assert not go_and(here, PICK_UP)
        assert not go_and(other, DROP)
        assert go_and(target, PICK_UP)
        assert go_and(there, PICK_UP)  # whatever is tried with the target in hand
        assert not go_and(there, DROP)
        assert not go_and(other, PICK_UP)
        assert not go_and(target, DROP)  # the other key where the target was
        assert not go_and(target, PICK_UP)
        assert not go_and(other, DROP)
        assert go_and(there, PICK_UP)
        assert not go_and(target, DROP)
        assert go_and(target, PICK_UP)


def test_walking_into_a_wall_costs_as_much_as_into_an_obstacle():
    """minigrid asks only whether anything but the goal is ahead."""
    env = MiniGridEnv("DynamicObstacles", n_obstacles=0)
    env.reset(seed=0)
    env.agent_dir = 3
    assert env.step(FORWARD)[1:4] == (-1.0, True, False)
