"""What "optimal" means: the criterion under which returns, values and policies are compared."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rltk.errors import ArgumentError, CriterionError

Kind = Literal["discounted", "total", "average"]


@dataclass(frozen=True)
class Criterion:
    """The return that an agent is asked to make large.

    - `discounted`: E[sum_t gamma^t r_t], gamma in [0, 1).
    - `total`: E[sum_t r_t] up to the end of the episode, gamma = 1.
    - `average`: the mean reward a step in the long run, gamma = 1.

    `horizon` stops the sum after that many steps; None means never. `kind` follows from gamma where it is not given.

    Source: Puterman (1994), Markov Decision Processes, chapters 4 to 8. Raises ArgumentError for a gamma outside
    [0, 1], an unknown kind or a horizon below 1, and CriterionError where gamma and kind contradict each other.
    """

    gamma: float
    horizon: int | None = None
    kind: Kind | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", checked_gamma(self.gamma))
        if self.horizon is not None:
            if isinstance(self.horizon, bool) or not isinstance(self.horizon, int | np.integer) or self.horizon < 1:
                raise ArgumentError(f"horizon is a number of steps, at least 1, or None; it is {self.horizon!r}")
            object.__setattr__(self, "horizon", int(self.horizon))
        if self.kind is None:
            object.__setattr__(self, "kind", "total" if self.gamma == 1 else "discounted")
        if self.kind not in ("discounted", "total", "average"):
            raise ArgumentError(f"kind is 'discounted', 'total' or 'average'; it is {self.kind!r}")
        if (self.kind == "discounted") != (self.gamma < 1):
            raise CriterionError(
                f"kind {self.kind!r} does not go with gamma {self.gamma:.16g}: "
                "discounted needs gamma below 1, total and average need gamma 1"
            )

    def __str__(self) -> str:
        words = f"gamma {self.gamma:.16g}" if self.kind == "discounted" else f"{self.kind} reward, gamma 1"
        return words if self.horizon is None else f"{words}, {self.horizon} steps"


def checked_gamma(gamma: float) -> float:
    """`gamma` as a float in [0, 1], or an ArgumentError that says what it is."""
    if isinstance(gamma, bool) or not isinstance(gamma, int | float | np.integer | np.floating):
        raise ArgumentError(f"gamma is a number in [0, 1]; it is {gamma!r}")
    try:
        number = float(gamma)
    except OverflowError:  # an integer beyond the range of floats
        number = np.inf if gamma > 0 else -np.inf
    if not 0 <= number <= 1:
        raise ArgumentError(f"gamma is the discount of a step, in [0, 1]; it is {number:.16g}. Usual values: 0.9 to 1")
    return number


def require_same(first: Criterion, second: Criterion, names: tuple[str, str]) -> None:
    """Refuse to compare what was asked under two different criteria."""
    if first != second:
        raise CriterionError(
            f"{names[0]} is under [{first}], {names[1]} under [{second}]: they can't be compared. "
            "Ask both under the same criterion"
        )
