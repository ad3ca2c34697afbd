"""Topological value iteration: what cannot lead back is solved first, once and for all.

The strongly connected components of T's graph form an acyclic graph. Solved one after another, each after all those
that it leads to, every component meets only final values outside itself. A component of one state has a closed form,

    v(s) = max_a [ r(s, a) + gamma sum_{t != s} T(t | s, a) v(t) ] / (1 - gamma T(s | s, a)),

a larger one takes Gauss-Seidel sweeps of the same update, breadth-first from its exits, until a sweep changes nothing
by more than a threshold. Chains, trees and whatever only goes forward thus take one backup a state. Where the whole
problem is one component nothing is gained over Gauss-Seidel.

Stops when one look ahead at everything certifies the tolerance (`bounds`, `in_place`).

Source: Dai and Goldsmith (2007), "Topological value iteration algorithm for Markov decision processes", IJCAI;
Dai, Mausam, Weld and Goldsmith (2011), "Topological value iteration algorithms", JAIR 42.
"""

from typing import Any

import numpy as np

from rltk.agents.planning.in_place import settled_value, solve_in_place
from rltk.agents.planning.planner import Planner, Report
from rltk.agents.planning.structure.components import find_components
from rltk.mdp import MDP, jit

PATIENCE = 100


class TopologicalValueIteration(Planner):
    """Value iteration component by component: `TopologicalValueIteration(gamma=0.99).solve(mdp)`.

    `sweeps` counts backups of single states, divided by their number and rounded up.
    """

    name = "topological value iteration"

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        gamma, rows = self.criterion.gamma, mdp.rows
        order = find_components(rows)
        arrays = (rows.row_start, rows.next_state, rows.probability, rows.reward, rows.terminated)

        def settle(value: np.ndarray, change: np.ndarray, threshold: float, allowed: int) -> int:
            return settle_components(*order, *arrays, value, gamma, mdp.n_actions, threshold, allowed)

        return solve_in_place(self, mdp, report, guess, settle)


@jit
def settle_components(
    state,
    begin,
    row_start,
    next_state,
    probability,
    reward,
    terminated,
    value,
    gamma,
    n_actions,
    threshold,
    allowed,
):
    """Settle component after component to within `threshold`, `value` (S,) in place; returns the backups done, fewer
    than `allowed` where it came to the end.

    Of a component that does not settle, sweeps end where PATIENCE of them in a row brought nothing: each exact sweep
    changes less than the last, by gamma at least, so what still changes is rounding.
    """
    done = 0
    for c in range(begin.size - 1):
        least, in_vain = np.inf, 0
        while in_vain < PATIENCE:
            change = 0.0
            for j in range(begin[c], begin[c + 1]):
                if done >= allowed:
                    return done
                done += 1
                s = state[j]
                new = settled_value(row_start, next_state, probability, reward, terminated, value, gamma, n_actions, s)
                change = max(change, abs(new - value[s]))
                value[s] = new
            if change <= threshold or begin[c + 1] == begin[c] + 1:
                break
            least, in_vain = (change, 0) if change < least else (least, in_vain + 1)
    return done
