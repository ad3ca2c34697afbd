"""Threads: the same bits from any number of them, errors that come out, and no process that hangs."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from planning_examples import random_graph, slippery_grid

import rltk
from rltk.agents.planning import ModifiedPolicyIteration, ValueIteration
from rltk.errors import ArgumentError
from rltk.mdp import threads as module
from rltk.mdp.threads import available_cores, in_chunks, threads_for

THREADS = (1, 2, 3, 7)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of odd sizes, so that small problems are shared too."""
    monkeypatch.setattr(module, "SMALLEST_CHUNK", 37)


def same_bits(first, second):
    assert first.sweeps == second.sweeps
    for name in ("lower", "upper", "policy"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_backups_have_the_same_bits(gamma):
    """Both storage forms, rewards and endings by state and by move, by any number of threads and on one."""
    shapes = [(False, False), (False, True), (True, False), (True, True)]
    for mdp in (random_graph(1009), *(slippery_grid(31, 0, *by) for by in shapes)):
        value = np.random.default_rng(1).normal(size=mdp.n_states)
        looked = mdp.q(value, gamma).max(axis=1)
        for count in THREADS:
            np.testing.assert_array_equal(mdp.backup(value, gamma, threads=count), looked)


@pytest.mark.parametrize("gamma", [0.0, 0.9])
def test_looks_have_the_same_bits(gamma):
    """The whole look ahead, policy and extremes included, which hold over all chunks."""
    for mdp in (random_graph(1009), slippery_grid(31)):
        value = np.random.default_rng(1).normal(size=mdp.n_states)
        alone = mdp.form.look(value, gamma, 1e-9)
        change = alone.best - value
        assert (alone.least_change, alone.most_change) == (change.min(), change.max())
        for count in THREADS:
            shared = mdp.form.look(value, gamma, 1e-9, threads=count)
            for found, expected in zip(shared, alone, strict=True):
                np.testing.assert_array_equal(found, expected)


def test_infinite_values_stay_where_they_belong():
    """What can't happen does not turn into a nan: no noise, an ending, an absorbing state."""
    mdp = slippery_grid(9, 3)
    value = np.zeros(81)
    value[40] = np.inf
    backup = mdp.backup(value, 0.9, threads=2)

    assert not np.isnan(backup).any()
    assert not np.isnan(mdp.q(value, 0.9)).any()
    away = ~(mdp.form.moves == 40).any(axis=1)
    assert np.isfinite(backup[away]).all()
    if not mdp.form.absorbing[40]:
        assert np.isinf(backup[31])


@pytest.mark.parametrize("planner", [ValueIteration, ModifiedPolicyIteration])
@pytest.mark.parametrize(
    "mdp", [random_graph(1009, ending=0.0), random_graph(515, longest=8, missing=0), slippery_grid(23)]
)
def test_solutions_have_the_same_bits(planner, mdp):
    """Planners by 1, 2, 3 and 7 threads."""
    first = planner(0.95, threads=1).solve(mdp)
    assert first.converged
    for count in THREADS[1:]:
        same_bits(planner(0.95, threads=count).solve(mdp), first)


def test_solve_hands_threads_on():
    """Planners that share sweeps get them; others are left alone; a planner that is made has its own."""
    mdp = random_graph(501)
    for method in ("modified-policy-iteration", "value-iteration", "policy-iteration", "auto"):
        same_bits(rltk.solve(mdp, 0.9, method=method, threads=2), rltk.solve(mdp, 0.9, method=method, threads=1))
    with pytest.raises(ArgumentError, match=r"ValueIteration\(\.\.\., threads=2\)"):
        rltk.solve(mdp, method=ValueIteration(0.9), threads=2)
    for wrong in (0, 2.0, False, "all"):
        with pytest.raises(ArgumentError, match="threads"):
            ValueIteration(0.9, threads=wrong)
        with pytest.raises(ArgumentError, match="threads"):
            mdp.backup(np.zeros(501), 0.9, threads=wrong)


def test_chunks_cover_every_state_once_and_in_order():
    """Whatever the number of threads; one thread takes all at once; at most as many threads as asked for."""
    for n_states in (1, 36, 37, 38, 1000, 100_003):
        for count in (2, 3, 7):
            who = set()

            def chunk(begin, stop, who=who):
                who.add(threading.get_ident())
                return begin, stop

            ranges = in_chunks(chunk, n_states, count)
            assert [begin for begin, _ in ranges] == [0, *(stop for _, stop in ranges[:-1])]
            assert ranges[-1][1] == n_states
            assert len(who) <= count
    assert in_chunks(lambda *span: span, 1000, 1) == [(0, 1000)]


def test_an_error_in_a_chunk_comes_out():
    """In whichever thread it happens, and the next sweep works as ever."""

    def kernel(begin, stop):
        if begin == 370:
            raise ArithmeticError("chunk 10")
        return begin

    for count in (2, 7):
        with pytest.raises(ArithmeticError, match="chunk 10"):
            in_chunks(kernel, 1000, count)
    assert len(in_chunks(lambda begin, stop: begin, 1000, 2)) == 28


def test_chunks_inside_chunks_do_not_wait_for_each_other():
    """More nested work than the pool has threads still ends."""
    inner = in_chunks(lambda begin, stop: len(in_chunks(lambda b, s: b, 1000, 7)), 1000, 64)

    assert inner == [28] * 28


def test_small_problems_are_not_shared():
    """None is one thread where a sweep is short and all cores where it is long; a number is that number."""
    assert threads_for(1000, None) == 1
    assert threads_for(10**8, None) == available_cores() >= 1
    assert threads_for(1000, 5) == 5


PROGRAM = """
import os, sys, numpy as np
from rltk.mdp import threads
threads.SMALLEST_CHUNK = 10
total = lambda: sum(threads.in_chunks(lambda begin, stop: stop - begin, 1000, 4))
assert total() == 1000
child = os.fork()
if child == 0:
    assert total() == 1000
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert total() == 1000
"""


@pytest.mark.skipif(not hasattr(module.os, "fork"), reason="no fork here")
def test_a_forked_child_sweeps_too_and_nobody_hangs_at_exit():
    """The child of a process whose pool is running has none of its threads: it makes its own."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
