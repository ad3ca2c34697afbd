"""Windowed Gauss-Seidel value iteration: update in place, goal first, only where something still changes.

    v(s) <- max_a [ r(s, a) + gamma sum_{t != s} T(t | s, a) v(t) ] / (1 - gamma T(s | s, a))

Three things make it fast. States stand in breadth-first order from where episodes end (`ordering`), so values travel
far in one pass. Staying is divided out, so bumping into a wall costs no sweeps. And of blocks of states only the active
ones are swept, those with a successor that changed; the sweep always returns to the lowest active block and runs at
most a window of levels ahead, so that errors are settled before they travel.

When no block changes by more than a threshold, one ordinary backup of the caller's own T certifies the bounds
(`bounds`); where they are still too wide, the threshold shrinks and the sweeps go on.

Source: Bertsekas and Tsitsiklis (1989), Parallel and Distributed Computation, section 4.3 (Gauss-Seidel); Puterman
(1994), section 6.3.3; Dai and Goldsmith (2007), "Topological value iteration", for the worth of an order.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from rltk.agents.planning import total_reward
from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.planner import Planner, Report
from rltk.agents.planning.structure.ordering import BLOCK, goal_first
from rltk.agents.planning.structure.patterns import find_patterns
from rltk.agents.planning.value_iteration import iterate
from rltk.errors import ArgumentError
from rltk.mdp import MDP, jit

LEVELS_AHEAD = 32


class GaussSeidel(Planner):
    """Windowed Gauss-Seidel value iteration: `GaussSeidel(gamma=0.99).solve(mdp)`.

    For problems in which a state has at most eight different successors over all actions, as grids have. `sweeps`
    counts backups of blocks, divided by the number of blocks. At gamma = 1 the sweeps are value iteration's.
    """

    name = "gauss seidel"
    kinds = ("discounted", "total")

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        if self.criterion.kind == "total":
            return total_reward.solve(mdp, self.tolerance, self.max_sweeps, report, total_reward.by_sweeps)
        patterns = find_patterns(mdp)
        if patterns is None:
            raise ArgumentError("windowed Gauss-Seidel takes at most eight successors a state; ask ValueIteration")
        gamma = self.criterion.gamma
        order, successors = goal_first(patterns, LEVELS_AHEAD)
        weight, reward = patterns.without_loops(gamma)
        pattern = patterns.pattern[order.state]
        certifier = Certifier(mdp, gamma)
        window = window_kernel(successors.shape[1], mdp.n_actions)
        # From below: values then travel outwards from where episodes end, once. From above, each state would first have
        # to find out in many small steps that its neighbours are no better, and a far goal would take for ever.
        placed = np.full(mdp.n_states, min(float(mdp.form.reward.min(initial=0.0)), 0.0) / (1 - gamma))
        active = np.ones(order.level_end.size, dtype=np.bool_)
        threshold = 1.6 * self.tolerance * (1 - gamma) / max(gamma, 1e-3)
        blocks, allowed = 0, self.max_sweeps * active.size
        arrays = (order.level_end, order.dependants_start, order.dependants)
        while True:
            swept = window(placed, successors, pattern, weight, reward, active, *arrays, threshold, allowed - blocks)
            blocks += swept
            value = placed[order.place]
            backup = mdp.backup(value, gamma)
            half_width = certifier.shift(value, backup).half_width
            report(blocks // active.size, half_width)
            stuck = threshold <= 4 * certifier.rounding(value)
            if half_width <= self.tolerance or blocks >= allowed:
                break
            if stuck:  # the threshold can't tell change from rounding any more: ordinary sweeps still can
                left = self.max_sweeps - blocks // active.size
                value, sweeps = iterate(certifier, value, self.tolerance, left, report)
                blocks += sweeps * active.size
                break
            threshold = max(threshold * min(0.9 * self.tolerance / half_width, 0.5), certifier.rounding(value))
            unsettled = np.abs(backup - value)[order.state] > threshold
            active[:] = np.add.reduceat(unsettled, np.arange(0, mdp.n_states, BLOCK)) > 0
        return {**certifier.bounds(value), "sweeps": -(-blocks // active.size)}


@cache
def window_kernel(width: int, n_actions: int) -> Callable[..., int]:
    """The sweep for D = `width` successors and A actions: known when it is compiled, so that both loops unroll."""

    @jit
    def window(value, successors, pattern, weight, reward, active, level_end, start, dependants, threshold, allowed):
        """Sweep until no block changes by more than `threshold`, or `allowed` blocks are done; returns how many were.

        value: (S,) float64 by place, changed in place. active: (B,) bool, changed in place.
        """
        n_states, n_blocks = value.size, active.size
        first, done = 0, 0
        while True:
            while first < n_blocks and not active[first]:
                first += 1
            if first == n_blocks or done >= allowed:
                return done
            end, lowest = level_end[first], n_blocks
            for block in range(first, end):
                if not active[block]:
                    continue
                active[block] = False
                done += 1
                change = 0.0
                for s in range(block * BLOCK, min(n_states, (block + 1) * BLOCK)):
                    p = pattern[s]
                    best = -np.inf
                    for a in range(n_actions):
                        q = reward[p, a]
                        for d in range(width):
                            q += weight[p, a, d] * value[successors[s, d]]
                        best = max(best, q)
                    change = max(change, abs(best - value[s]))
                    value[s] = best
                if change > threshold:
                    for j in range(start[block], start[block + 1]):
                        other = dependants[j]
                        active[other] = True
                        if other <= block:
                            lowest = min(lowest, other)
            first = lowest if lowest < n_blocks else end

    return window
