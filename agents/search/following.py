"""The environment that a search follows: where it stands now, its model, and a private copy to step about in."""

import copy
import inspect
import random
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import OrderEnforcing

from rltk.errors import ArgumentError, ModelError, SpaceError
from rltk.mdp import MDP, model_of
from rltk.mdp.environments import TRANSPARENT

_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


class Followed:
    """A Gymnasium environment with discrete actions, followed by the agent of class `who`; it is only ever read.

    Raises ArgumentError, SpaceError or ModelError where `env` can't be followed.
    """

    def __init__(self, env: Any, who: str) -> None:
        if isinstance(env, gym.vector.VectorEnv):
            raise SpaceError(f"{who} follows one environment, not a vector of them; use gym.make")
        if not isinstance(env, gym.Env):
            raise SpaceError(f"{who} follows a Gymnasium environment, not {type(env).__name__}; make one with gym.make")
        if not isinstance(env.action_space, gym.spaces.Discrete):
            raise SpaceError(f"{who} needs Discrete actions; this environment's are {env.action_space}")
        self.env, self.who = env, who
        self.inner: Any = env.unwrapped
        self.n_actions, self.first_action = int(env.action_space.n), int(env.action_space.start)
        self.shows_more = False  # whether a wrapper changes what is observed
        while isinstance(env, gym.Wrapper):
            if isinstance(env, gym.ObservationWrapper) or getattr(type(env), "stateless_observation", False):
                self.shows_more = True
            elif type(env) not in TRANSPARENT:
                raise ModelError(
                    f"the wrapper {type(env).__name__} may change actions or rewards, which a search of the inner "
                    f"environment would not see; give {who} the environment without it"
                )
            env = env.env
        self._model = model_of(self.env)[0]
        self._random: list[Any] = []  # the latest copy's generators

    @property
    def mdp(self) -> MDP | None:
        """The exact MDP, of the present level where levels change; None where it is not known."""
        if self._model is not None and callable(getattr(self.inner, "mdp", None)):
            return self.inner.mdp()
        return self._model

    @property
    def hands_out_states(self) -> bool:
        """Whether `info["state"]` is the MDP's state, as in rltk's own environments."""
        return self._model is not None and callable(getattr(self.inner, "get_state", None))

    def check_copies(self) -> None:
        """ModelError unless the environment can be set back to a state without its random numbers."""
        getter, setter = (getattr(self.inner, name, None) for name in ("get_state", "set_state"))
        if callable(getter) and callable(setter) and "restore_rng" in inspect.signature(setter).parameters:
            return
        raise ModelError(
            f"{type(self.inner).__name__} has no exact model and no get_state() and set_state(state, "
            f"restore_rng=False): {self.who} can't go back to a state. Give the environment these two methods; "
            "restore_rng=False must leave its random numbers as they are"
        )

    def check_reset(self) -> None:
        """ArgumentError where the environment was never reset, as far as that shows."""
        env = self.env
        while isinstance(env, gym.Wrapper):
            if isinstance(env, OrderEnforcing) and not env.has_reset:
                raise ArgumentError(f"{self.who} follows its environment, which was never reset: call env.reset()")
            env = env.env

    def state_number(self) -> int:
        """The MDP's state in which the environment stands."""
        self.check_reset()
        if self.hands_out_states:
            return int(self.inner.get_state()["state"])
        state = getattr(self.inner, "s", None)  # environments with a P table keep it there
        if state is None:
            raise ArgumentError(f"{self.who} follows its environment, which was never reset: call env.reset()")
        return int(state)

    def check_observation(self, observation: Any, state: int) -> None:
        """ArgumentError where `observation` is neither `state`, the present one, nor what is observed there."""
        if is_state_number(observation) and int(observation) == state:
            return
        if self.shows_more:
            return  # what a wrapper makes of it can't be asked without stepping
        shown = state
        if callable(getattr(self.inner, "observations", None)):
            shown = self.inner.observations(np.array([state]))[0]
        if not np.array_equal(shown, observation):
            raise ArgumentError(
                f"{self.who} follows the environment that it was built on: that stands in state {state}, observed as "
                f"{shown!r}, but predict got {observation!r}. Build one on each environment"
            )

    def copy(self, seed: int, outcomes: np.random.Generator) -> Any:
        """A copy of the bare environment whose randomness is `outcomes`: it knows nothing of the draws to come.

        Random numbers that it holds elsewhere than in `np_random` are seeded anew as well.
        """
        try:
            twin: Any = copy.deepcopy(self.inner)
        except Exception as error:
            raise ModelError(
                f"{type(self.inner).__name__} can't be copied, so {self.who} can't try: {error}"
            ) from error
        twin.render_mode = None  # it would draw what is only tried
        twin.reset(seed=seed)
        self._random = []
        for k, generator in enumerate(generators_of(twin)):
            _seed_anew(generator, seed + k + 1)
            self._random.append(generator)
        twin.np_random = outcomes
        self._random.append(outcomes)
        return twin

    def place(self, twin: Any, origin: Any) -> None:
        """Set `twin`, the latest copy, to a copy of the state `origin`; ModelError where its random numbers change."""
        before = [_state_of(generator) for generator in self._random]
        twin.set_state(copy.deepcopy(origin), restore_rng=False)  # it may keep what it is handed, and write into it
        if twin.np_random is self._random[-1] and before == [_state_of(generator) for generator in self._random]:
            return
        raise ModelError(
            f"set_state(state, restore_rng=False) of {type(self.inner).__name__} changes its random numbers: "
            f"{self.who} would see the draws to come. Leave them as they are unless restore_rng is True"
        )


def generators_of(thing: Any) -> list[Any]:
    """Every random generator that `thing` holds, in its attributes, lists, tuples and dicts, however deep."""
    found, todo, met = [], [thing], set()
    while todo:
        item = todo.pop()
        if id(item) in met or isinstance(item, type | ModuleType | str | bytes | int | float | np.ndarray):
            continue
        met.add(id(item))
        if isinstance(item, _GENERATORS):
            found.append(item)
        elif isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list | tuple | set):
            todo.extend(item)
        elif not isinstance(item, MDP):
            todo.extend(getattr(item, "__dict__", {}).values())
    return found


def _seed_anew(generator: Any, seed: int) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = type(generator.bit_generator)(seed).state
    else:
        generator.seed(seed % 2**32)


def _state_of(generator: Any) -> Any:
    """The generator's state, in what == compares."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.Generator):
        state = generator.bit_generator.state
        # Gymnasium's generator has a dict of whole numbers; others hold arrays, which == compares number by number.
        return state if isinstance(generator.bit_generator, np.random.PCG64) else key_of(state)
    return key_of(generator.get_state(legacy=False))


def is_state_number(observation: Any) -> bool:
    """Whether `observation` is one integer."""
    return (
        np.ndim(observation) == 0
        and isinstance(observation, int | np.integer | np.ndarray)
        and (np.asarray(observation).dtype.kind in "iu")
    )


def key_of(observation: Any) -> Any:
    """A hashable key with which an observation is told from others, the same in every process."""
    if isinstance(observation, dict):
        return tuple((str(name), key_of(observation[name])) for name in sorted(observation, key=str))
    if isinstance(observation, tuple | list):
        return tuple(key_of(part) for part in observation)
    if isinstance(observation, str | bytes | bool | int | float | type(None)):
        return observation
    array = np.asarray(observation)
    if array.dtype == object:
        raise ArgumentError(
            f"an observation of type {type(observation).__name__} has no key; "
            'hand out a hashable info["state"] of numbers, strings or tuples'
        )
    return array.item() if array.ndim == 0 else (array.shape, array.dtype.str, array.tobytes())
