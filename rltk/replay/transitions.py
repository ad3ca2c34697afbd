"""The ring of transitions, which point into the ring of observations: origin, last, action, reward, discount.

A transition dies when its own row or its origin's slot is overwritten, and takes along those that entered before it: so
those alive are a range of numbers, and a uniform draw is one call. One whose origin lies further back than the slots
that are to spare (slots - capacity) is left out: its environment stood still while others moved on, and its early death
would take many along. So each one that enters stays for at least `capacity` observations or transitions more.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from rltk.replay import storage
from rltk.replay.storage import Form
from rltk.replay.windows import Steps

FORMS = {
    "origin": Form((), np.dtype(np.int32)),
    "last": Form((), np.dtype(np.int32)),
    "action": Form((), np.dtype(np.int64)),
    "reward": Form((), np.dtype(np.float32)),
    "discount": Form((), np.dtype(np.float32)),
}
SLOT_FORMS = {"starting": Form((), np.dtype(np.int64))}


class TransitionRing:
    """`capacity` transitions between observations in `slots` slots, with `extras` kept beside them.

    Number t, counted over all that ever entered, lies at position t mod capacity. written: how many entered. oldest:
    those before this number have lost their origin.
    """

    def __init__(self, capacity: int, slots: int, extras: Mapping[str, Form], device: torch.device) -> None:
        self.capacity, self.slots = capacity, slots
        self.rows = {name: storage.zeros(capacity, form, device) for name, form in FORMS.items()}
        self.extras = {name: storage.zeros(capacity, form, device) for name, form in extras.items()}
        self.written = 0
        self.oldest = 0
        self._starting = np.full(slots, -1, np.int64)  # slot -> the number of the transition with that origin

    @property
    def alive(self) -> range:
        """The numbers of the transitions that can be drawn."""
        return range(max(self.oldest, self.written - self.capacity), self.written)

    def enter(self, steps: Steps, shown: int) -> None:
        """Write steps whose observations have numbers below `shown`."""
        lives = shown - steps.origins <= self.slots - self.capacity
        if not lives.all():
            steps = steps.only(lives)
        skipped = max(0, len(steps.origins) - self.capacity)
        if skipped:  # More than the whole ring: the oldest of them would be overwritten at once.
            steps = steps.only(slice(skipped, None))
        numbers = self.written + skipped + np.arange(len(steps.origins))
        positions, origins = numbers % self.capacity, steps.origins % self.slots
        columns = (origins, steps.lasts % self.slots, steps.actions, steps.rewards, steps.discounts)
        for array, values in zip(self.rows.values(), columns, strict=True):
            storage.put(array, positions, values)
        for name, kept in self.extras.items():
            storage.put(kept, positions, steps.extras[name])
        self._starting[origins] = numbers
        self.written += skipped + len(numbers)

    def enter_one(self, origin: int, last: int, action: Any, reward: Any, discount: float, extras: Any) -> None:
        """Write one step, into arrays on the CPU."""
        number = self.written
        at, start, rows = number % self.capacity, origin % self.slots, self.rows
        rows["action"][at] = action
        rows["reward"][at] = reward
        rows["discount"][at] = discount
        rows["origin"][at] = start
        rows["last"][at] = last % self.slots
        for name, kept in self.extras.items():
            kept[at] = extras[name]
        self._starting[start] = number
        self.written = number + 1

    def lose(self, slots: np.ndarray) -> None:
        """Let die what starts at `slots` (M,), whose observations were overwritten."""
        newest = int(self._starting[slots].max(initial=-1))  # One that died before is below `oldest`.
        self.oldest = max(self.oldest, newest + 1)

    def lose_one(self, slot: int) -> None:
        """`lose` for one slot."""
        number = self._starting.item(slot)
        if number >= self.oldest:
            self.oldest = number + 1

    def starting(self, slots: np.ndarray) -> np.ndarray:
        """The numbers of the transitions that start at `slots`; of none that is alive where nothing does."""
        return self._starting[slots]

    def arrays(self) -> dict[str, Any]:
        """All arrays by the names that a state gives them."""
        return {**self.rows, **{f"extras/{name}": kept for name, kept in self.extras.items()}}

    def recount(self) -> None:
        """Find again, after the rows were overwritten from a state, which transition starts where."""
        numbers = np.array(self.alive, np.int64)
        origins = storage.to_numpy(self.rows["origin"], copy=False)[numbers % self.capacity]
        self._starting[:] = -1
        self._starting[origins] = numbers
