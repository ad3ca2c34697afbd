"""What every planner shares: hyper-parameters checked once, and `solve(mdp) -> Solution`."""

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from rltk.agents.planning.solution import Solution, half_width
from rltk.errors import ArgumentError, CriterionError
from rltk.mdp import MDP, Criterion
from rltk.mdp.criterion import Kind
from rltk.mdp.labels import carried_over

Report = Callable[[int, float], None]
"""A planner calls it now and then with the sweeps done and the half-width reached: a progress bar's food."""


class Planner(ABC):
    """Hyper-parameters only; data goes to `solve`.

    gamma or criterion: what is optimal. tolerance: the largest allowed (upper - lower) / 2. max_sweeps: when to give
    up and say so (`converged` is False then).
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]] = ("discounted",)
    """The kinds of criterion that it solves."""
    takes_horizon: ClassVar[bool] = False
    """Whether it solves criteria with a horizon, and only those."""
    regularised: ClassVar[bool] = False
    """Whether its objective holds more than reward, so that its optimum is another."""
    takes_threads: ClassVar[bool] = False
    """Whether several cores can share its sweeps: `threads=`."""
    solution: ClassVar[type[Solution]] = Solution

    def __init__(
        self,
        gamma: float | None = None,
        *,
        criterion: Criterion | None = None,
        tolerance: float = 1e-6,
        max_sweeps: int = 1_000_000,
    ) -> None:
        self.criterion = checked_criterion(gamma, criterion)
        if self.criterion.kind not in self.kinds:
            raise CriterionError(
                f"{type(self).__name__} solves {' and '.join(self.kinds)} reward, not [{self.criterion}]; "
                "rltk.solve chooses a planner that does"
            )
        if (self.criterion.horizon is not None) != self.takes_horizon:
            raise CriterionError(
                f"{type(self).__name__} {'needs' if self.takes_horizon else 'solves without'} a horizon; "
                f"[{self.criterion}] was asked for. rltk.solve chooses a planner that fits"
            )
        self.tolerance = checked_positive(tolerance, "tolerance")
        if isinstance(max_sweeps, bool) or not isinstance(max_sweeps, int | np.integer) or max_sweeps < 1:
            raise ArgumentError(f"max_sweeps is a positive whole number; it is {max_sweeps!r}")
        self.max_sweeps = int(max_sweeps)

    def solve(
        self, mdp: MDP, report: Report | None = None, *, warm_start: "Solution | np.ndarray | None" = None
    ) -> Solution:
        """The optimal values of `mdp` between certified bounds, and a policy.

        warm_start: the solution of a similar MDP, or values (S,), to begin from: it never changes what is certified,
        only how soon. States are matched by number, or by label where there are more or fewer of them. Planners that
        compute directly don't need it.
        """
        if not isinstance(mdp, MDP):
            raise ArgumentError(f"solve takes an MDP, not {type(mdp).__name__}; for an environment use rltk.solve(env)")
        if report is not None and not callable(report):
            raise ArgumentError(f"report is called as report(sweeps, half_width), or None; it is {report!r}")
        guess = None if warm_start is None else checked_guess(warm_start, mdp)
        begin = time.perf_counter()
        answer = self._solve(mdp, report or (lambda sweeps, half_width: None), guess)
        return self.solution(
            mdp, self.criterion, self.tolerance, seconds=time.perf_counter() - begin, method=self.name, **answer
        )

    @abstractmethod
    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        """lower, upper, policy, policy_loss, sweeps and perhaps note, from `guess` (S,) where one is given."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.criterion}, tolerance={self.tolerance:g})"


def shortfall(answer: dict[str, Any], tolerance: float, sweeps: int, max_sweeps: int) -> str:
    """A solution's note: why bounds are wider than `tolerance` and how to mend it; nothing where they are not."""
    width = half_width(answer["lower"], answer["upper"])
    if width <= tolerance:
        return ""
    if width == np.inf:
        return "gamma is so near 1 that rows which sum to 1 only nearly allow no bounds; lower it a little"
    mend = (
        "a planner with a larger max_sweeps goes on"
        if sweeps >= max_sweeps
        else "rounding hides the rest; ask for less"
    )
    return f"stopped at a half-width of {width:.2g} (asked: {tolerance:.2g}): {mend}"


def onward(report: Report, done: int) -> Report:
    """`report` for sweeps that begin where `done` are done already."""
    return lambda sweeps, half_width: report(done + sweeps, half_width)


def checked_positive(number: float, name: str) -> float:
    """`number` as a finite float above 0, or an ArgumentError that names it."""
    real = int | float | np.integer | np.floating
    if isinstance(number, bool) or not isinstance(number, real) or not number > 0:
        raise ArgumentError(f"{name} is a positive number; it is {number!r}")
    if number > sys.float_info.max:  # infinite, or an integer that no float holds
        raise ArgumentError(f"{name} is a finite number; it is {number!r}")
    return float(number)


def checked_guess(warm_start: Solution | np.ndarray, mdp: MDP) -> np.ndarray:
    """(S,) float64, finite: what a planner may begin from."""
    if isinstance(warm_start, Solution):
        # The bound from below is nearly a fixed point; the midpoint is not, beside states whose worth is known. Under
        # the average criterion bounds are of the gain, the same for all states, and the bias is what tells them apart.
        value = getattr(warm_start, "bias", warm_start.lower)
        labelled = warm_start.mdp.state_labels is not None and mdp.state_labels is not None
        if value.size != mdp.n_states and labelled:
            value = carried_over(value, warm_start.mdp, mdp, elsewhere=float(value.min()))
    else:
        try:
            value = np.asarray(warm_start)
        except ValueError as error:
            raise ArgumentError(f"warm_start is a Solution or values of shape ({mdp.n_states},): {error}") from None
    if value.dtype.kind not in "fiu" or value.shape != (mdp.n_states,):
        raise ArgumentError(
            f"warm_start is a Solution or values of shape ({mdp.n_states},), one a state; "
            f"it has shape {value.shape} and dtype {value.dtype}. Of an MDP with another number of states, a Solution "
            "is taken where both MDPs label their states"
        )
    return np.where(np.isfinite(value), value, 0.0).astype(np.float64)


def checked_criterion(gamma: float | None, criterion: Criterion | None) -> Criterion:
    """The criterion that is asked for by either; gamma 0.99 where neither says. CriterionError where they differ."""
    if criterion is None:
        return Criterion(0.99 if gamma is None else gamma)
    if not isinstance(criterion, Criterion):
        raise ArgumentError(f"criterion is a rltk.Criterion, not {criterion!r}; for a discount alone use gamma=")
    if gamma is not None and gamma != criterion.gamma:
        raise CriterionError(f"gamma is {gamma} but the criterion's is {criterion.gamma:.16g}; give one of them")
    return criterion
