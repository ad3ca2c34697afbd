"""Experience replay: a memory of transitions from which a learner draws uniformly.

    (o, a, R, o', discount),    R = sum_{k < K} gamma^k r_k,    target = R + discount * max_b Q(o', b)

Two rings, both preallocated: observations, each stored once as it is shown (the first of an episode, every next one,
the true last one), and transitions, which point into the first ring. That one has room for an eighth more than
`capacity`, so that episodes of eight steps or more leave the full capacity of transitions alive; of shorter ones fewer
fit.

Source: Lin (1992), "Self-improving reactive agents based on reinforcement learning, planning and teaching"; Mnih et al.
(2015), "Human-level control through deep reinforcement learning".
"""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from rltk.errors import ArgumentError
from rltk.replay import observations as seen
from rltk.replay import storage
from rltk.replay import transitions as done
from rltk.replay.batches import Arrays, Batch, SequenceBatch
from rltk.replay.observations import ObservationRing, mask_forms
from rltk.replay.saving import restored_arrays
from rltk.replay.sequences import Walks
from rltk.replay.storage import SINGLE, Form
from rltk.replay.transitions import TransitionRing
from rltk.replay.windows import Steps, Windows
from rltk.ring import Ring

Extras = Mapping[str, tuple[tuple[int, ...], Any]]


class Replay:
    """A uniform replay of n-step transitions of one or many environments.

    observation_space: plain (Box, Discrete, MultiDiscrete, MultiBinary, or one Dict of these; see
    `rltk.encoders.Plain`). capacity: how many transitions. n_actions: keep a mask (A,) with each observation. extras:
    name -> (shape, dtype) of what is kept with each step beside. device: where the rows live and batches are made.

    Raises SpaceError at another space, ArgumentError at a number out of range, SizeError where the machine can't hold
    it, before any memory is taken.
    """

    def __init__(
        self,
        observation_space: gym.Space,
        capacity: int,
        *,
        num_envs: int = 1,
        n_step: int = 1,
        gamma: float = 0.99,
        n_actions: int | None = None,
        extras: Extras | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        if not 0 <= gamma <= 1:
            raise ArgumentError(f"gamma is {gamma!r}, but a number from 0 to 1 was expected")
        self.device = torch.device(device)
        needed = self.bytes_needed(
            observation_space, capacity, num_envs=num_envs, n_step=n_step, n_actions=n_actions, extras=extras
        )
        storage.refuse_if_too_large(needed, self.device)
        self.observation_space = observation_space
        self.capacity, self.num_envs, self.n_step, self.gamma = capacity, num_envs, n_step, float(gamma)
        self.slots = _slots(capacity, num_envs, n_step)
        self._extra_forms = _extra_forms(extras)
        self._seen = ObservationRing(observation_space, self.slots, n_actions, self.device)
        self._done = TransitionRing(capacity, self.slots, self._extra_forms, self.device)
        self._windows = Windows(num_envs, n_step, self.gamma, self._extra_forms) if n_step > 1 else None
        self._current = np.full(num_envs, -1, np.int64)  # the number of what each environment shows; -1: begin first
        self._envs = np.arange(num_envs)
        self._walks = Walks(self._seen, self._done)
        self._quick = num_envs == 1 and storage.on_host(self.device)

    @classmethod
    def bytes_needed(
        cls,
        observation_space: gym.Space,
        capacity: int,
        *,
        num_envs: int = 1,
        n_step: int = 1,
        gamma: float = 0.99,
        n_actions: int | None = None,
        extras: Extras | None = None,
        device: str | torch.device = "cpu",
    ) -> int:
        """How many bytes a replay of these arguments takes; none are taken. Raises like the constructor."""
        for name, value in (("capacity", capacity), ("num_envs", num_envs), ("n_step", n_step)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ArgumentError(f"{name} is {value!r}, but an integer of at least 1 was expected")
        slots, extra_forms = _slots(capacity, num_envs, n_step), _extra_forms(extras)
        if slots >= 2**31:
            raise ArgumentError(f"capacity is {capacity}, but at most {2**30} was expected")
        per_slot = [storage.forms_of(observation_space), mask_forms(n_actions)]
        parts = [(slots, forms) for forms in (*per_slot, seen.SLOT_FORMS, done.SLOT_FORMS)]
        parts += [(capacity, done.FORMS), (capacity, extra_forms)]
        if n_step > 1:
            parts.append((num_envs, Windows.forms(n_step, extra_forms)))
        return storage.total_bytes(parts)

    def __len__(self) -> int:
        return len(self._done.alive)

    @property
    def keeps_masks(self) -> bool:
        """Whether each observation has a mask of actions with it."""
        return bool(self._seen.masks)

    @property
    def alive(self) -> range:
        """The numbers of the transitions that can be drawn; number t lies at position t mod capacity."""
        return self._done.alive

    # Writing.

    def begin(self, observations: Any, masks: Any = None, envs: Any = None) -> None:
        """Show the first observations (M, ...) of the episodes of `envs` (M,), or of all environments.

        An episode that has not ended is cut: its open windows enter as if truncated at what it showed last.
        """
        chosen = self._chosen(envs)
        numbers = self._show(observations, masks, len(chosen), begins=True)
        if self._windows is not None:
            running = chosen[self._current[chosen] >= 0]
            self._done.enter(self._windows.cut(running, self._current[running]), self._seen.shown)
        self._current[chosen] = numbers

    def add(
        self,
        actions: Any,
        rewards: Any,
        next_observations: Any,
        terminated: Any,
        truncated: Any,
        masks: Any = None,
        extras: Mapping[str, Any] | None = None,
        envs: Any = None,
    ) -> None:
        """Add one step (M,) of each of `envs` (M,), or of all environments.

        next_observations (M, ...) are the true ones: where an episode ended, its last, not the first of the next one,
        which `begin` shows then. masks: (M, A), of the next observations. extras: name -> (M, ...).
        Raises ArgumentError, with nothing added, if an environment's episode has not begun, or if shapes don't fit.
        """
        chosen = self._chosen(envs)
        origins = self._current[chosen]  # (M,)
        if origins.min(initial=0) < 0:
            raise self._not_begun(chosen[origins < 0])
        count = len(chosen)
        terminal = _vector("terminated", terminated, count, np.bool_)
        ended = terminal | _vector("truncated", truncated, count, np.bool_)
        actions = _vector("actions", actions, count, np.int64)
        rewards = _vector("rewards", rewards, count, np.float64)
        beside = self._checked_extras(extras, count)
        lasts = self._show(next_observations, masks, count, begins=False)
        steps = Steps(origins, lasts, actions, rewards, np.where(terminal, 0.0, self.gamma), beside)
        if self._windows is not None:
            steps = self._windows.step(chosen, steps, terminal, ended)
        self._done.enter(steps, self._seen.shown)
        self._current[chosen] = np.where(ended, -1, lasts)

    def add_one(
        self,
        action: Any,
        reward: Any,
        next_observation: Any,
        terminated: Any,
        truncated: Any,
        mask: Any = None,
        extras: Mapping[str, Any] | None = None,
    ) -> None:
        """`add` for a single environment, without the batch axis: an action, a number, an observation.

        On the CPU this takes a few microseconds: it stands in the inner loop of a learner.
        """
        if not self._quick:
            self._add_batch_of_one(action, reward, next_observation, terminated, truncated, mask, extras)
            return
        origin = self._current.item(0)
        if origin < 0:
            raise self._not_begun(self._envs)
        if extras or self._extra_forms:
            extras = {name: rows[0] for name, rows in self._checked_extras(_batched(extras), 1).items()}
        last = self._seen.show_one(next_observation, mask)
        self._done.lose_one(last % self.slots)
        ended = terminated or truncated
        if self._windows is None:
            self._done.enter_one(origin, last, action, reward, 0.0 if terminated else self.gamma, extras)
        else:
            step: Any
            for start, *step in self._windows.step_one(origin, action, reward, terminated, ended, extras):
                self._done.enter_one(start, last, *step)
        self._current[0] = -1 if ended else last

    def _add_batch_of_one(
        self, action: Any, reward: Any, observation: Any, terminated: Any, truncated: Any, mask: Any, extras: Any
    ) -> None:
        if self.num_envs != 1:
            raise ArgumentError(f"add_one is for a single environment, but num_envs is {self.num_envs}; use add")
        observations = _batched(observation if self._seen.is_dict else {SINGLE: observation})
        self.add(
            [action],
            [reward],
            observations if self._seen.is_dict else observations[SINGLE],
            [terminated],
            [truncated],
            None if mask is None else np.asarray(mask)[None],
            _batched(extras),
        )

    def _show(self, observations: Any, masks: Any, count: int, begins: bool) -> np.ndarray:
        numbers = self._seen.show(observations, masks, count, begins)
        self._done.lose(numbers % self.slots)
        return numbers

    # Drawing.

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Positions (count,) int64 of transitions, each alive one equally likely; one call of `rng`.

        Raises ArgumentError if the replay is empty.
        """
        alive = self._drawable()
        return rng.integers(alive.start, alive.stop, size=count) % self.capacity

    def batch(self, positions: np.ndarray) -> Batch:
        """The transitions at `positions` (B,), as drawn by `draw`."""
        at = storage.index(positions, self.device)
        rows = self._done.rows
        origins, lasts = rows["origin"][at], rows["last"][at]
        return Batch(
            self._seen.take(origins),
            storage.take(rows["action"], at),
            storage.take(rows["reward"], at),
            self._seen.take(lasts),
            storage.take(rows["discount"], at),
            self._seen.take_masks(lasts),
            None,
            positions,
            {name: storage.take(kept, at) for name, kept in self._done.extras.items()},
        )

    def sample(self, count: int, rng: np.random.Generator) -> Batch:
        """Draw `count` transitions and hand them out: `batch(draw(rng, count))`."""
        return self.batch(self.draw(rng, count))

    def sequences(self, positions: np.ndarray, length: int) -> SequenceBatch:
        """The `length` steps that end with each transition at `positions` (B,); fewer where the episode began later,
        or where the steps before are not alive any more.

        Raises ArgumentError unless n_step is 1.
        """
        if self.n_step != 1:
            raise ArgumentError(f"n_step is {self.n_step}, but sequences are of single steps; use n_step=1")
        return self._walks.sequences(positions, length)

    def onward(self, positions: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """The positions (B,) of the transitions `steps` (B,) further on than those at `positions`, in the same episode;
        of its last, or newest, where it has not so many.

        A sequence ends with its transition, so the last one of an episode is found in no other's. Going on by a random
        number of steps below `length` first, it is found about half as often as those in the middle.
        """
        return self._walks.onward(positions, steps)

    def arrays(self) -> Arrays:
        """The arrays themselves, for compiled code. Raises ArgumentError where they are not on the CPU."""
        if not storage.on_host(self.device):
            raise ArgumentError(f"the replay's arrays are on {self.device}, but compiled code needs device='cpu'")
        seen = self._seen.parts if self._seen.is_dict else self._seen.parts[SINGLE]
        rows = self._done.rows
        ways = rows["origin"], rows["last"], rows["action"], rows["reward"], rows["discount"]
        return Arrays(seen, *ways, self._seen.masks.get("mask"))

    # Saving.

    def state(self, copy: bool = True) -> dict[str, Any]:
        """All that it holds: two `Ring`s, arrays and counts. copy=False: views, to be saved before the next `add`."""
        rings = ((self._seen.arrays(), self._seen.shown), (self._done.arrays(), self._done.written))
        seen, done = (
            Ring({name: storage.to_numpy(array, copy) for name, array in arrays.items()}, written)
            for arrays, written in rings
        )
        plain = {name: storage.to_numpy(array, copy) for name, array in self._plain_arrays().items()}
        return {"observations": seen, "transitions": done, "oldest": self._done.alive.start, **plain}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state. Raises ArgumentError, with nothing changed, if a replay of other arguments made it."""
        counts = restored_arrays(state, self._seen.arrays(), self._done.arrays(), self._plain_arrays())
        self._seen.shown, self._done.written, self._done.oldest = counts
        self._done.recount()
        self._walks.forget()

    def _plain_arrays(self) -> dict[str, np.ndarray]:
        """What is no ring: small, and changed in place."""
        windows = {} if self._windows is None else self._windows.arrays()
        return {"current": self._current, **{f"windows/{name}": array for name, array in windows.items()}}

    # Checks.

    def _drawable(self) -> range:
        alive = self._done.alive
        if not alive:
            raise ArgumentError("the replay is empty: add transitions before drawing from it")
        return alive

    def _chosen(self, envs: Any) -> np.ndarray:
        if envs is None:
            return self._envs
        chosen = np.asarray(envs)
        if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iu"):
            raise ArgumentError(f"envs is {envs!r}, but a list of environments' numbers was expected")
        chosen = chosen.astype(np.int64)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= self.num_envs or np.bincount(chosen).max() > 1):
            raise ArgumentError(f"envs is {envs!r}, but different numbers below num_envs={self.num_envs} were expected")
        return chosen

    def _checked_extras(self, extras: Mapping[str, Any] | None, count: int) -> dict[str, np.ndarray]:
        given = dict(extras or {})
        if given.keys() != self._extra_forms.keys():
            raise ArgumentError(f"extras are {sorted(given)}, but {sorted(self._extra_forms)} was expected")
        forms = self._extra_forms.items()
        rows = {name: storage.checked_rows(f"extras[{name!r}]", given[name], count, form) for name, form in forms}
        return {name: storage.to_numpy(values, copy=False) for name, values in rows.items()}

    def _not_begun(self, envs: np.ndarray) -> ArgumentError:
        return ArgumentError(
            f"no episode has begun in environments {envs.tolist()}; call begin first, and after an end"
        )


def _slots(capacity: int, num_envs: int, n_step: int) -> int:
    return capacity + capacity // 8 + 2 * num_envs * (n_step + 1)  # a step that ends an episode shows two observations


def _extra_forms(extras: Extras | None) -> dict[str, Form]:
    return {name: Form(tuple(shape), np.dtype(dtype)) for name, (shape, dtype) in (extras or {}).items()}


def _batched(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: np.asarray(value)[None] for name, value in (values or {}).items()}


def _vector(name: str, values: Any, count: int, dtype: Any) -> np.ndarray:
    vector = np.asarray(values.cpu() if isinstance(values, torch.Tensor) else values)
    if vector.shape != (count,):
        raise ArgumentError(f"{name} has the shape {vector.shape}, but {(count,)} was expected: one an environment")
    return vector.astype(dtype)
