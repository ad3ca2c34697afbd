"""The batched environments as Stable-Baselines3 wants them: its PPO, A2C and DQN train on `VecEnv` as it stands.

Stable-Baselines3's contract, where it differs from Gymnasium's:

- an episode's end and the next one's beginning are one step (Gymnasium's SAME_STEP); what is shown is the beginning,
  and the last observation is `infos[i]["terminal_observation"]`;
- `dones = terminated | truncated`, and `infos[i]["TimeLimit.truncated"]` is True where it was time alone: there the
  learner bootstraps;
- infos are a list of dicts; `infos[i]["episode"] = {"r": return, "l": steps, "t": seconds}` where an episode ended, as
  its Monitor writes it.

What is handed out stays as it is: SB3 keeps the last observation across a step and adds to the rewards it was given.

Source: Stable-Baselines3 2.9, common/vec_env/base_vec_env.py and dummy_vec_env.py, common/monitor.py.
"""

import time
import warnings
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common import vec_env
from stable_baselines3.common.monitor import Monitor

from rltk.envs.minigrid import MiniGridVectorEnv
from rltk.errors import ArgumentError, SpaceError, UnknownNameError

_MINIGRID = "rltk.envs.minigrid:MiniGridVectorEnv"
_TAKEN = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
_DIGITS = 6  # of returns and seconds, as Monitor rounds them


class VecEnv(vec_env.VecEnv):
    """`num_envs` environments in one compiled batch, `batch`, for Stable-Baselines3.

    env: an id, such as "rltk/MiniGrid-DoorKey-8x8-v0" or "rltk/FourRooms-v0", made with `options`; or a VectorEnv that
    resets in the step that ends (`AutoresetMode.SAME_STEP`). seed: of the first reset; environment i gets seed + i.

    MiniGrid's environments come with form="flat", a row of small numbers for "MlpPolicy": numbers of things and colours
    are no pixels, and what SB3 takes for an image it divides by 255. form="dict" is for "MultiInputPolicy", with the
    mission as its number unless asked otherwise; form="image" for a network of one's own, or with
    observation="egocentric_rgb" for "CnnPolicy". In the forms flat and image a level's mission is left out unless
    mission="number" or "tokens" asks for it.

    Attributes are the batch's own, one for all environments.

    Raises UnknownNameError for an id there is not, SpaceError for spaces that SB3's policies can't take, ArgumentError
    for what is no batch, or one in another autoreset mode.
    """

    def __init__(
        self,
        env: str | VectorEnv[Any, Any, Any],
        num_envs: int | None = None,
        *,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        self.batch = _made(env, num_envs, options)
        observation_space, action_space = _spaces_of(self.batch)
        super().__init__(self.batch.num_envs, observation_space, action_space)
        self._reuses = getattr(self.batch.unwrapped, "copy", False) is not True  # its arrays, maybe
        self._actions: NDArray[Any] | None = None
        self._returns = np.zeros(self.num_envs)
        self._lengths = np.zeros(self.num_envs, dtype=np.int64)
        self._began = time.time()
        if seed is not None:
            self.seed(seed)

    # Stepping

    def reset(self) -> Any:
        """Begin new episodes, from the seeds that `seed` set, once."""
        if any(options != self._options[0] for options in self._options):
            raise ArgumentError("set_options: a batch takes one dict of options for all its environments")
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        observations, infos = self.batch.reset(seed=seeds, options=self._options[0] or None)  # type: ignore[arg-type]
        self.reset_infos = _listed(infos, self.num_envs)
        self._returns[:], self._lengths[:] = 0, 0
        self._reset_seeds()
        self._reset_options()
        return self._own(observations)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Hold (num_envs,) actions until `step_wait`."""
        self._actions = actions

    def step_wait(self) -> Any:
        """(observations, rewards (num_envs,) float32, dones (num_envs,) bool, infos) of the actions held."""
        if self._actions is None:
            raise ArgumentError("step_wait: there are no actions to take; call step_async(actions) first")
        actions, self._actions = self._actions, None
        observations, rewards, terminated, truncated, infos = self.batch.step(actions)
        dones = terminated | truncated
        self._returns += rewards
        self._lengths += 1
        ended = np.flatnonzero(dones)
        told = self._infos(infos, ended, truncated & ~terminated)
        self._returns[ended], self._lengths[ended] = 0, 0
        return self._own(observations), rewards.astype(np.float32), dones, told

    def _infos(self, infos: dict[str, Any], ended: NDArray[np.int64], timed_out: NDArray[np.bool_]) -> list[Any]:
        if not ended.size:
            told = _listed(infos, self.num_envs)
            for info in told:
                info["TimeLimit.truncated"] = False
            return told
        last, final_infos = infos["final_obs"], _listed(infos.get("final_info", {}), self.num_envs)
        told = _listed({key: value for key, value in infos.items() if "final_" not in key}, self.num_envs)
        seconds = round(time.time() - self._began, _DIGITS)
        for i in ended.tolist():
            self.reset_infos[i], told[i] = told[i], final_infos[i]
            told[i]["terminal_observation"] = last[i]
            episode = {"r": round(float(self._returns[i]), _DIGITS), "l": int(self._lengths[i]), "t": seconds}
            told[i]["episode"] = episode
        for info, alone in zip(told, timed_out.tolist(), strict=True):
            info["TimeLimit.truncated"] = alone
        return told

    def _own(self, observations: Any) -> Any:
        return deepcopy(observations) if self._reuses else observations

    # What SB3 asks of its environments one by one

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The batch's attribute, for each environment asked for. AttributeError where it has none."""
        owner = self.batch if hasattr(self.batch, attr_name) else self.batch.unwrapped
        value = getattr(owner, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set the batch's attribute. ArgumentError where it is meant for some of the environments only."""
        if len(set(self._get_indices(indices))) < self.num_envs:
            raise ArgumentError(f"set_attr({attr_name!r}): a batch has its attributes in common; leave indices out")
        setattr(self.batch.unwrapped, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call the batch's method, once; what it gave, for each environment asked for."""
        value = self.get_attr(method_name, 0)[0](*method_args, **method_kwargs)
        return [value for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """True of Monitor, whose work is done here, and of the batch's own wrappers."""
        found, inner = issubclass(wrapper_class, Monitor), self.batch
        while isinstance(inner, gym.vector.VectorWrapper) and not found:
            found, inner = isinstance(inner, wrapper_class), inner.env
        return [found for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """A frame (h, w, 3) of each environment, where the render mode is "rgb_array"."""
        if self.render_mode != "rgb_array":
            warnings.warn("there are no images: make the environments with render_mode='rgb_array'", stacklevel=2)
            return [None] * self.num_envs
        frames: Any = self.batch.render()
        return list(frames)

    def close(self) -> None:
        """Close the batch."""
        self.batch.close()


def _made(env: Any, num_envs: int | None, options: dict[str, Any]) -> VectorEnv[Any, Any, Any]:
    """The batch: made from an id, or the one that was given."""
    if isinstance(env, str):
        try:
            spec = gym.spec(env)
        except gym.error.Error as error:
            raise UnknownNameError(f"env: {error}") from None
        if spec.vector_entry_point is None:
            raise ArgumentError(f"env: {env} has no batch of its own; use Stable-Baselines3's make_vec_env for it")
        if spec.vector_entry_point == _MINIGRID:
            options = {"form": "flat", **options}
            if options["form"] == "dict":
                options = {"mission": "number", **options}
        if "autoreset_mode" in options:
            raise ArgumentError("autoreset_mode: leave it out; Stable-Baselines3 needs SAME_STEP, and gets it")
        try:
            return gym.make_vec(
                env,
                num_envs=1 if num_envs is None else num_envs,
                vectorization_mode="vector_entry_point",
                autoreset_mode=AutoresetMode.SAME_STEP,
                **options,
            )
        except TypeError as error:
            raise ArgumentError(
                f"env: the batch of {env} can't be made for Stable-Baselines3 ({error}); its own make_vec_env makes one"
            ) from error
    if not isinstance(env, VectorEnv):
        raise ArgumentError(f"env: an id or a Gymnasium VectorEnv; found {type(env).__name__}")
    if options:
        raise ArgumentError(f"options go with an id; this batch is made already: {', '.join(options)}")
    if num_envs not in (None, env.num_envs):
        raise ArgumentError(f"num_envs: this batch has {env.num_envs} environments; found {num_envs!r}")
    mode = env.metadata.get("autoreset_mode")
    if mode is not AutoresetMode.SAME_STEP:
        raise ArgumentError(
            f"env: Stable-Baselines3 needs a batch that resets in the step that ends; this one is {mode}. "
            "Make it with autoreset_mode='SameStep'"
        )
    return env


def _spaces_of(batch: VectorEnv[Any, Any, Any]) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    """(observation space, action space) of one environment. SpaceError where SB3's policies can't take them."""
    inner, observation_space = batch.unwrapped, batch.single_observation_space
    if isinstance(inner, MiniGridVectorEnv) and observation_space == inner.single_observation_space:
        observation_space = inner.observer.tight_space
    parts = observation_space.spaces if isinstance(observation_space, spaces.Dict) else {"": observation_space}
    for name, part in parts.items():
        if not isinstance(part, _TAKEN):
            what = f"the observation's {name!r}" if name else "the observation"
            hint = "; ask for mission='number', 'tokens' or 'none'" if name == "mission" else ""
            raise SpaceError(f"Stable-Baselines3 has no use for {what}, a {type(part).__name__}{hint}")
    if not isinstance(batch.single_action_space, spaces.Discrete):
        raise SpaceError(f"actions are numbers, a Discrete space; found {batch.single_action_space}")
    return observation_space, batch.single_action_space


def _listed(infos: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Gymnasium's infos of a batch, arrays with masks, as a dict for each environment."""
    listed: list[dict[str, Any]] = [{} for _ in range(count)]
    for key, values in infos.items():
        mask = infos.get(f"_{key}")
        if mask is None:  # a mask itself
            continue
        if isinstance(values, dict):
            values = _listed(values, count)
        elif values.ndim == 1:
            values = values.tolist()
        for i in np.flatnonzero(mask).tolist():
            listed[i][key] = values[i]
    return listed
