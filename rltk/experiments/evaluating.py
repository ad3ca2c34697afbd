"""Evaluate while learning: where the model is known the learning curve is exact, without any sampling noise."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from rltk.errors import ArgumentError
from rltk.evaluation import Evaluation, LevelsEvaluation, evaluate
from rltk.experiments.due import Due, apart, single, start_of
from rltk.mdp import Criterion
from rltk.runs import Progress, Run
from rltk.runs.checks import whole

FIGURES = ("value", "optimum", "suboptimality", "normalised_suboptimality", "success_probability")


class Evaluate(Due):
    """Grade the agent every so many timesteps by `rltk.evaluate`, under its own criterion unless another is given.

    env: of its own, not the one learnt in. levels, unseen: as in `rltk.evaluate`; figures are then means over levels.
    episodes: where only sampling is left. log: a `Run` whose log gets the figures beside the learner's own metrics.
    folder: where the best agent so far is kept as a checkpoint: the one of highest value, on unseen levels where there
    are some.

    history: a dict of figures for each evaluation, "timestep" among them. latest: the newest result as a whole.
    """

    def __init__(
        self,
        env: Any,
        every: int,
        *,
        levels: int | Iterable[Any] | None = None,
        unseen: int | Iterable[Any] | None = None,
        log: Run | None = None,
        folder: str | Path | None = None,
        criterion: Criterion | float | None = None,
        episodes: int = 200,
        seed: int = 0,
    ) -> None:
        super().__init__(every, start=start_of(log))
        if log is not None and not isinstance(log, Run):
            raise ArgumentError(f"log is a {type(log).__name__}; a Run was expected, as Run.start(...) makes it")
        if unseen is not None and levels is None:
            raise ArgumentError("unseen: give levels= as well, those that the agent is trained on")
        self.env, self.log = single("Evaluate", env), log
        self.levels = levels if levels is None or isinstance(levels, int) else list(levels)
        self.unseen = unseen if unseen is None or isinstance(unseen, int) else list(unseen)
        self.folder = None if folder is None else Path(folder)
        self.criterion, self.episodes, self.seed = criterion, whole("episodes", episodes, 2), seed
        self.history: list[dict[str, float]] = []
        self.latest: Evaluation | LevelsEvaluation | None = None
        self.best = -math.inf

    def fire(self, progress: Progress) -> None:
        """Evaluate now, whatever is due."""
        apart("Evaluate", self.env, progress.agent)
        self.latest = evaluated(self, progress.agent)
        figures = figures_of(self.latest)
        self.history.append({"timestep": progress.timestep, **figures})
        if self.log is not None:
            self.log.log(progress.timestep, **{**progress.metrics, **figures})
        value = figures.get("unseen/value", figures["value"])
        if value > self.best:
            self.best = value
            if self.folder is not None:
                progress.agent.save(self.folder)

    def state(self) -> dict[str, Any]:
        """The clock, the history and the best value so far; numbers that are none in JSON are left out."""
        kept = [{name: value for name, value in one.items() if math.isfinite(value)} for one in self.history]
        return {**super().state(), "history": kept, "best": self.best if math.isfinite(self.best) else None}

    def restore(self, state: dict[str, Any]) -> Self:
        """Go on where `state` was taken."""
        super().restore(state)
        self.history = [dict(one) for one in state["history"]]
        self.best = -math.inf if state["best"] is None else float(state["best"])
        return self


def evaluated(settings: Any, agent: Any) -> Evaluation | LevelsEvaluation:
    """`rltk.evaluate` with the settings of an `Evaluate`."""
    common: dict[str, Any] = {"episodes": settings.episodes, "seed": settings.seed}
    if settings.levels is not None:
        common |= {"levels": settings.levels, "unseen": settings.unseen}
    return evaluate(agent, settings.env, settings.criterion, **common)


def figures_of(found: Evaluation | LevelsEvaluation) -> dict[str, float]:
    """The figures that a log has of an evaluation: those that are known."""
    if isinstance(found, Evaluation):
        known = {name: getattr(found, name) for name in FIGURES}
        return {name: float(value) for name, value in known.items() if value is not None}
    figures = {name: found.means[name] for name in FIGURES}
    if found.unseen is not None:
        figures |= {f"unseen/{name}": found.unseen.means[name] for name in FIGURES}
        figures |= {f"gap/{name}": float(gap.value) for name, gap in found.gaps.items()}
    return {name: value for name, value in figures.items() if not math.isnan(value)}
