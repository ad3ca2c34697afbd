"""Linear programming: of all values that no action improves on, the smallest are the optimal ones.

    minimise    sum_s c(s) v(s)
    subject to  v(s) - gamma sum_s' T(s' | s, a) v(s') >= r(s, a)        for all available (s, a)

with any c > 0; here the start distribution mixed with the uniform one, so that every state counts. The dual's variables
are the discounted occupancies x(s, a) of an optimal policy: how often, discounted, a is taken in s.

HiGHS solves the primal by its interior point method with crossover, on the sparse matrix and with rewards divided by
the largest, as its tolerances of 1e-7 are absolute. What they leave is mended: the policy greedy for its solution is
evaluated exactly and improved where an action is strictly better, so that the bounds (`bounds`) close to rounding.

Source: d'Epenoux (1963); Puterman (1994), section 6.9; Huangfu and Hall (2018), Schork and Gondzio (2020) for HiGHS.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.in_place import answer
from rltk.agents.planning.planner import Planner, Report
from rltk.agents.planning.policy_iteration import improve
from rltk.agents.planning.solution import Solution
from rltk.errors import SizeError
from rltk.mdp import MDP

MOST_NONZEROS = 200_000  # about a minute on one core; the time grows faster than the square of it


class ProgrammedSolution(Solution):
    """A Solution that knows its occupancies."""

    @cached_property
    def occupancy(self) -> np.ndarray:
        """(S, A) float64: how often the policy takes each action in each state, discounted, from the start
        distribution: a solution of the dual for c = start. Rewarded, it is the policy's value over the starts."""
        visits = np.zeros((self.mdp.n_states, self.mdp.n_actions))
        of_state = self.mdp.chain(self.policy).occupancy(self.mdp.start, self.criterion.gamma)
        visits[np.arange(self.mdp.n_states), self.policy] = of_state
        return visits


class LinearProgramming(Planner):
    """The optimum as a linear program, by HiGHS: `LinearProgramming(gamma=0.99).solve(mdp)`.

    For small problems: SizeError beyond MOST_NONZEROS outcomes and states times actions. `sweeps` counts the policies
    that were evaluated after the program; a warm start is not needed.
    """

    name = "linear programming"
    solution = ProgrammedSolution

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        gamma, certifier = self.criterion.gamma, Certifier(mdp, self.criterion.gamma)
        value, failure = program(mdp, gamma)
        policy = mdp.q(value, gamma).argmax(axis=1)
        seen: set[bytes] = set()  # rounding must not make the rounds circle among ties
        while len(seen) < self.max_sweeps and policy.tobytes() not in seen:
            seen.add(policy.tobytes())
            exact = mdp.chain(policy).value(gamma)
            if not np.isfinite(exact).all():  # a discount so near 1 that floats can't tell
                break
            value = exact
            q = mdp.q(value, gamma)
            report(len(seen), certifier.shift(value, q.max(axis=1)).half_width)
            policy = improve(q, policy, 4 * certifier.rounding(value))
        found = answer(certifier, value, self.tolerance, len(seen), self.max_sweeps)
        return found | {"note": "\n".join(filter(None, (failure, found["note"])))}


def program(mdp: MDP, gamma: float) -> tuple[np.ndarray, str]:
    """(the solution (S,) to HiGHS's tolerances, ""), or (zeros, what went wrong).

    Raises SizeError where HiGHS would take many minutes.
    """
    nonzeros = mdp.form.n_outcomes + mdp.n_states * mdp.n_actions
    if nonzeros > MOST_NONZEROS:
        raise SizeError(
            f"the linear program of {mdp.n_states:,} states and {mdp.n_actions} actions has {nonzeros:,} nonzeros; up "
            f"to {MOST_NONZEROS:,} take a minute or so, and more soon take hours. Use PolicyIteration, GaussSeidel or "
            'ValueIteration, or rltk.solve(..., method="auto")'
        )
    constraints, reward = constraints_of(mdp, gamma)
    unit = np.abs(reward).max() or 1.0
    weight = (mdp.n_states * mdp.start + 1) / 2
    solve: Callable[..., Any] = linprog  # its stubs know no sparse arrays
    result = solve(weight, A_ub=-constraints, b_ub=-(reward / unit), bounds=(None, None), method="highs-ipm")
    if result.status != 0 or not np.isfinite(result.x * unit).all():
        return np.zeros(mdp.n_states), "HiGHS found no solution; policy iteration went on without it"
    return result.x * unit, ""


def constraints_of(mdp: MDP, gamma: float) -> tuple[sp.csr_array, np.ndarray]:
    """(the left side (N, S), the right side (N,)): a row for each of the N available (state, action) pairs."""
    rows, available = mdp.rows, mdp.available.reshape(-1)
    pair = np.repeat(np.cumsum(available) - 1, np.diff(rows.row_start))
    state = np.flatnonzero(available) // mdp.n_actions
    goes_on = ~rows.terminated
    own = (np.ones(state.size), (np.arange(state.size), state))
    ahead = (gamma * rows.probability[goes_on], (pair[goes_on], rows.next_state[goes_on]))
    shape = (state.size, mdp.n_states)
    left = sp.coo_array(own, shape=shape).tocsr() - sp.coo_array(ahead, shape=shape).tocsr()
    return left, mdp.expected_reward().reshape(-1)[available]
