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
from rltk.agents.planning.planner import Planner, Report, shortfall
from rltk.mdp import MDP, first_best


def improve(q: np.ndarray, policy: np.ndarray, least: float) -> np.ndarray:
    """(S,) the policy greedy for `q` (S, A) that keeps `policy` (S,) wherever no action gains more than `least`."""
    now = q[np.arange(policy.size), policy]
    with np.errstate(invalid="ignore"):
        return np.where(q.max(axis=1) > now + least, q.argmax(axis=1), policy)


class PolicyIteration(Planner):
    """Howard's policy iteration with exact evaluation: `PolicyIteration(gamma=0.99).solve(mdp)`."""

    name = "policy iteration"
    kinds = ("discounted", "total")

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        if self.criterion.kind == "total":
            return total_reward.solve(mdp, self.tolerance, self.max_sweeps, report, total_reward.by_policies)
        gamma, certifier = self.criterion.gamma, Certifier(mdp, self.criterion.gamma)
        value = np.zeros(mdp.n_states) if guess is None else guess
        policy = first_best(mdp.q(value, gamma))
        seen: set[bytes] = set()  # rounding must not make the rounds circle among ties
        while len(seen) < self.max_sweeps and policy.tobytes() not in seen:
            seen.add(policy.tobytes())
            exact = mdp.chain(policy).value(gamma)
            if not np.isfinite(exact).all():  # a discount so near 1 that floats can't tell
                break
            value = exact
            report(len(seen), np.inf)
            # A change must gain more than rounding can feign.
            policy = improve(mdp.q(value, gamma), policy, 4 * certifier.rounding(value))
        answer = certifier.bounds(value)
        return {
            **answer,
            "sweeps": len(seen),
            "note": shortfall(answer, self.tolerance, len(seen), self.max_sweeps),
        }
