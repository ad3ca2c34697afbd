"""What a search found out about the state that it started from."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rltk.mdp import Criterion


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The answer of a search from one state, or from several that an episode may start in.

    `value` estimates what acting well from there is worth, and lies in [lower, upper]. Where `certified`, these bound
    the optimum, rounding included, and following the searcher is worth at least `lower`. Else (MCTS) they are a 95%
    interval of the mean return that the search itself earned, exploring included: `lower` is then one for the optimum.
    """

    state: Any  # None where there are several
    action: int | None  # None where there are several states
    value: float
    lower: float
    upper: float
    certified: bool
    converged: bool  # certified, and the bounds are as narrow as was asked
    action_values: np.ndarray = field(repr=False)  # (A,) float64; -inf: not available, nan: not known
    visits: np.ndarray | None = field(repr=False)  # (A,) int64: how often each action was tried there (MCTS)
    expanded: int  # states whose outcomes were looked at; MCTS: nodes of its tree
    backups: int  # updates of a state's value; MCTS: simulations
    seconds: float
    criterion: Criterion
    method: str
    note: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """(lower, upper)."""
        return self.lower, self.upper

    @property
    def half_width(self) -> float:
        """(upper - lower) / 2; infinite where a bound is missing."""
        if self.lower == self.upper:
            return 0.0
        return (self.upper - self.lower) / 2

    def __str__(self) -> str:
        kind = "certified" if self.certified else "95% interval"
        lines = [
            f"{self.method}, {self.criterion}: {self.backups:,} backups, {self.expanded:,} expanded, "
            f"{self.seconds:.3g} s",
            f"value {self.value:.10g}, {kind} [{self.lower:.10g}, {self.upper:.10g}]",
        ]
        if self.action is not None:
            lines.append(f"action {self.action} in state {self.state}")
        return "\n".join(lines + ([self.note] if self.note else []))
