"""Modified policy iteration: look for better actions once, then follow the policy found for several cheap sweeps.

    pi = greedy(v),    w = T v,    v <- (T_pi)^m w,    (T_pi v)(s) = r_pi(s) + gamma sum_s' P_pi(s' | s) v(s')

m = 0 is value iteration, m = infinity policy iteration. Here m is as many sweeps as it takes until the change that is
left under the policy is a small share of the change that the greedy sweep found: more can't help, for the next policy
would undo it. Greedy sweeps get cheaper as they go (`structure.candidates`): they pass over actions that can't be the
best yet, and with bounds  V* - v <= u  and  V* >= w + c  after a greedy sweep,

    q(s, a) + gamma u < w(s) + c        proves that a is not optimal in s,  Q*(s, a) < V*(s),

and eliminates it for good. The certificate (`bounds`) is a look ahead under all actions of the caller's T.

Source: Puterman and Shin (1978), "Modified policy iteration algorithms for discounted Markov decision problems";
Puterman (1994), section 6.5 and, for the elimination of actions, section 6.7, after MacQueen (1967).
"""

from typing import Any

import numpy as np

from rltk.agents.planning.bounds import Certifier, Shift
from rltk.agents.planning.planner import Planner, Report, onward, shortfall
from rltk.agents.planning.solution import half_width
from rltk.agents.planning.structure.candidates import Candidates, Sweep
from rltk.agents.planning.value_iteration import iterate
from rltk.mdp import MDP
from rltk.mdp.threads import checked_threads, threads_for

SHARE = 0.1  # of the greedy sweep's change, at which the policy has been followed for long enough
MOST = 100  # sweeps under one policy
PATIENCE = 1000  # sweeps without progress, after which only rounding is left


class ModifiedPolicyIteration(Planner):
    """Modified policy iteration with elimination of actions: `ModifiedPolicyIteration(gamma=0.99).solve(mdp)`.

    The planner of choice where information travels fast, as in random graphs. threads: how many cores share the sweeps;
    None is all of them where the problem is large. The answer's bits don't depend on it. `sweeps` counts greedy sweeps
    and sweeps under a policy alike.
    """

    name = "modified policy iteration"
    takes_threads = True

    def __init__(self, gamma: float | None = None, *, threads: int | None = None, **options: Any) -> None:
        super().__init__(gamma, **options)
        self.threads = checked_threads(threads)

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        gamma, rows = self.criterion.gamma, mdp.rows
        threads = threads_for(rows.n_outcomes, self.threads)
        certifier, candidates = Certifier(mdp, gamma, threads=threads), Candidates(rows, threads)
        seen = np.zeros(mdp.n_states)  # what the last greedy sweep began from: at first, 0
        value, sweeps, cut = (candidates.backup if guess is None else guess.copy()), 0, np.inf
        spare, best, best_at = np.empty_like(value), np.inf, 0
        while True:
            rise = rise_between(certifier, seen, value)
            seen[:] = value
            greedy = candidates.sweep(value, gamma, rise, cut, spare)
            sweeps += 1
            shift = shift_after(certifier, seen, greedy)
            cut = margin(certifier, seen, greedy, shift)
            report(sweeps, shift.half_width)
            if shift.half_width < best:
                best, best_at = shift.half_width, sweeps
            value, spare = greedy.backup, value
            if shift.half_width <= self.tolerance or sweeps >= self.max_sweeps or sweeps - best_at > PATIENCE:
                break
            enough = max(SHARE * shift.half_width, 2 * self.tolerance)
            for _ in range(min(MOST, self.max_sweeps - sweeps - 1)):  # a greedy sweep always comes last
                followed = candidates.follow(value, gamma, spare)
                sweeps += 1
                left = shift_after(certifier, value, followed).half_width
                value, spare = followed.backup, value
                if left <= enough:
                    break
        answer = certifier.bounds(value)
        if shift.half_width <= self.tolerance < half_width(answer["lower"], answer["upper"]):
            # Rounding, or an eliminated action that is all but optimal, made the last sweep look narrower.
            value, more = iterate(certifier, value, self.tolerance, self.max_sweeps - sweeps, onward(report, sweeps))
            answer, sweeps = certifier.bounds(value), sweeps + more
        return {**answer, "sweeps": sweeps + 1, "note": shortfall(answer, self.tolerance, sweeps, self.max_sweeps)}


def shift_after(certifier: Certifier, value: np.ndarray, sweep: Sweep) -> Shift:
    """The bounds from the range of a sweep's changes from `value` (S,)."""
    return certifier.shift_of(sweep.least, sweep.most, certifier.rounding(value))


def rise_between(certifier: Certifier, before: np.ndarray, after: np.ndarray) -> float:
    """How much an action value can rise at most when `before` (S,) becomes `after` (S,), rounding included."""
    rise = float((after - before).max())
    mass = certifier.high_mass if rise > 0 else certifier.low_mass
    return certifier.gamma * mass * rise + 2 * (certifier.rounding(before) + certifier.rounding(after))


def margin(certifier: Certifier, value: np.ndarray, greedy: Sweep, shift: Shift) -> float:
    """How far below the best an action value may lie after a greedy sweep from `value` and still be optimal."""
    e = certifier.rounding(value)
    above = greedy.most + shift.above + e  # V* - v, at most
    mass = certifier.high_mass if above > 0 else certifier.low_mass
    return certifier.gamma * mass * above - shift.below + 4 * e
