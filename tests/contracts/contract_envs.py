"""Every registered environment, and how the tests of its promises make and act in it."""

import gymnasium as gym
import numpy as np
import pytest

import rltk  # noqa: F401  # it registers the ids
from rltk.envs.tabular import MODES

ALL_IDS = sorted(name for name in gym.registry if name.startswith("rltk/"))
IDS = [name for name in ALL_IDS if "family" not in gym.spec(name).kwargs]  # MiniGrid's have a family of levels
ENDLESS = ("rltk/SuttonBarto5x5-v0", "rltk/JacksCarRental-v0", "rltk/Bandit-v0")  # they go on for ever in the book
CHANGING = ("rltk/BlockingMaze-v0", "rltk/ShortcutMaze-v0")  # what they are depends on the steps done so far
RANDOM_IDS = ("rltk/FrozenLake-v0", "rltk/FourRooms-v0", "rltk/GridWorld-v0", "rltk/RussellNorvig4x3-v0")

every_id = pytest.mark.parametrize("name", IDS)
every_mode = pytest.mark.parametrize("mode", MODES)


def make(name, **options):
    return gym.make(name, **options).unwrapped


def actions_of(env, count, seed=0):
    return np.random.default_rng(seed).integers(env.action_space.n, size=count).tolist()


def allowed(env, actions):
    """`actions`, one or (N,), with those that are barred where their environment stands replaced by one that is not."""
    available = env.mdp().available[env.get_state()["state"]]
    if available.ndim == 1:
        return actions if available[actions] else int(np.flatnonzero(available)[actions % available.sum()])
    rows = zip(actions, available, strict=True)
    return np.array([a if can[a] else np.flatnonzero(can)[a % can.sum()] for a, can in rows])
