"""Many copies of one MDP in one compiled loop, as a Gymnasium VectorEnv.

Environment i is the single environment that was seeded with seed + i: the same draws, the same episodes. The three
autoreset modes are Gymnasium's:

- NEXT_STEP: the step after an end ignores the action and returns a reset: its observation, reward 0, no flags.
- SAME_STEP: the step that ends returns the next episode's first observation; the last one is in `final_obs`.
- DISABLED: whoever steps resets, with `reset(options={"reset_mask": (num_envs,) bool})`.
"""

from typing import Any

import gymnasium as gym
import numpy as np
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
from rltk.envs.tabular.env import TabularEnv, check_arguments, checked_layout, checked_limit
from rltk.envs.tabular.layout import Layout
from rltk.envs.tabular.observations import Observations
from rltk.envs.tabular.state import check_range, check_stream, checked_state
from rltk.errors import ArgumentError
from rltk.mdp import MDP, jit
from rltk.mdp.sampling import draw, draw_start

_NEXT_STEP, _SAME_STEP, _DISABLED = 0, 1, 2
_MODES = {
    AutoresetMode.NEXT_STEP: _NEXT_STEP,
    AutoresetMode.SAME_STEP: _SAME_STEP,
    AutoresetMode.DISABLED: _DISABLED,
}
_NO_LIMIT = np.iinfo(np.int64).max


@jit
def start_some(tables, streams, mask, states, elapsed, ended):
    """Draw a start state for each environment in `mask` (N,) bool."""
    for i in range(states.size):
        if mask[i]:
            states[i] = draw_start(tables, streams[i])
            elapsed[i] = 0
            ended[i] = False


@jit
def advance(tables, n_actions, barred, actions, limit, mode, streams, states, elapsed, ended, rewards, flags, final):
    """Step N environments; the number of the first that can't take its action, before anything changed, or -1.

    barred: (S, A) bool, or (0, 0). Updated: streams (N, 6), states, elapsed, ended (N,). Filled: rewards (N,), flags
    (2, N) bool terminated and truncated, final (N,) the states before an autoreset.
    """
    for i in range(states.size):
        if ended[i]:
            if mode == _DISABLED:
                return i
        elif actions[i] < 0 or actions[i] >= n_actions or (barred.size > 0 and barred[states[i], actions[i]]):
            return i
    for i in range(states.size):
        if ended[i]:  # only in the mode NEXT_STEP
            states[i] = draw_start(tables, streams[i])
            elapsed[i], ended[i] = 0, False
            rewards[i], flags[0, i], flags[1, i] = 0.0, False, False
            continue
        states[i], rewards[i], flags[0, i], _ = draw(tables, states[i], actions[i], streams[i])
        elapsed[i] += 1
        flags[1, i] = elapsed[i] >= limit
        final[i] = states[i]
        ended[i] = flags[0, i] or flags[1, i]
        if ended[i] and mode == _SAME_STEP:
            states[i] = draw_start(tables, streams[i])
            elapsed[i], ended[i] = 0, False
    return -1


class TabularVectorEnv(VectorEnv[Any, Any, Any]):
    """`num_envs` environments of one MDP. Options are those of `TabularEnv`, and:

    max_episode_steps: an episode of so many steps is truncated, never terminated; both may be True at once.
    autoreset_mode: Gymnasium's `AutoresetMode` or its value. copy: False hands out buffers that the next call reuses.

    `infos["state"]` (num_envs,) int64 holds the states' numbers, with Gymnasium's mask `_state`.
    """

    def __init__(
        self,
        mdp: MDP,
        num_envs: int = 1,
        *,
        layout: Layout | None = None,
        observation: str = "index",
        view_size: int = 7,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        render_mode: str | None = None,
        **unknown: Any,
    ) -> None:
        check_arguments(TabularVectorEnv, self, mdp, unknown)
        if render_mode not in (None, "rgb_array"):
            raise ArgumentError(f"render_mode of a batch is None or 'rgb_array'; found {render_mode!r}")
        self.num_envs = checked_count(num_envs)
        self.max_episode_steps = checked_limit(max_episode_steps)
        self.autoreset_mode = checked_mode(autoreset_mode)
        self.metadata = {**TabularEnv.metadata, "render_modes": ["rgb_array"], "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self.copy = copy
        self.layout = checked_layout(layout, mdp)
        self._mdp = mdp
        self._observations = Observations(self.layout, observation, view_size)
        self.single_observation_space = self._observations.space
        self.single_action_space = gym.spaces.Discrete(mdp.n_actions)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        available = mdp.available
        self._barred = np.zeros((0, 0), dtype=bool) if available.all() else ~available
        self._painter: Any = None
        self._streams: NDArray[np.uint64] | None = None
        self._states = np.full(self.num_envs, -1, dtype=np.int64)
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._ended = np.zeros(self.num_envs, dtype=bool)
        self._make_buffers()

    def _make_buffers(self) -> None:
        self._rewards = np.zeros(self.num_envs)
        self._flags = np.zeros((2, self.num_envs), dtype=bool)
        self._final = np.zeros(self.num_envs, dtype=np.int64)

    # Gymnasium's interface

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Draw start states, for all or for those in `options["reset_mask"]` (num_envs,) bool.

        seed: an int, from which environment i takes seed + i, or a list of one int or None each.
        """
        mask = checked_mask(options, self.num_envs)
        if not mask.all() and (self._states[~mask] < 0).any():
            raise ArgumentError("the first reset is of all environments: call reset() without a reset_mask")
        self._streams = seeded_streams(self._streams, checked_seeds(seed, self.num_envs), mask)
        start_some(self._mdp.tables, self._streams, mask, self._states, self._elapsed, self._ended)
        return self._observe(), self._infos(mask)

    def step(
        self, actions: Any
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take `actions` (num_envs,) integers. ArgumentError names the environment that can't take its action."""
        if self._streams is None:
            raise ArgumentError("step before the first reset: call reset() to draw start states")
        actions = checked_actions(actions, self.num_envs)
        if self.copy:
            self._make_buffers()
        fault = advance(
            self._mdp.tables,
            self._mdp.n_actions,
            self._barred,
            actions,
            _NO_LIMIT if self.max_episode_steps is None else self.max_episode_steps,
            _MODES[self.autoreset_mode],
            self._streams,
            self._states,
            self._elapsed,
            self._ended,
            self._rewards,
            self._flags,
            self._final,
        )
        if fault >= 0:
            raise self._fault(fault, actions[fault])
        infos = self._infos(np.ones(self.num_envs, dtype=bool))
        if self.autoreset_mode is AutoresetMode.SAME_STEP:
            self._add_final(infos)
        return self._observe(), self._rewards, self._flags[0], self._flags[1], infos

    def _observe(self) -> NDArray[Any]:
        if self._observations.mode == "index" and not self.copy:
            return self._states
        return self._observations.take(self._states)

    def _infos(self, mask: NDArray[np.bool_], states: NDArray[np.int64] | None = None) -> dict[str, Any]:
        """Gymnasium's form: an array a key, zero where `_key` is False."""
        states = self._states if states is None else states
        infos: dict[str, Any] = {"state": np.where(mask, states, 0), "_state": mask}
        if self._barred.size:
            infos["action_mask"] = (mask[:, None] & ~self._barred[states]).astype(np.int8)
            infos["_action_mask"] = mask.copy()
        return infos

    def _add_final(self, infos: dict[str, Any]) -> None:
        """The last observation and info of the episodes that this step ended."""
        done = self._flags[0] | self._flags[1]
        ended = np.flatnonzero(done)
        if not ended.size:
            return
        last = np.full(self.num_envs, None, dtype=object)
        for i in ended:
            last[i] = self._observations.one(int(self._final[i]))
        final_info = self._infos(done, np.where(done, self._final, 0))
        infos.update(final_obs=last, _final_obs=done.copy(), final_info=final_info, _final_info=done.copy())

    def _fault(self, i: int, action: int) -> ArgumentError:
        if self._ended[i]:
            return has_ended(i)
        if not 0 <= action < self._mdp.n_actions:
            return ArgumentError(f"action of environment {i}: 0 to {self._mdp.n_actions - 1}; found {action}")
        there = np.flatnonzero(self._mdp.available[self._states[i]]).tolist()
        return ArgumentError(
            f"environment {i}: action {action} can't be taken in state {self._states[i]}, only {there} can"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_painter": None}  # it holds surfaces, which can't be pickled

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """A frame (h, w, 3) of each environment."""
        if self.render_mode is None:
            gym.logger.warn("render() was called on environments made without render_mode='rgb_array'")
            return None
        if self._painter is None:
            from rltk.drawing import Painter

            self._painter = Painter(self.layout.shape)
        return tuple(self._painter.paint(self.layout.scene(int(state))) for state in self._states)

    # The answer key

    def mdp(self) -> MDP:
        """The exact model: what `step` samples and pays."""
        return self._mdp

    def observations(self, states: Any) -> NDArray[Any]:
        """(N, ...): what the agent is shown in each of (N,) states."""
        return self._observations.of(states)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """All that the future depends on: `state`, `elapsed` (num_envs,) int64, `stream` (num_envs, 6) uint64, and
        `ended` (num_envs,) bool, the environments whose next step is a reset."""
        if self._streams is None:
            raise ArgumentError("there is no state before the first reset: call reset()")
        return {
            "state": self._states.copy(),
            "elapsed": self._elapsed.copy(),
            "stream": self._streams.copy(),
            "ended": self._ended.copy(),
        }

    def set_state(self, state: Any, restore_rng: bool = False) -> None:
        """Go to what `get_state` gave; the random streams go on as they are unless `restore_rng`.

        Raises ArgumentError, and changes nothing, where `state` does not fit.
        """
        n = (self.num_envs,)
        dtypes = {"state": np.int64, "elapsed": np.int64, "stream": np.uint64, "ended": bool}
        found = checked_state(state, dtypes, {"state": n, "elapsed": n, "stream": (*n, 6), "ended": n})
        check_range("state", found["state"], 0, self._mdp.n_states)
        check_range("elapsed", found["elapsed"], 0, None)
        check_stream(found["stream"])
        if self._streams is None or restore_rng:
            everywhere = np.ones(self.num_envs, dtype=bool)
            self._streams = seeded_streams(self._streams, [None] * self.num_envs, everywhere)
        if restore_rng:
            self._streams = found["stream"]
        self._states, self._elapsed, self._ended = found["state"], found["elapsed"], found["ended"]
