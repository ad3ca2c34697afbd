"""Value iteration: apply the Bellman operator until its bounds close.

    V <- T V,    (T V)(s) = max_a sum_s' T(s' | s, a) [ r(s, a, s') + gamma V(s') ]

Stops when MacQueen's and Porteus's bounds (`rltk.agents.planning.bounds`) are within the tolerance. They often close
long before the norm of T V - V would allow: adding a constant to V changes no decision.

At gamma = 1 the sweeps and the certificate are those of `rltk.agents.planning.total_reward`.

Source: Bellman (1957); Puterman (1994), sections 6.3 and 6.6.3; Sutton and Barto (2018), section 4.4.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rltk.agents.planning import total_reward
from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.planner import Planner, Report, shortfall
from rltk.errors import ArgumentError, CriterionError
from rltk.mdp import MDP
from rltk.mdp.threads import checked_threads, threads_for


class ValueIteration(Planner):
    """Synchronous value iteration with certified bounds: `ValueIteration(gamma=0.99, tolerance=1e-6).solve(mdp)`.

    threads: how many cores share a sweep; None is all of them where the problem is large. The answer's bits don't
    depend on it. device: None sweeps with compiled kernels; "cuda", "cuda:1" or "cpu" sweep in PyTorch there, in
    float64 (discounted reward only). The bounds come from the caller's T on the CPU either way.

    Raises ArgumentError where there is no such device, and CriterionError for total reward on one.
    """

    name = "value iteration"
    kinds = ("discounted", "total")
    takes_threads = True

    def __init__(
        self,
        gamma: float | None = None,
        *,
        threads: int | None = None,
        device: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(gamma, **options)
        self.threads, self.device = checked_threads(threads), None
        if device is not None:
            if threads is not None:
                raise ArgumentError(f"threads share sweeps of compiled kernels, not those on {device!r}; drop one")
            if self.criterion.kind != "discounted":
                raise CriterionError(
                    f"sweeps on a device solve discounted reward, not [{self.criterion}]; leave device out"
                )
            from rltk.agents.planning.torch_sweeps import checked_device

            self.device = checked_device(device)

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        if self.criterion.kind == "total":
            return total_reward.solve(mdp, self.tolerance, self.max_sweeps, report, total_reward.by_sweeps)
        threads = threads_for(mdp.form.n_outcomes, self.threads)
        certifier = Certifier(mdp, self.criterion.gamma, threads=threads)
        value = np.zeros(mdp.n_states) if guess is None else guess
        options = self.tolerance, self.max_sweeps, report
        if self.device is not None:
            from rltk.agents.planning import torch_sweeps

            value, sweeps = torch_sweeps.iterate(certifier, value, *options, self.device)
        else:
            value, sweeps = iterate(certifier, value, *options, lambda v: mdp.backup(v, certifier.gamma, threads))
        answer = certifier.bounds(value)
        return {**answer, "sweeps": sweeps + 1, "note": shortfall(answer, self.tolerance, sweeps, self.max_sweeps)}


def iterate(
    certifier: Certifier,
    value: np.ndarray,
    tolerance: float,
    max_sweeps: int,
    report: Report,
    backup_of: Callable[[np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, int]:
    """(value (S,), sweeps): backups until the bounds are within the tolerance, or only rounding is left."""
    apply = certifier.backup if backup_of is None else backup_of
    sweeps, best, since_best = 0, np.inf, 0
    while sweeps < max_sweeps:
        backup = apply(value)
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
