"""Levels: what a procedural environment makes of a seed, or of a layout that it is handed.

    reset(seed=17)                         the level that the environment generates from seed 17
    reset(options={"layout": layout})      the level that `layout` describes, an object or a text

How a level is begun is known here alone, so that whatever takes seeds takes layouts.
"""

import copy
from collections.abc import Iterable
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp import Criterion

Levels = np.ndarray | tuple[Any, ...]  # (N,) int64 seeds, or N layouts


def checked_levels(name: str, given: Any) -> Levels:
    """The levels that argument `name` asks for: a number of them is the seeds 0, 1, ...; seeds differ, layouts may not.

    Raises ArgumentError for no levels, seeds that are no whole numbers or below 0, and seeds among layouts.
    """
    if _is_whole(given):
        given = range(int(given))
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ArgumentError(f"{name}: how many levels, or a list of seeds or of layouts; found {given!r}")
    listed = list(given)
    if not listed:
        raise ArgumentError(f"{name}: at least one level; found {given!r}")
    if not any(one is None or isinstance(one, int | float | complex | np.generic) for one in listed):
        return tuple(listed)
    wrong = [one for one in listed if not _is_whole(one) or not 0 <= one < 2**63]
    if wrong:
        raise ArgumentError(
            f"{name}: seeds are whole numbers, none below 0, and layouts stand in a list of their own; found "
            f"{_short(wrong[0])}"
        )
    seeds = np.array(listed, dtype=np.int64)
    if np.unique(seeds).size < seeds.size:
        raise ArgumentError(f"{name}: each seed once; some stand there twice")
    return seeds


def begin_level(env: Any, level: Any) -> tuple[Any, dict[str, Any]]:
    """Begin an episode in `level`, a seed or a layout: (observation, info), as `reset` gives them."""
    if _is_whole(level):
        return env.reset(seed=int(level))
    return env.reset(options={"layout": level})


def name_of(levels: Levels, i: int) -> str:
    """What messages call level `i`: its seed, or the layout's place in the list."""
    return f"seed {levels[i]}" if isinstance(levels, np.ndarray) else f"layout {i}"


def as_text(level: Any) -> int | str:
    """`level` for a file: its seed, or the layout's own text."""
    if _is_whole(level):
        return int(level)
    to_text = getattr(level, "to_text", None)
    return to_text() if callable(to_text) else str(level)


def own_copy(env: Any) -> Any:
    """A copy of `env`, wrappers included, to begin levels in: the caller's own stays as it is, and no window opens."""
    if not isinstance(env, gym.Env):
        raise ArgumentError(f"env: a single Gymnasium environment has levels; found {type(env).__name__}")
    try:
        own: Any = copy.deepcopy(env)
    except Exception as error:
        raise ArgumentError(f"env: {type(env.unwrapped).__name__} can't be copied ({error}); make one anew") from error
    if own.unwrapped.render_mode == "human":
        own.unwrapped.render_mode = None
    return own


def knows_plans(env: Any) -> bool:
    """Whether `env` searches its level for a shortest way to success, and says what that pays."""
    inner = env.unwrapped
    if getattr(inner, "moves_by_itself", False):
        return False  # where chance decides, no plan is sure
    return all(callable(getattr(inner, name, None)) for name in ("shortest_plan", "success_reward"))


def optimum_by_plan(env: Any, criterion: Criterion) -> tuple[float, float, np.ndarray | None]:
    """(V* of the start, what an episode is paid for it, a shortest plan) of a level in which success alone pays, and 1.

    Raises SizeError or ModelError, as the environment's search does.
    """
    plan = env.unwrapped.shortest_plan()
    if plan is None:
        return 0.0, 0.0, None
    d = len(plan)
    in_time = criterion.horizon is None or d <= criterion.horizon
    return criterion.gamma ** (d - 1) if in_time else 0.0, env.unwrapped.success_reward(d), plan


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _short(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= 60 else words[:57] + "..."
