"""The kernel cache: found again by the next process, never old, and not needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rltk.mdp import jit
from rltk.mdp.jit import _name

CALLEE = """
from rltk.mdp import jit

@jit
def callee(x):
    return x + 1
"""

CALLER = """
import json
import numpy as np
from rltk.mdp import jit
from callee import callee

@jit
def caller(x):
    return 10 * callee(x)

@jit
def double(x):
    return 2 * x

@jit
def triple(x):
    return 3 * x

def make(inner, shift):
    @jit
    def kernel(x):
        return inner(x) + shift
    return kernel

kernels = {"caller": caller, "double": make(double, 1), "triple": make(triple, 1), "far": make(double, 100)}
results = {name: float(kernel(1.0)) for name, kernel in kernels.items()}
hits = {name: sum(kernel.stats.cache_hits.values()) for name, kernel in kernels.items()}
print(json.dumps([results, hits]))
"""


@pytest.fixture
def workshop(tmp_path):
    """A folder with a caller and its callee in another file, and a function that runs it in a process of its own."""
    (tmp_path / "callee.py").write_text(CALLEE)
    (tmp_path / "caller.py").write_text(CALLER)

    def run(cache="cache"):
        environment = {**os.environ, "RLTK_CACHE_DIR": str(tmp_path / cache)}
        command = [sys.executable, "-W", "error", "caller.py"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    run.folder = tmp_path
    return run


def test_kernels_are_found_again_and_never_old(workshop):
    """The second process compiles nothing, kernels made in closures included, and each closure is its own kernel. After
    an edit of the callee the caller in its own file gives new results, where numba's plain cache gives old ones."""
    results, hits = workshop()
    assert results == {"caller": 20, "double": 3, "triple": 4, "far": 102}
    assert set(hits.values()) == {0}

    results, hits = workshop()
    assert results == {"caller": 20, "double": 3, "triple": 4, "far": 102}
    assert set(hits.values()) == {1}

    path = workshop.folder / "callee.py"
    stamp = path.stat()
    path.write_text(CALLEE.replace("x + 1", "x + 2"))  # the same size, and the same time below
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    results, hits = workshop()
    assert results["caller"] == 30
    assert hits["caller"] == 0


def test_a_cache_that_can_not_be_written_is_done_without(workshop):
    """A file stands where the cache folder should be: kernels are compiled in memory and nothing is said."""
    (workshop.folder / "blocked").write_text("")

    results, hits = workshop("blocked")
    assert results["caller"] == 20
    assert set(hits.values()) == {0}


def test_old_caches_are_cleared_away(workshop):
    """Each edit makes a new folder; only the latest few stay."""
    from rltk.mdp.jit import KEPT_CACHES

    kernels = workshop.folder / "cache" / "kernels"
    for n in range(9):
        (kernels / f"old{n}").mkdir(parents=True)
        os.utime(kernels / f"old{n}", (n, n))
    workshop()

    left = {path.name for path in kernels.iterdir()}
    assert len(left) <= KEPT_CACHES + 1
    assert "old0" not in left


def test_the_key_tells_closures_apart():
    """What a kernel closes over is part of its key: long arrays that differ in the middle (where `repr` shows dots),
    lambdas on different lines, functions of one name that close over different numbers."""
    one, two = np.zeros(5000), np.zeros(5000)
    two[2500] = 1

    def adder(n):
        return lambda x: x + n

    assert repr(one) == repr(two)
    assert len({_name(value) for value in (one, two, one.astype(np.float32), one.reshape(50, 100))}) == 4
    assert _name(adder(1)) != _name(adder(2))
    assert _name(adder(1)) == _name(adder(1))
    assert _name((1, one)) != _name((1, two))
    assert _name(lambda x: x + 1) != _name(lambda x: x + 2)
    assert "0x" not in _name(adder(1))  # an address would differ in every process


def test_options_reach_numba():
    """`@jit(...)` with options, and `@jit` without; division by zero is NumPy's."""

    @jit(nogil=True)
    def ratio(a, b):
        return a / b

    assert ratio(1.0, 0.0) == np.inf
    assert ratio.targetoptions["nogil"]
    assert "fastmath" not in ratio.targetoptions or not ratio.targetoptions["fastmath"]
    assert Path(ratio.py_func.__code__.co_filename) == Path(__file__)


def test_a_constant_has_no_machine_code_of_its_own():
    """However a kernel is called from another one, whole numbers are whole numbers and truth values truth values."""

    @jit
    def inner(x, shift, twice=False):
        return (2 * x if twice else x) + shift

    @jit
    def outer(x, n):
        return inner(x, 1) + inner(x, 2, True) + inner(x, n, n > 3) + inner(x, shift=4, twice=False)

    assert outer(10.0, 3) == 11 + 22 + 13 + 14
    truth_values = {str(types[2]) for types in inner.signatures}
    assert truth_values == {"bool", "omitted(default=False)"}
    assert len(inner.signatures) == 2
