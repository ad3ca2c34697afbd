"""What every batched environment is asked alike: seeds, masks, autoreset modes, numbers of environments, actions."""

from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from rltk.errors import ArgumentError
from rltk.mdp import stream_of


def checked_count(num_envs: Any) -> int:
    """`num_envs` as a positive int."""
    if isinstance(num_envs, bool) or not isinstance(num_envs, int | np.integer) or num_envs < 1:
        raise ArgumentError(f"num_envs is a positive number of environments; found {num_envs!r}")
    return int(num_envs)


def checked_mode(mode: AutoresetMode | str) -> AutoresetMode:
    """Gymnasium's autoreset mode, from itself or its value."""
    try:
        return AutoresetMode(mode)
    except ValueError:
        names = ", ".join(repr(known.value) for known in AutoresetMode)
        raise ArgumentError(f"autoreset_mode is one of {names}; found {mode!r}") from None


def checked_mask(options: dict[str, Any] | None, count: int) -> NDArray[np.bool_]:
    """`options["reset_mask"]`, or all True where there is none."""
    if not options or "reset_mask" not in options:
        return np.ones(count, dtype=bool)
    mask = options["reset_mask"]
    if not isinstance(mask, np.ndarray) or mask.shape != (count,) or mask.dtype != bool or not mask.any():
        raise ArgumentError(
            f"options['reset_mask']: a bool array of shape ({count},) with at least one True; found {mask!r}"
        )
    return mask.copy()


def checked_seeds(seed: Any, count: int) -> list[int | None]:
    """A seed for each environment: seed + i from an int, else the list's own."""
    if seed is None:
        return [None] * count
    if isinstance(seed, int | np.integer):
        return [int(seed) + i for i in range(count)]
    seeds = list(seed)
    if len(seeds) != count:
        raise ArgumentError(f"seed: an int or one for each of {count} environments; found {len(seeds)}")
    return [None if one is None else int(one) for one in seeds]


def checked_actions(actions: Any, count: int) -> NDArray[np.int64]:
    """`actions` as (count,) int64."""
    actions = np.asarray(actions)
    if actions.shape != (count,) or not np.issubdtype(actions.dtype, np.integer):
        raise ArgumentError(
            f"actions: one integer an environment, of shape ({count},); found {actions.dtype} of shape {actions.shape}"
        )
    return np.require(actions, dtype=np.int64, requirements=["C", "W"])


def seeded_streams(
    streams: NDArray[np.uint64] | None, seeds: list[int | None], mask: NDArray[np.bool_]
) -> NDArray[np.uint64]:
    """(N, 6) `streams` with new ones for the masked environments that have a seed; without streams, for all."""
    out = np.zeros((len(seeds), 6), dtype=np.uint64) if streams is None else streams.copy()
    for i, seed in enumerate(seeds):
        if mask[i] and (streams is None or seed is not None):
            out[i] = stream_of(seeding.np_random(seed)[0])
    return out


def has_ended(i: int) -> ArgumentError:
    """The error of stepping environment `i` beyond its end in the mode DISABLED."""
    return ArgumentError(
        f"the episode of environment {i} has ended; with autoreset disabled, reset it first: "
        "reset(options={'reset_mask': mask})"
    )
