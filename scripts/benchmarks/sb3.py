"""What Stable-Baselines3's PPO gets of `rltk.envs.sb3.VecEnv`: frames a second, learning included.

Beside the same PPO on an environment that costs nothing, whose steps return arrays made in advance: that ratio is the
share of its own speed that the learner keeps. And beside the same PPO on minigrid itself, in SB3's DummyVecEnv. PPO has
its default settings, but for 128 steps a rollout; "MlpPolicy", one thread, in turns. CPU time.
"""

import time
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.scripts.benchmarks.table import Row, in_turns

_NAME = "MiniGrid-DoorKey-8x8-v0"
_ROLLOUT = 128


def bench_sb3(rounds: int) -> list[Row]:
    """16 and 64 environments of DoorKey-8x8. Needs minigrid."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_beside_nothing(16, rounds), _beside_nothing(64, rounds), _beside_minigrid(16, rounds)]
    finally:
        torch.set_num_threads(threads)


def _beside_nothing(count: int, rounds: int) -> Row:
    return _row("one that costs nothing", count, rounds, _nothing(count))


def _beside_minigrid(count: int, rounds: int) -> Row:
    from minigrid.wrappers import ImgObsWrapper
    from stable_baselines3.common.vec_env import DummyVecEnv

    def single() -> gym.Env[Any, Any]:
        return gym.wrappers.FlattenObservation(ImgObsWrapper(gym.make(_NAME)))

    return _row("minigrid in DummyVecEnv", count, rounds, DummyVecEnv([single] * count))


def _row(peer_name: str, count: int, rounds: int, peer: Any) -> Row:
    # Ratios near one want more turns than those of hundreds.
    ours, theirs = in_turns(rounds + 2, _learning(_ours(count)), _learning(peer))
    what = f"{_NAME[9:]}, SB3's PPO, {count} environments; peer: {peer_name}"
    return Row(what, f"{ours:,.0f}/s", f"{theirs:,.0f}/s", f"{ours / theirs:.2f}x")


def _ours(count: int) -> Any:
    from rltk.envs.sb3 import VecEnv

    return VecEnv(f"rltk/{_NAME}", count, seed=0)


def _nothing(count: int) -> Any:
    """An environment with the same spaces whose episodes never end, and whose every step is the same."""
    from stable_baselines3.common.vec_env import VecEnv

    like = _ours(count)

    class Nothing(VecEnv):
        def __init__(self) -> None:
            super().__init__(count, like.observation_space, like.action_space)
            self.shown = like.reset()
            self.paid, self.ended = np.zeros(count, dtype=np.float32), np.zeros(count, dtype=bool)
            self.told: list[dict[str, Any]] = [{"TimeLimit.truncated": False} for _ in range(count)]

        def reset(self) -> Any:
            return self.shown

        def step_async(self, actions: Any) -> None:
            pass

        def step_wait(self) -> Any:
            return self.shown, self.paid, self.ended, self.told

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            return like.get_attr(attr_name, indices)

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
            return like.env_is_wrapped(wrapper_class, indices)

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
            raise NotImplementedError

        def env_method(
            self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
        ) -> list[Any]:
            raise NotImplementedError

        def close(self) -> None:
            pass

    return Nothing()


def _learning(venv: Any) -> Any:
    """What to call for PPO's frames a second on `venv`."""
    from stable_baselines3 import PPO

    model: Any = PPO("MlpPolicy", venv, n_steps=_ROLLOUT, seed=0, device="cpu")
    model.learn(1)  # loads what it needs
    return partial(_frames, model, _ROLLOUT * venv.num_envs)


def _frames(model: Any, frames: int) -> float:
    begin = time.process_time()
    model.learn(frames)
    return frames / (time.process_time() - begin)
