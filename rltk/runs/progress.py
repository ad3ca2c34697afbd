"""The callback protocol: a learner tells `Progress` to callables, and any of them that returns False stops it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rltk.errors import ArgumentError


@dataclass(frozen=True)
class Progress:
    """Where learning stands: the agent itself, timesteps and whole episodes so far, and the newest metrics."""

    agent: Any
    timestep: int
    episode: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)


Callback = Callable[[Progress], bool | None]


def call_all(callbacks: Iterable[Callback], progress: Progress) -> bool:
    """Call every one of `callbacks`, in order; False if any of them returned False.

    All are called even if an early one stops, so that none misses the last step. Only False stops: a callback that
    returns something else by the way (None, 0, a list) goes on.
    """
    answers = [callback(progress) for callback in callbacks]
    return not any(isinstance(answer, bool | np.bool_) and not answer for answer in answers)


class CallbackList:
    """Many callbacks as one; None and lists among them are taken too, so a learner passes on what it was given.

    Raises ArgumentError at anything that can't be called.
    """

    def __init__(self, *callbacks: Callback | Iterable[Callback] | None) -> None:
        self.callbacks: tuple[Callback, ...] = tuple(_flat(callbacks))

    def __call__(self, progress: Progress) -> bool:
        return call_all(self.callbacks, progress)

    def __len__(self) -> int:
        return len(self.callbacks)


def _flat(callbacks: Iterable[Any]) -> list[Callback]:
    flat: list[Callback] = []
    for callback in callbacks:
        if callable(callback):
            flat.append(callback)
        elif isinstance(callback, list | tuple):
            flat.extend(_flat(callback))
        elif callback is not None:
            raise ArgumentError(
                f"a callback is {callback!r} of type {type(callback).__name__}, but a callable that takes a Progress "
                "was expected"
            )
    return flat
