"""Prioritised sweeping: back up the state that is most in need of it, then look who depends on it.

    b(s) >= |T v (s) - v(s)|                     a bound on the Bellman residual: the priority of s
    take the s with the largest b(s); back it up, by d say (`in_place`); b(s) <- 0
    b(p) <- b(p) + gamma max_a T(s | p, a) |d|   for its predecessors p

The bounds stay bounds, as one backup of p changes by no more than that. When none is above a threshold, all residuals
are below it, and one look ahead at everything certifies the values (`bounds`, `in_place`). Priorities are then measured
anew where the threshold has to shrink.

Its worth is repair: beginning from the values of a nearby MDP, only states whose residual is above the threshold enter
the queue, and what a small change does not reach is never touched.

Source: Moore and Atkeson (1993), "Prioritized sweeping: reinforcement learning with less data and less time", Machine
Learning 13; Wingate and Seppi (2005), "Prioritization methods for accelerating MDP solvers", JMLR 6; Sutton and Barto
(2018), section 8.4.
"""

from typing import Any

import numpy as np

from rltk.agents.planning.in_place import settled_value, solve_in_place
from rltk.agents.planning.planner import Planner, Report
from rltk.agents.planning.structure.heap import rise, take_top
from rltk.agents.planning.structure.predecessors import find_predecessors
from rltk.mdp import MDP, jit

PATIENCE = 16


class PrioritisedSweeping(Planner):
    """Backups in order of need: `PrioritisedSweeping(gamma=0.99).solve(mdp, warm_start=solution_of_nearby_mdp)`.

    `sweeps` counts backups of single states, divided by their number and rounded up.
    """

    name = "prioritised sweeping"

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        gamma, rows = self.criterion.gamma, mdp.rows
        predecessors = find_predecessors(rows)
        arrays = (rows.row_start, rows.next_state, rows.probability, rows.reward, rows.terminated)

        def settle(value: np.ndarray, change: np.ndarray, threshold: float, allowed: int) -> int:
            return settle_by_need(*predecessors, *arrays, value, np.abs(change), gamma, threshold, allowed)

        return solve_in_place(self, mdp, report, guess, settle)


@jit
def settle_by_need(
    start,
    predecessors,
    weight,
    row_start,
    next_state,
    probability,
    reward,
    terminated,
    value,
    residual,
    gamma,
    threshold,
    allowed,
):
    """Back up the neediest states until no `residual` (S,) is above `threshold`; returns the backups done, fewer than
    `allowed` where it came to that end. `value` and `residual`, the priorities, are changed in place.

    It gives up where PATIENCE times S backups did not bring the largest priority below what it had been: what is left
    is then rounding.
    """
    n_states = value.size
    n_actions = (row_start.size - 1) // n_states
    heap, place = np.empty(n_states, dtype=np.int32), np.full(n_states, -1, dtype=np.int32)
    size = 0
    for s in range(n_states):
        if residual[s] > threshold:
            size = rise(heap, place, residual, size, s)
    done, least, in_vain = 0, np.inf, 0
    while size > 0 and done < allowed and in_vain < PATIENCE * n_states:
        s = take_top(heap, place, residual, size)
        size -= 1
        least, in_vain = (residual[s], 0) if residual[s] < least else (least, in_vain + 1)
        residual[s] = 0.0
        new = settled_value(row_start, next_state, probability, reward, terminated, value, gamma, n_actions, s)
        change = abs(new - value[s])
        value[s] = new
        done += 1
        if change == 0.0:
            continue
        for j in range(start[s], start[s + 1]):
            p = predecessors[j]
            residual[p] += gamma * weight[j] * change
            if residual[p] > threshold:
                size = rise(heap, place, residual, size, p)
    return done
