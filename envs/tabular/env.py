"""Any MDP as a Gymnasium environment whose simulator draws from exactly its T and pays exactly its R."""

import copy
import inspect
from operator import index
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rltk.drawing.scene import Scene
from rltk.envs.tabular.layout import Layout
from rltk.envs.tabular.observations import Observations
from rltk.envs.tabular.sampler import sampler_of
from rltk.envs.tabular.state import check_range, check_stream, checked_state
from rltk.errors import ArgumentError
from rltk.mdp import MDP, restore_stream, stream_of

RENDER_MODES = ("human", "rgb_array")
RENDER_FPS = 8


class TabularEnv(gym.Env[Any, int]):
    """Sample `mdp`, one step at a time.

    layout: what states look like; without one they stand row by row in a grid. observation: one of
    `rltk.envs.tabular.MODES` (view_size is egocentric's). max_episode_steps: truncate after so many steps (Gymnasium's
    `make` does this with a wrapper of its own). render_mode: None, "human" or "rgb_array".

    Its random source is Gymnasium's `np_random`, spent by the draw law (`rltk.mdp.sampling`): one word a reset, one a
    step even where nothing is random, one more for noise on a reward. `info["state"]` is the state's number, and
    `info["action_mask"]` (A,) int8 says which actions can be taken, where the MDP bars any anywhere.

    Raises UnknownNameError, ArgumentError or SizeError for options that can't be used.
    """

    metadata = {  # noqa: RUF012
        "render_modes": list(RENDER_MODES),
        "render_fps": RENDER_FPS,
        "draw_law": True,
        "reward_model": "exact",
    }

    def __init__(
        self,
        mdp: MDP,
        *,
        layout: Layout | None = None,
        observation: str = "index",
        view_size: int = 7,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **unknown: Any,
    ) -> None:
        check_arguments(TabularEnv, self, mdp, unknown)
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ArgumentError(f"render_mode is None or one of {', '.join(RENDER_MODES)}; found {render_mode!r}")
        self.render_mode = render_mode
        self.max_episode_steps = checked_limit(max_episode_steps)
        self.layout = checked_layout(layout, mdp)
        self._mdp = mdp
        self._observations = Observations(self.layout, observation, view_size)
        self.observation_space = self._observations.space
        self.action_space = spaces.Discrete(mdp.n_actions)  # type: ignore[assignment]  # it samples NumPy integers
        self._sampler = sampler_of(mdp)
        self._draw = self._sampler.step
        self._n_actions = mdp.n_actions
        self._barred = not mdp.available.all()
        self._start_states, self._start_sums = mdp.tables.start_states, mdp.tables.start_cumulative
        self._state = -1
        self._elapsed = 0
        self._window: Any = None
        self._painter: Any = None

    # Gymnasium's interface

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draw a start state. `seed` begins the random stream anew; `options` are not used."""
        super().reset(seed=seed)
        i = int(np.searchsorted(self._start_sums, self.np_random.random(), side="right"))
        self._state = int(self._start_states[min(i, self._start_states.size - 1)])
        self._elapsed = 0
        if self.render_mode == "human":
            self.render()
        return self._observations.one(self._state), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take `action`. ArgumentError where there is no such action, or it can't be taken here."""
        state = self._state
        try:
            action = index(action)
        except TypeError:
            raise ArgumentError(f"action: an integer from 0 to {self._n_actions - 1}; found {action!r}") from None
        if state < 0 or not 0 <= action < self._n_actions or (self._barred and not self._mdp.available[state, action]):
            raise self._fault(action)
        # Gymnasium makes the generator when it is first asked for; reading the field spares the property's cost.
        random = (self._np_random or self.np_random).random
        self._state, reward, terminated = self._draw(state, action, random)
        self._elapsed += 1
        truncated = self.max_episode_steps is not None and self._elapsed >= self.max_episode_steps
        if self.render_mode == "human":
            self.render()
        return self._observations.one(self._state), reward, terminated, truncated, self._info()

    def _info(self) -> dict[str, Any]:
        if self._barred:
            return {"state": self._state, "action_mask": self._mdp.available[self._state].astype(np.int8)}
        return {"state": self._state}

    def _fault(self, action: int) -> ArgumentError:
        if self._state < 0:
            return ArgumentError("step before the first reset: call reset() to draw a start state")
        if not 0 <= action < self._n_actions:
            return ArgumentError(f"action: an integer from 0 to {self._n_actions - 1}; found {action}")
        there = np.flatnonzero(self._mdp.available[self._state]).tolist()
        return ArgumentError(
            f"action {action} can't be taken in state {self._state}, only {there} can; info['action_mask'] says which"
        )

    def render(self) -> NDArray[np.uint8] | None:
        """The painted picture, (h, w, 3) uint8, in the mode "rgb_array"; in "human" it is shown in a window."""
        if self.render_mode is None:
            name = "" if self.spec is None else self.spec.id
            gym.logger.warn(
                "render() was called on an environment made without a render mode. "
                f'Say which at its making: gym.make("{name}", render_mode="rgb_array")'
            )
            return None
        frame = self._paint()
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            from rltk.drawing import Window

            self._window = Window("rltk" if self.spec is None else self.spec.id, self.metadata["render_fps"])
        self._window.show(frame)
        self._window.events()  # unread, they make the desktop think that the window hangs
        return None

    def _paint(self) -> NDArray[np.uint8]:
        if self._painter is None:
            from rltk.drawing import Painter

            self._painter = Painter(self.layout.shape)
        return self._painter.paint(self.scene())

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    # The answer key

    def mdp(self) -> MDP:
        """The exact model: what `step` samples and pays."""
        return self._mdp

    def observations(self, states: Any) -> NDArray[Any]:
        """(N, ...): what the agent is shown in each of (N,) states."""
        return self._observations.of(states)

    def scene(self) -> Scene:
        """The picture of the current state, as data."""
        if self._state < 0:
            raise ArgumentError("there is no state to show before the first reset: call reset()")
        return self.layout.scene(self._state)

    def get_state(self) -> dict[str, NDArray[Any]]:
        """All that the future depends on: `state` () int64, `elapsed` () int64 steps, `stream` (6,) uint64."""
        if self._state < 0:
            raise ArgumentError("there is no state before the first reset: call reset()")
        return {
            "state": np.array(self._state),
            "elapsed": np.array(self._elapsed),
            "stream": stream_of(self.np_random),
        }

    def set_state(self, state: Any, restore_rng: bool = False) -> None:
        """Go to what `get_state` gave. The random stream goes on as it is unless `restore_rng`: whoever plans with this
        environment must not see the draws to come. Tell a TimeLimit around it with `rltk.mdp.sync_time_limit`.

        Raises ArgumentError, and changes nothing, where `state` does not fit.
        """
        dtypes = {"state": np.int64, "elapsed": np.int64, "stream": np.uint64}
        found = checked_state(state, dtypes, {"state": (), "elapsed": (), "stream": (6,)})
        check_range("state", found["state"], 0, self._mdp.n_states)
        check_range("elapsed", found["elapsed"], 0, None)
        check_stream(found["stream"])
        self._state, self._elapsed = int(found["state"]), int(found["elapsed"])
        if restore_rng:
            restore_stream(self.np_random, found["stream"])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_window": None, "_painter": None}  # neither can be pickled

    def __deepcopy__(self, memo: dict[int, Any]) -> "TabularEnv":
        """A twin with its own state and stream; what never changes is shared, and a window stays with the original."""
        for shared in (self._mdp, self.layout, self._observations, self._sampler):
            memo[id(shared)] = shared
        for own in (self._window, self._painter):
            memo[id(own)] = None
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for name, value in self.__dict__.items():
            twin.__dict__[name] = copy.deepcopy(value, memo)
        return twin


def check_arguments(base: type, env: Any, mdp: Any, unknown: dict[str, Any]) -> None:
    """ArgumentError for what `base` was given without knowing it, with the options that `env`'s class has, and for an
    `mdp` that is none."""
    if unknown:
        family = type(env).__mro__[: type(env).__mro__.index(base) + 1]
        named = {
            name: None
            for member in family
            if "__init__" in vars(member)
            for name, parameter in list(inspect.signature(vars(member)["__init__"]).parameters.items())[1:]
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        }
        # A class of its own world brings these two itself.
        known = [name for name in named if type(env) is base or name not in ("mdp", "layout")]
        raise ArgumentError(
            f"{type(env).__name__} has no option {', '.join(map(repr, unknown))}; its options are {', '.join(known)}"
        )
    if not isinstance(mdp, MDP):
        raise ArgumentError(
            f"mdp: an rltk.MDP, such as MDP.from_moves or MDP.from_env makes; found {type(mdp).__name__} {mdp!r}. "
            "The world of a map is GridWorldEnv(map)"
        )


def checked_limit(limit: int | None) -> int | None:
    """`limit` as a positive number of steps, or None; ArgumentError otherwise."""
    if limit is None:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int | np.integer) or not 1 <= limit < 2**63:
        raise ArgumentError(f"max_episode_steps is None or a positive number of steps below 2**63; found {limit!r}")
    return int(limit)


def checked_layout(layout: Layout | None, mdp: MDP) -> Layout:
    """`layout`, or the grid that serves any MDP; ArgumentError where it is of another number of states."""
    if layout is None:
        return Layout.of_mdp(mdp)
    if layout.n_states != mdp.n_states:
        raise ArgumentError(f"layout: it places {layout.n_states:,} states, the MDP has {mdp.n_states:,}")
    return layout
