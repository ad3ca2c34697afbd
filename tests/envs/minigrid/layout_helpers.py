"""What the tests of layouts share."""

import gymnasium as gym

from rltk.envs.minigrid import Layout

DOOR_KEY = "rltk/MiniGrid-DoorKey-5x5-v0"
FORWARD = 2
HALL = "#####\n#>.G#\n#####\n"
HALL_PLAN = [FORWARD, FORWARD]


def make(name="rltk/MiniGrid-v0", **options):
    return gym.make(name, **options).unwrapped


def assert_stands(env, layout):
    """Everything in `env` is as `layout` says."""
    assert Layout.from_env(env).with_changes(name=layout.name, source=layout.source) == layout.with_changes(
        max_steps=env.max_steps, mission=env.mission
    )
