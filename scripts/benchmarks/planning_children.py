"""What is measured in a process of its own: methods that take turns, the memory one adds, compiling from nothing."""

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from rltk.scripts.benchmarks.planning_peers import OURS, method_called
from rltk.scripts.benchmarks.planning_problems import case_called
from rltk.scripts.benchmarks.planning_turns import Event
from rltk.scripts.benchmarks.table import measured

_TURNS = "from rltk.scripts.benchmarks.planning_turns import tell; tell()"
_MEMORY = "from rltk.scripts.benchmarks.planning_children import tell_memory; tell_memory()"

# glibc: arrays are mapped one by one and given back when freed, so that what was used before hides nothing.
_GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}

_FIRST = """
import json, time
from rltk.agents.planning import solve
from rltk.scripts.benchmarks.planning_problems import CASES
mdp = CASES["grid 100^2"].problem(0).rows()
seconds = []
for _ in range(2):
    begin = time.perf_counter()
    assert solve(mdp, 0.99).converged
    seconds.append(time.perf_counter() - begin)
print(json.dumps(dict(first=seconds[0], second=seconds[1])))
"""


def turns(peers: list[str], cutoff: float, code: str = _TURNS, **asked: Any) -> Iterator[Event]:
    """What a child tells (`planning_turns`) that measures `peers` as `asked`, as it tells it.

    A peer that tells nothing for `cutoff` seconds, or ends the child, refuses in its place, and another child goes on
    with the peers after it. Raises RuntimeError where it is not a peer that does.
    """
    waiting = list(peers)
    while True:
        current = ""
        stopped = ""
        for event in _told_by(code, {**asked, "peers": waiting}, cutoff):
            current = event.get("begins", current)
            if "ends" in event or "refuses" in event:
                current = ""
                waiting.pop(0)
            stopped = event.get("stopped", "")
            if not stopped:
                yield event
        if not stopped or (peers and not waiting):  # a child may stumble over its own end when all is told
            return
        if not current:
            raise RuntimeError(f"measuring ours {stopped}")
        yield {"refuses": current, "why": stopped}
        waiting.pop(0)
        if not waiting:
            return


def _told_by(code: str, asked: dict[str, Any], cutoff: float) -> Iterator[Event]:
    """The lines of JSON that one child prints; at last {"stopped": why} if it did not end well."""
    command = [sys.executable, "-c", code, json.dumps(asked)]
    lines: SimpleQueue[str | None] = SimpleQueue()
    with tempfile.TemporaryFile("w+") as complaints:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True)
        reader = Thread(target=_read, args=(child, lines), daemon=True)
        reader.start()
        try:
            while (line := lines.get(timeout=cutoff)) is not None:
                if line.startswith("{"):  # peers print things too
                    yield json.loads(line)
            if child.wait() != 0:
                complaints.seek(0)
                last = complaints.read().strip().splitlines()[-1:]
                yield {"stopped": " ".join([f"ended with status {child.returncode}", *last])}
        except Empty:
            yield {"stopped": f"cut off after {cutoff:g} s"}
        finally:
            child.kill()
            child.wait()
            reader.join()
            if child.stdout is not None:
                child.stdout.close()


def _read(child: "subprocess.Popen[str]", lines: "SimpleQueue[str | None]") -> None:
    for line in child.stdout or ():
        lines.put(line)
    lines.put(None)


def added_memory(case: str, method: str) -> float:
    """MB that `method` adds at its peak on `case`, from holding T and R to values, its own model included."""
    return measured(_MEMORY, case, method, environment=_GIVE_BACK)["megabytes"]


def tell_memory() -> None:
    """Called in the child: the names of case and method are its arguments."""
    case, method = case_called(sys.argv[1]), method_called(sys.argv[2])
    # To import and compile. Ours needs a problem of this size, for which it may choose another planner.
    method.prepare((case if method in OURS else case.small()).problem(1))()
    problem = case.problem(0)
    before = _held()
    solver = method.prepare(problem)
    solver()
    print(json.dumps({"megabytes": max(_peak() - before, 0.0)}))


def _held() -> float:
    """MB held now. From here on the peak is counted anew where the system can do that; else it is the peak so far."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return _peak()


def _peak() -> float:
    try:
        return _status("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def cold_start() -> dict[str, float]:
    """Seconds of the first solve of a 100 x 100 grid in a process: with no compiled kernels, and with them on disk."""
    with tempfile.TemporaryDirectory() as empty:
        cold, warm = (measured(_FIRST, environment={"RLTK_CACHE_DIR": empty}) for _ in range(2))
    return {
        "first solve, grid 100^2, empty kernel cache": cold["first"],
        "first solve in a process, kernels on disk": warm["first"],
        "second solve": warm["second"],
    }
