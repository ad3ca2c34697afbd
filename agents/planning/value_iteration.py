"""Value iteration: apply the Bellman operator until its bounds close.

    V <- T V,    (T V)(s) = max_a sum_s' T(s' | s, a) [ r(s, a, s') + gamma V(s') ]

Stops when MacQueen's and Porteus's bounds (`rltk.agents.planning.bounds`) are within the tolerance. They often close
long before the norm of T V - V would allow: adding a constant to V changes no decision.

At gamma = 1 the sweeps and the certificate are those of `rltk.agents.planning.total_reward`.

Source: Bellman (1957); Puterman (1994), sections 6.3 and 6.6.3; Sutton and Barto (2018), section 4.4.
"""

from typing import Any

import numpy as np

from rltk.agents.planning import total_reward
from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.planner import Planner, Report
from rltk.mdp import MDP


class ValueIteration(Planner):
    """Synchronous value iteration with certified bounds: `ValueIteration(gamma=0.99, tolerance=1e-6).solve(mdp)`."""

    name = "value iteration"

    def _solve(self, mdp: MDP, report: Report) -> dict[str, Any]:
        if self.criterion.kind == "total":
            return total_reward.solve(mdp, self.tolerance, self.max_sweeps, report, total_reward.by_sweeps)
        gamma, certifier = self.criterion.gamma, Certifier(mdp, self.criterion.gamma)
        value = np.zeros(mdp.n_states)
        sweeps, best, since_best = 0, np.inf, 0
        while sweeps < self.max_sweeps:
            backup = mdp.backup(value, gamma)
            shift = certifier.shift(value, backup)
            value = backup
            sweeps += 1
            # The last look ahead tightens the bounds by gamma once more, so this asks for nothing in vain.
            if shift.half_width <= self.tolerance:
                break
            best, since_best = (shift.half_width, 0) if shift.half_width < best else (best, since_best + 1)
            if since_best > 1000:  # rounding is all that is left
                break
            if sweeps % 64 == 0:
                report(sweeps, shift.half_width)
        return {**certifier.bounds(value), "sweeps": sweeps + 1}
