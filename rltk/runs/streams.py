"""Named, independent random streams, all from one seed.

    stream(name) = PCG64(SeedSequence(entropy=seed, spawn_key=sha256(name) as eight 32-bit words))

Keying by the name, not by the order of asking, means that a new purpose shifts no old one.

Source: NumPy's `SeedSequence` (after O'Neill's `seed_seq`), whose spawn keys give independent streams.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from rltk.errors import ArgumentError, CheckpointError
from rltk.runs.checks import whole


class Streams:
    """The random streams of one run.

    seed: a non-negative integer of any length. Raises ArgumentError at anything else.
    """

    def __init__(self, seed: int) -> None:
        self._seed = whole("seed", seed)
        self._generators: dict[str, np.random.Generator] = {}

    def __repr__(self) -> str:
        return f"Streams(seed={self._seed}, used={sorted(self._generators)})"

    @property
    def root(self) -> int:
        """The seed that all streams come from."""
        return self._seed

    def generator(self, name: str) -> np.random.Generator:
        """The generator (PCG64) of this name: the same object each time it is asked for."""
        if name not in self._generators:
            self._generators[name] = np.random.Generator(np.random.PCG64(self._sequence(name)))
        return self._generators[name]

    def seed(self, name: str) -> int:
        """A seed in [0, 2^32) for what wants an integer, such as an environment's reset.

        The same each time it is asked for, and independent of `generator(name)`.
        """
        return int(self._sequence(name, 1).generate_state(1, np.uint32)[0])

    def state(self) -> dict[str, Any]:
        """Where every stream handed out so far stands: {"seed": int, "streams": {name: (6,) uint64}}."""
        words = {}
        if self._generators:
            # Imported when needed: the floor below compiles kernels, which takes a second to load.
            from rltk.mdp.streams import stream_of

            words = {name: stream_of(generator) for name, generator in self._generators.items()}
        return {"seed": self._seed, "streams": words}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on exactly where `state` stands, in the generators already handed out too.

        The state's seed replaces this one's. A stream that was asked for only after `state` was taken starts afresh,
        as it did then. Raises CheckpointError, and changes nothing, at a state that `state()` does not give.
        """
        seed, words = _checked_state(state)
        if not words and not self._generators:
            self._seed = seed
            return
        from rltk.mdp.streams import restore_stream, stream_of

        for name, stream in words.items():
            try:
                restore_stream(np.random.Generator(np.random.PCG64(0)), stream)
            except (ValueError, OverflowError) as error:
                raise CheckpointError(f"the state of the random stream {name!r} is none of PCG64: {error}") from error
        self._seed = seed
        for name in {**self._generators, **words}:
            fresh = np.random.Generator(np.random.PCG64(self._sequence(name)))
            restore_stream(self.generator(name), words.get(name, stream_of(fresh)))

    def _sequence(self, name: str, *more: int) -> np.random.SeedSequence:
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"a random stream's name is {name!r}, but a non-empty string was expected")
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
        words = [int(word) for word in np.frombuffer(digest, dtype=">u4")]
        return np.random.SeedSequence(entropy=self._seed, spawn_key=(*words, *more))


def _checked_state(state: Mapping[str, Any]) -> tuple[int, dict[str, np.ndarray]]:
    if not isinstance(state, Mapping) or set(state) != {"seed", "streams"} or not isinstance(state["streams"], Mapping):
        raise CheckpointError('the state of random streams is no {"seed": int, "streams": {name: (6,) uint64}}')
    try:
        seed = whole("seed", state["seed"])
    except ArgumentError as error:
        raise CheckpointError(f"in the state of random streams, {error}") from error
    for name, words in state["streams"].items():
        if not isinstance(words, np.ndarray) or words.dtype != np.uint64 or words.shape != (6,) or words[4] > 1:
            raise CheckpointError(
                f"the state of the random stream {name!r} is {words!r}, but six words of PCG64, (6,) uint64, were "
                "expected"
            )
    return seed, dict(state["streams"])
