"""Relative value iteration: the largest mean reward a step in the long run, and the bias of each state.

    h <- h + tau (T h - h),    (T h)(s) = max_a sum_s' T(s' | s, a) [ r(s, a, s') + h(s') ],    then h <- h - start . h

Episodes follow each other: where one ends, the next begins from the start distribution, so an end is worth start . h.
That is the reference value: with start . h = 0 an end is worth nothing and T is the operator that discounting has, at
gamma = 1. An end takes no step of its own.

For every h, since T is monotone and adding a constant to h adds it to T h,

    min (T h - h)  <=  g*(s)  <=  max (T h - h)        in every state s                                       (Odoni)

and the policy greedy for h gains at least that minimum. The bounds close where one gain is the best from everywhere,
so surely in MDPs that are weakly communicating. Where gains differ that is proved before it is said: let U be the
states that some state u can reach at all, and K a class that the greedy policy keeps to; min over K of T h - h above
max over U makes the states of K worth more than u. The step tau = 1/2 makes every policy's chain aperiodic and changes
no gain; without it h would swing on a cycle for ever. Long episodes are still cycles, and slow ones: where there are
few states, the bias of the greedy policy is now and then computed outright, and taken where it has narrower bounds.

Rows are read as distributions: what they lack of a sum of 1, start . h as computed, and the rounding of a backup are
added to the bounds.

Source: White (1963); Odoni (1969); Schweitzer (1971) on the step tau; Puterman (1994), sections 8.5.4 to 8.5.6.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rltk.agents.planning.bounds import UNIT, Certifier
from rltk.agents.planning.planner import Planner, Report
from rltk.agents.planning.solution import Solution
from rltk.errors import CriterionError
from rltk.mdp import MDP, Criterion
from rltk.mdp.criterion import Kind
from rltk.mdp.moves import Moves
from rltk.mdp.renewal import bias as policy_bias
from rltk.mdp.renewal import closed_classes, restarting

_STEP = 0.5  # tau; a half stills a swing to and fro at once
_JUMP, _SMALL = 256, 5000  # every so many sweeps, up to so many states, the greedy policy is evaluated exactly
_FIRST_LOOK = 1024  # sweeps before it is asked whether gains differ; then twice as many


@dataclass(frozen=True, eq=False, kw_only=True)
class AverageSolution(Solution):
    """The answer key under the average criterion. `value`, `lower` and `upper` are the gain's, the same in every state;
    `policy_loss` bounds what the policy's gain lacks.
    """

    bias: np.ndarray = field(repr=False)  # (S,) float64: h, what a state is worth beside the start (start . h = 0)

    @property
    def gain(self) -> float:
        """The largest mean reward a step, the midpoint of its bounds."""
        return float(self.value[0])

    @cached_property
    def q(self) -> np.ndarray:
        """(S, A) float64: r + P h - gain, an action's worth beside the start's; -inf where it is not available."""
        return self.mdp.q(self.bias, 1.0) - self.gain


class RelativeValueIteration(Planner):
    """Relative value iteration with certified bounds: `RelativeValueIteration().solve(mdp)`.

    Raises CriterionError, naming two states, where the best mean reward a step is not the same from both.
    """

    name = "relative value iteration"
    kinds: ClassVar[tuple[Kind, ...]] = ("average",)
    solution = AverageSolution

    def __init__(
        self,
        gamma: float | None = None,
        *,
        criterion: Criterion | None = None,
        tolerance: float = 1e-6,
        max_sweeps: int = 1_000_000,
    ) -> None:
        if criterion is None and gamma in (None, 1):
            criterion = Criterion(1.0, kind="average")
        super().__init__(gamma, criterion=criterion, tolerance=tolerance, max_sweeps=max_sweeps)

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        gains = Gains.of(mdp)
        bias = gains.centred(np.zeros(mdp.n_states) if guess is None else guess)
        sweeps, best, since_best = 0, np.inf, 0
        while sweeps < self.max_sweeps:
            change = gains.change(bias)
            half_width = float(change.max() - change.min()) / 2 + gains.rounding(bias)
            sweeps += 1
            if half_width <= self.tolerance:
                break
            best, since_best = (half_width, 0) if half_width < best else (best, since_best + 1)
            if since_best > 1000:
                break
            if sweeps % 64 == 0:
                report(sweeps, half_width)
            if sweeps >= _FIRST_LOOK and sweeps & (sweeps - 1) == 0:
                gains.refuse_if_they_differ(bias)
            bias = gains.centred(bias + _STEP * change)
            if sweeps % _JUMP == 0 and mdp.n_states <= _SMALL:
                bias = gains.jump(bias)
        answer = gains.bounds(bias)
        width = float(answer["upper"][0] - answer["lower"][0]) / 2
        if width > self.tolerance:
            gains.refuse_if_they_differ(bias)
            if sweeps >= self.max_sweeps:
                answer["note"] = f"the limit on sweeps stopped it at a half-width of {width:.2g}; raise max_sweeps"
            else:
                answer["note"] = f"rounding stopped it at a half-width of {width:.2g}"
        return {**answer, "sweeps": sweeps, "bias": bias}


class Gains(NamedTuple):
    """The bounds of one MDP's gain, from any bias."""

    mdp: MDP
    certifier: Certifier
    lacking: float  # how far a row's sum can be from 1
    ending: float  # the largest probability of a step to end

    @classmethod
    def of(cls, mdp: MDP) -> "Gains":
        """Measure the rows once."""
        certifier = Certifier(mdp, 1.0)
        lacking = _sum_error(mdp) + certifier.terms * UNIT
        return cls(mdp, certifier, lacking, max(1 + lacking - certifier.low_mass, 0.0))

    def centred(self, bias: np.ndarray) -> np.ndarray:
        """`bias` (S,) less a constant, so that its mean over the start is 0."""
        return bias - self._over_start(bias) / self.mdp.start.sum()

    def change(self, bias: np.ndarray) -> np.ndarray:
        """(S,) T h - h for a centred `bias` h."""
        return self.mdp.backup(bias, 1.0) - bias

    def rounding(self, bias: np.ndarray) -> float:
        """How far a computed T h - h can be from the exact one, in any state."""
        largest = float(np.abs(bias).max())
        starts = int(np.count_nonzero(self.mdp.start))
        off_centre = abs(self._over_start(bias)) + (starts + 2) * UNIT * largest
        rows = self.lacking * (self.certifier.largest_reward + largest)
        return 1.001 * (self.certifier.rounding(bias) + rows + self.ending * off_centre)

    def half_width(self, bias: np.ndarray) -> float:
        """Half the distance of the bounds that a centred `bias` gives."""
        change = self.change(bias)
        return float(change.max() - change.min()) / 2 + self.rounding(bias)

    def jump(self, bias: np.ndarray) -> np.ndarray:
        """The exact bias of the policy greedy for `bias`, where that has narrower bounds; else `bias`."""
        policy = self.mdp.form.look(bias, 1.0, 0.0).policy
        exact = policy_bias(self.mdp.chain(policy), self.mdp.start)
        if exact is None or not np.isfinite(exact).all():
            return bias
        exact = self.centred(exact)
        return exact if self.half_width(exact) < self.half_width(bias) else bias

    def bounds(self, bias: np.ndarray) -> dict[str, Any]:
        """lower, upper, policy and policy_loss from one look ahead at a centred `bias`."""
        e = self.rounding(bias)
        look = self.mdp.form.look(bias, 1.0, self.certifier.tie(bias))
        lower, upper = np.nextafter(look.least_change - e, -np.inf), np.nextafter(look.most_change + e, np.inf)
        loss = float(upper - np.nextafter(look.least_of_policy - e, -np.inf))
        return {
            "lower": np.full(bias.size, lower),
            "upper": np.full(bias.size, upper),
            "policy": look.policy,
            "policy_loss": max(float(np.nextafter(loss, np.inf)), 0.0),
        }

    def refuse_if_they_differ(self, bias: np.ndarray) -> None:
        """CriterionError where two states are proved to have different gains, naming both."""
        mdp, e = self.mdp, self.rounding(bias)
        look = mdp.form.look(bias, 1.0, 0.0)
        change = look.best - bias
        reached = closed_classes(restarting(mdp.chain(mdp.uniform_policy()), mdp.start))[:-1]
        kept = closed_classes(restarting(mdp.chain(look.policy), mdp.start))[:-1]
        most = np.full(reached.max() + 1, -np.inf)
        np.maximum.at(most, reached[reached >= 0], change[reached >= 0])
        least = np.full(kept.max() + 1, np.inf)
        np.minimum.at(least, kept[kept >= 0], change[kept >= 0])
        poor, rich = int(most.argmin()), int(least.argmax())
        if least[rich] - e > most[poor] + e:
            first, second = int(np.flatnonzero(kept == rich)[0]), int(np.flatnonzero(reached == poor)[0])
            raise CriterionError(
                f"the best mean reward a step is not the same everywhere: at least {least[rich] - e:.6g} from state "
                f"{first}, at most {most[poor] + e:.6g} from state {second}, which can't reach state {first}. Average "
                "reward needs states that can reach each other; ask for gamma < 1"
            )

    def _over_start(self, bias: np.ndarray) -> float:
        return float(self.mdp.start @ bias)


def _sum_error(mdp: MDP) -> float:
    """The most by which a row's sum, as computed, is not 1."""
    form = mdp.form
    if isinstance(form, Moves):
        return float(np.abs(form.noise.sum(axis=1) - 1).max())
    begins = form.row_start[:-1][np.diff(form.row_start) > 0]
    return float(np.abs(np.add.reduceat(form.probability, begins) - 1).max())
