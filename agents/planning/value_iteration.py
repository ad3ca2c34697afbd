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
    kinds = ("discounted", "total")

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        if self.criterion.kind == "total":
            return total_reward.solve(mdp, self.tolerance, self.max_sweeps, report, total_reward.by_sweeps)
        certifier = Certifier(mdp, self.criterion.gamma)
        value = np.zeros(mdp.n_states) if guess is None else guess
        value, sweeps = iterate(certifier, value, self.tolerance, self.max_sweeps, report)
        return {**certifier.bounds(value), "sweeps": sweeps + 1}


def iterate(
    certifier: Certifier, value: np.ndarray, tolerance: float, max_sweeps: int, report: Report
) -> tuple[np.ndarray, int]:
    """(value (S,), sweeps): backups until the bounds are within the tolerance, or only rounding is left."""
    sweeps, best, since_best = 0, np.inf, 0
    while sweeps < max_sweeps:
        backup = certifier.mdp.backup(value, certifier.gamma)
        half_width = certifier.shift(value, backup).half_width
        value = backup
        sweeps += 1
        # The last look ahead tightens the bounds by gamma once more, so this asks for nothing in vain.
        if half_width <= tolerance:
            break
        best, since_best = (half_width, 0) if half_width < best else (best, since_best + 1)
        if since_best > 1000:
            break
        if sweeps % 64 == 0:
            report(sweeps, half_width)
    return value, sweeps
