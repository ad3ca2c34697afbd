"""Many MiniGrid environments of one family in compiled loops, as a Gymnasium VectorEnv.

Environment i is the single environment that was seeded with seed + i: the same levels, the same episodes. A new level
is generated, from the environment's own stream, when the autoreset mode says so:

- NEXT_STEP: the step after an end ignores the action and returns a reset: its observation, reward 0, no flags.
- SAME_STEP: the step that ends returns the next level's first observation; the last one is in `final_obs`.
- DISABLED: whoever steps resets, with `reset(options={"reset_mask": (num_envs,) bool})`.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rltk.envs.batching import (
    checked_actions,
    checked_count,
    checked_mask,
    checked_mode,
    checked_seeds,
    has_ended,
    seeded_streams,
)
from rltk.envs.minigrid import engine
from rltk.envs.minigrid.core import Core
from rltk.envs.minigrid.env import METADATA
from rltk.envs.minigrid.family import Family, configure, reward_model
from rltk.envs.minigrid.observing import Observer
from rltk.envs.minigrid.things import GridView
from rltk.errors import ArgumentError

_MODES = {
    AutoresetMode.NEXT_STEP: engine.NEXT_STEP,
    AutoresetMode.SAME_STEP: engine.SAME_STEP,
    AutoresetMode.DISABLED: engine.DISABLED,
}


class MiniGridVectorEnv(VectorEnv[Any, Any, Any]):
    """`num_envs` levels of `family`. Options are those of `MiniGridEnv`, and:

    autoreset_mode: Gymnasium's `AutoresetMode` or its value. copy: False hands out buffers that the next call reuses.

    Observations have the axis N first: image (N, V, V, 3) uint8, direction (N,) int64, and mission, a tuple of N
    sentences; and likewise in the other modes and forms (`observing.py`): `observer` makes them.
    """

    def __init__(
        self,
        num_envs: int = 1,
        *,
        family: str | Family,
        observation: str = "egocentric",
        form: str = "dict",
        mission: str = "text",
        observation_tile_size: int = 8,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        **options: Any,
    ) -> None:
        self._setting = configure(family, **options)
        if self._setting.view.render_mode not in (None, "rgb_array"):
            raise ArgumentError(f"render_mode of a batch is None or 'rgb_array'; found {options['render_mode']!r}")
        self.num_envs = checked_count(num_envs)
        self.autoreset_mode = checked_mode(autoreset_mode)
        self.metadata = {
            **METADATA,
            "render_modes": ["rgb_array"],
            "reward_model": reward_model(self._setting.max_steps),
            "autoreset_mode": self.autoreset_mode,
        }
        self.render_mode = self._setting.view.render_mode
        self.copy = copy
        self._core = Core(self._setting, self.num_envs)
        self.observer = Observer(
            self._setting, observation=observation, form=form, mission=mission, tile_size=observation_tile_size
        )
        self.single_observation_space = self.observer.space
        self.single_action_space = spaces.Discrete(self._setting.plan.n_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._started = False
        self._missions_differ = len(self._setting.plan.missions) > 1 and mission == "text" and form == "dict"
        self._texts = (self._setting.plan.missions.texts[0],) * self.num_envs
        self._make_buffers()

    def _make_buffers(self) -> None:
        self._room = self.observer.room(self.num_envs)
        self._rewards = np.empty(self.num_envs)
        self._flags = np.empty((2, self.num_envs), dtype=bool)

    # Gymnasium's interface

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """New levels, for all or for those in `options["reset_mask"]` (num_envs,) bool.

        seed: an int, from which environment i takes seed + i, or a list of one int or None each.
        """
        if options and "layout" in options:
            raise ArgumentError("options['layout'] is for single environments; a batch is made with layout=...")
        mask = checked_mask(options, self.num_envs)
        if not mask.all() and not self._started:
            raise ArgumentError("the first reset is of all environments: call reset() without a reset_mask")
        seeds = checked_seeds(seed, self.num_envs)
        self._core.streams = seeded_streams(self._core.streams if self._started else None, seeds, mask)
        self._generate(np.flatnonzero(mask))
        self._started = True
        if self.copy:
            self._make_buffers()
        return self._observe(), {}

    def step(
        self, actions: Any
    ) -> tuple[Any, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take `actions` (num_envs,) integers. ArgumentError names the environment that can't take its action."""
        if not self._started:
            raise ArgumentError("step before the first reset: call reset() to generate levels")
        actions = checked_actions(actions, self.num_envs)
        if self.copy:
            self._make_buffers()
        fault, due = self._core.step(actions, _MODES[self.autoreset_mode], self._rewards, self._flags)
        if fault >= 0:
            raise self._fault(fault, actions[fault])
        infos: dict[str, Any] = {}
        if due.size:
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                infos = self._final(due)
            self._generate(due)
        return self._observe(), self._rewards, self._flags[0], self._flags[1], infos

    def _generate(self, which: NDArray[np.int64]) -> None:
        self._started = False  # where there is no level, all must be reset
        self._core.generate(which)
        self._started = True
        self._remember_texts()

    def _remember_texts(self) -> None:
        if self._missions_differ:
            self._texts = self.observer.texts(self._core.mission_numbers)

    def _observe(self) -> Any:
        return self.observer.observe(self._core.levels, self._core.everyone, self._room, self._texts)

    def _final(self, ended: NDArray[np.int64]) -> dict[str, Any]:
        """The last observation and info of the episodes that this step ended."""
        last = np.full(self.num_envs, None, dtype=object)
        last[ended] = np.fromiter(self.observer.each(self._core.levels, ended), dtype=object, count=ended.size)
        done = np.zeros(self.num_envs, dtype=bool)
        done[ended] = True
        return {"final_obs": last, "_final_obs": done, "final_info": {}, "_final_info": done.copy()}

    def _fault(self, i: int, action: int) -> ArgumentError:
        if self._core.ended[i]:
            return has_ended(i)
        return ArgumentError(f"action of environment {i}: 0 to {self._setting.plan.n_actions - 1}; found {action}")

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """A frame (h, w, 3) of each environment, as `MiniGridEnv.render` gives it."""
        if self.render_mode is None:
            gym.logger.warn("render() was called on environments made without render_mode='rgb_array'")
            return None
        if not self._started:
            raise ArgumentError("there is nothing to draw before the first reset: call reset()")
        view = self._setting.view
        size, light, pov = view.tile_size, view.highlight, view.agent_pov
        return tuple(self._core.frames(self._core.everyone, size, highlight=light, agent_pov=pov))

    # The levels

    def grid(self, i: int) -> GridView:
        """The board of environment `i`, as MiniGrid's `grid`."""
        if not 0 <= i < self.num_envs:
            raise ArgumentError(f"i: an environment from 0 to {self.num_envs - 1}; found {i!r}")
        return GridView(self._core.levels, i)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """All that the future depends on: `grid` (N, height, width) uint8 codes, `body` (N, BODY) and `memory` (N, M)
        int32 registers (`level.py`), `stream` (N, 6) uint64, `ended` (N,) bool."""
        if not self._started:
            raise ArgumentError("there is no state before the first reset: call reset()")
        return {**self._core.get_state(), "stream": self._core.streams.copy(), "ended": self._core.ended.copy()}

    def set_state(self, state: Any, restore_rng: bool = False) -> None:
        """Go to what `get_state` gave; the random streams go on as they are unless `restore_rng`.

        Raises ArgumentError, and changes nothing, where `state` does not fit.
        """
        found = self._core.checked(state, {"ended": (bool, (self.num_envs,))})
        self._core.set_state(found)
        self._core.ended = found["ended"]
        if restore_rng:
            self._core.streams = found["stream"]
        elif not self._started:
            fresh: list[int | None] = [None] * self.num_envs
            self._core.streams = seeded_streams(None, fresh, np.ones(self.num_envs, dtype=bool))
        self._started = True
        self._remember_texts()
