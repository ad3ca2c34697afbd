"""Clocks for what torch computes: CPU time, or, on a GPU, seconds on the clock once it has done what it was given."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rltk.scripts.benchmarks.table import Row


def device_rows(device: str) -> list[Row]:
    """The GPU's name, where there is one."""
    if device == "cpu":
        return []
    import torch

    return [Row("device", torch.cuda.get_device_name(device))]


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch computes on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def clock_of(device: Any) -> Callable[[], float]:
    """The clock for work on `device`."""
    if str(device) == "cpu":
        return time.process_time
    import torch

    def now() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return now


def seconds(call: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> float:
    """What `call` takes."""
    begin = clock()
    call()
    return clock() - begin


def microseconds(update: Callable[[int], Any], count: int, clock: Callable[[], float] = time.process_time) -> float:
    """What each of `count` updates takes."""
    return 1e6 * seconds(lambda: update(count), clock) / count
