"""Which states look alike: the classes of states that an agent without memory can't tell apart.

    class(s) = class(t)   iff   observation(s) = observation(t) and available(s) = available(t)

The available actions belong to what is seen: a learner is handed the mask beside the observation.
"""

from typing import Any

import gymnasium as gym
import numpy as np

from rltk.errors import ModelError
from rltk.mdp import MDP
from rltk.mdp.observing import observations_of

_BATCH = 4096


def observation_classes(env: Any, mdp: MDP) -> np.ndarray:
    """(S,) int64 numbers from 0 on: states of `mdp`, the model of `env`, with the same number look the same in it.

    Raises ModelError where the observations can't be compared.
    """
    seen = _classes_of_env(env)
    if seen is None:
        found: dict[bytes, int] = {}
        parts = [
            np.array([found.setdefault(row, len(found)) for row in _rows(env, np.arange(begin, end))])
            for begin, end in _pieces(mdp.n_states)
        ]
        seen = np.concatenate(parts)
    pairs = np.column_stack([seen, mdp.available])
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _classes_of_env(env: Any) -> np.ndarray | None:
    """What the environment says of itself, where no wrapper shows something else."""
    inner = env
    while isinstance(inner, gym.Wrapper):
        if getattr(type(inner), "stateless_observation", False):
            return None
        inner = inner.env
    return np.asarray(inner.alias_classes()) if callable(getattr(inner, "alias_classes", None)) else None


def _pieces(count: int) -> list[tuple[int, int]]:
    return [(begin, min(begin + _BATCH, count)) for begin in range(0, count, _BATCH)]


def _rows(env: Any, states: np.ndarray) -> list[bytes]:
    """What is observed in (N,) `states`, all parts of it side by side as bytes."""
    columns = [_bytes(part, states.size) for part in _leaves(observations_of(env, states))]
    return [row.tobytes() for row in np.concatenate(columns, axis=1)]


def _leaves(observations: Any) -> list[Any]:
    if isinstance(observations, dict):
        return [leaf for part in observations.values() for leaf in _leaves(part)]
    if isinstance(observations, tuple):
        return [leaf for part in observations for leaf in _leaves(part)]
    return [observations]


def _bytes(part: Any, count: int) -> np.ndarray:
    """(count, bytes) uint8 of one part of a batch."""
    array = np.asarray(part)
    if array.dtype.kind not in "biufSU" or array.shape[:1] != (count,):
        raise ModelError(
            f"the observations of {count} states hold an array of {array.dtype}, shape {array.shape}; which states "
            f"look alike is told by numbers or text, ({count}, ...). An environment may say it itself: alias_classes()"
        )
    if array.dtype.kind == "U":  # of one width in every batch, or the same words would differ as bytes
        array = np.array([str(text).encode() for text in array.reshape(-1)], dtype="S256").reshape(array.shape)
    return np.ascontiguousarray(array.reshape(count, -1)).view(np.uint8)
