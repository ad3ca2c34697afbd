"""The answer key of many levels: each answer is that of its level alone, by any number of threads."""

import gymnasium as gym
import numpy as np
import pytest
from level_agents import Walk

import rltk
from rltk.errors import ArgumentError, ModelError, SizeError

NAME = "rltk/MiniGrid-DoorKey-6x6-v0"


def test_each_answer_is_the_optimum_of_its_level():
    """V* by planning over the level's exact model, and what the environment itself pays for the plan."""
    key = rltk.answer_key(NAME, range(6), gamma=0.95)
    env = gym.make(NAME).unwrapped
    for i, seed in enumerate(key.levels):
        env.reset(seed=int(seed))
        assert rltk.solve(env, gamma=0.95, tolerance=1e-9).start_value == pytest.approx(key.optimum[i], abs=1e-8)
        for action in key.plans[i]:
            _, reward, terminated, _, _ = env.step(int(action))
        assert terminated
        assert reward == key.optimal_return[i]
        assert key.plan_length[i] == len(key.plans[i])
    assert "6 levels" in str(key)


def test_threads_change_nothing():
    """One, two or five; and the caller's environment stays where it was."""
    env = gym.make(NAME)
    env.reset(seed=3)
    before = env.unwrapped.get_state()
    keys = [rltk.answer_key(env, [8, 1, 5, 2], threads=threads) for threads in (1, 2, 5)]
    for key in keys[1:]:
        assert (key.optimum == keys[0].optimum).all()
        assert all((a == b).all() for a, b in zip(key.plans, keys[0].plans, strict=True))
    after = env.unwrapped.get_state()
    assert all((before[name] == after[name]).all() for name in before)


def test_what_knows_its_tables_is_solved():
    """A procedural maze has no plans of its own, but T and R."""
    key = rltk.answer_key("rltk/Maze-v0", [0, 1])
    env = gym.make("rltk/Maze-v0").unwrapped
    env.reset(seed=1)
    assert key.optimum[1] == pytest.approx(rltk.solve(env, gamma=0.99).start_value, abs=2e-6)
    assert np.isnan(key.optimal_return).all()
    assert key.plan_length.tolist() == [-1, -1]


def test_layouts_are_levels_too():
    """They are handed to reset, may be the same, and are called by their place."""
    key = rltk.answer_key(Walk(), ["three", "one", "three"], gamma=0.5)
    assert key.levels == ("three", "one", "three")
    assert len(key) == 3
    np.testing.assert_allclose(key.optimum, [-1.75, -1, -1.75], atol=1e-6)
    np.testing.assert_allclose(rltk.answer_key(Walk(), [1, 2], gamma=0.5).optimum, [-1.5, -1.75], atol=1e-6)
    with pytest.raises(ArgumentError, match="layout 1: no such layout: four"):
        rltk.answer_key(Walk(), ["one", "four"])


@pytest.mark.parametrize(
    ("env", "levels", "error", "says"),
    [
        ("CartPole-v1", 2, ModelError, "seed 0.*neither"),
        (NAME, 0, ArgumentError, "at least one"),
        (NAME, [1, 1], ArgumentError, "once"),
        (NAME, [-1], ArgumentError, "below 0"),
        (NAME, [0.5], ArgumentError, "whole"),
        (NAME, [0, "a layout"], ArgumentError, "list of their own"),
        (NAME, [None], ArgumentError, "None"),
        (NAME, [True], ArgumentError, "True"),
        (NAME, None, ArgumentError, "levels"),
        (NAME, "a layout", ArgumentError, "list of"),
        (3, 2, ArgumentError, "env"),
        ("rltk/MiniGrid-ObstructedMaze-Full-v0", 1, SizeError, "seed 0.*states"),
        ("rltk/MiniGrid-Dynamic-Obstacles-8x8-v0", 1, SizeError, "seed 0.*outcomes"),
    ],
)
def test_what_can_not_be_answered_is_told(env, levels, error, says):
    """By name, with the seed where it is a level's fault."""
    with pytest.raises(error, match=says):
        rltk.answer_key(env, levels)
