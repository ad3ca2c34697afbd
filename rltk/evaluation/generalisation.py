"""How good an agent is on many levels, and whether what it has learnt carries over to levels that it has not seen.

    gap = mean over unseen levels of [ V* - V^pi ]  -  mean over the levels trained on of the same

Each term is exact, so nothing but the choice of levels is random: the interval is the stratified bootstrap's, in which
both sets are drawn anew, each with replacement. It speaks of other levels of the same kind, not of other training runs.
A gap of returns would take unseen levels that happen to be harder for a lack of generalisation; V* takes that out.

Source: Cobbe, Klimov, Hesse, Kim and Schulman (2019), "Quantifying generalization in reinforcement learning", ICML, for
training on some levels and testing on others; `rltk.evaluation.statistics` for the bootstrap.
"""

from typing import Any

import numpy as np

from rltk.errors import ArgumentError, ModelError, RltkError, SizeError
from rltk.evaluation.exact import comparison
from rltk.evaluation.grading import Subject, asked_criterion, grade, subject_of
from rltk.evaluation.levels import (
    Levels,
    begin_level,
    checked_levels,
    knows_plans,
    name_of,
    optimum_by_plan,
    own_copy,
)
from rltk.evaluation.levels_result import FIGURES, LevelsEvaluation
from rltk.evaluation.paid import reward_model_of
from rltk.evaluation.result import Evaluation
from rltk.evaluation.sampled import Begun, sampled_figures
from rltk.evaluation.statistics import Estimate, Strata, bootstrap_interval
from rltk.mdp import MDP, Criterion
from rltk.runs import ProgressBar, Streams

_GAPS = ("suboptimality", "normalised_suboptimality", "success_probability")


def evaluate_levels(
    agent: Any,
    env: Any,
    criterion: Criterion | float | None,
    deterministic: bool,
    levels: Any,
    unseen: Any,
    episodes: int,
    seed: int,
    progress_bar: bool,
) -> LevelsEvaluation:
    """`rltk.evaluate` on levels; see there."""
    trained_on = checked_levels("levels", levels)
    others = None if unseen is None else checked_levels("unseen", unseen)
    if others is not None:
        _refuse_shared(trained_on, others)
    count = len(trained_on) + (0 if others is None else len(others))
    asked = asked_criterion(agent, env, criterion)
    bar = ProgressBar(count, "evaluation", "levels") if progress_bar else None
    grader = _Grader(agent, own_copy(env), asked, deterministic, max(1, episodes // count), seed, bar)
    try:
        own = grader.grade_all(trained_on)
        new = None if others is None else grader.grade_all(others)
    finally:
        if bar is not None:
            bar.close()
    if new is None:
        return LevelsEvaluation(**own)
    result = LevelsEvaluation(**new)
    gaps = {name: _gap(own[name], new[name], seed) for name in _GAPS}
    return LevelsEvaluation(**own, unseen=result, gaps={name: gap for name, gap in gaps.items() if gap is not None})


class _Grader:
    """Grades one agent on level after level, in an environment of its own."""

    def __init__(
        self, agent: Any, env: Any, criterion: Criterion, deterministic: bool, episodes: int, seed: int, bar: Any
    ) -> None:
        self.agent, self.env, self.criterion, self.deterministic = agent, env, criterion, deterministic
        self.episodes, self.seed, self.bar = episodes, seed, bar
        self.done = 0
        self.last: MDP | None = None
        self.repeats = 0  # levels whose model is that of the one before

    def grade_all(self, levels: Levels) -> dict[str, Any]:
        """The fields of a LevelsEvaluation."""
        n = len(levels)
        figures = {name: np.full(n, np.nan) for name in FIGURES}
        exact, reasons = np.ones(n, dtype=bool), []
        for i in range(n):
            try:
                found = self.grade(levels, i)
            except RltkError as error:
                raise type(error)(f"{name_of(levels, i)}: {error}") from error
            for name in FIGURES:
                figure = getattr(found, name)
                figures[name][i] = np.nan if figure is None else figure
            exact[i] = found.exact
            if not found.exact:
                reasons.append(f"{name_of(levels, i)}: {found.reason}")
            self.done += 1
            if self.bar is not None:
                self.bar.update(self.done)
        if self.done > 1 and self.repeats == self.done - 1:
            raise ArgumentError(
                f"{type(self.env.unwrapped).__name__} is the same level whatever it is reset with; evaluate it without "
                "levels="
            )
        reason = reasons[0] if reasons else "the environment's own model"
        episodes = self.episodes if reasons else None
        return dict(criterion=self.criterion, levels=levels, exact=exact, reason=reason, episodes=episodes, **figures)

    def grade(self, levels: Levels, i: int) -> Evaluation:
        """On one level."""
        begin_level(self.env, levels[i])
        try:
            subject = subject_of(self.agent, self.env, self.criterion, None)
        except SizeError as error:  # its states are too many: played instead
            facts = {"criterion": self.criterion, "time_limit": None, "reward_model": reward_model_of(self.env)}
            subject = Subject(self.criterion, None, str(error), facts)
        self.repeats += subject.mdp is not None and subject.mdp is self.last
        self.last = subject.mdp

        def begin(episode: int) -> Begun:
            begun = begin_level(self.env, levels[i])
            # The level's own draws would be the same in every episode.
            name = f"{name_of(levels, i)}, episode {episode}"
            self.env.unwrapped.np_random = Streams(self.seed).generator(name)
            return begun

        def sample(asked: Criterion) -> tuple[dict[str, Any], str]:
            sampling = self.agent, self.env, asked, self.deterministic, self.episodes, self.seed
            figures, remark = sampled_figures(*sampling, begin)
            begin_level(self.env, levels[i])
            return figures | self._beside(subject.mdp, figures["value"]), remark

        return grade(self.agent, self.env, subject, self.deterministic, sample)

    def _beside(self, mdp: MDP | None, value: float) -> dict[str, Any]:
        """The optimum of the level that was begun, and what else follows for a sampled `value`."""
        figures: dict[str, Any] = {}
        if knows_plans(self.env):
            try:
                optimum, pays, _ = optimum_by_plan(self.env, self.criterion)
                figures = {"optimum": optimum, "suboptimality": optimum - value, "paid_optimum": pays}
            except (ModelError, SizeError):
                pass
        return figures if mdp is None else figures | comparison(mdp, self.criterion, value)


def _gap(own: np.ndarray, new: np.ndarray, seed: int) -> Estimate | None:
    """Mean of `new` less that of `own` where they are known, with its interval; None where one of them is unknown."""
    own, new = own[~np.isnan(own)], new[~np.isnan(new)]
    if not own.size or not new.size:
        return None
    with np.errstate(invalid="ignore"):
        value = float(new.mean() - own.mean())
    if min(own.size, new.size) < 2 or not np.isfinite(value):
        return Estimate(value, np.nan, np.nan)

    def difference(strata: Strata) -> np.ndarray:
        return strata.values[1].mean(axis=-1) - strata.values[0].mean(axis=-1)

    return Estimate(value, *bootstrap_interval({"levels": own, "unseen": new}, difference, seed=seed))


def _refuse_shared(levels: Levels, unseen: Levels) -> None:
    try:
        known = set(levels)
        shared = [one for one in unseen if one in known]
    except TypeError:  # layouts that can't be compared
        return
    if shared:
        raise ArgumentError(
            f"unseen: {len(shared):,} of them stand in levels as well, such as {shared[0]!s:.40}; give levels that the "
            "agent was not trained on"
        )
