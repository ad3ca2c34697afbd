"""What a tabular learner asks of its environment before it starts."""

from typing import Any

import gymnasium as gym
import numpy as np

from rltk.errors import SpaceError
from rltk.mdp import model_of


def available_actions(env: Any, learner: str) -> np.ndarray:
    """(S, A) bool: which actions can be taken at which observation; all where the environment does not say."""
    check_spaces(env, learner)
    shape = int(env.observation_space.n), int(env.action_space.n)
    mdp = model_of(env)[0]
    known = mdp is not None and mdp.available.shape == shape and observes_states(env, mdp.n_states)
    return mdp.available if mdp is not None and known else np.ones(shape, dtype=bool)


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
            "rltk's tabular environments take observation=\"index\"; a level of MiniGrid's is one as "
            "rltk.envs.tabular.TabularEnv(env.unwrapped.mdp())"
        )
    if not isinstance(env.action_space, gym.spaces.Discrete):
        raise SpaceError(
            f"{learner} needs Discrete actions; this environment's are {env.action_space}. For continuous actions take "
            "Stable-Baselines3's PPO, SAC or TD3"
        )
