"""A deep learner's side of its environment: one player, or a batch of them in any of Gymnasium's autoreset modes.

All look alike to the learner. `observations` is what the players see now; `step` takes an action of each and tells what
became of it. An episode's end and the next one's beginning are told apart in every mode: `Moves.next_observations` are
the true ones, the last of an episode where it ended, and `Moves.began` lists who stands at a new beginning.

| mode | when an ended environment is reset | what that costs |
| --- | --- | --- |
| one environment, DISABLED | at once, by the learner | nothing |
| SAME_STEP | in the step that ends; the last observation is in `infos["final_obs"]` | nothing |
| NEXT_STEP | in the step after it, whose action is ignored | that step is no transition: `Moves.took` is False |

Source: Gymnasium 1.1, `gymnasium.vector.AutoresetMode`.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from rltk.agents.deep.playing.returning import Episode, restored, standing
from rltk.encoders import Plain
from rltk.errors import ArgumentError, CheckpointError, LearningError, SpaceError
from rltk.runs import Streams

_MASK = "action_mask"


class Moves(NamedTuple):
    """What became of an action of each of n players. Observations are plain: an array, or a dict of arrays."""

    next_observations: Any  # (n, ...)
    next_masks: np.ndarray | None  # (n, A) bool: what can be done there
    rewards: np.ndarray  # (n,) float64
    terminated: np.ndarray  # (n,) bool
    truncated: np.ndarray  # (n,) bool
    took: np.ndarray | None  # (n,) bool: who took the action; None where all did
    began: np.ndarray | None  # (k,) who stands at the beginning of an episode now; None where nobody does


class Players:
    """What one environment and many have in common. `streams`: the learner's own."""

    count: int
    observations: Any  # (n, ...) plain, what the players see now
    masks: np.ndarray | None  # (n, A) bool, what they can do now; None where everything always can be done

    def __init__(self, env: Any, observation_space: Any, action_space: Any, streams: Streams) -> None:
        check_actions(action_space)
        self.env, self.streams = env, streams
        self.plain = Plain(tight_space(env, observation_space))
        self.n_actions, self.first_action = int(action_space.n), int(action_space.start)
        self.observations, self.masks = None, None
        self.finished: list[tuple[float, int]] = []  # (return, length) of episodes since the learner last looked
        self.masked = False  # whether the environment says what can be done

    @property
    def is_open(self) -> bool:
        """Whether episodes are under way."""
        return self.observations is not None

    def open(self) -> bool:
        """Begin the first episodes, where none are under way; whether it did."""
        raise NotImplementedError

    def step(self, actions: np.ndarray) -> Moves:
        """Take (n,) `actions`, numbered from 0."""
        raise NotImplementedError

    def forget(self) -> None:
        """The episodes under way are lost: new ones begin when learning goes on."""
        self.observations, self.masks = None, None

    def leave(self) -> None:
        """Write down where learning leaves the environment."""
        raise NotImplementedError

    def come_back(self) -> None:
        """Put the environment where learning left it, whoever used it meanwhile."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Everything that the future of the episodes under way depends on."""
        raise NotImplementedError

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. CheckpointError where that is not to be found."""
        raise NotImplementedError

    def _refuse(self, reward: Any, which: int) -> LearningError:
        return LearningError(
            f"the environment paid {reward!r} to player {which}, which is no finite number; mend its reward"
        )


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
            seen = _copied(seen)  # an environment may hand out its own arrays, and change them in `reset`
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
        mask = info.get(_MASK)
        if mask is None and self._asks is not None:
            mask = self._asks()
        if mask is None:
            return np.ones((1, self.n_actions), dtype=bool) if self.masked else None
        if not self.masked and self.is_open:
            raise LearningError(
                f"{_MASK}: the environment gave one after a step, and none at its reset; give it there too"
            )
        return shaped_masks(np.asarray(mask)[None], 1, self.n_actions)

    def leave(self) -> None:
        self.episode.leave()
        self.observations = _copied(self.observations)  # an environment may hand out its own arrays

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


class BatchPlayers(Players):
    """A Gymnasium VectorEnv, in whichever autoreset mode it has."""

    def __init__(self, env: gym.vector.VectorEnv[Any, Any, Any], streams: Streams) -> None:
        super().__init__(env, env.single_observation_space, env.single_action_space, streams)
        self.count = env.num_envs
        self.mode = _mode_of(env)
        self._returns, self._lengths = np.zeros(self.count), np.zeros(self.count, dtype=np.int64)
        self._resting = np.zeros(self.count, dtype=bool)  # whose next step is a reset
        self._left: Any = None
        self._openings = 0

    def open(self) -> bool:
        if self.is_open:
            return False
        # What can't be captured begins anew after a restore, and not from where it began before.
        again = f" {self._openings}" if self._openings else ""
        observations, infos = self.env.reset(seed=self.streams.seed(f"environment{again}"))
        self._openings += 1
        self.masked = _MASK in infos
        self.observations, self.masks = self._seen(observations), self._masks(infos)
        self._returns[:], self._lengths[:], self._resting[:] = 0, 0, False
        return True

    def step(self, actions: np.ndarray) -> Moves:
        observations, rewards, terminated, truncated, infos = self.env.step(actions + self.first_action)
        rewards, terminated, truncated = np.asarray(rewards, np.float64), np.array(terminated), np.array(truncated)
        if not np.isfinite(rewards).all():
            poor = int(np.flatnonzero(~np.isfinite(rewards))[0])
            raise self._refuse(rewards[poor], poor)
        seen, masks = self._seen(observations), self._masks(infos)
        took = ~self._resting if self._resting.any() else None
        began = np.flatnonzero(self._resting) if took is not None else None
        self._returns += rewards
        self._lengths += 1
        self.observations, self.masks = seen, masks
        ended = terminated | truncated
        if ended.any():
            which = np.flatnonzero(ended)
            self.finished += zip(self._returns[which].tolist(), self._lengths[which].tolist(), strict=True)
            self._returns[which], self._lengths[which] = 0, 0
            if self.mode is AutoresetMode.SAME_STEP:
                seen, masks = self._final(seen, masks, which, infos)
                began = which
            elif self.mode is AutoresetMode.DISABLED:
                seen = _copied(seen)  # a batch may write into the arrays that it handed out
                observations, infos = self.env.reset(options={"reset_mask": ended})
                self.observations, self.masks = self._seen(observations), self._masks(infos, masks)
                began = which
        if took is not None:
            self._returns[~took], self._lengths[~took] = 0, 0
        self._resting = ended & (self.mode is AutoresetMode.NEXT_STEP)
        if self.masks is not None:
            check_masks(self.masks | self._resting[:, None])
        return Moves(seen, masks, rewards, terminated, truncated, took, began)

    def _final(self, seen: Any, masks: Any, which: np.ndarray, infos: Mapping[str, Any]) -> tuple[Any, Any]:
        """What was seen, and could be done, at the end of the episodes `which` ended in this step."""
        seen = _copied(seen)
        for i in which.tolist():
            last = self.plain.one(infos["final_obs"][i])
            if isinstance(last, dict):
                for name, part in last.items():
                    seen[name][i] = part
            else:
                seen[i] = last
        if masks is not None and _MASK in infos.get("final_info", {}):
            masks = masks.copy()
            masks[which] = np.asarray(infos["final_info"][_MASK])[which] != 0
        return seen, masks

    def _masks(self, infos: Mapping[str, Any], otherwise: np.ndarray | None = None) -> np.ndarray | None:
        if not self.masked:
            return None
        masks = np.ones((self.count, self.n_actions), dtype=bool) if otherwise is None else otherwise.copy()
        if _MASK in infos:
            told = np.asarray(infos.get(f"_{_MASK}", np.ones(self.count, dtype=bool)))
            masks[told] = np.stack([np.asarray(mask) for mask in np.asarray(infos[_MASK])[told]]) != 0
        return shaped_masks(masks, self.count, self.n_actions)

    def _seen(self, observations: Any) -> Any:
        try:
            return self.plain.many(observations, self.count)
        except ArgumentError as error:  # what an environment shows against its own space, NaN among it, ends learning
            raise LearningError(str(error)) from None

    def leave(self) -> None:
        self.observations = _copied(self.observations)
        inner = self.env.unwrapped
        self._left = inner.get_state() if self.is_open and callable(getattr(inner, "get_state", None)) else None

    def come_back(self) -> None:
        if self._left is not None:
            self.env.unwrapped.set_state(self._left, restore_rng=True)

    def state(self) -> dict[str, Any]:
        counts = {"masked": self.masked, "openings": self._openings}
        # What can't be captured has no place to come back to: its episodes begin anew.
        if not self.is_open or self._left is None:
            return counts
        own = {
            **counts,
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
            "resting": self._resting.copy(),
        }
        return {**own, **standing(self.observations, self.masks), "env": dict(self._left)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.observations, self.masks = restored(state, self.plain.space, self.count)
        self.masked, self._openings = bool(state["masked"]), int(state["openings"])
        if not self.is_open:
            if self._openings:
                warnings.warn(
                    f"{type(self.env.unwrapped).__name__} can't be captured: its episodes begin anew, so what is "
                    "learnt from here on is not what an uninterrupted run would have learnt",
                    UserWarning,
                    stacklevel=2,
                )
            return
        self._returns, self._lengths = np.array(state["returns"]), np.array(state["lengths"])
        self._resting = np.array(state["resting"])
        self.env.reset(seed=0)  # so that wrappers know that episodes are under way
        self._left = state["env"]
        self.come_back()


_FIRST = np.zeros(1, dtype=np.int64)
_FLAGS = np.array([False]), np.array([True])


def players_of(env: Any, streams: Streams) -> Players:
    """The players of `env`, a Gymnasium Env or VectorEnv. SpaceError for anything else."""
    if isinstance(env, gym.vector.VectorEnv):
        return BatchPlayers(env, streams)
    if isinstance(env, gym.Env):
        return SinglePlayer(env, streams)
    raise SpaceError(
        f"DQN takes a Gymnasium Env or VectorEnv, not {type(env).__name__}; make one with gym.make or gym.make_vec"
    )


def check_actions(space: Any) -> None:
    """SpaceError unless actions are Discrete, with the algorithm that takes others."""
    if isinstance(space, gym.spaces.Discrete):
        return
    others = "SAC, TD3 or PPO" if isinstance(space, gym.spaces.Box) else "PPO"
    raise SpaceError(
        f"DQN takes the best of numbered actions and needs a Discrete space; this environment's actions are {space}. "
        f"Use Stable-Baselines3's {others}, which take them"
    )


def shaped_masks(masks: np.ndarray, count: int, n_actions: int) -> np.ndarray:
    """`masks` as (n, A) bool. LearningError where the shape is another one."""
    if masks.shape != (count, n_actions):
        raise LearningError(
            f"{_MASK}: the environment gave a mask of shape {masks.shape[1:]}; its {n_actions} actions need "
            f"({n_actions},)"
        )
    return masks != 0


def check_masks(masks: np.ndarray) -> None:
    """LearningError where a player has nothing left to do. Games may end so, but not go on."""
    if not masks.any(axis=1).all():
        stuck = int(np.argmin(masks.any(axis=1)))
        raise LearningError(
            f"{_MASK}: it leaves player {stuck} no action at all, and the episode goes on; end it there"
        )


def tight_space(env: Any, space: gym.Space[Any]) -> gym.Space[Any]:
    """`space`, with the bounds of the numbers that are really seen, where the environment knows tighter ones.

    MiniGrid's own spaces say 0 to 255 of numbers below 11.
    """
    inner = env.unwrapped
    own = getattr(inner, "single_observation_space", getattr(inner, "observation_space", None))
    tight = getattr(getattr(inner, "observer", None), "tight_space", None)
    return tight if isinstance(tight, gym.Space) and space == own else space


def _method(env: Any, name: str) -> Callable[[], Any] | None:
    """The method `name` of the outermost wrapper that has it, or of the environment; None where there is none."""
    while env is not None:
        if callable(getattr(type(env), name, None)):
            return getattr(env, name)
        env = env.env if isinstance(env, gym.Wrapper) else None
    return None


def _mode_of(env: Any) -> AutoresetMode:
    mode = env.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise SpaceError(
            f"the batch does not say when it resets: its metadata['autoreset_mode'] is {mode!r}, and a "
            "gymnasium.vector.AutoresetMode was expected"
        )
    return mode


def _copied(observations: Any) -> Any:
    if isinstance(observations, dict):
        return {name: part.copy() for name, part in observations.items()}
    return None if observations is None else observations.copy()


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)
    return bool(np.array_equal(one, other))
