"""`rltk bench planning --huge`: a grid of 10^8 states in the compact form, certified on one core.

The grid is the slippery one with many goals: with a single one nearly all states would be worth nothing, and little
would be left to solve. States are numbered row by row.
"""

import resource
import time

import numpy as np

from rltk.agents.planning import solve
from rltk.errors import ArgumentError
from rltk.mdp import MDP
from rltk.scripts.benchmarks.planning_peers import GAMMA, TOLERANCE
from rltk.scripts.benchmarks.planning_problems import AHEAD, grid_moves, open_cells, random_goals, slippery
from rltk.scripts.benchmarks.table import machine, print_text


def huge_mdp(side: int, goals: int, seed: int = 0) -> MDP:
    """A side x side slippery grid, a fifth of walls, that many goals which pay 1."""
    if side < 2 or goals < 1:
        raise ArgumentError(f"the huge grid has a side of at least 2 and a goal; they are {side} and {goals}")
    rng = np.random.default_rng(seed)
    moves = grid_moves(open_cells(side, rng), AHEAD)
    moves.flags.writeable = False
    terminal = random_goals(moves, goals, rng)
    return MDP.from_moves(moves, slippery(), terminal.astype(np.float64), terminal)


def solve_huge(side: int, goals: int) -> None:
    """Build, solve, and print seconds, memory and half-width."""
    from rltk.scripts.benchmarks.planning_turns import on_cores

    with on_cores(1):
        solve(huge_mdp(30, 2), GAMMA)  # compiles
        begin = time.perf_counter()
        mdp = huge_mdp(side, goals)
        built, peak = time.perf_counter() - begin, _peak()
        begin = time.perf_counter()
        solution = solve(mdp, GAMMA, tolerance=TOLERANCE)
        seconds = time.perf_counter() - begin
    print_text(machine())
    print_text(
        f"{side:,} x {side:,} cells, {mdp.n_states:,} states in rows, {goals} goals, gamma {GAMMA}, compact, one core\n"
        f"  grid and MDP built     {built:.1f} s, peak so far {peak:.2f} GiB, the MDP holds {mdp.nbytes / 2**30:.2f}\n"
        f"  solved and certified   {seconds:.1f} s, {solution.method}, {solution.sweeps:,} sweeps\n"
        f"  largest half-width     {solution.half_width:.2g}, {'' if solution.converged else 'NOT '}converged\n"
        f"  peak of the process    {_peak():.2f} GiB"
    )


def _peak() -> float:
    """GiB, at most, that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
