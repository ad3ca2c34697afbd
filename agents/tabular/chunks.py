"""Learning from many seeds, chunk by chunk: what `many_seeds` and `many_episodes` share.

Threads take the chunks between them; every seed of a chunk has its own copy of the learner's arrays and its own
streams, so the number of threads changes nothing of what is learnt.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from gymnasium.utils import seeding

from rltk.agents.tabular.learner import TabularLearner
from rltk.errors import ArgumentError
from rltk.mdp import jit, stream_of
from rltk.runs import Streams
from rltk.runs.checks import checked_count

_MOST_CHUNKS, _LARGEST_CHUNK = 64, 64  # of seeds: few enough to be cheap, small enough to share and to be watched

_WHOLE = ("learn", "_learn_piece", "_settle")  # what a method does besides its update would be here

# Copies of (the table,), the memory and the habits, with an axis of seeds in front.
Copies = tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...], tuple[np.ndarray, ...]]


def in_chunks(
    agent: TabularLearner,
    seeds: tuple[int, ...],
    threads: int,
    learn: Callable[[slice, Copies, np.ndarray], None],
) -> Iterator[int]:
    """Call `learn(which of the seeds, copies, words)` for each chunk, by so many threads; yields how many are done.

    words: (n, 3, 6) uint64, the chunk's streams (`words_of`). An error in a chunk is raised here.
    """
    size = chunk_size(len(seeds))

    def of(begin: int) -> int:
        chunk = seeds[begin : begin + size]
        table, memory, habits = (
            tuple(np.repeat(array[None], len(chunk), axis=0) for array in arrays)
            for arrays in ((agent.table,), agent.memory, agent.habits)
        )
        learn(slice(begin, begin + size), (table, memory, habits), words_of(chunk))
        return begin + len(chunk)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="rltk-seeds")
    try:
        yield from pool.map(of, range(0, len(seeds), size))
    finally:
        pool.shutdown(cancel_futures=True)


def compiles(agent: TabularLearner) -> bool:
    """Whether a kernel does all that the learner does: not where it does more than its update."""
    alike = all(getattr(type(agent), name) is getattr(TabularLearner, name) for name in _WHOLE)
    return alike and agent.backend == "compiled"


def chunk_size(n_seeds: int) -> int:
    """So many seeds are learnt from at a time by a thread."""
    return min(-(-n_seeds // _MOST_CHUNKS), _LARGEST_CHUNK)


def bytes_of(agent: TabularLearner, steps: int) -> int:
    """What a seed needs while it learns, with episodes of so many steps."""
    return agent.table.nbytes + sum(array.nbytes for array in (*agent.memory, *agent.habits)) + 48 * steps


def words_of(seeds: Iterable[int]) -> np.ndarray:
    """(n, 3, 6) uint64: of each seed the streams of the environment, the behaviour and the method, at their start."""
    words = []
    for seed in seeds:
        streams = Streams(seed)
        env_generator, _ = seeding.np_random(streams.seed("environment"))
        generators = (env_generator, streams.generator("behaviour"), streams.generator("method"))
        words.append([stream_of(generator) for generator in generators])
    return np.array(words, dtype=np.uint64)


@cache
def one_of(count: int) -> Callable[..., Any]:
    """A kernel that takes the i-th of each of `count` stacked arrays, as a tuple; numba has no loop over a tuple of
    arrays that differ."""
    if count == 1:

        @jit(_nrt=False)
        def last(arrays, i):
            return (arrays[0][i],)

        return last

    rest = one_of(count - 1)

    @jit(_nrt=False)
    def one(arrays, i):
        return (arrays[0][i],) + rest(arrays[1:], i)

    return one


@jit(_nrt=False)
def put(array, out):
    """Copy `array` into `out`, of the same shape. For `out[...] = array` numba also compiles the text of its error,
    which takes seconds.
    """
    for i in range(array.size):
        out.flat[i] = array.flat[i]


def check_learner(learner: Any, options: dict[str, Any], caller: str) -> None:
    """Raise ArgumentError unless `learner` is a class of learners, and its options leave the seed to `caller`."""
    if not (isinstance(learner, type) and issubclass(learner, TabularLearner)):
        raise ArgumentError(f"learner: a class of learners, such as QLearning, was expected; found {learner!r}")
    if "seed" in options:
        raise ArgumentError(f"seed: {caller} takes seeds=, one or several; found seed={options['seed']!r}")


def checked_seeds(seeds: Any) -> tuple[int, ...]:
    """The numbers of so many seeds, from 0 on, or of those that are named."""
    if isinstance(seeds, int | np.integer) and not isinstance(seeds, bool):
        return tuple(range(checked_count("seeds", seeds)))
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        raise ArgumentError(f"seeds: how many, or which, were expected; found {seeds!r}")
    numbers = tuple(checked_count("one of seeds", seed, 0) for seed in seeds)
    if not numbers or len(set(numbers)) < len(numbers):
        raise ArgumentError(
            f"seeds: at least one, each of them once; found {len(numbers)}, {len(set(numbers))} of them different"
        )
    return numbers


def checked_checkpoints(checkpoints: Any, total: int) -> np.ndarray:
    """(K,) int64, rising timesteps in [0, total]."""
    if isinstance(checkpoints, int | np.integer) and not isinstance(checkpoints, bool):
        count = checked_count("checkpoints", checkpoints)
        if count > total:
            raise ArgumentError(f"checkpoints: at most one a step, {total}; found {count}")
        return np.round(np.linspace(0, total, count + 1)[1:]).astype(np.int64)
    if not isinstance(checkpoints, Iterable) or isinstance(checkpoints, str):
        raise ArgumentError(f"checkpoints: how many, or at which timesteps, were expected; found {checkpoints!r}")
    timesteps = np.array([checked_count("one of checkpoints", timestep, 0) for timestep in checkpoints], dtype=np.int64)
    if not timesteps.size or (np.diff(timesteps) <= 0).any() or timesteps[-1] > total:
        raise ArgumentError(f"checkpoints: rising timesteps of at most {total}; found {timesteps.tolist()}")
    return timesteps
