"""What is observed in the states of a model, through the wrappers that observe from the state alone."""

from typing import Any

import gymnasium as gym
import numpy as np

from rltk.errors import ModelError


def observations_of(env: Any, states: np.ndarray) -> Any:
    """(N, ...) what is observed in (N,) `states`: an array, or a dict or tuple of such.

    A wrapper that declares `stateless_observation` has either `observation(one)`, which turns what it wraps shows into
    what it shows, or `observations(states)`, as environments do. Raises ModelError where it has neither.
    """
    wrappers: list[Any] = []
    inner = env
    while isinstance(inner, gym.Wrapper | gym.vector.VectorWrapper):
        if getattr(type(inner), "stateless_observation", False):
            if callable(getattr(inner, "observations", None)):
                break
            if not callable(getattr(inner, "observation", None)):
                raise ModelError(f"{type(inner).__name__} declares stateless_observation but has no observation(one)")
            wrappers.append(inner)
        inner = inner.env
    observations = inner.observations(states) if callable(getattr(inner, "observations", None)) else states
    if not wrappers:
        return observations
    changed = []
    for i in range(len(states)):
        observation = _one(observations, i)
        for wrapper in reversed(wrappers):
            observation = wrapper.observation(observation)
        changed.append(observation)
    return _joined(changed)


def _one(observations: Any, i: int) -> Any:
    """The observation of number `i` in a batch, whose parts have that axis first."""
    if isinstance(observations, dict):
        return {name: _one(part, i) for name, part in observations.items()}
    return tuple(_one(part, i) for part in observations) if isinstance(observations, tuple) else observations[i]


def _joined(observations: list[Any]) -> Any:
    """One batch of many observations."""
    first = observations[0]
    if isinstance(first, dict):
        return {name: _joined([one[name] for one in observations]) for name in first}
    if isinstance(first, tuple):
        return tuple(_joined(list(parts)) for parts in zip(*observations, strict=True))
    return np.stack(observations)
