"""Grading an agent on one environment as it stands: exactly wherever that can be known, by sampling elsewhere."""

from collections.abc import Callable
from itertools import repeat
from typing import Any, NamedTuple

import gymnasium as gym

from rltk.agents.planning import FiniteHorizonSolution, SoftSolution, Solution
from rltk.errors import ArgumentError, CriterionError, ModelError, SizeError
from rltk.evaluation.clocked import chains_by_the_clock, clocked_figures
from rltk.evaluation.exact import comparison, exact_figures
from rltk.evaluation.paid import paid_by_the_clock, reward_model_of
from rltk.evaluation.policies import criterion_of, policy_of
from rltk.evaluation.result import Evaluation
from rltk.evaluation.sampled import Begun, sampled_figures
from rltk.mdp import MDP, Criterion, model_of, require_same

Sample = Callable[[Criterion], tuple[dict[str, Any], str]]  # figures of an Evaluation, and a remark on them


def evaluate_one(
    agent: Any,
    env: Any,
    criterion: Criterion | float | None,
    deterministic: bool,
    solution: Solution | None,
    episodes: int,
    seed: int,
) -> Evaluation:
    """`rltk.evaluate` without levels: `env` as it stands."""
    subject = subject_of(agent, env, criterion, solution)

    mdp = subject.mdp
    others: list[int] = []  # episodes of other levels

    def begin(episode: int) -> Begun:
        begun = env.reset(seed=seed + episode)
        if mdp is not None and not others and not _still_is(env, mdp):
            others.append(episode)
        return begun

    def sample(asked: Criterion) -> tuple[dict[str, Any], str]:
        figures, remark = sampled_figures(agent, env, asked, deterministic, episodes, seed, begin)
        if mdp is None:
            return figures, remark
        if others:
            return figures, "episodes are of other levels, so no optimum stands beside them: give levels="
        return figures | comparison(mdp, asked, figures["value"], solution), remark

    return grade(agent, env, subject, deterministic, sample, solution)


def _still_is(env: Any, mdp: MDP) -> bool:
    """Whether the level of `env`, which was reset, has the same T and R as before."""
    own = getattr(env.unwrapped, "mdp", None)
    if not callable(own):  # a table
        return True
    try:
        return mdp.equals(own())
    except (ModelError, SizeError):
        return False


class Subject(NamedTuple):
    """What is to be graded: the criterion, and the MDP of the environment or the reason why there is none."""

    criterion: Criterion
    mdp: MDP | None
    reason: str
    facts: dict[str, Any]  # what every Evaluation of it says


def subject_of(agent: Any, env: Any, criterion: Criterion | float | None, solution: Solution | None) -> Subject:
    """Check that these can be graded together; raises as `evaluate` does."""
    criterion = asked_criterion(agent, env, criterion)
    mdp, time_limit, reason = model_of(env)
    if isinstance(solution, SoftSolution):
        raise CriterionError("the solution's values hold entropy beside reward; give one of rltk.solve without it")
    if solution is not None:
        require_same(solution.criterion, criterion, ("the solution", "the evaluation"))
        if mdp is None or not mdp.equals(solution.mdp):
            raise ArgumentError("the solution is of another MDP than this environment's; solve this one")
    if isinstance(agent, Solution) and mdp is not None and not mdp.equals(agent.mdp):
        raise ArgumentError("the agent is a Solution of another MDP than this environment's; solve this one")
    facts = {"criterion": criterion, "time_limit": time_limit, "reward_model": reward_model_of(env)}
    return Subject(criterion, mdp, reason, facts)


def grade_exactly(
    agent: Any, env: Any, subject: Subject, deterministic: bool, solution: Solution | None = None
) -> Evaluation:
    """The exact Evaluation of a subject whose MDP is known; ModelError, saying why, where the agent rules it out."""
    mdp, criterion, facts = subject.mdp, subject.criterion, subject.facts
    assert mdp is not None
    paid, aliased = paid_by_the_clock(env, mdp, facts["time_limit"]), None
    if isinstance(agent, FiniteHorizonSolution):
        figures = clocked_figures(mdp, agent, criterion, facts["time_limit"], solution)
        chains = None if paid is None else chains_by_the_clock(paid.chain, agent)
    else:
        policy, aliased = policy_of(agent, env, mdp, deterministic)
        figures = exact_figures(mdp, policy, criterion, facts["time_limit"], solution)
        chains = None if paid is None else repeat(paid.chain(policy))
    if paid is not None and chains is not None:
        figures |= {"paid_value": paid.value(chains), "paid_optimum": paid.optimum()}
    return Evaluation(exact=True, reason=subject.reason, aliased_states=aliased, **figures, **facts)


def grade(
    agent: Any, env: Any, subject: Subject, deterministic: bool, sample: Sample, solution: Solution | None = None
) -> Evaluation:
    """The Evaluation of a subject, exact, or of what `sample` finds where that can't be; then `reason` says why."""
    reason, asked = subject.reason, subject.criterion
    if subject.mdp is not None:
        try:
            return grade_exactly(agent, env, subject, deterministic, solution)
        except ModelError as error:
            reason = str(error)
    if asked.kind == "average":
        raise CriterionError(f"the average criterion is graded exactly or not at all, and {reason}; ask for gamma < 1")
    figures, remark = sample(asked)
    reason = f"{reason}; {remark}" if remark else reason
    return Evaluation(exact=False, reason=reason, **figures, **subject.facts)


def asked_criterion(agent: Any, env: Any, asked: Criterion | float | None) -> Criterion:
    """What `agent` is to be graded under on `env`: what is asked for, or its own.

    Raises ArgumentError where these are no agent and no environment, CriterionError where no criterion is known.
    """
    if not callable(getattr(agent, "predict", None)):
        raise ArgumentError(f"an agent has predict(observation, ...); {type(agent).__name__} has not")
    if not isinstance(env, gym.Env | gym.vector.VectorEnv):
        raise ArgumentError(f"evaluate takes a Gymnasium environment, not {type(env).__name__}; make one with gym.make")
    if asked is None:
        own = criterion_of(agent)
        if own is None:
            raise CriterionError(f"{type(agent).__name__} has no criterion of its own; give one: criterion=0.99")
        asked = own
    criterion = asked if isinstance(asked, Criterion) else Criterion(asked)
    if criterion.kind == "average" and criterion.horizon is not None:
        raise CriterionError(
            f"[{criterion}]: the average is that of the long run; for so many steps ask for the total, and divide it"
        )
    return criterion
