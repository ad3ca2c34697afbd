"""Windowed Gauss-Seidel value iteration: update in place, goal first, only where something still changes.

    v(s) <- max_a [ r(s, a) + gamma sum_{t != s} T(t | s, a) v(t) ] / (1 - gamma T(s | s, a))

Three things make it fast. States stand in breadth-first order from where episodes end (`ordering`), so values travel
far in one pass. Staying is divided out, so bumping into a wall costs no sweeps. And of blocks of states only the active
ones are swept, those with a successor that changed; the sweep always returns to the lowest active block and runs at
most a window of levels ahead, so that errors are settled before they travel.

When no block changes by more than a threshold, one ordinary look ahead certifies the bounds (`bounds`); where they are
still too wide, the threshold shrinks and the sweeps go on. The look goes over patterns and places, where memory answers
at once; each weight there is a sum of the caller's own probabilities, and the bounds allow for its rounding too.

Source: Bertsekas and Tsitsiklis (1989), Parallel and Distributed Computation, section 4.3 (Gauss-Seidel); Puterman
(1994), section 6.3.3; Dai and Goldsmith (2007), "Topological value iteration", for the worth of an order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from rltk.agents.planning import total_reward
from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.in_place import answer, from_below, refine
from rltk.agents.planning.planner import Planner, Report, onward, shortfall
from rltk.agents.planning.repair import repair
from rltk.agents.planning.structure.ordering import BLOCK, Order, goal_first, goal_first_of_rows
from rltk.agents.planning.structure.patterns import Patterns, Table, find_patterns
from rltk.agents.planning.structure.shape import SAMPLE, is_varied
from rltk.agents.planning.topological import settle_components
from rltk.agents.planning.value_iteration import iterate
from rltk.mdp import MDP, jit
from rltk.mdp.looking import Look, choose, look_ahead

LEVELS_AHEAD = 32


class GaussSeidel(Planner):
    """Windowed Gauss-Seidel value iteration: `GaussSeidel(gamma=0.99).solve(mdp)`.

    Fastest where a state has few different successors over all actions and values travel far, as in grids. Where some
    state has more than eight, the same updates go over the rows of T, in the same order but without blocks and window.
    `sweeps` counts backups of states, divided by their number. At gamma = 1 the sweeps are value iteration's.
    """

    name = "gauss seidel"
    kinds = ("discounted", "total")

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        if self.criterion.kind == "total":
            return total_reward.solve(mdp, self.tolerance, self.max_sweeps, report, total_reward.by_sweeps)
        mended = 0
        if guess is not None:
            guess, bounds, backups = repair(
                Certifier(mdp, self.criterion.gamma), guess, self.tolerance, self.max_sweeps
            )
            mended = -(-backups // mdp.n_states)
            if bounds is not None:
                return {**bounds, "sweeps": mended + 1}
        patterns = find_patterns(mdp)
        if patterns is None:
            return self._over_rows(mdp, report, guess, mended)
        gamma = self.criterion.gamma
        certifier = Certifier(mdp, gamma, patterns.survey())
        world = InOrder.of(patterns, gamma)
        finest = threshold = 1.6 * self.tolerance * (1 - gamma) / max(gamma, 1e-3)
        look = None
        if guess is not None:
            value = guess[world.order.state]
            look = world.look(value, gamma, certifier.tie(value))
        # From below: values then travel outwards from where episodes end, once. From above, each state would first have
        # to find out in many small steps that its neighbours are no better, and a far goal would take for ever.
        if look is None or look.least_change < -threshold:
            worst = patterns.table.reward.min(where=np.isfinite(patterns.table.reward), initial=0.0)
            value, look = np.full(mdp.n_states, worst / (1 - gamma)), None
            threshold = max(finest, coarse(patterns))
        if gamma * certifier.high_mass >= 1:  # no discount is left to settle values by
            return self._finish(mdp, value[world.order.place], mended, report)
        blocks, allowed = 0, (self.max_sweeps - mended) * world.n_blocks
        while True:
            if look is None:
                active = np.ones(world.n_blocks, dtype=np.bool_)
            else:
                width = certifier.shift_of(look.least_change, look.most_change, certifier.rounding(value)).half_width
                sweeps = mended - (-blocks // world.n_blocks)
                report(sweeps, width)
                if width <= self.tolerance or blocks >= allowed:
                    break
                if threshold <= 4 * certifier.rounding(value):
                    # The threshold can't tell change from rounding any more: ordinary sweeps still can.
                    return self._finish(mdp, value[world.order.place], sweeps, report)
                if threshold > finest:
                    threshold = max(finest, threshold / 8)
                elif blocks > 0:
                    factor = min(0.9 * self.tolerance / width, 0.5)
                    threshold = max(threshold * factor, certifier.rounding(value))
                active = unsettled(value, look.best, threshold)
            blocks += world.sweep(value, active, threshold, allowed - blocks)
            look = world.look(value, gamma, certifier.tie(value))
        bounds = certifier.judge(look, certifier.rounding(value), patterns.resting[world.order.state])
        place = world.order.place
        del patterns, world, value, look  # a hundred million states shall fit where they can
        for name in ("lower", "upper", "policy"):
            bounds[name] = bounds[name][place]
        bounds["policy"] = bounds["policy"].astype(np.int64)
        note = shortfall(bounds, self.tolerance, sweeps, self.max_sweeps)
        return {**bounds, "sweeps": max(1, sweeps), "note": note}

    def _over_rows(self, mdp: MDP, report: Report, guess: np.ndarray | None, mended: int) -> dict[str, Any]:
        """The same without patterns."""
        gamma, rows = self.criterion.gamma, mdp.rows
        arrays = (rows.row_start, rows.next_state, rows.probability, rows.reward, rows.terminated)
        one_component = (goal_first_of_rows(rows), np.array([0, mdp.n_states]))

        def settle(value: np.ndarray, change: np.ndarray, threshold: float, allowed: int) -> int:
            return settle_components(*one_component, *arrays, value, gamma, mdp.n_actions, threshold, allowed)

        certifier = Certifier(mdp, gamma)
        value = from_below(mdp, gamma) if guess is None else guess
        options = self.tolerance, self.max_sweeps - mended, onward(report, mended)
        value, sweeps = refine(certifier, value, *options, settle)
        return answer(certifier, value, self.tolerance, mended + sweeps, self.max_sweeps)

    def _finish(self, mdp: MDP, value: np.ndarray, sweeps: int, report: Report) -> dict[str, Any]:
        """Ordinary sweeps over the caller's T from `value` (S,)."""
        certifier = Certifier(mdp, self.criterion.gamma)
        value, more = iterate(certifier, value, self.tolerance, self.max_sweeps - sweeps, onward(report, sweeps))
        return answer(certifier, value, self.tolerance, max(1, sweeps + more), self.max_sweeps)


@dataclass(frozen=True, eq=False)
class InOrder:
    """The patterns of an MDP in the order of the sweeps: arrays over places."""

    order: Order
    successors: np.ndarray  # (S, D) int32: places
    table: Table
    of_table: np.ndarray  # (S,) which row of `table` a place has
    weight: np.ndarray  # (P, A, D): loops divided out and gamma taken in
    reward: np.ndarray  # (P, A): likewise
    pattern: np.ndarray  # (S,) which row of `weight` and `reward` a place has

    @classmethod
    def of(cls, patterns: Patterns, gamma: float) -> "InOrder":
        """`patterns` put in order, goal first."""
        order, successors = goal_first(patterns, LEVELS_AHEAD)
        if patterns.repeat:
            pattern = patterns.pattern[order.state]
            return cls(order, successors, patterns.table, pattern, *patterns.without_loops(gamma), pattern)
        # A pattern a state: side by side in the order of the sweeps.
        side_by_side = patterns.without_loops(gamma, order.state)
        return cls(order, successors, patterns.table, order.state, *side_by_side, np.arange(order.state.size))

    @property
    def n_blocks(self) -> int:
        """B, how many blocks there are."""
        return self.order.level_end.size

    def sweep(self, value: np.ndarray, active: np.ndarray, threshold: float, allowed: int) -> int:
        """Sweep `value` (S,) in place until no block changes by more than `threshold`; how many blocks were done."""
        window = window_kernel(*self.weight.shape[:0:-1])
        order = self.order
        arrays = (self.successors, self.pattern, self.weight, self.reward)
        blocks = (active, order.level_end, order.dependants_start, order.dependants)
        return window(value, *arrays, *blocks, threshold, allowed)

    def look(self, value: np.ndarray, gamma: float, tie: float) -> Look:
        """One ordinary look ahead from `value` (S,) by place, loops not divided out."""
        width, n_actions = self.weight.shape[:0:-1]
        kernel = look_kernel(width, n_actions)
        return look_ahead(
            kernel, (self.successors, self.of_table, self.table), value, gamma, tie, np.min_scalar_type(-n_actions)
        )


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


@cache
def look_kernel(width: int, n_actions: int) -> Callable[..., None]:
    """The look ahead over patterns with D = `width` successors and A actions."""

    @jit
    def look(successors, pattern, table, value, gamma, tie, best, policy, extremes, begin, stop):
        q = np.empty(n_actions)
        for s in range(begin, stop):
            p = pattern[s]
            for a in range(n_actions):
                ahead = table.own[p, a] * value[s]
                for d in range(width):
                    ahead += table.weight[p, a, d] * value[successors[s, d]]
                q[a] = table.reward[p, a] + gamma * ahead
            choose(q, value[s], tie, s, best, policy, extremes)

    return look


def coarse(patterns: Patterns) -> float:
    """The threshold to begin with: 0 where few states pay, and a tenth of what rewards differ by where many do.

    Where all states pay, all values change at once: settled in rough first, none is settled finely in vain.
    """
    best = patterns.table.reward.max(axis=1)
    if not is_varied(best[patterns.pattern[:: max(1, patterns.pattern.size // SAMPLE)]]):
        return 0.0
    return 0.1 * float(best.max() - best.min())


@jit
def unsettled(value, backup, threshold):
    """(B,) bool: the blocks in which a state's `backup` differs from its `value` by more than `threshold`."""
    active = np.zeros((value.size + BLOCK - 1) // BLOCK, dtype=np.bool_)
    for s in range(value.size):
        if abs(backup[s] - value[s]) > threshold:
            active[s // BLOCK] = True
    return active
