"""What a tabular learner asks of its environment and its rates before it starts."""

from typing import Any

import gymnasium as gym
import numpy as np

from rltk.errors import ArgumentError, SpaceError
from rltk.runs import Schedule


def checked_rate(name: str, rate: float | Schedule) -> float | Schedule:
    """`rate` as a float in [0, 1] or a schedule, or an ArgumentError that names it."""
    if callable(rate):
        return rate
    if isinstance(rate, bool) or not isinstance(rate, int | float | np.number) or not 0 <= rate <= 1:
        raise ArgumentError(f"{name} is a number in [0, 1] or a schedule, a callable of the timestep; it is {rate!r}")
    return float(rate)


def observes_states(env: Any, n_states: int) -> bool:
    """Whether what is observed in state s is s, so that a table over observations is one over states."""
    while isinstance(env, gym.Wrapper):
        if getattr(type(env), "stateless_observation", False):
            return False
        env = env.env
    states = np.arange(n_states)
    return not callable(getattr(env, "observations", None)) or np.array_equal(env.observations(states), states)


def counts_episodes(env: Any) -> bool:
    """Whether a wrapper keeps statistics of its episodes, which only its own `step` can do."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, gym.wrappers.RecordEpisodeStatistics):
            return True
        env = env.env
    return False


def check_spaces(env: Any, learner: str) -> None:
    """Refuse, for the class called `learner`, an environment whose spaces no table fits."""
    if isinstance(env, gym.vector.VectorEnv):
        raise SpaceError(f"{learner} learns on one environment, not on a vector of them; use gym.make")
    if not isinstance(env, gym.Env):
        raise SpaceError(f"{learner} takes a Gymnasium environment, not {type(env).__name__}; make one with gym.make")
    if not isinstance(env.observation_space, gym.spaces.Discrete):
        raise SpaceError(
            f"{learner} keeps a table and needs Discrete observations; this environment's are {env.observation_space}. "
            'rltk\'s environments take observation="index"'
        )
    if not isinstance(env.action_space, gym.spaces.Discrete):
        raise SpaceError(
            f"{learner} needs Discrete actions; this environment's are {env.action_space}. For continuous actions take "
            "Stable-Baselines3's PPO, SAC or TD3"
        )
