"""`rltk bench planning`: our planners beside every peer that is installed, on one core, in one process, taking turns.

For each problem (`planning_problems`) and each seed, ours and one peer (`planning_peers`) take turns for some rounds;
what counts is the median. A ratio is the peer's median over ours in the same rounds, and the worst seed's stands in
the table. The error is the largest distance of the returned values from a reference: ours with tolerance 1e-10, itself
certified. Memory is what a process adds to T, R and what was imported, the solver's own model included.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median

import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rltk.agents.planning import solve
from rltk.errors import ArgumentError, UnknownNameError
from rltk.scripts.benchmarks.planning_children import added_memory, cold_start
from rltk.scripts.benchmarks.planning_options import PlanningOptions
from rltk.scripts.benchmarks.planning_peers import GAMMA, OURS, PEERS, Method, Timed
from rltk.scripts.benchmarks.planning_problems import CASES, QUICK, Case, Problem
from rltk.scripts.benchmarks.planning_text import print_result, to_markdown
from rltk.scripts.benchmarks.table import machine, print_text

REFERENCE = 1e-10

Tell = Callable[[str], None]


@dataclass
class Line:
    """One method on one case. Lists hold a figure a seed."""

    method: str
    seconds: list[float] = field(default_factory=list)  # medians
    ratios: dict[str, list[float]] = field(default_factory=dict)  # by our method
    errors: list[float] = field(default_factory=list)
    megabytes: float | None = None
    remark: str = ""


@dataclass
class Result:
    """One case: its size, the half-width of its reference, and a line a method. Of several seeds the largest."""

    case: str
    states: int = 0
    outcomes: int = 0
    reference: float = 0.0
    lines: dict[str, Line] = field(default_factory=dict)

    def line(self, method: Method) -> Line:
        return self.lines.setdefault(method.name, Line(method.name, remark=method.remark))


def bench_planning(options: PlanningOptions, rounds: int) -> None:
    """Measure as `options` say, print a table a case as it is done, and write the files that are asked for."""
    if options.huge:
        from rltk.scripts.benchmarks.planning_huge import solve_huge

        solve_huge(options.side, options.goals)
        return
    cases = [QUICK] if options.quick and not options.cases else chosen_cases(options.cases)
    peers = chosen_peers(options.peers)
    seeds, rounds = (1, 1) if options.quick else (options.seeds, rounds)
    if seeds < 1 or rounds < 1:
        raise ArgumentError(f"seeds and rounds are at least 1; they are {seeds} and {rounds}")
    distributions = sorted({method.needs[0] for method in peers if method.needs} - {"scipy"})
    told = machine(*distributions)
    print_text(f"{told}\ngamma {GAMMA}, asked error 1e-6, one core; rounds: {rounds}, seeds: {seeds}")
    results = []
    with _told() as tell:
        for case in cases:
            result = measure(case, peers, seeds, rounds, options.limit, tell)
            if options.memory and not options.quick:
                for name, line in result.lines.items():
                    if line.seconds:
                        tell(f"{case.name}: {name}: memory")
                        line.megabytes = added_memory(case.name, name)
            print_result(result)
            results.append(result)
        tell("compiling from nothing")
        cold = {} if options.quick else cold_start()
    for what, seconds in cold.items():
        print_text(f"{what}: {seconds:.2f} s")
    if options.json:
        figures = {"machine": told, "cold": cold, "results": [asdict(result) for result in results]}
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(to_markdown(told, results, cold))


def measure(case: Case, peers: list[Method], seeds: int, rounds: int, limit: float, tell: Tell) -> Result:
    """Every method's figures on `case`."""
    result = Result(case.name)
    small = case.small().problem(0)
    for seed in range(seeds):
        tell(f"{case.name}: seed {seed}")
        problem = case.problem(seed)
        reference = solve(problem.rows(), GAMMA, tolerance=REFERENCE)
        result.states = max(result.states, problem.n_states)
        result.outcomes = max(result.outcomes, problem.n_outcomes)
        result.reference = max(result.reference, reference.half_width)
        ours = [method for method in OURS if not method.refuses(problem)]
        with one_core():
            for method in ours:
                method.prepare(problem)()  # compiles; a smaller problem might be given to another planner
            runs = {method.name: _turns(problem, [method], rounds, limit)[0] for method in ours} if not peers else {}
            by_peer = {}
            for peer in peers:
                reason = peer.refuses(problem)
                if reason:
                    result.line(peer).remark = reason
                    continue
                tell(f"{case.name}: seed {seed}: {peer.name}")
                try:
                    peer.prepare(small)()
                    by_peer[peer.name] = _turns(problem, [peer, *ours], rounds, limit)
                except (MemoryError, RuntimeError, ValueError) as error:
                    result.line(peer).remark = f"failed: {error}"
        for method in ours:
            mine = [run for taken in by_peer.values() for run in taken[1 + ours.index(method)]]
            _add(result.line(method), mine or runs[method.name], reference.value)
        for peer in peers:
            if peer.name not in by_peer:
                continue
            line, (own, *taken) = result.line(peer), by_peer[peer.name]
            _add(line, own, reference.value)
            for method, mine in zip(ours, taken, strict=True):
                line.ratios.setdefault(method.name, []).append(line.seconds[-1] / median(run.seconds for run in mine))
    return result


def _turns(problem: Problem, methods: list[Method], rounds: int, limit: float) -> list[list[Timed]]:
    """The runs of each of `methods`, which take turns until `rounds` are done or the first has used `limit` seconds."""
    solvers = [method.prepare(problem) for method in methods]
    taken: list[list[Timed]] = [[] for _ in methods]
    while len(taken[0]) < rounds and sum(run.seconds for run in taken[0]) < limit:
        for solver, runs in zip(solvers, taken, strict=True):
            runs.append(solver())
    return taken


def _add(line: Line, runs: list[Timed], reference: np.ndarray) -> None:
    line.seconds.append(median(run.seconds for run in runs))
    if runs[-1].value is not None:
        line.errors.append(float(np.abs(runs[-1].value - reference).max()))


def chosen_cases(names: tuple[str, ...]) -> list[Case]:
    """The cases that `names` ask for, each a name or a part of some; all for none."""
    chosen: dict[str, Case] = {}
    for name in names or CASES:
        found = [name] if name in CASES else [full for full in CASES if name in full]
        if not found:
            raise UnknownNameError(f"no case is called {name!r}; there are {', '.join(CASES)}")
        chosen |= {full: CASES[full] for full in found}
    return list(chosen.values())


def chosen_peers(names: tuple[str, ...]) -> list[Method]:
    """The methods of the peers that `names` ask for; of those installed for none named."""
    for name in names:
        if name not in PEERS and names != ("none",):
            raise UnknownNameError(f"no peer is called {name!r}; there are {', '.join(PEERS)}, or none alone")
        missing = [method.needs[0] for method in PEERS.get(name, ()) if method.needs and not method.installed]
        if missing:
            raise ArgumentError(f"{missing[0]} is not installed: pip install {missing[0]}, or rltk[bench] for most")
    wanted = [method for name in (names or PEERS) if name in PEERS for method in PEERS[name]]
    return [method for method in wanted if method.installed]


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one of the cores that it may use, so that no solver gets a second."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def _told() -> Iterator[Tell]:
    """A function that says on stderr what is being measured."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("")
        yield lambda text: progress.update(task, description=text)
