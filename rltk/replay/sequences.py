"""Sequences: the steps of one episode that lead up to a drawn one, for learners with a memory.

A transition's origin is where the step before it led to, so walking back needs, for each slot of the ring of
observations, the transition that reached it. That is looked up when a sequence is asked for, and brought up to date
then: a replay of single steps pays nothing for it.

Source: Hausknecht and Stone (2015), "Deep recurrent Q-learning for partially observable MDPs"; Kapturowski et al.
(2019), "Recurrent experience replay in distributed reinforcement learning", for the burn-in that such sequences serve.
"""

import numpy as np

from rltk.errors import ArgumentError
from rltk.replay import storage
from rltk.replay.batches import SequenceBatch
from rltk.replay.observations import ObservationRing
from rltk.replay.transitions import TransitionRing


class Walks:
    """Walks back through the episodes in a ring of single steps."""

    def __init__(self, seen: ObservationRing, done: TransitionRing) -> None:
        self._seen, self._done = seen, done
        self._reaching: np.ndarray | None = None  # slot -> the number of the newest transition that led to it, or -1
        self._known = 0  # transitions that `_reaching` knows of

    def forget(self) -> None:
        """The rings were overwritten: look everything up anew."""
        self._reaching, self._known = None, 0

    def sequences(self, positions: np.ndarray, length: int) -> SequenceBatch:
        """The `length` steps that end with each transition at `positions` (B,); see `Replay.sequences`."""
        if not isinstance(length, int) or length < 1:
            raise ArgumentError(f"length is {length!r}, but an integer of at least 1 was expected")
        numbers = self._numbers(np.asarray(positions, np.int64), length)  # (B, L), right-aligned
        counts = (numbers >= 0).sum(axis=1)[:, None]  # (B, 1)
        # Left-aligned; what lies beyond the last step repeats it.
        order = length - counts + np.minimum(np.arange(length), counts - 1)
        steps = np.take_along_axis(numbers, order, axis=1) % self._done.capacity  # (B, L)
        valid = np.arange(length) < counts
        origins, lasts = self._ends(steps)
        slots = np.concatenate((np.where(valid, origins, lasts), lasts[:, -1:]), axis=1)  # (B, L + 1)
        starts = np.zeros(slots.shape, bool)
        starts[:, 0] = self._seen.begins[slots[:, 0]]
        return self._gathered(steps, slots, valid, starts)

    def onward(self, positions: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The positions (B,) of the transitions `steps` (B,) after those at `positions`; see `Replay.onward`."""
        numbers, done = self._number(np.asarray(positions, np.int64)), self._done
        for step in range(int(steps.max(initial=0))):
            after = done.starting(self._ends(numbers % done.capacity)[1])
            numbers = np.where((step < steps) & (after >= done.alive.start), after, numbers)
        return numbers % done.capacity

    def ways(self, ends: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """From which transitions `onward` leads to those at `ends` (B,) in fewer than `length` steps: their positions
        (B, length), and of how many numbers of steps that is true (B, length), 0 where there is no transition."""
        numbers = self._numbers(np.asarray(ends, np.int64), length)
        last = self.onward(ends, np.ones_like(ends)) == ends  # more steps lead there too
        away = np.arange(length - 1, -1, -1)
        ways = np.where(last[:, None], length - away, 1) * (numbers >= 0)
        return np.maximum(numbers, 0) % self._done.capacity, ways

    def _gathered(self, steps: np.ndarray, slots: np.ndarray, valid: np.ndarray, starts: np.ndarray) -> SequenceBatch:
        rows, device = self._done.rows, self._seen.device
        at, shown = storage.index(steps, device), storage.index(slots, device)
        is_step = storage.tensor(valid, device)
        return SequenceBatch(
            self._seen.take(shown),
            storage.take(rows["action"], at),
            storage.take(rows["reward"], at),
            (storage.take(rows["discount"], at) == 0) & is_step,
            is_step,
            storage.tensor(starts, device),
            self._seen.take_masks(shown),
            None,
            steps,
            {name: storage.take(kept, at) for name, kept in self._done.extras.items()},
        )

    def _numbers(self, positions: np.ndarray, length: int) -> np.ndarray:
        """The numbers (B, L) of the steps that end at `positions` (B,), right-aligned; -1 where there is none."""
        reaching, done = self._brought_up_to_date(), self._done
        oldest = done.alive.start
        numbers = np.full((len(positions), length), -1, np.int64)
        number = self._number(positions)  # (B,)
        for step in range(length - 1, -1, -1):
            numbers[:, step] = number
            before = reaching[self._ends(np.maximum(number, 0) % done.capacity)[0]]
            # Where an episode began, the slot was reached at most by one that is dead, for its origin is older still.
            number = np.where((number >= 0) & (before >= oldest), before, -1)
        return numbers

    def _number(self, positions: np.ndarray) -> np.ndarray:
        """The numbers (B,) of the newest transitions at `positions` (B,)."""
        newest = self._done.written - 1
        return newest - (newest - positions) % self._done.capacity

    def _ends(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The slots of origin and last of the transitions at `steps`."""
        at, rows = storage.index(steps, self._seen.device), self._done.rows
        origins, lasts = (storage.to_numpy(rows[name][at], copy=False) for name in ("origin", "last"))
        return origins, lasts

    def _brought_up_to_date(self) -> np.ndarray:
        if self._reaching is None:
            self._reaching = np.full(self._seen.slots, -1, np.int64)
        numbers = np.arange(max(self._known, self._done.alive.start), self._done.written)
        self._reaching[self._ends(numbers % self._done.capacity)[1]] = numbers
        self._known = self._done.written
        return self._reaching
