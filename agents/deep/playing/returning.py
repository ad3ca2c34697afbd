"""How a learner comes back to the episode under way: by capturing the environment, or by replaying its actions.

An environment whose whole state can be captured (rltk's own, behind wrappers that hold none) is put back where learning
left it. Any other begins each episode from a seed that is written down, and comes back by replaying what was done
since.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import TimeLimit

from rltk.errors import CheckpointError
from rltk.mdp.environments import TRANSPARENT
from rltk.runs import Streams


class Episode:
    """The episode under way in one environment. `streams` are the learner's: "environment" and "episodes"."""

    def __init__(self, env: gym.Env[Any, Any], streams: Streams) -> None:
        self.env, self.streams = env, streams
        self.captures = _captures(env)
        self.note = _nothing if self.captures else self._note
        self._started = False
        self._seed, self._actions = 0, list[int]()
        self._left: dict[str, Any] | None = None  # where learning left it, where that can be captured
        self._mark = ""  # elsewhere what shows whether anybody used it

    def reset(self) -> tuple[Any, dict[str, Any]]:
        """Begin the next episode: (observation, info)."""
        if self.captures:
            seed = None if self._started else self.streams.seed("environment")
        else:  # what can't be captured must be replayed, so each episode begins from a seed that is known
            seed = self._seed = int(self.streams.generator("episodes").integers(2**31))
            self._actions.clear()
        begun = self.env.reset(seed=seed)
        self._started = True
        return begun

    def _note(self, action: int) -> None:
        self._actions.append(action)

    def leave(self) -> None:
        """Write down where learning leaves the environment."""
        if not self._started:
            return
        if self.captures:
            self._left = {"state": self.env.unwrapped.get_state(), "elapsed": _elapsed(self.env)}  # type: ignore[attr-defined]
        else:
            self._mark = self._marks()

    def forget(self) -> None:
        """Lose the episode under way."""
        self._left, self._mark, self._actions = None, "", []

    def come_back(self) -> None:
        """Put the environment where learning left it: whoever used it meanwhile has changed nothing for us."""
        if self._left is not None:
            self._place(self._left)
        elif self._mark and self._marks() != self._mark:
            self._replay()

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        if self._left is not None:
            return dict(self._left)
        return {"seed": self._seed, "actions": np.array(self._actions, dtype=np.int64)}

    def restore(self, state: Mapping[str, Any]) -> Any:
        """Go on where `state` was taken; the observation that a replay led to, None where nothing was replayed."""
        self._started = True
        if "state" in state:
            if not self.captures:
                raise CheckpointError("the episode was captured, and this environment can't be put back to it")
            self.env.reset(seed=0)  # so that wrappers know that an episode is under way
            self._left = dict(state)
            self._place(self._left)
            return None
        self._left = None
        self._seed, self._actions = int(state["seed"]), np.asarray(state["actions"]).tolist()
        return self._replay()

    def _place(self, left: Mapping[str, Any]) -> None:
        self.env.unwrapped.set_state(left["state"], restore_rng=True)  # type: ignore[attr-defined]
        for wrapper, elapsed in zip(_limits(self.env), left["elapsed"], strict=True):
            setattr(wrapper, "_elapsed_steps", elapsed)  # noqa: B010 (no setter; Gymnasium annotates it as None)

    def _replay(self) -> Any:
        first = int(self.env.action_space.start)  # type: ignore[attr-defined]
        observation, _ = self.env.reset(seed=self._seed)
        for action in self._actions:
            observation, *_ = self.env.step(action + first)
        self._mark = self._marks()
        return observation

    def _marks(self) -> str:
        """What shows whether anybody used the environment: its random numbers and its clocks."""
        return repr((self.env.unwrapped.np_random.bit_generator.state, _elapsed(self.env)))


def standing(observations: Any, masks: np.ndarray | None) -> dict[str, Any]:
    """What players see and can do, for a checkpoint."""
    copies = {name: part.copy() for name, part in _parts(observations).items()}
    return {"observations": copies, "masks": None if masks is None else masks.copy()}


def restored(state: Mapping[str, Any], space: gym.Space[Any], count: int) -> tuple[Any, np.ndarray | None]:
    """(observations, masks) that `standing` saved; (None, None) where there are none. CheckpointError for another
    environment's."""
    if "observations" not in state:
        return None, None
    saved = state["observations"]
    spaces = space.spaces if isinstance(space, gym.spaces.Dict) else {"": space}
    expected = {name: (count, *(part.shape or ())) for name, part in spaces.items()}
    found = {name: part.shape for name, part in saved.items()}
    if found != expected:
        raise CheckpointError(f"the saved observations have the shapes {found}; this environment's are {expected}")
    observations = {name: np.array(part) for name, part in saved.items()}
    return (observations if isinstance(space, gym.spaces.Dict) else observations[""]), state["masks"]


def _parts(observations: Any) -> dict[str, np.ndarray]:
    return observations if isinstance(observations, dict) else {"": observations}


def _captures(env: gym.Env[Any, Any]) -> bool:
    """Whether the environment's whole state can be read and set: its own, and that of its wrappers."""
    inner: Any = env
    while isinstance(inner, gym.Wrapper):
        if type(inner) not in TRANSPARENT and not getattr(type(inner), "stateless_observation", False):
            return False
        inner = inner.env
    setter = getattr(inner, "set_state", None)
    if not callable(getattr(inner, "get_state", None)) or not callable(setter):
        return False
    return "restore_rng" in inspect.signature(setter).parameters  # rltk's; others mean other things by these names


def _limits(env: Any) -> list[Any]:
    found = []
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            found.append(env)
        env = env.env
    return found


def _elapsed(env: Any) -> list[int]:
    """The steps that each TimeLimit around `env` has counted in this episode."""
    return [int(limit._elapsed_steps or 0) for limit in _limits(env)]


def _nothing(action: int) -> None:
    """A captured episode needs no list of its actions."""
