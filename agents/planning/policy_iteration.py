"""Policy iteration: evaluate a policy exactly, improve it where an action is strictly better, repeat.

    v = r_pi + gamma P_pi v                                     (sparse LU factorisation)
    pi'(s) = argmax_a q(s, a) where that beats q(s, pi(s)), else pi(s)

Each policy is better than the last, there are finitely many, so it ends; a handful of rounds is usual. The bounds are
those of one look ahead from the last value, which is exact up to rounding.

At gamma = 1 it starts from a policy that ends and keeps to such (`rltk.agents.planning.total_reward`).

Source: Howard (1960); Puterman (1994), section 6.4; Sutton and Barto (2018), section 4.3.
"""

from typing import Any

import numpy as np

from rltk.agents.planning import total_reward
from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.planner import Planner, Report
from rltk.mdp import MDP, first_best

# A change must gain more than rounding can feign, or the rounds might circle among ties.
STRICTLY = 1e-12


def improve(q: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """(S,) the policy greedy for `q` (S, A) that keeps `policy` (S,) wherever no action is strictly better."""
    states = np.arange(policy.size)
    best = first_best(q, STRICTLY)
    now, then = q[states, policy], q[states, best]
    with np.errstate(invalid="ignore"):
        better = then > now + STRICTLY * np.maximum(1.0, np.abs(now))
    return np.where(better, best, policy)


class PolicyIteration(Planner):
    """Howard's policy iteration with exact evaluation: `PolicyIteration(gamma=0.99).solve(mdp)`."""

    name = "policy iteration"

    def _solve(self, mdp: MDP, report: Report) -> dict[str, Any]:
        if self.criterion.kind == "total":
            return total_reward.solve(mdp, self.tolerance, self.max_sweeps, report, total_reward.by_policies)
        gamma = self.criterion.gamma
        policy = first_best(mdp.q(np.zeros(mdp.n_states), gamma))
        rounds = 0
        while True:
            value = mdp.chain(policy).value(gamma)
            rounds += 1
            report(rounds, np.inf)
            improved = improve(mdp.q(value, gamma), policy)
            if rounds >= self.max_sweeps or (improved == policy).all():
                break
            policy = improved
        return {**Certifier(mdp, gamma).bounds(value), "sweeps": rounds}
