"""One MiniGrid environment: the batched core with one slot, and the answer key of its levels."""

import math
from operator import index
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rltk.envs.minigrid.attributes import MiniGridAttributes
from rltk.envs.minigrid.core import Core
from rltk.envs.minigrid.engine import NEXT_STEP
from rltk.envs.minigrid.family import Family, configure, reward_model
from rltk.envs.minigrid.level import LIMIT, MAX_STEPS, RULE, Level, copied, equal
from rltk.envs.minigrid.making.playing import core_for, misfit_of
from rltk.envs.minigrid.models.base import LevelModel, same_level
from rltk.envs.minigrid.models.obstacles import ObstacleModel
from rltk.envs.minigrid.models.still import StillModel, shortest_plan
from rltk.envs.minigrid.observing import Observer
from rltk.envs.minigrid.rules import OBSTACLES_RULE
from rltk.envs.minigrid.things import Actions, GridView
from rltk.envs.tabular.options import check_integer
from rltk.envs.tabular.state import check_range
from rltk.errors import ArgumentError
from rltk.mdp import MDP, restore_stream, stream_of

METADATA: dict[str, Any] = {
    "render_modes": ["human", "rgb_array"],
    "render_fps": 10,
    "draw_law": False,
    "reward_model": "declared",
}


class MiniGridEnv(MiniGridAttributes, gym.Env[Any, int]):
    """A level of `family`, seed for seed that of minigrid 3.2.0, with the family's own options by keyword.

    family: a name, or a `Family` of your own. Of every family: max_steps, see_through_walls (where the family leaves it
    open), agent_view_size (odd), and for pictures render_mode, screen_size, highlight, tile_size, agent_pov. What is
    observed: observation, form, mission, and observation_tile_size, pixels a cell of the modes "rgb" and
    "egocentric_rgb" (`observing.py`).

    An episode is truncated after max_steps by the environment itself; with `math.inf` never, and then success pays
    exactly 1. As in minigrid, stepping on after an end goes on in the same level. Raises ArgumentError, SizeError or
    UnknownNameError for options that can't be used.
    """

    metadata = METADATA

    def __init__(
        self,
        family: str | Family,
        *,
        observation: str = "egocentric",
        form: str = "dict",
        mission: str = "text",
        observation_tile_size: int = 8,
        **options: Any,
    ) -> None:
        self._shown: dict[str, Any] = {
            "observation": observation,
            "form": form,
            "mission": mission,
            "tile_size": observation_tile_size,
        }
        self._home = Core(configure(family, **options), 1)  # of the family's own levels
        self._play(self._home)
        self.observation_space = self.observer.space
        self.action_space = spaces.Discrete(self._setting.plan.n_actions)  # type: ignore[assignment]
        self.actions = Actions
        self.render_mode = self._setting.view.render_mode
        self._actions = np.zeros(1, dtype=np.int64)
        self._rewards = np.zeros(1)
        self._flags = np.zeros((2, 1), dtype=bool)
        self._started = False
        self._first: Level | None = None  # the level as the episode began
        self._model: LevelModel | None = None
        self._window: Any = None

    # Gymnasium's interface

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A new level. `seed` begins the random stream anew.

        options: `{"layout": ...}`, a `Layout`, its text or the path of a file, is played for this episode in place of a
        level of the family; its board may have another size where the observation does not show it.
        """
        core = core_for((options or {}).get("layout"), self._home, self.observer.mission)
        super().reset(seed=seed)
        if core is not self._core:
            self._play(core)
        self._started = False  # until there is a level
        core.streams[0] = stream_of(self.np_random)
        try:
            core.generate(core.everyone)
        finally:
            restore_stream(self.np_random, core.streams[0])
        self._started = True
        self._begin_level()
        observation = self.gen_obs()
        misfit = None if core.cells.shape == self._home.cells.shape else misfit_of(observation, self.observation_space)
        if misfit is not None:
            self._play(self._home)
            self._started = False
            raise misfit
        if self.render_mode == "human":
            self.render()
        return observation, self._info()

    def _play(self, core: Core) -> None:
        """Let `core` be what this environment is about."""
        self._core, self._setting = core, core.setting
        self.observer = Observer(core.setting, **self._shown)
        self._body = core.levels.body[0]
        self.grid = GridView(core.levels, 0)
        self._say_how_it_pays(int(core.levels.board[LIMIT]))

    def _say_how_it_pays(self, limit: int) -> None:
        """In `metadata`: without a limit (the register), `step` pays exactly what the model declares."""
        self.metadata = {**METADATA, "reward_model": reward_model(limit)}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take `action`, a number or a member of `actions`. ArgumentError where there is no such action."""
        if not self._started:
            raise ArgumentError("step before the first reset: call reset() to generate a level")
        try:
            self._actions[0] = index(action)
        except TypeError:
            raise self._no_action(action) from None
        draws = self._setting.plan.draws_in_step
        if draws:
            self._core.streams[0] = stream_of(self.np_random)
        self._core.ended[0] = False
        fault, _ = self._core.step(self._actions, NEXT_STEP, self._rewards, self._flags)
        if fault >= 0:
            raise self._no_action(action)
        if draws:
            restore_stream(self.np_random, self._core.streams[0])
        if self.render_mode == "human":
            self.render()
        return self.gen_obs(), float(self._rewards[0]), bool(self._flags[0, 0]), bool(self._flags[1, 0]), self._info()

    def _no_action(self, action: Any) -> ArgumentError:
        return ArgumentError(f"action: an integer from 0 to {self.action_space.n - 1}; found {action!r}")  # type: ignore[attr-defined]

    def gen_obs(self) -> Any:
        """What the agent is shown now."""
        return self.observer.first(self._core.levels)

    def render(self) -> NDArray[np.uint8] | None:
        """The picture as `get_frame` gives it, in the mode "rgb_array"; in "human" it is shown in a window."""
        if self.render_mode is None:
            name = "" if self.spec is None else self.spec.id
            gym.logger.warn(
                "render() was called on an environment made without a render mode. "
                f'Say which at its making: gym.make("{name}", render_mode="rgb_array")'
            )
            return None
        view = self._setting.view
        frame = self.get_frame(view.highlight, view.tile_size, view.agent_pov)
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            from rltk.drawing import Window

            self._window = Window("rltk" if self.spec is None else self.spec.id, METADATA["render_fps"])
        self._window.show(frame)
        self._window.events()  # unread, they make the desktop think that the window hangs
        return None

    def get_frame(self, highlight: bool = True, tile_size: int = 32, agent_pov: bool = False) -> NDArray[np.uint8]:
        """(h, w, 3) uint8: the board, or what the agent sees of it (`agent_pov`), `tile_size` pixels a cell.

        highlight: what the agent sees of the board is lighter.
        """
        if not self._started:
            raise ArgumentError("there is nothing to draw before the first reset: call reset()")
        return self._core.frames(
            self._core.everyone, check_integer("tile_size", tile_size, 1), highlight=highlight, agent_pov=agent_pov
        )[0]

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    # The answer key

    def mdp(self) -> MDP:
        """The exact model of the current level, from where its episode began, with the declared reward: 1 at success,
        whenever it comes (`models/base.py`). From now on until another level, while an episode lasts, `info["state"]`
        says which state it is in.

        Raises SizeError where there are too many states.
        """
        return self.model().mdp

    def model(self) -> LevelModel:
        """What `mdp` is made of: states in words, distances to success, which states look alike."""
        if self._first is None:
            raise ArgumentError("there is no level before the first reset: call reset()")
        if not self._goes_on() or (self.step_count == 0 and self._model is None):  # a person may have changed the board
            self._begin_level()
        if self._model is None:
            model_of = ObstacleModel if self.moves_by_itself else StillModel
            self._model = model_of(self._first, int(self.action_space.n))  # type: ignore[attr-defined]
        return self._model

    def observations(self, states: Any) -> Any:
        """What the agent is shown in each of (N,) states of `mdp`: arrays with the axis N first."""
        model = self.model()
        numbers = np.asarray(states, dtype=np.int64)
        check_range("states", numbers, 0, model.n_states)
        return self.observer.of_states(model, numbers)

    def alias_classes(self) -> NDArray[np.int64]:
        """(S,): states of `mdp` with the same number look the same in this environment's observation.

        `model().alias_classes()` says it of the agent's view, whatever is observed here.
        """
        return self.model().alias_classes(self.observer)

    @property
    def moves_by_itself(self) -> bool:
        """Whether anything but the agent moves, so that no plan is sure."""
        return bool(self._core.levels.board[RULE] == OBSTACLES_RULE)

    def shortest_plan(self) -> NDArray[np.int8] | None:
        """(L,) the actions of a shortest way to success from here; None where there is none.

        Raises SizeError where the search met too many states, ModelError where things move by themselves.
        """
        if not self._started:
            raise ArgumentError("there is no level before the first reset: call reset()")
        return shortest_plan(self._core.level(0), int(self.action_space.n))  # type: ignore[attr-defined]

    def success_reward(self, steps: int) -> float:
        """What success at this step of an episode pays; 0 where the episode is over by then."""
        return 1.0 - 0.9 * (steps / self.max_steps) if steps <= self.max_steps else 0.0

    @property
    def max_episode_steps(self) -> int | None:
        """`max_steps`, by the name that wrappers and batches have for it; None where there is no limit."""
        return None if self.max_steps == math.inf else int(self.max_steps)

    def _begin_level(self) -> None:
        """The same level again, as a layout is, keeps its model."""
        before, self._first = self._first, copied(self._core.level(0))
        if before is None or not equal(before, self._first):
            self._model = None

    def _goes_on(self) -> bool:
        """Whether what stands now can come of the level as the episode began."""
        if self._first is None or not same_level(self._first, self._core.level(0)):
            return False
        return self._model is None or self._model.holds(self._core.level(0))

    def _info(self) -> dict[str, Any]:
        state = -1 if self._model is None else self._model.state_of(self._core.level(0))
        return {} if state < 0 else {"state": state}

    # The state

    def get_state(self) -> dict[str, NDArray[Any]]:
        """All that the future depends on: `grid` (height, width) uint8 codes, `body` (BODY,) int32 and `memory` (M,)
        int32 registers (`level.py`), `stream` (6,) uint64."""
        if not self._started:
            raise ArgumentError("there is no state before the first reset: call reset()")
        state = {name: array[0] for name, array in self._core.get_state().items()}
        return {**state, "stream": stream_of(self.np_random)}

    def set_state(self, state: Any, restore_rng: bool = False) -> None:
        """Go to what `get_state` gave. The random stream goes on as it is unless `restore_rng`: whoever plans with this
        environment must not see the draws to come.

        Raises ArgumentError, and changes nothing, where `state` does not fit.
        """
        if isinstance(state, dict):
            state = {name: np.asarray(array)[None] for name, array in state.items()}
        found = self._core.checked(state, {})
        self._core.set_state(found)
        self._say_how_it_pays(int(self._body[MAX_STEPS]))
        self._started = True
        if not self._goes_on():
            self._begin_level()
        if restore_rng:
            restore_stream(self.np_random, found["stream"][0])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_body", "grid", "_window")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._window = None
        # Views of the core's arrays: copies of them would show another level.
        self._body = self._core.levels.body[0]
        self.grid = GridView(self._core.levels, 0)
