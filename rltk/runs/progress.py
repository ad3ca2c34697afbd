"""The callback protocol: a learner tells `Progress` to callables, and any of them that returns False stops it.

How often a callback is called, it says itself by an attribute `every`, or whoever calls `learn` says it for all.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import compress
from operator import not_
from typing import Any

import numpy as np

from rltk.errors import ArgumentError
from rltk.runs.checks import whole


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
    """Many callbacks as one, each on its own beat; None and lists among them are taken too, as a learner was given.

    A callback with an attribute `every` is called whenever a multiple of so many timesteps is reached or passed, any
    other one at those of `every`. timestep: where learning stands now.

    Raises ArgumentError at anything that can't be called, and at a beat that is no whole number from 1 on.
    """

    def __init__(self, *callbacks: Callback | Iterable[Callback] | None, every: int = 1, timestep: int = 0) -> None:
        self.callbacks: tuple[Callback, ...] = tuple(_flat(callbacks))
        self._beats = [whole("every", getattr(callback, "every", every), 1) for callback in self.callbacks]
        self._told = timestep

    @property
    def due(self) -> float:
        """The next timestep at which one of them is to be called; infinity where there is none."""
        return min(((self._told // every + 1) * every for every in self._beats), default=math.inf)

    def __call__(self, progress: Progress, at_end: bool = False) -> bool:
        """Call those that have fallen due since the last time; False if any of them returned False.

        All others follow `at_end`, and where one that was due stops the learner, so that none misses the last step.
        """
        before, self._told = self._told, progress.timestep
        is_due = [self._told // every > before // every for every in self._beats]
        going = call_all(compress(self.callbacks, is_due), progress)
        if at_end or not going:
            going &= call_all(compress(self.callbacks, map(not_, is_due)), progress)
        return going

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
