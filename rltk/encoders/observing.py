"""An encoder as an observation wrapper: the environment shows features, and agents learn from those.

    EncodeObservation(env, encoder)       observation s  ->  features (F,) float32

It is the quick way to learn on frozen features: each observation goes through the encoder once, and replays keep
features in place of pictures. Where the environment samples one MDP (rltk's tabular ones do), the features of all its
states are one table, made at once, and a step is the gather of a row. Features are a function of the observation alone,
so `rltk.model_of` sees through the wrapper, and `rltk.evaluate` stays exact.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rltk.encoders.frozen import Frozen, table_of
from rltk.mdp import model_of
from rltk.mdp.observing import observations_of

_TABLE_LIMIT = 64 * 2**20  # bytes


class EncodeObservation(gym.ObservationWrapper[Any, Any, Any]):
    """`env`, one or a batch, showing the features that `encoder` makes of its observations.

    encoder: an `Encoder` or a module of your own with `features_dim`. It is copied, put into eval mode and kept from
    gradients: learning that goes on with the original does not show here. device: "auto", "cpu", "cuda". batch_size:
    how many observations go through the encoder at once. Of a batch of environments this makes an
    `EncodeVectorObservation`, in any autoreset mode.

    Raises SpaceError and ArgumentError where the encoder can't take these observations.
    """

    stateless_observation = True

    def __new__(cls, env: Any = None, *arguments: Any, **options: Any) -> Any:
        if isinstance(env, gym.vector.VectorEnv):
            return EncodeVectorObservation(env, *arguments, **options)
        return super().__new__(cls)

    def __init__(self, env: gym.Env[Any, Any], encoder: Any, **options: Any) -> None:
        super().__init__(env)
        self._frozen = Frozen(encoder, env.observation_space, **options)
        self._table = _table(self._frozen, env)
        self.observation_space = _space(self._frozen)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return self._shown(observation, info), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._shown(observation, info), reward, terminated, truncated, info

    def observation(self, observation: Any) -> NDArray[np.float32]:
        """(F,) the features of one observation of `env`."""
        return self._frozen.one(observation)

    def observations(self, states: Any) -> NDArray[np.float32]:
        """(N, F): what is shown in each of (N,) states of the environment's model."""
        return _of_states(self._frozen, self._table, self.env, states)

    def _shown(self, observation: Any, info: dict[str, Any]) -> NDArray[np.float32]:
        return self.observation(observation) if self._table is None else self._table[info["state"]].copy()


class EncodeVectorObservation(gym.vector.VectorWrapper[Any, Any, Any, Any, Any]):
    """What `EncodeObservation` makes of a batch of environments."""

    stateless_observation = True

    def __init__(self, env: Any, encoder: Any, **options: Any) -> None:
        super().__init__(env)
        self._frozen = Frozen(encoder, env.single_observation_space, **options)
        self._table = _table(self._frozen, env)
        self.single_observation_space = _space(self._frozen)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._states = np.zeros(env.num_envs, np.int64)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._shown(observations, infos), infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        shown = self._shown(observations, infos)
        if "final_obs" in infos:
            infos = {**infos, "final_obs": self._final(infos)}
        return shown, rewards, terminated, truncated, infos

    def observation(self, observation: Any) -> NDArray[np.float32]:
        """(F,) the features of one observation of a single environment."""
        return self._frozen.one(observation)

    def observations(self, states: Any) -> NDArray[np.float32]:
        """(N, F): what is shown in each of (N,) states of the environment's model."""
        return _of_states(self._frozen, self._table, self.env, states)

    def _shown(self, observations: Any, infos: dict[str, Any]) -> NDArray[np.float32]:
        if self._table is None:
            return self._frozen.many(observations, self.num_envs)
        told = infos["_state"]  # a reset of some tells the states of those alone
        self._states[told] = infos["state"][told]
        return self._table[self._states]

    def _final(self, infos: dict[str, Any]) -> NDArray[Any]:
        """The last observations of the episodes that ended in this step, an object each, as Gymnasium gives them."""
        last = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(infos["_final_obs"]).tolist():
            if self._table is None:
                last[i] = self._frozen.one(infos["final_obs"][i])
            else:
                last[i] = self._table[infos["final_info"]["state"][i]].copy()
        return last


def _space(frozen: Frozen) -> spaces.Box:
    return spaces.Box(-np.inf, np.inf, (frozen.features_dim,), np.float32)


def _table(frozen: Frozen, env: Any) -> NDArray[np.float32] | None:
    """The features of all states, where `env` samples one MDP and says in `info` where it stands."""
    mdp = model_of(env)[0] if env.unwrapped.metadata.get("draw_law") else None
    if mdp is None or mdp.n_states * frozen.features_dim * 4 > _TABLE_LIMIT:
        return None
    return table_of(frozen, env, mdp.n_states)


def _of_states(frozen: Frozen, table: Any, env: Any, states: Any) -> NDArray[np.float32]:
    states = np.asarray(states)
    found: NDArray[np.float32] = (
        frozen.many(observations_of(env, states), states.size) if table is None else table[states]
    )
    return found
