"""What a representation is learnt from: observations, transitions between them, and answers where they are known.

    observations   M of them, each kept once
    transitions    K rows (origin, action, reward, next, terminated), origin and next being numbers of observations
    targets        what is known of each observation: V*, Q*, the state, where the agent stands

Each observation belongs to a level. What is held out is whole levels: two frames of one level are nearly the same
picture, so a share of frames held out would measure memory.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from gymnasium import spaces

from rltk.encoders import Plain
from rltk.encoders.planes import MOST_SYMBOLS, PICTURE_SIDE, has_layout
from rltk.errors import ArgumentError, SpaceError
from rltk.runs import Streams

_EACH = ("origin", "action", "reward", "next", "terminated", "weight")


_LOOKED_AT = 64  # observations, from the first one on


def _check_pixels(space: spaces.Space[Any], observations: Any) -> None:
    """SpaceError at pictures of floats from 0 to 255 whose space says nothing of it: nothing would scale them."""
    if isinstance(space, spaces.Dict):
        for name, part in space.items():
            _check_pixels(part, observations[name])
        return
    if not isinstance(space, spaces.Box) or space.dtype.kind != "f" or not has_layout(space):
        return
    seen = observations[:_LOOKED_AT]
    declared = bool(np.isfinite(space.high).all()) and seen.max() <= space.high.max()
    if min(sorted(space.shape)[-2:]) < PICTURE_SIDE or declared or seen.max() <= MOST_SYMBOLS:
        return
    if seen.min() >= 0 and seen.max() <= 255 and (seen == np.round(seen)).all():
        raise SpaceError(
            f"data: these pictures {space.shape} hold whole numbers up to {seen.max():g} as {space.dtype}, which looks "
            "like pixels that nobody scaled; give them as uint8 in a Box from 0 to 255, or divide them by 255"
        )


@dataclass(frozen=True, eq=False)
class Transitions:
    """M observations of a plain space and K transitions between them.

    observation_space: the plain one. observations: (M, ...), or a dict of such. level: (M,) int64, from 0 on.
    origin, next: (K,) int64 numbers of observations; action: (K,) int64, from 0 on; reward: (K,) float32;
    terminated: (K,) bool; weight: (K,) float64, how often each is drawn beside the others; n_actions: how many actions
    there are, 0 where none was seen. targets: arrays (M, ...) by name, float32 or int64: "value" and "q" ((M, A), -inf
    where an action is not available) for V* and Q*, "state" for the state's number.
    distance: (M, M) float32, the exact bisimulation metric between all states that are observed, or None.

    Raises ArgumentError, naming the array, where lengths, numbers or types do not fit, or something is NaN; SpaceError
    for pictures of floats from 0 to 255.
    """

    observation_space: spaces.Space[Any]
    observations: Any
    level: np.ndarray
    origin: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    next: np.ndarray
    terminated: np.ndarray
    n_actions: int
    weight: np.ndarray = field(default_factory=lambda: np.zeros(0))
    targets: Mapping[str, np.ndarray] = field(default_factory=dict)
    distance: np.ndarray | None = None

    def __post_init__(self) -> None:
        if not len(self.weight):
            object.__setattr__(self, "weight", np.ones(len(self.origin)))
        count, rows = len(self.level), len(self.origin)
        if not count:
            raise ArgumentError("data: no observation in it; record some steps, or give levels that have states")
        Plain(self.observation_space).many(self.observations, count)  # says what does not fit
        _check_pixels(self.observation_space, self.observations)
        for name in _EACH:
            if getattr(self, name).shape != (rows,):
                raise ArgumentError(f"data: {name} has the shape {getattr(self, name).shape}, ({rows},) was expected")
        for name in ("level", "origin", "next", "action"):
            if getattr(self, name).dtype.kind not in "iu":
                raise ArgumentError(f"data: {name} is of {getattr(self, name).dtype}; integers were expected")
        for name, most in (("origin", count), ("next", count), ("action", max(self.n_actions, 1))):
            numbers = getattr(self, name)
            if rows and not (numbers.min() >= 0 and numbers.max() < most):
                raise ArgumentError(
                    f"data: {name} has {numbers.min()} to {numbers.max()}; 0 to {most - 1} was expected"
                )
        if not (np.isfinite(self.reward).all() and np.isfinite(self.weight).all() and (self.weight >= 0).all()):
            raise ArgumentError("data: rewards and weights have to be finite, and no weight below 0")
        if self.distance is not None and self.distance.shape != (count, count):
            raise ArgumentError(f"data: distance has the shape {self.distance.shape}, ({count}, {count}) was expected")
        for name, target in self.targets.items():
            if np.shape(target)[:1] != (count,) or np.isnan(target).any():
                raise ArgumentError(f"data: the target {name!r} has to say something of each of {count} observations")

    def __len__(self) -> int:
        """K, the transitions."""
        return len(self.origin)

    @property
    def n_observations(self) -> int:
        """M."""
        return len(self.level)

    @property
    def n_levels(self) -> int:
        """How many levels there are."""
        return len(np.unique(self.level))

    def digest(self) -> str:
        """The sha256 of all of it, in hexadecimal digits: whether two runs had the same data."""
        found = hashlib.sha256(str(self.observation_space).encode())
        parts = self.observations.values() if isinstance(self.observations, dict) else [self.observations]
        arrays = [getattr(self, name) for name in (*_EACH, "level")]
        for array in (*parts, *arrays, *(self.targets[name] for name in sorted(self.targets))):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def split(self, held_out: float | int = 0.2, *, seed: int = 0) -> tuple[Self, Self]:
        """(data to learn from, data to hold out): a share of the levels, or so many of them, drawn by `seed`. Levels
        that show the same count as one, and stay together.

        Raises ArgumentError where either part would have no level.
        """
        if isinstance(held_out, bool) or not isinstance(held_out, int | float | np.number):
            raise ArgumentError(f"held_out: a share of the levels, or how many; found {held_out!r}")
        alike = self._alike()
        levels = list(alike)
        whole = isinstance(held_out, int | np.integer)
        count = int(held_out) if whole else round(float(held_out) * len(levels))
        if not 0 < count < len(levels):
            raise ArgumentError(
                f"held_out: {held_out} of {len(levels)} levels that differ leaves {count} to hold out, but both parts "
                "need one; data are held out by level, so give more levels, or hold nothing out"
            )
        drawn = Streams(seed).generator("held-out levels").permutation(len(levels))
        out = [level for place in drawn[:count] for level in alike[levels[place]]]
        return self.of_levels(np.setdiff1d(self.level, out)), self.of_levels(out)

    def _alike(self) -> dict[bytes, list[int]]:
        """Levels by what they show, in the order of their numbers."""
        parts = list(self.observations.values()) if isinstance(self.observations, dict) else [self.observations]
        found: dict[bytes, list[int]] = {}
        order = np.argsort(self.level, kind="stable")
        levels, first = np.unique(self.level[order], return_index=True)
        for level, rows in zip(levels.tolist(), np.split(order, first[1:]), strict=True):
            shown = hashlib.sha256(b"".join(np.ascontiguousarray(part[rows]).tobytes() for part in parts)).digest()
            found.setdefault(shown, []).append(level)
        return found

    def of_levels(self, levels: Any) -> Self:
        """What belongs to these levels alone. Their numbers stay."""
        kept = np.isin(self.level, levels)
        rows = kept[self.origin] & kept[self.next]
        number = np.cumsum(kept) - 1
        return type(self)(
            observation_space=self.observation_space,
            observations=_map(self.observations, lambda part: part[kept]),
            level=self.level[kept],
            origin=number[self.origin[rows]],
            action=self.action[rows],
            reward=self.reward[rows],
            next=number[self.next[rows]],
            terminated=self.terminated[rows],
            n_actions=self.n_actions,
            weight=self.weight[rows],
            targets={name: target[kept] for name, target in self.targets.items()},
            distance=None if self.distance is None else self.distance[np.ix_(kept, kept)],
        )

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """All of `parts` as one; levels and observations are numbered anew. Targets that not all have are left out,
        and distances, which are not known between the parts."""
        first = parts[0]
        if len({str(part.observation_space) for part in parts}) > 1 or len({part.n_actions for part in parts}) > 1:
            raise ArgumentError("data: only observations of one space, with the same actions, can be joined")
        before = np.cumsum([0, *(part.n_observations for part in parts)])
        levels, level = 0, []
        for part in parts:
            found, own = np.unique(part.level, return_inverse=True)
            level.append(levels + own)
            levels += len(found)
        names = [name for name in first.targets if all(name in part.targets for part in parts)]

        def every(name: str) -> np.ndarray:
            return np.concatenate([getattr(part, name) for part in parts])

        return cls(
            observation_space=first.observation_space,
            observations=_concatenated([part.observations for part in parts]),
            level=np.concatenate(level),
            origin=np.concatenate([b + part.origin for b, part in zip(before, parts, strict=False)]),
            action=every("action"),
            reward=every("reward"),
            next=np.concatenate([b + part.next for b, part in zip(before, parts, strict=False)]),
            terminated=every("terminated"),
            n_actions=first.n_actions,
            weight=every("weight"),
            targets={name: np.concatenate([part.targets[name] for part in parts]) for name in names},
        )

    def __str__(self) -> str:
        known = ", ".join(self.targets) or "nothing"
        return (
            f"{self.n_observations:,} observations of {self.n_levels:,} levels, {len(self):,} transitions\n"
            f"known of each observation: {known}"
        )


def _map(tree: Any, function: Any) -> Any:
    return {name: function(part) for name, part in tree.items()} if isinstance(tree, dict) else function(tree)


def _concatenated(trees: list[Any]) -> Any:
    if isinstance(trees[0], dict):
        return {name: np.concatenate([tree[name] for tree in trees]) for name in trees[0]}
    return np.concatenate(trees)
