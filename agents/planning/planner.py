"""What every planner shares: hyper-parameters checked once, and `solve(mdp) -> Solution`."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from rltk.agents.planning.solution import Solution
from rltk.errors import ArgumentError, CriterionError
from rltk.mdp import MDP, Criterion

Report = Callable[[int, float], None]
"""A planner calls it now and then with the sweeps done and the half-width reached: a progress bar's food."""


class Planner(ABC):
    """Hyper-parameters only; data goes to `solve`.

    gamma or criterion: what is optimal. tolerance: the largest allowed (upper - lower) / 2. max_sweeps: when to give
    up and say so (`converged` is False then).
    """

    name: ClassVar[str]

    def __init__(
        self,
        gamma: float | None = None,
        *,
        criterion: Criterion | None = None,
        tolerance: float = 1e-6,
        max_sweeps: int = 1_000_000,
    ) -> None:
        self.criterion = checked_criterion(gamma, criterion)
        if self.criterion.kind == "average" or self.criterion.horizon is not None:
            raise CriterionError(f"{type(self).__name__} solves discounted and total reward, not [{self.criterion}]")
        if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | np.number) or not tolerance > 0:
            raise ArgumentError(f"tolerance is a positive number; it is {tolerance!r}")
        if not np.isfinite(tolerance):
            raise ArgumentError(f"tolerance is a finite number; it is {tolerance!r}")
        if isinstance(max_sweeps, bool) or not isinstance(max_sweeps, int | np.integer) or max_sweeps < 1:
            raise ArgumentError(f"max_sweeps is a positive whole number; it is {max_sweeps!r}")
        self.tolerance = float(tolerance)
        self.max_sweeps = int(max_sweeps)

    def solve(self, mdp: MDP, report: Report | None = None) -> Solution:
        """The optimal values of `mdp` between certified bounds, and a policy."""
        if not isinstance(mdp, MDP):
            raise ArgumentError(f"solve takes an MDP, not {type(mdp).__name__}; for an environment use rltk.solve(env)")
        begin = time.perf_counter()
        answer = self._solve(mdp, report or (lambda sweeps, half_width: None))
        return Solution(
            mdp, self.criterion, self.tolerance, seconds=time.perf_counter() - begin, method=self.name, **answer
        )

    @abstractmethod
    def _solve(self, mdp: MDP, report: Report) -> dict[str, Any]:
        """lower, upper, policy, policy_loss, sweeps and perhaps note."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.criterion}, tolerance={self.tolerance:g})"


def checked_criterion(gamma: float | None, criterion: Criterion | None) -> Criterion:
    """The criterion that is asked for by either; gamma 0.99 where neither says. CriterionError where they differ."""
    if criterion is None:
        return Criterion(0.99 if gamma is None else gamma)
    if not isinstance(criterion, Criterion):
        raise ArgumentError(f"criterion is a rltk.Criterion, not {criterion!r}; for a discount alone use gamma=")
    if gamma is not None and gamma != criterion.gamma:
        raise CriterionError(f"gamma is {gamma} but the criterion's is {criterion.gamma:g}; give one of them")
    return criterion
