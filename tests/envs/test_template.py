"""The template's own test: what a person who copies `envs/template.py` copies along with it."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rltk.envs.template import CLIMB, REST, StairwayEnv, stairway


def test_the_model_is_what_the_rules_say():
    """By hand, for two steps: v = -0.01 + 0.8 w + 0.2 v at the foot, w = 0.79 + 0.2 v half way; so v = 0.622/0.64."""
    mdp = stairway(2)

    value = mdp.chain(np.full(mdp.n_states, CLIMB)).value(1.0)

    of = {mdp.label(s): value[s] for s in range(mdp.n_states)}
    assert of[0, False] == pytest.approx(0.622 / 0.64)
    assert of[1, False] == pytest.approx(0.79 + 0.2 * 0.622 / 0.64)


def test_resting_makes_the_climb_sure():
    env = StairwayEnv(height=1)
    for seed in range(50):
        env.reset(seed=seed)
        env.step(REST)
        _, reward, terminated, _, _ = env.step(CLIMB)
        assert (reward, terminated) == (0.99, True)


@pytest.fixture
def registered():
    gym.register("Stairway-v0", entry_point=StairwayEnv, max_episode_steps=200)
    yield "Stairway-v0"
    del gym.registry["Stairway-v0"]


@pytest.mark.parametrize("observation", ["index", "onehot", "coords", "symbolic", "egocentric", "rgb"])
def test_gymnasium_accepts_it(registered, observation, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # it opens a window
    check_env(gym.make(registered, height=3, observation=observation, render_mode="rgb_array").unwrapped)
