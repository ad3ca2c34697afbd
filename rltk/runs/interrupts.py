"""Ctrl-C between two pieces of work, not in the middle of one.

An interrupt that comes while a table is ahead of its counters would leave both wrong for good. `held_interrupts` lets
the piece come to its end and raises then:

    with held_interrupts():
        learn_a_piece()

A second Ctrl-C meanwhile does not wait: whoever holds interrupts must bear an exception in the middle all the same.
Only the main thread gets interrupts, so in any other this does nothing.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def held_interrupts() -> Iterator[None]:
    """Hand an interrupt (SIGINT) that comes inside to whoever handled it before, once the inside is done."""
    handler = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not callable(handler):  # another thread, or interrupts are ignored or not Python's
        yield
        return
    came: list[Any] = []

    def note(number: int, frame: Any) -> None:
        if came:
            handler(number, frame)
        came.append((number, frame))

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        handler(*came[0])
