"""`rltk bench planning`: our planners beside every peer that is installed, on one core, taking turns.

For each problem (`planning_problems`) and each seed, ours and one peer (`planning_peers`) take turns for some rounds in
one process; what counts is the median. A ratio is the peer's median over ours in the same rounds, and the worst seed's
stands in the table. The error is the largest distance of the returned values from a reference: ours with tolerance
1e-10, itself certified. Memory is what a process adds to T, R and what was imported, the solver's own model included.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rltk.errors import ArgumentError, UnknownNameError
from rltk.scripts.benchmarks.planning_children import added_memory, cold_start, turns
from rltk.scripts.benchmarks.planning_options import PlanningOptions
from rltk.scripts.benchmarks.planning_peers import GAMMA, OURS, PEERS, Method, method_called
from rltk.scripts.benchmarks.planning_problems import CASES, QUICK, Case
from rltk.scripts.benchmarks.planning_text import one_line, print_result, to_markdown
from rltk.scripts.benchmarks.table import machine, print_text

Tell = Callable[[str], None]
Event = dict[str, Any]


@dataclass
class Line:
    """One method on one case. Lists hold a figure a seed."""

    method: str
    seconds: list[float] = field(default_factory=list)  # medians
    rounds: list[int] = field(default_factory=list)  # how many runs these are the medians of
    ratios: dict[str, list[float]] = field(default_factory=dict)  # by our method
    errors: list[float] = field(default_factory=list)
    megabytes: float | None = None
    remark: str = ""

    def add(self, runs: list[Event]) -> None:
        """The runs of one more seed."""
        self.seconds.append(median(run["seconds"] for run in runs))
        self.rounds.append(len(runs))
        if runs[-1]["error"] is not None:
            self.errors.append(runs[-1]["error"])


@dataclass
class Result:
    """One case: its size, the half-width of its reference, and a line a method. Of several seeds the largest."""

    case: str
    states: int = 0
    outcomes: int = 0
    reference: float = 0.0
    lines: dict[str, Line] = field(default_factory=dict)

    def line(self, method: str) -> Line:
        return self.lines.setdefault(method, Line(method, remark=method_called(method).remark))


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
    print_text(
        f"{told}\ngamma {GAMMA}, asked error 1e-6, cores: {options.cores}, rounds: {rounds}, seeds: {seeds}\n"
        "a line a peer: its time, and how many times ours: from T alone, in compact form"
    )
    results = []
    with _told() as tell:
        for case in cases:
            print_text(f"\n{case.name}")
            result = Result(case.name)
            for seed in range(seeds):
                asked: dict[str, Any] = {"rounds": rounds, "limit": options.limit, "cores": options.cores}
                events = turns([peer.name for peer in peers], options.cutoff, case=case.name, seed=seed, **asked)
                tell(f"{case.name}, seed {seed}")
                measure(result, seed, events, tell)
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


def measure(result: Result, seed: int, events: Iterable[Event], tell: Tell) -> None:
    """Add to `result` what the `events` of one seed tell, and print a line for each peer that is done."""
    mine: dict[str, list[Event]] = {}  # every run of ours
    taken: dict[str, list[Event]] = {}  # the runs beside the peer at hand, its own too
    names = [method.name for method in OURS]
    for event in events:
        match event:
            case {"states": states, "outcomes": outcomes, "reference": reference}:
                result.states, result.outcomes = max(result.states, states), max(result.outcomes, outcomes)
                result.reference = max(result.reference, reference)
            case {"begins": name}:
                taken = {}
                tell(f"{result.case}, seed {seed}: {name}")
            case {"method": name}:
                taken.setdefault(name, []).append(event)
                if name in names:
                    mine.setdefault(name, []).append(event)
            case {"refuses": name, "why": why}:
                result.line(name).remark = why
                print_text(f"  seed {seed}  {name}: {why}")
            case {"ends": name}:
                line = result.line(name)
                line.add(taken[name])
                for method in names:
                    if method in taken:
                        ratio = line.seconds[-1] / median(run["seconds"] for run in taken[method])
                        line.ratios.setdefault(method, []).append(ratio)
                print_text(f"  seed {seed}  {one_line(line)}")
    for name, runs in mine.items():
        result.line(name).add(runs)
        print_text(f"  seed {seed}  {one_line(result.line(name))}")


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
    """The methods of the peers that `names` ask for, by peer or by a part of one's name; those installed for none."""
    if names == ("none",):
        return []
    chosen: dict[str, Method] = {}
    for name in names or PEERS:
        every = [method for group in PEERS.values() for method in group]
        found = PEERS.get(name) or [method for method in every if name.lower() in method.name.lower()]
        if not found:
            methods = ", ".join(method.name for method in every)
            raise UnknownNameError(
                f"no peer is called {name!r}; there are {', '.join(PEERS)}, or none; of methods {methods}"
            )
        missing = [method.needs[0] for method in found if method.needs and not method.installed]
        if missing and names:
            raise ArgumentError(f"{missing[0]} is not installed: pip install {missing[0]}, or rltk[bench] for most")
        chosen |= {method.name: method for method in found if method.installed}
    return list(chosen.values())


@contextmanager
def _told() -> Iterator[Tell]:
    """A function that says on stderr what is being measured."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("")
        yield lambda text: progress.update(task, description=text)
