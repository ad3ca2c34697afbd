"""What can only be measured in a process of its own: memory that a method adds, and compiling from nothing."""

import json
import resource
import sys
import tempfile
from pathlib import Path

from rltk.scripts.benchmarks.planning_peers import OURS, PEERS
from rltk.scripts.benchmarks.planning_problems import CASES, QUICK
from rltk.scripts.benchmarks.table import measured

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


def added_memory(case: str, method: str) -> float:
    """MB that `method` adds at its peak on `case`, from holding T and R to values, its own model included."""
    return measured(_MEMORY, case, method, environment=_GIVE_BACK)["megabytes"]


def tell_memory() -> None:
    """Called in the child: the names of case and method are its arguments."""
    case_name, method_name = sys.argv[1:]
    case = CASES.get(case_name, QUICK)
    method = next(m for group in (OURS, *PEERS.values()) for m in group if m.name == method_name)
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
