"""Stop when the agent is good enough, which is known exactly where the optimum is."""

import math
from collections.abc import Iterable
from typing import Any, Self

from rltk.errors import ArgumentError, ModelError
from rltk.experiments.due import Due, apart, single
from rltk.experiments.evaluating import evaluated, figures_of
from rltk.mdp import Criterion
from rltk.runs import Progress
from rltk.runs.checks import whole


class StopAtSuboptimality(Due):
    """Stop learning once (V* - V^pi) / (V* - V^uniform) is at or below `threshold`, `patience` times in a row.

    env, levels, criterion, episodes: as in `Evaluate`. `suboptimality` is the newest, nan before the first.
    Raises ModelError where the optimum is not known, or where no policy differs from the uniform one.
    """

    def __init__(
        self,
        env: Any,
        threshold: float,
        every: int,
        *,
        patience: int = 1,
        levels: int | Iterable[Any] | None = None,
        criterion: Criterion | float | None = None,
        episodes: int = 200,
        seed: int = 0,
    ) -> None:
        super().__init__(every)
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < math.inf:
            raise ArgumentError(f"threshold is a share of V* - V^uniform, 0.01 say, at least 0; found {threshold!r}")
        self.env, self.threshold = single("StopAtSuboptimality", env), float(threshold)
        self.patience = whole("patience", patience, 1)
        self.levels = levels if levels is None or isinstance(levels, int) else list(levels)
        self.unseen = None
        self.criterion, self.episodes, self.seed = criterion, whole("episodes", episodes, 2), seed
        self.suboptimality, self.in_a_row = math.nan, 0

    def fire(self, progress: Progress) -> bool:
        """Evaluate now; False once that was good enough often enough."""
        apart("StopAtSuboptimality", self.env, progress.agent)
        figures = figures_of(evaluated(self, progress.agent))
        self.suboptimality = figures.get("normalised_suboptimality", math.nan)
        if math.isnan(self.suboptimality):
            raise ModelError(
                "StopAtSuboptimality: the normalised suboptimality is not known here, for want of an optimum or of "
                "anything to lose; stop by a callback of your own, such as lambda progress: progress.timestep < 10_000"
            )
        self.in_a_row = self.in_a_row + 1 if self.suboptimality <= self.threshold else 0
        return self.in_a_row < self.patience

    def state(self) -> dict[str, Any]:
        """The clock, and how often in a row it was good enough."""
        return {**super().state(), "in_a_row": self.in_a_row}

    def restore(self, state: dict[str, Any]) -> Self:
        """Go on where `state` was taken."""
        super().restore(state)
        self.in_a_row = int(state["in_a_row"])
        return self
