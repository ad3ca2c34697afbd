"""An interrupt waits for the end of a piece of work, and is not lost."""

import signal
import threading

import pytest

from rltk.runs.interrupts import held_interrupts


def interrupt():
    signal.raise_signal(signal.SIGINT)


def piece(*work):
    """Do one after the other, interrupts held."""
    with held_interrupts():
        for each in work:
            each()


def test_an_interrupt_comes_after_the_piece():
    """What is inside is done to the end; then KeyboardInterrupt is raised, once, and the old handler is back."""
    before, done = signal.getsignal(signal.SIGINT), []
    with pytest.raises(KeyboardInterrupt):
        piece(interrupt, lambda: done.append("to the end"))

    assert done == ["to the end"]
    assert signal.getsignal(signal.SIGINT) is before
    piece(lambda: done.append("nothing is left of it"))


def test_the_second_interrupt_does_not_wait():
    """Whoever presses twice means it."""
    done = []
    with pytest.raises(KeyboardInterrupt):
        piece(interrupt, interrupt, lambda: done.append("never"))
    assert not done


def test_an_error_inside_is_what_is_raised():
    """It says more than the interrupt."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        piece(interrupt, lambda: 1 / 0)
    assert signal.getsignal(signal.SIGINT) is before


def test_somebody_elses_handler_is_called():
    """A program with a handler of its own gets the interrupt, late; one that ignores interrupts goes on doing so."""
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with held_interrupts():
            interrupt()
            assert not seen
        assert seen == [signal.SIGINT]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        piece(interrupt)
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_it_does_nothing():
    """Python hands interrupts to the main thread alone."""
    done = []

    def work():
        with held_interrupts():
            done.append(threading.current_thread().name)

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    thread.join()
    assert done == ["worker"]
