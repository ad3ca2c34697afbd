"""`rltk.evaluate`: how good an agent is, on an environment as it stands or on many of its levels."""

from collections.abc import Iterable
from typing import Any, overload

from rltk.agents.planning import Solution
from rltk.errors import ArgumentError
from rltk.evaluation.generalisation import evaluate_levels
from rltk.evaluation.grading import evaluate_one
from rltk.evaluation.levels_result import LevelsEvaluation
from rltk.evaluation.result import Evaluation
from rltk.mdp import Criterion


@overload
def evaluate(
    agent: Any,
    env: Any,
    criterion: Criterion | float | None = None,
    deterministic: bool = True,
    *,
    solution: Solution | None = None,
    episodes: int = 200,
    seed: int = 0,
    levels: None = None,
    unseen: None = None,
    progress_bar: bool = False,
) -> Evaluation: ...


@overload
def evaluate(
    agent: Any,
    env: Any,
    criterion: Criterion | float | None = None,
    deterministic: bool = True,
    *,
    solution: None = None,
    episodes: int = 200,
    seed: int = 0,
    levels: int | Iterable[Any],
    unseen: int | Iterable[Any] | None = None,
    progress_bar: bool = False,
) -> LevelsEvaluation: ...


def evaluate(
    agent: Any,
    env: Any,
    criterion: Criterion | float | None = None,
    deterministic: bool = True,
    *,
    solution: Solution | None = None,
    episodes: int = 200,
    seed: int = 0,
    levels: int | Iterable[Any] | None = None,
    unseen: int | Iterable[Any] | None = None,
    progress_bar: bool = False,
) -> Evaluation | LevelsEvaluation:
    """Grade `agent` on `env` under `criterion` (a Criterion or a gamma; by default the agent's own).

    Where the environment's MDP is known and the agent offers its action probabilities (rltk's agents do, and
    Stable-Baselines3's models are read), the figures are exact. Elsewhere `episodes` episodes are sampled from `seed`
    on, `interval` is a 95% bootstrap interval, and `reason` says why. Under the average criterion, the mean reward a
    step with episodes following each other, figures are exact or refused. deterministic: the greedy policy; False: the
    behaviour policy. solution: an answer key at hand, under the same criterion; without it one is computed and kept.

    levels: of a procedural environment: so many, or a list of their seeds or of layouts. The agent is graded on each,
    `env` stays as it is, and the result is a LevelsEvaluation. unseen: levels that the agent was not trained on, as
    `levels` says on which it was; the generalisation gap lies between them. `episodes` are shared among levels that can
    only be sampled, at least one each. progress_bar: show how many levels are done.

        rltk.evaluate(agent, env, levels=range(100), unseen=range(100, 200))

    Raises CriterionError where no criterion is known, where two differ, and where an average does not exist,
    ArgumentError for anything that is no agent, and for levels that are none.
    """
    if not isinstance(episodes, int) or episodes < 2:
        raise ArgumentError(f"episodes is a whole number, at least 2; it is {episodes!r}")
    if levels is None:
        if unseen is not None:
            raise ArgumentError("unseen: the gap lies between them and the levels trained on; give levels= as well")
        return evaluate_one(agent, env, criterion, deterministic, solution, episodes, seed)
    if solution is not None:
        raise ArgumentError("solution: each level has its own answer key; leave it out where levels= is given")
    return evaluate_levels(agent, env, criterion, deterministic, levels, unseen, episodes, seed, progress_bar)
