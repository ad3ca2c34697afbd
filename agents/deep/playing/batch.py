"""A batch of environments in any of Gymnasium's autoreset modes."""

import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from rltk.agents.deep.playing.players import MASK, Moves, Players, check_masks, copied, shaped_masks
from rltk.agents.deep.playing.returning import restored, standing
from rltk.errors import ArgumentError, LearningError, SpaceError
from rltk.runs import Streams


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
        self.masked = MASK in infos
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
                seen = copied(seen)  # a batch may write into the arrays that it handed out
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
        seen = copied(seen)
        for i in which.tolist():
            last = self.plain.one(infos["final_obs"][i])
            if isinstance(last, dict):
                for name, part in last.items():
                    seen[name][i] = part
            else:
                seen[i] = last
        if masks is not None and MASK in infos.get("final_info", {}):
            masks = masks.copy()
            masks[which] = np.asarray(infos["final_info"][MASK])[which] != 0
        return seen, masks

    def _masks(self, infos: Mapping[str, Any], otherwise: np.ndarray | None = None) -> np.ndarray | None:
        if not self.masked:
            return None
        masks = np.ones((self.count, self.n_actions), dtype=bool) if otherwise is None else otherwise.copy()
        if MASK in infos:
            told = np.asarray(infos.get(f"_{MASK}", np.ones(self.count, dtype=bool)))
            masks[told] = np.stack([np.asarray(mask) for mask in np.asarray(infos[MASK])[told]]) != 0
        return shaped_masks(masks, self.count, self.n_actions)

    def _seen(self, observations: Any) -> Any:
        try:
            return self.plain.many(observations, self.count)
        except ArgumentError as error:  # what an environment shows against its own space, NaN among it, ends learning
            raise LearningError(str(error)) from None

    def leave(self) -> None:
        self.observations = copied(self.observations)
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


def _mode_of(env: Any) -> AutoresetMode:
    mode = env.metadata.get("autoreset_mode")
    if not isinstance(mode, AutoresetMode):
        raise SpaceError(
            f"the batch does not say when it resets: its metadata['autoreset_mode'] is {mode!r}, and a "
            "gymnasium.vector.AutoresetMode was expected"
        )
    return mode
