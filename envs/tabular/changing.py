"""An environment that holds several MDPs over the same states, and changes from one to the next after so many steps.

    world(total) = worlds[number of changes <= total]        total: steps taken so far, over all episodes

`mdp()` is always the current MDP: that which the next step samples. The total counts on through resets, and begins
anew with a reset that is given a seed, so the same seed is still the same experience. `get_state` holds it as `total`.

Such an environment does not declare the draw law (`metadata["draw_law"]` is False), though it draws by it: what the
declaration promises a compiled loop is that one MDP's arrays hold for all its steps. So learners take its `step`, and a
table that they leave is graded against whichever MDP is current when one asks.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rltk.envs.batching import checked_mask, checked_seeds
from rltk.envs.tabular.env import TabularEnv
from rltk.envs.tabular.layout import Layout
from rltk.envs.tabular.state import check_range, checked_state
from rltk.envs.tabular.vector_env import TabularVectorEnv
from rltk.errors import ArgumentError
from rltk.mdp import MDP

World = tuple[MDP, Layout]


class _Changing:
    """What the single and the batched form share: the worlds, the clock, and their place in `get_state`."""

    _of_a_world: ClassVar[tuple[str, ...]]  # the attributes that differ between worlds

    def _begin(self, worlds: Sequence[World], changes: Sequence[int], make: Any) -> None:
        """Let `make(mdp, layout)` set this environment up for each world, and enter the first."""
        check_worlds(worlds, changes)
        self._changes = tuple(int(change) for change in changes)
        self._worlds: list[dict[str, Any]] = []
        for mdp, layout in worlds:
            make(mdp, layout)
            self._worlds.append({name: getattr(self, name) for name in self._of_a_world})
        self._total = 0
        self._enter(0)

    def _enter(self, total: int) -> bool:
        """Set the clock to `total` steps; whether the world is another one now."""
        before, now = (bisect_right(self._changes, steps) for steps in (self._total, total))
        self._total = total
        vars(self).update(self._worlds[now])
        return now != before

    def _split(self, state: Any) -> tuple[int, dict[str, Any]]:
        """`total` and the rest of what `get_state` gave; ArgumentError where there is none that could be."""
        if not isinstance(state, Mapping) or "total" not in state:
            raise ArgumentError(f"state: what get_state() gave, with the steps so far as 'total'; found {state!r}")
        total = checked_state({"total": state["total"]}, {"total": np.int64}, {"total": ()})["total"]
        check_range("total", total, 0, None)
        return int(total), {name: value for name, value in state.items() if name != "total"}


class ChangingEnv(_Changing, TabularEnv):
    """`worlds[0]` until the first of `changes`, then `worlds[1]`, and so on.

    worlds: (MDP, Layout) pairs over the same states and actions. changes: rising numbers of steps, one fewer than
    worlds. The other options are those of `TabularEnv`. Raises ArgumentError where worlds do not go together.
    """

    metadata = {**TabularEnv.metadata, "draw_law": False}  # noqa: RUF012
    _of_a_world = (
        *("layout", "_mdp", "_observations", "_sampler", "_draw"),
        *("_barred", "_start_states", "_start_sums"),
    )

    def __init__(self, worlds: Sequence[World], /, *, changes: Sequence[int], **options: Any) -> None:
        setup = super().__init__
        self._begin(worlds, changes, lambda mdp, layout: setup(mdp, layout=layout, **options))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draw a start state. `seed` begins the random stream and the total of steps anew."""
        if seed is not None:
            self._enter(0)
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take `action` in the current world. What is observed is the world that the next action meets."""
        observation, reward, terminated, truncated, info = super().step(action)
        if self._enter(self._total + 1):
            observation, info = self._observations.one(self._state), self._info()
        return observation, reward, terminated, truncated, info

    def get_state(self) -> dict[str, NDArray[Any]]:
        """All that the future depends on: that of `TabularEnv`, and `total` () int64 steps."""
        return {**super().get_state(), "total": np.array(self._total)}

    def set_state(self, state: Any, restore_rng: bool = False) -> None:
        """Go to what `get_state` gave, the world included; see `TabularEnv.set_state`."""
        total, rest = self._split(state)
        super().set_state(rest, restore_rng)
        self._enter(total)

    def __deepcopy__(self, memo: dict[int, Any]) -> TabularEnv:
        memo[id(self._worlds)] = self._worlds
        return super().__deepcopy__(memo)


class ChangingVectorEnv(_Changing, TabularVectorEnv):
    """Many players in one changing world, so that `mdp()` is the same for all: the clock counts calls of `step`.

    Player i is the single environment that was seeded with seed + i, but that in the autoreset mode NEXT_STEP a step
    that resets it counts too. The clock begins anew where all are reset with a seed.
    """

    _of_a_world = ("layout", "_mdp", "_observations", "_barred")

    def __init__(
        self, worlds: Sequence[World], num_envs: int = 1, /, *, changes: Sequence[int], **options: Any
    ) -> None:
        setup = super().__init__
        self._begin(worlds, changes, lambda mdp, layout: setup(mdp, num_envs, layout=layout, **options))
        self.metadata = {**self.metadata, "draw_law": False}

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Draw start states, as `TabularVectorEnv.reset`; a seed for all begins the total of steps anew."""
        seeded = any(one is not None for one in checked_seeds(seed, self.num_envs))
        if seeded and checked_mask(options, self.num_envs).all():
            self._enter(0)
        return super().reset(seed=seed, options=options)

    def step(
        self, actions: Any
    ) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take `actions` (num_envs,) in the current world. What is observed is the world that the next ones meet."""
        observations, *results, infos = super().step(actions)
        if self._enter(self._total + 1):
            observations = self._observe()
        return observations, *results, infos  # type: ignore[return-value]

    def get_state(self) -> dict[str, NDArray[Any]]:
        """All that the future depends on: that of `TabularVectorEnv`, and `total` () int64 steps."""
        return {**super().get_state(), "total": np.array(self._total)}

    def set_state(self, state: Any, restore_rng: bool = False) -> None:
        """Go to what `get_state` gave, the world included; see `TabularVectorEnv.set_state`."""
        total, rest = self._split(state)
        super().set_state(rest, restore_rng)
        self._enter(total)


def check_worlds(worlds: Sequence[World], changes: Sequence[int]) -> None:
    """ArgumentError unless the worlds have the same states, actions and size of picture, and `changes` fit them."""
    if not worlds:
        raise ArgumentError("worlds: at least one (MDP, Layout) pair is needed; found none")
    shapes = {(mdp.n_states, mdp.n_actions, layout.shape, layout.sizes) for mdp, layout in worlds}
    if len(shapes) > 1:
        raise ArgumentError(
            "worlds: an agent's table is of one size, so all have the same states, actions and picture; found "
            + ", ".join(f"{states} states x {actions} actions on {shape}" for states, actions, shape, _ in shapes)
        )
    several = changes.ndim == 1 if isinstance(changes, np.ndarray) else isinstance(changes, list | tuple | range)
    whole = several and all(isinstance(change, int | np.integer) and not isinstance(change, bool) for change in changes)
    if not whole or len(changes) != len(worlds) - 1 or (np.diff([0, *changes]) <= 0).any():
        raise ArgumentError(
            f"changes: {len(worlds) - 1} rising numbers of steps, at least 1, one before each world but the first; "
            f"found {changes!r}"
        )
