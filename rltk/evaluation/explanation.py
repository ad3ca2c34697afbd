"""What `explain` says: a suboptimality in parts, as arrays, as a table, and on the environment's map."""

import dataclasses
import math
import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rltk.errors import ArgumentError, CriterionError, ModelError
from rltk.evaluation.result import Evaluation
from rltk.mdp import MDP, Criterion

_SHOWN = 10
_WIDTHS = (7, 11, 11, 18, 14, 12)  # share, loss, visits, state, takes, best: 79 with the spaces between


class LostState(NamedTuple):
    """A state and what is lost there. The action is the one that costs most, with its probability."""

    state: int
    label: Any  # what the state means: `mdp.label(state)`
    share: float  # of the suboptimality; nan where that is infinite
    loss: float
    visits: float
    action: Any  # a label, as is `best`
    probability: float
    best: Any


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where an agent loses what parts it from the optimum: `loss` (S,) sums to `suboptimality`.

    The optimum is that of an agent that sees the state. One that sees less and takes two states for one may be unable
    to avoid a loss; `evaluation.aliased_states` counts such states.
    """

    evaluation: Evaluation
    loss: np.ndarray = field(repr=False)  # (S,) float64, of the return
    visits: np.ndarray = field(repr=False)  # (S,) expected (discounted) visits; infinite where the agent is caught
    advantage: np.ndarray = field(repr=False)  # (S,) of the agent's action over the best, at most 0, at each visit
    action_loss: np.ndarray = field(repr=False)  # (S, A) `loss` by the action taken
    best_action: np.ndarray = field(repr=False)  # (S,) int: an optimal action
    error: float  # no loss is below -error * visits: what the bounds on V* leave open
    mdp: MDP = field(repr=False)
    layout: Any = field(default=None, repr=False)  # the environment's, for its map

    @property
    def criterion(self) -> Criterion:
        """What is lost is measured under."""
        return self.evaluation.criterion

    @property
    def suboptimality(self) -> float:
        """V* - V^pi over the start distribution, as `evaluate` reports it."""
        assert self.evaluation.suboptimality is not None
        return self.evaluation.suboptimality

    @property
    def proved(self) -> bool:
        """Whether the return lies below the bounds on the optimum, so that something is surely lost."""
        assert self.evaluation.optimum_bounds is not None
        return self.evaluation.value < self.evaluation.optimum_bounds[0]

    @cached_property
    def share(self) -> np.ndarray:
        """(S,) of the suboptimality, summing to 1; nan where that is infinite, 0 where nothing is surely lost."""
        if not self.proved:
            return np.zeros(self.loss.size)
        total = float(self.loss.sum())
        return self.loss / total if math.isfinite(total) else np.full(self.loss.size, np.nan)

    @cached_property
    def order(self) -> np.ndarray:
        """(m,) the states where something is surely lost, largest loss first; equal losses in order of the states."""
        if not self.proved:
            return np.empty(0, dtype=np.int64)
        with np.errstate(invalid="ignore"):
            margin = np.where(np.isfinite(self.visits), self.error * self.visits, self.error)
        first = np.argsort(-self.loss, kind="stable")
        return first[self.loss[first] > margin[first]]

    def worst(self, n: int = _SHOWN) -> list[LostState]:
        """The `n` states where most is lost, or all there are, largest loss first."""
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ArgumentError(f"n is a number of states, at least 1; it is {n!r}")
        return [self._lost(int(state)) for state in self.order[:n]]

    def _lost(self, state: int) -> LostState:
        policy = self._policy[state]
        cost = self.action_loss[state]
        # Where the agent is caught no action of its own costs more than another: the likeliest stands for them.
        action = int(policy.argmax() if np.isinf(self.visits[state]) else cost.argmax())
        return LostState(
            state,
            self.mdp.label(state),
            float(self.share[state]),
            float(self.loss[state]),
            float(self.visits[state]),
            self.mdp.action_label(action),
            float(policy[action]),
            self.mdp.action_label(int(self.best_action[state])),
        )

    @property
    def _policy(self) -> np.ndarray:
        assert self.evaluation.policy is not None
        return self.evaluation.policy

    @property
    def summary(self) -> str:
        """One sentence: in how few states at least half of the loss is."""
        size = f"{self.loss.size:,} state{'s' * (self.loss.size > 1)}"
        if not self.proved:
            return "Nothing is lost beyond what the bounds on the optimum leave open."
        if math.isinf(self.suboptimality):
            return f"The loss is infinite in {int(np.isinf(self.loss).sum()):,} of {size}."
        sums = np.cumsum(self.share[self.order])
        if not sums.size:
            return "The loss is spread so thin that no single state's is sure."
        few = min(int(np.searchsorted(sums, 0.5)) + 1, sums.size)
        return f"{_percent(float(sums[few - 1]))} of the loss is in {few:,} of {size}."

    def __str__(self) -> str:
        graded = self.evaluation
        lines = [
            f"{self.criterion}: return {graded.value:.6g}, optimum {graded.optimum:.6g}, "
            f"suboptimality {self.suboptimality:.6g}"
        ]
        rows = self.worst()
        if rows:
            lines.append(_line("share", "loss", "visits", "state", "takes", "best"))
        lines += [_row(lost) for lost in rows]
        if self.order.size > len(rows):
            rest = self.order[len(rows) :]
            held = self.share[rest].sum()
            words = "" if np.isnan(held) else f", with {_percent(float(held))}"
            lines.append(f"... and {rest.size:,} more state{'s' * (rest.size > 1)}{words}")
        if self.order.size and np.isinf(self.visits[self.order]).any():
            lines.append("visits inf: the agent comes in and never gets out")
        if graded.aliased_states:
            lines.append(
                f"{graded.aliased_states:,} states share their observation with another; the optimum sees them"
            )
        return "\n".join([*lines, self.summary])

    # On the map

    def figure(self, title: str = "Where the loss is") -> Any:
        """A matplotlib Figure: the share of the loss by cell, in percent; arrows are the agent's likeliest actions.

        Where several states stand in a cell (a taxi's passenger is here or there) their shares are added, and there are
        no arrows. Raises ModelError for an environment without a map, CriterionError for an infinite loss.
        """
        from rltk.drawing import value_map

        if not callable(getattr(self.layout, "scene", None)) or not callable(getattr(self.layout, "position", None)):
            raise ModelError("the environment has no map to draw on; rltk's own have. Print the explanation instead")
        if math.isinf(self.suboptimality):
            raise CriterionError("an infinite loss has no shares to draw; ask for gamma < 1")
        scene = self.layout.scene(int(np.argmax(self.mdp.start)))
        height, width = scene.shape
        row, column = self.layout.position(np.arange(self.mdp.n_states)).T
        cell = row * width + column  # (S,)
        states = np.full(height * width, -1, dtype=np.int32)
        states[cell] = cell
        policy = None
        if np.unique(cell).size == cell.size:
            likeliest = self._policy >= self._policy.max(axis=1, keepdims=True) - 1e-9
            policy = np.zeros((height * width, self.mdp.n_actions))  # where the agent never comes there are no arrows
            policy[cell] = np.where(self.visits[:, None] > 0, likeliest / likeliest.sum(axis=1, keepdims=True), 0.0)
        percent = 100 * np.bincount(cell, weights=self.share, minlength=height * width)
        return value_map(
            dataclasses.replace(scene, states=states.reshape(height, width)),
            percent,
            policy,
            limits=(0.0, max(float(percent.max()), 1e-9) if self.proved else 100.0),
            title=title,
            criterion=f"{self.criterion}, suboptimality {self.suboptimality:.4g}\n{self.summary}",
            label="share of the loss, %",
        )

    def draw(self, path: str | os.PathLike[str], title: str = "Where the loss is") -> Path:
        """Write `figure` to `path` (.png, .svg or .pdf), whole or not at all; raises as it does."""
        from rltk.drawing import save_figure

        save_figure(self.figure(title), path)
        return Path(path)


def _row(lost: LostState) -> str:
    chance = "" if lost.probability >= 0.9995 else f" {_percent(lost.probability)}"
    return _line(
        "" if math.isnan(lost.share) else f"{lost.share:.1%}",
        f"{lost.loss:.4g}",
        f"{lost.visits:.4g}",
        _short(lost.label, _WIDTHS[3]),
        _short(lost.action, _WIDTHS[4] - len(chance)) + chance,
        _short(lost.best, _WIDTHS[5]),
    )


def _line(*words: str) -> str:
    numbers = [f"{word:>{width}}" for word, width in zip(words[:3], _WIDTHS[:3], strict=True)]
    return " ".join(
        [*numbers, ""] + [f"{word:<{width}}" for word, width in zip(words[3:], _WIDTHS[3:], strict=True)]
    ).rstrip()


def _short(label: Any, width: int) -> str:
    words = " ".join(str(label).split())
    return words if len(words) <= width else words[: width - 3] + "..."


def _percent(share: float) -> str:
    """A share in whole percent; one that is not all or not nothing is never called so."""
    if 0 < share < 0.005:
        return "under 1%"
    return "over 99%" if 0.995 <= share < 1 - 1e-9 else f"{share:.0%}"
