"""Prioritised replay: draw transitions in proportion to how wrong the learner was about them.

    P(i) = p_i^alpha / sum_k p_k^alpha,    p_i = |error_i| + 1e-6
    w_i = (N P(i))^-beta / max_j w_j       (j over the batch)

The draw is stratified: [0, total) is cut into as many equal parts as are drawn, and one is drawn from each. A new
transition enters with the largest priority so far, so that each is likely to be seen once; one that died has none.

Source: Schaul, Quan, Antonoglou and Silver (2016), "Prioritized experience replay", section 3.3 (the proportional
variant), section 3.4 (the weights) and algorithm 1.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rltk.errors import ArgumentError
from rltk.replay import storage
from rltk.replay.batches import Batch
from rltk.replay.replay import Replay
from rltk.replay.sum_tree import SumTree

LEAST = 1e-6  # What is added to every error, so that each transition can be drawn.


class PrioritisedReplay(Replay):
    """A `Replay` that draws by priority. alpha: from 0 (uniform) to 1 (in proportion to the error); the rest is
    `Replay`'s.
    """

    def __init__(self, observation_space: gym.Space, capacity: int, *, alpha: float = 0.6, **arguments: Any) -> None:
        if not 0 <= alpha <= 1:
            raise ArgumentError(f"alpha is {alpha!r}, but a number from 0 to 1 was expected")
        super().__init__(observation_space, capacity, **arguments)
        self.alpha = alpha
        self._tree = SumTree(capacity)
        self._largest = np.ones(1)  # the largest |error| + LEAST so far; 1 before there was any
        self._ranked = range(0)  # the transitions whose priority is in the tree

    @classmethod
    def bytes_needed(cls, observation_space: gym.Space, capacity: int, *, alpha: float = 0.6, **arguments: Any) -> int:
        """How many bytes a replay of these arguments takes; none are taken. Raises like the constructor."""
        return super().bytes_needed(observation_space, capacity, **arguments) + SumTree.bytes_needed(capacity)

    @property
    def priorities(self) -> np.ndarray:
        """p^alpha of each position (capacity,), 0 where no transition is alive; read only."""
        self._bring_up_to_date()
        view = self._tree.values.view()
        view.flags.writeable = False
        return view

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Positions (count,) int64, drawn by priority, one from each of `count` equal parts; one call of `rng`.

        Raises ArgumentError if the replay is empty.
        """
        self._drawable()
        self._bring_up_to_date()
        return self._tree.find((np.arange(count) + rng.random(count)) * (self._tree.total / count))

    def sample(self, count: int, rng: np.random.Generator, *, beta: float = 0.4) -> Batch:
        """Draw `count` transitions by priority and hand them out with their weights."""
        positions = self.draw(rng, count)
        return self.batch(positions)._replace(weights=storage.tensor(self.weights(positions, beta), self.device))

    def weights(self, positions: np.ndarray, beta: float) -> np.ndarray:
        """What corrects for drawing `positions` (B,) by priority: (B,) float32, the largest is 1.

        beta: from 0 (no correction) to 1 (a full one). Raises ArgumentError at a position that can't be drawn.
        """
        return self._weights(self.priorities[positions], beta)

    def sequence_weights(self, ends: np.ndarray, length: int, beta: float) -> np.ndarray:
        """The same, (B,) float32, for sequences that end at `ends` (B,): those to which `onward` leads from what `draw`
        gave, by any number of steps below `length`, each as likely as the others. It corrects towards what a uniform
        draw leads to: what stands for p_i is the mean of those from which the end can be reached, over all the ways."""
        positions, ways = self._walks.ways(ends, length)
        return self._weights((self.priorities[positions] * ways).sum(axis=1) / ways.sum(axis=1), beta)

    def _weights(self, priorities: np.ndarray, beta: float) -> np.ndarray:
        if not 0 <= beta <= 1:
            raise ArgumentError(f"beta is {beta!r}, but a number from 0 to 1 was expected")
        chances = priorities / self._tree.total
        if not (chances > 0).all():
            raise ArgumentError(
                "positions: some hold no transition that is alive; weigh what draw gave, before adding more"
            )
        weights = (len(self) * chances) ** -beta
        return (weights / weights.max()).astype(np.float32)

    def update(self, positions: np.ndarray, errors: Any) -> None:
        """Set the priorities at `positions` (B,) from `errors` (B,), of any sign; of equal positions the last counts.

        A position whose transition has died meanwhile keeps none. Raises ArgumentError at an error that is not finite.
        """
        self._bring_up_to_date()
        raw = errors.detach().cpu().numpy() if isinstance(errors, torch.Tensor) else np.asarray(errors)
        sizes = np.abs(raw.astype(np.float64)) + LEAST
        if sizes.shape != np.shape(positions) or not np.isfinite(sizes).all():
            raise ArgumentError(
                f"errors: one finite number for each of the {len(positions)} positions was expected; found the shape "
                f"{sizes.shape} and {int((~np.isfinite(sizes)).sum())} that are not finite"
            )
        alive = self._tree.values[positions] > 0
        self._tree.set(positions[alive], sizes[alive] ** self.alpha)
        self._largest[0] = sizes[alive].max(initial=self._largest[0])

    def state(self, copy: bool = True) -> dict[str, Any]:
        """See `Replay.state`; the priorities are among the arrays."""
        self._bring_up_to_date()
        return super().state(copy)

    def restore(self, state: Mapping[str, Any]) -> None:
        """See `Replay.restore`."""
        super().restore(state)
        self._tree.rebuild()
        self._ranked = self.alive

    def _plain_arrays(self) -> dict[str, np.ndarray]:
        return {**super()._plain_arrays(), "priorities": self._tree.values, "largest": self._largest}

    def _bring_up_to_date(self) -> None:
        """Give what entered since the largest priority so far, and what died none."""
        before, alive = self._ranked, self.alive
        if before == alive:
            return
        died = np.arange(before.start, min(alive.start, before.stop)) % self.capacity
        self._tree.set(died, np.zeros(len(died)))
        entered = np.arange(max(alive.start, before.stop), alive.stop) % self.capacity
        self._tree.set(entered, np.full(len(entered), self._largest[0] ** self.alpha))
        self._ranked = alive
