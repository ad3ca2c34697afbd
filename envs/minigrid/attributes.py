"""What MiniGrid's users touch: where the agent is, what it carries, what it is told, how long an episode lasts.

Source: minigrid 3.2.0, minigrid_env.py, for the names.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.board import AHEAD_X, AHEAD_Y
from rltk.envs.minigrid.core import Core
from rltk.envs.minigrid.family import Setting, check_limit, limit_of
from rltk.envs.minigrid.level import CARRYING, DIRECTION, LIMIT, MAX_STEPS, STEPS, X, Y
from rltk.envs.minigrid.things import GridView, Thing, code_of_thing, thing_of
from rltk.errors import ArgumentError


class MiniGridAttributes:
    """MiniGrid's names for what the core of one level holds."""

    grid: GridView
    _core: Core
    _setting: Setting
    _body: NDArray[np.int32]
    _started: bool

    def _say_how_it_pays(self, limit: int) -> None:
        raise NotImplementedError

    @property
    def agent_pos(self) -> tuple[int, int]:
        """(x, y) of the agent."""
        return int(self._body[X]), int(self._body[Y])

    @agent_pos.setter
    def agent_pos(self, place: Any) -> None:
        x, y = place
        self.grid._check(x, y)
        self._body[X], self._body[Y] = x, y

    @property
    def agent_dir(self) -> int:
        """Where the agent looks: 0 right, 1 down, 2 left, 3 up."""
        return int(self._body[DIRECTION])

    @agent_dir.setter
    def agent_dir(self, direction: int) -> None:
        if direction not in range(4):
            raise ArgumentError(f"agent_dir: 0 right, 1 down, 2 left or 3 up; found {direction!r}")
        self._body[DIRECTION] = direction

    @property
    def carrying(self) -> Thing | None:
        """What the agent carries."""
        return thing_of(int(self._body[CARRYING]))

    @carrying.setter
    def carrying(self, thing: Any) -> None:
        new = thing_of(code_of_thing(thing))
        if new is not None and not new.can_pickup():
            raise ArgumentError(f"carrying: None, a key, a ball or a box; found {thing!r}")
        self._body[CARRYING] = 0 if new is None else new.code

    @property
    def max_steps(self) -> float:
        """After so many steps the episode is truncated: an int, or `math.inf`."""
        return limit_of(self._body[MAX_STEPS] if self._started else self._core.levels.board[LIMIT])

    @max_steps.setter
    def max_steps(self, limit: float) -> None:
        register = check_limit("max_steps", limit)
        self._body[MAX_STEPS] = self._core.levels.board[LIMIT] = register
        self._say_how_it_pays(register)

    @property
    def step_count(self) -> int:
        """Steps of this episode so far."""
        return int(self._body[STEPS])

    @property
    def steps_remaining(self) -> float:
        """Steps until truncation."""
        return self.max_steps - self.step_count

    @property
    def mission(self) -> str:
        """What the agent is told."""
        return self._setting.plan.missions.texts[self.mission_number]

    @property
    def mission_number(self) -> int:
        """The number of `mission` among the family's sentences."""
        return int(self._core.mission_numbers[0])

    @property
    def width(self) -> int:
        """Cells from left to right."""
        return self.grid.width

    @property
    def height(self) -> int:
        """Cells from top to bottom."""
        return self.grid.height

    @property
    def agent_view_size(self) -> int:
        """Cells along a side of the view."""
        return self._setting.view.agent_view_size

    @property
    def highlight(self) -> bool:
        """Whether `render` shows lighter what the agent sees."""
        return self._setting.view.highlight

    @property
    def tile_size(self) -> int:
        """Pixels a cell in `render`."""
        return self._setting.view.tile_size

    @property
    def agent_pov(self) -> bool:
        """Whether `render` shows the agent's view instead of the board."""
        return self._setting.view.agent_pov

    @property
    def see_through_walls(self) -> bool:
        """Whether walls hide nothing."""
        return self._setting.sees_through

    @property
    def dir_vec(self) -> NDArray[np.int64]:
        """(2,): one step ahead."""
        return np.array([AHEAD_X[self.agent_dir], AHEAD_Y[self.agent_dir]])

    @property
    def right_vec(self) -> NDArray[np.int64]:
        """(2,): one step to the agent's right."""
        return np.array([-AHEAD_Y[self.agent_dir], AHEAD_X[self.agent_dir]])

    @property
    def front_pos(self) -> NDArray[np.int64]:
        """(2,): the cell ahead of the agent."""
        return self.agent_pos + self.dir_vec
