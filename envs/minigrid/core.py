"""N levels of one setting and the kernels that act on them: what the single and the batched environment share."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltk.envs.minigrid.actions import N_ACTIONS
from rltk.envs.minigrid.cells import CARRIABLE, FLAGS, N_CODES
from rltk.envs.minigrid.engine import step_all
from rltk.envs.minigrid.family import Setting
from rltk.envs.minigrid.level import (
    BODY,
    CARRYING,
    DIRECTION,
    FAULTS,
    FINE,
    FOREVER,
    MAX_STEPS,
    MISSION,
    OTHER_X,
    OTHER_Y,
    STEPS,
    TARGET_X,
    TARGET_Y,
    Level,
    X,
    Y,
    inner,
)
from rltk.envs.minigrid.pictures import draw_boards, draw_views, in_runs, runs_of
from rltk.envs.minigrid.rules import OBSTACLES_RULE
from rltk.envs.minigrid.view import observe_some
from rltk.envs.tabular.state import check_range, check_stream, checked_state
from rltk.errors import ArgumentError, LevelError


class Core:
    """`count` levels, their random streams (N, 6) uint64, and whether their episodes have ended (N,) bool."""

    def __init__(self, setting: Setting, count: int) -> None:
        self.setting = setting
        self.count = count
        self.levels = setting.levels(count)
        self.cells = inner(self.levels)  # (N, height, width), a view
        self.streams = np.zeros((count, 6), dtype=np.uint64)
        self.ended = np.zeros(count, dtype=bool)
        self.everyone = np.arange(count)
        self._options = setting.generator_options()
        self._due = np.zeros(count, dtype=np.int64)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "cells"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.cells = inner(self.levels)  # a copy of the view would show another board

    def generate(self, which: NDArray[np.int64]) -> None:
        """New levels for the environments `which` (K,). LevelError where a random search for a place found none."""
        fault, i = self.setting.generator()(self.levels, self.streams, self._options, which)
        if fault != FINE:
            family = self.setting.family.name
            raise LevelError(
                f"no level of {family} for environment {i}: {FAULTS[fault]}. "
                "Reset with another seed, or leave more room by the family's options"
            )
        self.ended[which] = False

    def step(
        self,
        actions: NDArray[np.int64],
        mode: int,
        rewards: NDArray[np.float64],
        flags: NDArray[np.bool_],
    ) -> tuple[int, NDArray[np.int64]]:
        """Step all; fill rewards (N,) and flags (2, N). (fault, environments that are due for a new level): see
        `step_all`."""
        fault, n_due = step_all(
            self.levels,
            self.streams,
            actions,
            N_ACTIONS,
            mode,
            self.ended,
            rewards,
            flags[0],
            flags[1],
            self._due,
        )
        return fault, self._due[:n_due]

    def level(self, i: int) -> Level:
        """Level `i`: views of its rows."""
        grid, body, memory, board = self.levels
        return Level(grid[i], body[i], memory[i], board)

    def images(self, count: int) -> NDArray[np.uint8]:
        """Room for `count` views, (count, V * V * 3) uint8."""
        return np.empty((count, 3 * self.setting.view.agent_view_size**2), dtype=np.uint8)

    def observe(self, which: NDArray[np.int64], images: NDArray[np.uint8], directions: NDArray[np.int64]) -> None:
        """Fill images (K, V * V * 3) and directions (K,) with the views of the environments `which` (K,)."""
        observe_some(self.levels, which, images, directions)

    def frames(self, which: NDArray[np.int64], size: int, *, highlight: bool, agent_pov: bool) -> NDArray[np.uint8]:
        """(K, h, w, 3): pictures of the environments `which` (K,), `size` pixels a cell (`pictures.py`)."""
        view, (height, width) = self.setting.view.agent_view_size, self.cells.shape[1:]
        images = self.images(which.size)
        self.observe(which, images, np.zeros(which.size, dtype=np.int64))
        if agent_pov:
            height = width = view
        frames, plan = (
            np.empty((which.size, height * size, width * size, 3), np.uint8),
            np.empty((height, width), np.int64),
        )
        if agent_pov:
            draw_views(images, runs_of(size), plan, in_runs(frames, size))
        else:
            draw_boards(self.levels, which, images, highlight, runs_of(size), plan, in_runs(frames, size))
        return frames

    @property
    def mission_numbers(self) -> NDArray[np.int32]:
        """(N,): a view of the missions' numbers."""
        return self.levels.body[:, MISSION]

    # The state, as arrays with the axis N first

    def get_state(self) -> dict[str, NDArray[Any]]:
        """grid (N, height, width) uint8, body (N, BODY) int32, memory (N, M) int32: copies; rule (N,) int64."""
        return {
            "grid": self.cells.copy(),
            "body": self.levels.body.copy(),
            "memory": self.levels.memory.copy(),
            "rule": np.full(self.count, self.setting.plan.rule),
        }

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go to what `checked` gave back."""
        self.cells[...] = state["grid"]
        self.levels.body[...] = state["body"]
        self.levels.memory[...] = state["memory"]

    def checked(self, state: Any, extra: Mapping[str, tuple[type, tuple[int, ...]]]) -> dict[str, Any]:
        """`state` as new arrays with the axis N first, and `extra` entries (dtype, shape); ArgumentError names what is
        wrong. Nothing that passes can lead a kernel out of its arrays."""
        n, (height, width) = self.count, self.cells.shape[1:]
        known = {
            "grid": (np.uint8, (n, height, width)),
            "body": (np.int32, (n, BODY)),
            "memory": (np.int32, (n, self.levels.memory.shape[1])),
            "rule": (np.int64, (n,)),
            "stream": (np.uint64, (n, 6)),
            **extra,
        }
        found = checked_state(
            state, {key: dtype for key, (dtype, _) in known.items()}, {key: shape for key, (_, shape) in known.items()}
        )
        body = found["body"]
        if (found["rule"] != self.setting.plan.rule).any():
            raise ArgumentError(
                "state['rule']: episodes of this level end by another rule, so the state is of another family or "
                "layout; go to it in an environment that plays that one"
            )
        check_range("grid", found["grid"], 1, N_CODES)
        check_range("memory", found["memory"], -1, self.levels.grid.shape[1])
        check_stream(found["stream"])
        for register in (X, TARGET_X, OTHER_X):
            check_range("body", body[:, register], 0, width)
        for register in (Y, TARGET_Y, OTHER_Y):
            check_range("body", body[:, register], 0, height)
        check_range("body", body[:, DIRECTION], 0, 4)
        check_range("body", body[:, STEPS], 0, FOREVER)
        check_range("body", body[:, MAX_STEPS], 1, None)
        check_range("body", body[:, MISSION], 0, len(self.setting.plan.missions))
        check_range("body", body[:, CARRYING], 0, N_CODES)
        if self.setting.plan.rule == OBSTACLES_RULE:
            check_range("memory", found["memory"][:, 0], 0, (found["memory"].shape[1] + 1) // 2)
            check_range("memory", found["memory"][:, 1::2], 0, width)
            check_range("memory", found["memory"][:, 2::2], 0, height)
        carried = body[:, CARRYING]
        if ((carried != 0) & (FLAGS[carried] & CARRIABLE == 0)).any():
            raise ArgumentError(f"state['body']: the agent carries nothing, a key, a ball or a box; found {carried}")
        return found
