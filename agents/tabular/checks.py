"""What a tabular learner asks of its environment and its rates before it starts."""

import math
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.errors import ArgumentError, SpaceError
from rltk.mdp import model_of
from rltk.runs import Schedule

_MOST = 2**63 - 1


def checked_rate(name: str, rate: float | Schedule, highest: float = 1.0) -> float | Schedule:
    """`rate` as a finite float in [0, highest] or a schedule, or an ArgumentError that names it."""
    return rate if callable(rate) else checked_number(name, rate, highest, " or a schedule, a callable of the timestep")


def checked_number(name: str, value: Any, highest: float = 1.0, otherwise: str = "") -> float:
    """`value` as a finite float in [0, highest], or an ArgumentError that names it and what else would do."""
    number = _as_float(value)
    if not 0 <= number <= highest or math.isinf(number):
        within = f"a number in [0, {highest:g}]" if np.isfinite(highest) else "a number, at least 0"
        raise ArgumentError(f"{name} is {within}{otherwise}; it is {value!r}")
    return number


def checked_finite(name: str, value: Any) -> float:
    """`value` as a finite float, or an ArgumentError that names it."""
    number = _as_float(value)
    if not math.isfinite(number):
        raise ArgumentError(f"{name} is a finite number; it is {value!r}")
    return number


def _as_float(value: Any) -> float:
    """Not finite where `value` is no real number that a float holds."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    try:
        return float(value) if real else math.nan
    except OverflowError:
        return math.inf


def checked_count(name: str, value: Any, least: int = 1) -> int:
    """`value` as a whole number from `least` to what 64 bits hold, or an ArgumentError that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name} is a whole number, at least {least}; it is {value!r}")
    if value > _MOST:
        raise ArgumentError(f"{name} is a whole number, at most {_MOST}; it is larger")
    return int(value)


def checked_flag(name: str, value: Any) -> bool:
    """`value` as a bool, or an ArgumentError that names it."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name} is True or False; it is {value!r}")
    return bool(value)


def checked_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value` as one of `choices`, or an ArgumentError that names it and them."""
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"{name} is one of {', '.join(choices)}; it is {value!r}")
    return str(value)


def masked(values: np.ndarray, mask: Any) -> np.ndarray:
    """`values` (N, A), -inf where `mask` forbids: (N, A) or (A,) bool or 0 and 1; as they are where it is None.

    Raises ArgumentError for a mask of another shape or kind, and where it leaves a row without any action.
    """
    if mask is None:
        return values
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf" or array.shape not in (values.shape, values.shape[1:]):
        raise ArgumentError(
            f"mask: {values.shape} bool, which actions can be taken in each observation, or {values.shape[1:]} in all "
            f"of them; found {array.dtype} of shape {array.shape}"
        )
    left = np.where(array.astype(bool), values, -np.inf)
    stuck = np.flatnonzero((left == -np.inf).all(axis=1))
    if stuck.size:
        raise ArgumentError(f"mask: it leaves no action of those that are available in observation {stuck[0]} of these")
    return left


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
