"""Work in a process of its own that can be killed: SIGKILL, which nothing can catch, at a random moment.

A fork server imports the libraries once and forks for each process, so that a run that is killed three times and then
ended pays for its work and not for four times seconds of imports. The processes are real ones: what the killed one had
not written to the disk is lost.
"""

import multiprocessing
import os
import signal
import time

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["torch._dynamo", "matplotlib.pyplot", "rltk.agents.deep.dqn", "rltk.scripts.train"])


class Working:
    """`work(report, *arguments)` in a process of its own; what it passes to `report` is read by `heard`."""

    def __init__(self, work, *arguments):
        self._ear, mouth = _SERVER.Pipe(duplex=False)
        self._process = _SERVER.Process(target=_quietly, args=(work, mouth, arguments))
        self._process.start()
        mouth.close()

    def heard(self):
        """The next report; None once the process is over."""
        try:
            return self._ear.recv()
        except EOFError:
            return None

    def kill(self):
        """SIGKILL; whether that is what ended it."""
        self._process.kill()
        return self.end() == -signal.SIGKILL

    def end(self):
        """Its exit code, when it is over."""
        self._process.join(timeout=120)
        self._ear.close()
        return self._process.exitcode


def _quietly(work, mouth, arguments):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    work(mouth.send, *arguments)


def kill_soon(working, moments, *, reports, seconds):
    """Kill it after up to `reports` more reports and up to `seconds` more, by `moments`, a `random.Random`."""
    for _ in range(moments.randint(0, reports)):
        working.heard()
    time.sleep(moments.uniform(0, seconds))
    return working.kill()
