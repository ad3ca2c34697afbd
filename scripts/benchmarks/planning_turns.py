"""One problem, our methods and some peers: each peer takes turns with ours, and what happens is told as it happens.

This runs in a process of its own (`planning_children.turns`), so that a peer that never ends, or takes the process down
with it, can be cut off and the rest goes on. What is told are dictionaries that JSON can hold.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rltk.agents.planning import solve
from rltk.scripts.benchmarks.planning_peers import GAMMA, OURS, Method, Solver, method_called
from rltk.scripts.benchmarks.planning_problems import Case, case_called

REFERENCE = 1e-10

Event = dict[str, Any]

PEERS_FAULT = (MemoryError, RuntimeError, ValueError)  # what a peer raises that can't solve a problem


def tell() -> None:
    """Called in the child: its one argument is JSON with case, seed, peers, rounds, limit and cores."""
    asked = json.loads(sys.argv[1])
    peers = [method_called(name) for name in asked["peers"]]
    with on_cores(asked["cores"]):
        for event in taken_turns(case_called(asked["case"]), asked["seed"], peers, asked["rounds"], asked["limit"]):
            print(json.dumps(event), flush=True)


def taken_turns(case: Case, seed: int, peers: list[Method], rounds: int, limit: float) -> Iterator[Event]:
    """Measure on the problem of `seed`; without peers, ours alone. A round is ours and then the peer.

    First comes its size and the half-width of the reference; then, for each peer, {"begins": name}, a
    {"method", "seconds", "error"} for each run, and {"ends": name} or {"refuses": name, "why"}.
    """
    problem = case.problem(seed)
    reference = solve(problem.rows(), GAMMA, tolerance=REFERENCE)
    yield {"states": problem.n_states, "outcomes": problem.n_outcomes, "reference": reference.half_width}
    ours = [(method.name, method.prepare(problem)) for method in OURS if not method.refuses(problem)]
    for _, solver in ours:
        solver()  # compiles; a smaller problem might be given to another planner
    if not peers:
        for _ in range(rounds):
            yield from _round(ours, reference.value)
    for peer in peers:
        if reason := peer.refuses(problem):
            yield {"refuses": peer.name, "why": reason}
            continue
        yield {"begins": peer.name}
        try:
            peer.prepare(case.small().problem(0))()
            solver = peer.prepare(problem)
        except PEERS_FAULT as error:
            yield {"refuses": peer.name, "why": f"failed: {error}"}
            continue
        done, used, fault = 0, 0.0, ""
        while done < rounds and used < limit and not fault:
            yield from _round(ours, reference.value)  # what fails here is ours, and ends the measurement
            try:
                event = _run(peer.name, solver, reference.value)
            except PEERS_FAULT as error:
                fault = f"failed: {error}"
            else:
                yield event
                done, used = done + 1, used + event["seconds"]
        yield {"refuses": peer.name, "why": fault} if fault else {"ends": peer.name}


def _round(solvers: list[tuple[str, Solver]], reference: np.ndarray) -> Iterator[Event]:
    for name, solver in solvers:
        yield _run(name, solver, reference)


def _run(name: str, solver: Solver, reference: np.ndarray) -> Event:
    seconds, value = solver()
    error = None if value is None else float(np.abs(value - reference).max())
    return {"method": name, "seconds": seconds, "error": error}


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep this process on `count` of the cores that it may use, so that no solver gets more."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[-count:]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
