"""Plain observations: what any observation space looks like to replay, encoders and learners.

Below the learner there are simple spaces only (Box, Discrete, MultiDiscrete, MultiBinary), or one flat Dict of them:

    Dict and Tuple, however nested    one flat Dict; names are joined by "/", a Tuple's places are "0", "1" ...
    text                              Box (64,) float32: entry crc32(word) mod 64 counts a word and its namesakes
    Box of floats                     float32
    Box of integers                   its own type, so that pictures stay bytes; unsigned 16 and 32 bits, which torch
                                      barely knows, become the next larger signed type, unsigned 64 bits float32
    Discrete, MultiDiscrete           int64, counted from `start` as before
    MultiBinary                       int8

Counting hashed words keeps a sentence's words and not their order; two words share an entry one time in 64.

Source: Weinberger, Dasgupta, Langford, Smola and Attenberg (2009), "Feature hashing for large scale multitask
learning", section 2 (without their signs: counts are easier to read).
"""

import math
import re
from collections.abc import Iterator
from copy import deepcopy
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rltk.errors import ArgumentError, SpaceError

TEXT_WIDTH = 64
_WORDS = re.compile(r"\w+|[^\w\s]")
_TYPES = {"float16": np.float32, "uint16": np.int32, "uint32": np.int64, "uint64": np.float32, "bool": np.uint8}

PlainObservations = NDArray[Any] | dict[str, NDArray[Any]]


class Plain:
    """Turns the observations of `space` into plain ones.

    `Plain(space).space` is the plain space. It is `space` itself where that is plain already; observations of the right
    type and shape are then handed on as they are, uncopied.

    Raises SpaceError for a space that can't be made plain (Graph, Sequence, OneOf, unknown ones, an empty Dict or
    Tuple) and where two names become one ("a/b" beside "b" in "a").
    """

    def __init__(self, space: spaces.Space[Any]) -> None:
        self.original = space
        self._leaves = list(_leaves(space, ()))
        self._nested = isinstance(space, spaces.Dict | spaces.Tuple)
        self.space: spaces.Space[Any]
        if not self._nested:
            self.space = self._leaves[0].space
            return
        parts = {leaf.name: leaf.space for leaf in self._leaves}
        if len(parts) < len(self._leaves):
            raise SpaceError(f"the parts of {space} have to differ in name when joined by '/'; rename one of them")
        flat = isinstance(space, spaces.Dict) and all(space.spaces.get(name) is part for name, part in parts.items())
        self.space = space if flat else spaces.Dict(parts)

    def one(self, observation: Any) -> PlainObservations:
        """One observation of the original space, as an array or a dict of arrays.

        It may be the environment's own array: copy what is to be kept. Raises ArgumentError, naming the part, at a
        missing part, a wrong shape or type, a NaN or an infinity, and an index out of its range.
        """
        if not self._nested:
            return self._leaves[0].read(observation, None)
        return {leaf.name: leaf.read(leaf.find(observation), None) for leaf in self._leaves}

    def many(self, observations: Any, n: int) -> PlainObservations:
        """`n` observations as a VectorEnv hands them out, as arrays whose first axis is n. Raises as `one` does."""
        if not self._nested:
            return self._leaves[0].read(observations, n)
        return {leaf.name: leaf.read(leaf.find(observations), n) for leaf in self._leaves}

    def is_one(self, observation: Any) -> bool:
        """Whether this is one observation, and not a batch of them, by its axes: an environment may go beyond its
        bounds, or give lists and other types of numbers."""
        leaf = self._leaves[0]
        return leaf.is_one(leaf.find(observation))


def hashed_words(text: str) -> NDArray[np.float32]:
    """(64,) float32: how often words that hash to each entry stand in `text`. Capitals and spaces don't matter."""
    return _hashed_words(text).copy()


@lru_cache(maxsize=4096)  # A mission is the same in each step of an episode.
def _hashed_words(text: str) -> NDArray[np.float32]:
    words = _WORDS.findall(text.lower())
    entries = [crc32(word.encode("utf-8", "surrogatepass")) % TEXT_WIDTH for word in words]
    return np.bincount(np.array(entries, np.int64), minlength=TEXT_WIDTH).astype(np.float32)


class _Numbers:
    """One simple part of the space: where it is found and how it is read."""

    def __init__(self, original: spaces.Space[Any], path: tuple[Any, ...]) -> None:
        self.path = path
        self.name = "/".join(map(str, path))
        self.space = _plain(original)
        self._dtype = np.dtype(self.space.dtype)
        self._shape: tuple[int, ...] = self.space.shape or ()
        self._is_float = self._dtype.kind == "f"
        self._bounds = _index_bounds(self.space)

    def find(self, observation: Any) -> Any:
        """This part of a nested observation."""
        try:
            for key in self.path:
                observation = observation[key]
        except (KeyError, IndexError, TypeError):
            raise ArgumentError(
                f"observation: there is no {self.path} in what the environment showed, a "
                f"{type(observation).__name__}, but its observation_space has it; let the two agree"
            ) from None
        return observation

    def is_one(self, value: Any) -> bool:
        """Whether `value` has no axis for a batch."""
        try:
            return np.ndim(value) == len(self._shape)
        except ValueError:  # rows of different lengths: neither, which `read` says
            return False

    def read(self, value: Any, n: int | None) -> NDArray[Any]:
        """`value` in the plain type; its shape, NaN and the range of indices are checked. n: how many at once."""
        shape = self._shape if n is None else (n, *self._shape)
        if type(value) is not np.ndarray or value.dtype != self._dtype or value.shape != shape:
            value = self._cast(value, shape)
        if self._is_float:
            if not _all_finite(value):
                place = tuple(np.argwhere(~np.isfinite(value))[0].tolist())
                raise ArgumentError(
                    f"{self._label}: {value[place]} at {place}, but finite float32 numbers were expected; mend the "
                    "environment, or wrap it in gymnasium.wrappers.TransformObservation"
                )
        elif self._bounds is not None:
            low, high = self._bounds
            if not ((value >= low) & (value < high)).all():
                raise ArgumentError(f"{self._label}: {value} lies outside {self.space}; let the two agree")
        return value

    @property
    def _label(self) -> str:
        return f"observation {self.name!r}" if self.path else "observation"

    def _cast(self, value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        try:
            array = np.asarray(value)
        except ValueError:
            array = np.asarray(None)
        if array.dtype.kind not in "biuf" or array.shape != shape:
            raise ArgumentError(
                f"{self._label} has the shape {array.shape} and the type {array.dtype}, but numbers of the shape "
                f"{shape} were expected, as its space says; mend the environment or its observation_space"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            cast = array.astype(self._dtype)
        if not self._is_float and not np.array_equal(cast, array):
            raise ArgumentError(
                f"{self._label} holds numbers that its type {self._dtype} can't hold, such as "
                f"{array[cast != array][0]}; mend the environment or its observation_space"
            )
        return cast


class _Index(_Numbers):
    """A Discrete, which most environments give as a bare int."""

    def read(self, value: Any, n: int | None) -> NDArray[Any]:
        if n is None and isinstance(value, int | np.int64) and value in self.space:
            return np.array(value, np.int64)
        return super().read(value, n)


class _Words(_Numbers):
    """A text, as counts of its words."""

    def is_one(self, value: Any) -> bool:
        return isinstance(value, str)

    def read(self, value: Any, n: int | None) -> NDArray[Any]:
        texts = (value,) if n is None else tuple(value) if isinstance(value, tuple | list | np.ndarray) else ()
        if len(texts) != (1 if n is None else n) or not all(isinstance(text, str) for text in texts):
            wanted = "a text" if n is None else f"a tuple of {n} texts"
            raise ArgumentError(f"{self._label} is {value!r}, but {wanted} was expected, as its space says")
        if n is None:
            return hashed_words(texts[0])
        return np.array([_hashed_words(text) for text in texts], np.float32).reshape(n, TEXT_WIDTH)


def _all_finite(value: NDArray[Any]) -> bool:
    # Of few numbers this takes less than half of NumPy's time, and each step of a learner asks it.
    if value.size <= 8:
        return all(map(math.isfinite, value.flat))
    # Of many, the sum of squares needs no array: what is not finite makes it so, as do numbers beyond 1e19.
    row = value.ravel()
    with np.errstate(all="ignore"):
        return math.isfinite(np.dot(row, row)) or bool(np.isfinite(row).all())


def _leaves(space: spaces.Space[Any], path: tuple[Any, ...]) -> Iterator[_Numbers]:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        pairs = list(space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces))
        if not pairs:
            raise SpaceError(f"{_where(path)} is {space}, which has no parts, so there is nothing to learn from")
        for key, part in pairs:
            yield from _leaves(part, (*path, key))
    elif isinstance(space, spaces.Discrete):
        yield _Index(space, path)
    elif isinstance(space, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary):
        yield _Numbers(space, path)
    elif _is_text(space):
        yield _Words(space, path)
    else:
        raise SpaceError(
            f"{_where(path)} is {space}; arrays of a fixed shape, text, and Dict and Tuple of them can be learnt from. "
            "Turn it into a Box with gymnasium.wrappers.TransformObservation(env, function, observation_space)"
        )


def _where(path: tuple[Any, ...]) -> str:
    return f"the observation space's part {'/'.join(map(str, path))!r}" if path else "the observation space"


def _is_text(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Graph | spaces.Sequence | spaces.OneOf):
        return False
    if space.dtype is not None:
        return bool(np.dtype(space.dtype).kind == "U")
    try:
        return isinstance(deepcopy(space).sample(), str)  # a copy, since sampling spends the space's random numbers
    except NotImplementedError:
        return False


def _plain(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """The plain form of one part; `space` itself where nothing changes."""
    if isinstance(space, spaces.Box):
        dtype = np.dtype(_TYPES.get(str(space.dtype), np.float32 if space.dtype.kind == "f" else space.dtype))
        if dtype == space.dtype:
            return space
        with np.errstate(over="ignore"):  # a bound beyond float32's largest is none
            return spaces.Box(space.low.astype(dtype), space.high.astype(dtype), dtype=dtype.type)
    if isinstance(space, spaces.Discrete):
        return space if space.dtype == np.int64 else spaces.Discrete(int(space.n), start=int(space.start))
    if isinstance(space, spaces.MultiDiscrete):
        return space if space.dtype == np.int64 else spaces.MultiDiscrete(space.nvec, start=space.start)
    if isinstance(space, spaces.MultiBinary):
        return space
    return spaces.Box(0.0, math.inf, (TEXT_WIDTH,), np.float32)


def _index_bounds(space: spaces.Space[Any]) -> tuple[Any, Any] | None:
    """Where indices begin and before what they end. Indices address rows of weights, so a wrong one is stopped here."""
    if isinstance(space, spaces.Discrete):
        return int(space.start), int(space.start + space.n)
    if isinstance(space, spaces.MultiDiscrete):
        return space.start, space.start + space.nvec
    return None
