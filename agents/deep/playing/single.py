"""One environment: a learner acts in it, resets it where an episode ended, and comes back to the one under way."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.deep.playing.players import MASK, Moves, Players, check_masks, copied, shaped_masks
from rltk.agents.deep.playing.returning import Episode, restored, standing
from rltk.errors import ArgumentError, CheckpointError, LearningError
from rltk.runs import Streams

_FIRST = np.zeros(1, dtype=np.int64)
_FLAGS = np.array([False]), np.array([True])


class SinglePlayer(Players):
    """One Gymnasium environment."""

    def __init__(self, env: gym.Env[Any, Any], streams: Streams) -> None:
        super().__init__(env, env.observation_space, env.action_space, streams)
        self.count = 1
        self.episode = Episode(env, streams)
        self._asks = _method(env, "action_masks")
        self._return, self._length = 0.0, 0

    def open(self) -> bool:
        if self.is_open:
            return False
        self._begin()
        self.masked = self.masks is not None
        return True

    def step(self, actions: np.ndarray) -> Moves:
        action = int(actions[0])
        observation, reward, terminated, truncated, info = self.env.step(action + self.first_action)
        try:
            reward = float(reward)
        except (TypeError, ValueError):
            raise self._refuse(reward, 0) from None
        if not -np.inf < reward < np.inf:
            raise self._refuse(reward, 0)
        self.episode.note(action)
        self._return += reward
        self._length += 1
        seen = self.observations = self._seen(observation)
        masks = self.masks = self._mask(info)
        began = None
        if terminated or truncated:
            seen = copied(seen)  # an environment may hand out its own arrays, and change them in `reset`
            self.finished.append((self._return, self._length))
            self._begin()
            began = _FIRST
        if self.masks is not None:
            check_masks(self.masks)
        return Moves(seen, masks, np.array([reward]), _FLAGS[bool(terminated)], _FLAGS[bool(truncated)], None, began)

    def _begin(self) -> None:
        observation, info = self.episode.reset()
        self.observations, self.masks = self._seen(observation), self._mask(info)
        self._return, self._length = 0.0, 0

    def forget(self) -> None:
        super().forget()
        self.episode.forget()

    def _seen(self, observation: Any) -> Any:
        try:
            one = self.plain.one(observation)
        except ArgumentError as error:
            raise LearningError(str(error)) from None
        return {name: part[None] for name, part in one.items()} if isinstance(one, dict) else one[None]

    def _mask(self, info: Mapping[str, Any]) -> np.ndarray | None:
        mask = info.get(MASK)
        if mask is None and self._asks is not None:
            mask = self._asks()
        if mask is None:
            return np.ones((1, self.n_actions), dtype=bool) if self.masked else None
        if not self.masked and self.is_open:
            raise LearningError(
                f"{MASK}: the environment gave one after a step, and none at its reset; give it there too"
            )
        return shaped_masks(np.asarray(mask)[None], 1, self.n_actions)

    def leave(self) -> None:
        self.episode.leave()
        self.observations = copied(self.observations)  # an environment may hand out its own arrays

    def come_back(self) -> None:
        self.episode.come_back()

    def state(self) -> dict[str, Any]:
        if not self.is_open:
            return {"masked": self.masked}
        own = {"return": self._return, "length": self._length, "masked": self.masked}
        return {**own, **standing(self.observations, self.masks), "episode": self.episode.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.observations, self.masks = restored(state, self.plain.space, self.count)
        self.masked = bool(state["masked"])
        if not self.is_open:
            return
        self._return, self._length = float(state["return"]), int(state["length"])
        found = self.episode.restore(state["episode"])
        if found is not None and not _equal(self._seen(found), self.observations):
            raise CheckpointError(
                f"replaying the {self._length} actions of the open episode led to another observation than it did: "
                "the environment does not repeat itself from a seed"
            )


def _method(env: Any, name: str) -> Callable[[], Any] | None:
    """The method `name` of the outermost wrapper that has it, or of the environment; None where there is none."""
    while env is not None:
        if callable(getattr(type(env), name, None)):
            return getattr(env, name)
        env = env.env if isinstance(env, gym.Wrapper) else None
    return None


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)
    return bool(np.array_equal(one, other))
