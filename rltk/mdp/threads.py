"""Threads for sweeps: a range of states is cut into chunks, and threads that are free take the next one.

A kernel gets [begin, stop), treats each of its states by itself and releases the GIL (`@jit(nogil=True)`). Where the
cuts lie depends on the number of states alone, and what the chunks answer is handed back in their order: the same
bits come out whatever the number of threads.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, TypeVar

import numpy as np

from rltk.errors import ArgumentError

Answer = TypeVar("Answer")

SMALLEST_CHUNK = 8192  # states; handing out less costs more than it shares
MOST_CHUNKS = 64
WORTH_SHARING = 1 << 18  # outcomes of a sweep below which waking a thread takes longer than it saves

_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def available_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def checked_threads(threads: int | None) -> int | None:
    """`threads` where it is None or a positive whole number; an ArgumentError otherwise."""
    if threads is None:
        return None
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise ArgumentError(f"threads is a positive whole number, or None for all cores; it is {threads!r}")
    return int(threads)


def threads_for(n_outcomes: int, threads: int | None) -> int:
    """`threads`; where it is None all cores, or one where a sweep of so many outcomes is too short to share."""
    if threads is not None:
        return threads
    return available_cores() if n_outcomes >= WORTH_SHARING else 1


def in_chunks(kernel: Callable[[int, int], Answer], n_states: int, threads: int = 1) -> list[Answer]:
    """What `kernel(begin, stop)` answers for each chunk of `n_states`, in order, by at most `threads` threads."""
    chunk = max(SMALLEST_CHUNK, -(-n_states // MOST_CHUNKS))
    n_chunks = -(-n_states // chunk)
    if threads == 1 or n_chunks <= 1:
        return [kernel(0, n_states)]
    answers: list[Any] = [None] * n_chunks
    numbers = count()

    def work() -> None:
        while (number := next(numbers)) < n_chunks:
            answers[number] = kernel(number * chunk, min(n_states, (number + 1) * chunk))

    helpers = [_shared_pool().submit(work) for _ in range(min(threads, n_chunks) - 1)]
    try:
        work()
    finally:
        # Helpers that never began (the pool was busy) have nothing left to do; the others are at their last chunk.
        running = [helper for helper in helpers if not helper.cancel()]
        errors = [helper.exception() for helper in running]
    for error in errors:
        if error is not None:
            raise error
    return answers


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max(available_cores(), 8), thread_name_prefix="rltk-sweep")
        return _pool


def _forget_pool() -> None:
    """A forked child has the pool but none of its threads: it makes its own."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
