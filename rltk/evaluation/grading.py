"""`rltk.evaluate`: how good an agent is on an environment, exactly wherever that can be known."""

from itertools import repeat
from typing import Any, NamedTuple

import gymnasium as gym

from rltk.agents.planning import FiniteHorizonSolution, SoftSolution, Solution
from rltk.errors import ArgumentError, CriterionError, ModelError
from rltk.evaluation.clocked import chains_by_the_clock, clocked_figures
from rltk.evaluation.exact import comparison, exact_figures
from rltk.evaluation.paid import paid_by_the_clock
from rltk.evaluation.policies import criterion_of, policy_of
from rltk.evaluation.result import Evaluation
from rltk.evaluation.sampled import sampled_figures
from rltk.mdp import MDP, Criterion, model_of, require_same


def evaluate(
    agent: Any,
    env: Any,
    criterion: Criterion | float | None = None,
    deterministic: bool = True,
    *,
    solution: Solution | None = None,
    episodes: int = 200,
    seed: int = 0,
) -> Evaluation:
    """Grade `agent` on `env` under `criterion` (a Criterion or a gamma; by default the agent's own).

    Where the environment's MDP is known and the agent offers its action probabilities (rltk's agents do, and
    Stable-Baselines3's models are read), the figures are exact. Elsewhere `episodes` episodes are sampled from `seed`
    on, `interval` is a 95% bootstrap interval, and `reason` says why. Under the average criterion, the mean reward a
    step with episodes following each other, figures are exact or refused. deterministic: the greedy policy; False: the
    behaviour policy. solution: an answer key at hand, under the same criterion; without it one is computed and kept.

    Raises CriterionError where no criterion is known, where two differ, and where an average does not exist,
    ArgumentError for anything that is no agent.
    """
    if not isinstance(episodes, int) or episodes < 2:
        raise ArgumentError(f"episodes is a whole number, at least 2; it is {episodes!r}")
    subject = subject_of(agent, env, criterion, solution)
    reason, asked = subject.reason, subject.criterion
    if subject.mdp is not None:
        try:
            return grade_exactly(agent, env, subject, deterministic, solution)
        except ModelError as error:
            reason = str(error)
    if asked.kind == "average":
        raise CriterionError(f"the average criterion is graded exactly or not at all, and {reason}; ask for gamma < 1")
    figures, remark = sampled_figures(agent, env, asked, deterministic, episodes, seed)
    if subject.mdp is not None:
        figures |= comparison(subject.mdp, asked, figures["value"], solution)
    reason = f"{reason}; {remark}" if remark else reason
    return Evaluation(exact=False, reason=reason, **figures, **subject.facts)


class Subject(NamedTuple):
    """What is to be graded: the criterion, and the MDP of the environment or the reason why there is none."""

    criterion: Criterion
    mdp: MDP | None
    reason: str
    facts: dict[str, Any]  # what every Evaluation of it says


def subject_of(agent: Any, env: Any, criterion: Criterion | float | None, solution: Solution | None) -> Subject:
    """Check that these can be graded together; raises as `evaluate` does."""
    if not callable(getattr(agent, "predict", None)):
        raise ArgumentError(f"an agent has predict(observation, ...); {type(agent).__name__} has not")
    if not isinstance(env, gym.Env | gym.vector.VectorEnv):
        raise ArgumentError(f"evaluate takes a Gymnasium environment, not {type(env).__name__}; make one with gym.make")
    criterion = _criterion(agent, criterion)
    mdp, time_limit, reason = model_of(env)
    if isinstance(solution, SoftSolution):
        raise CriterionError("the solution's values hold entropy beside reward; give one of rltk.solve without it")
    if solution is not None:
        require_same(solution.criterion, criterion, ("the solution", "the evaluation"))
        if mdp is None or not mdp.equals(solution.mdp):
            raise ArgumentError("the solution is of another MDP than this environment's; solve this one")
    if isinstance(agent, Solution) and mdp is not None and not mdp.equals(agent.mdp):
        raise ArgumentError("the agent is a Solution of another MDP than this environment's; solve this one")
    facts: dict[str, Any] = {"criterion": criterion, "time_limit": time_limit}
    if mdp is not None:
        facts["reward_model"] = getattr(env.unwrapped, "metadata", {}).get("reward_model", "exact")
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


def _criterion(agent: Any, asked: Criterion | float | None) -> Criterion:
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
