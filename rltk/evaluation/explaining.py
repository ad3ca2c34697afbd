"""`rltk.explain`: where an agent loses what it lacks, split over states and actions without remainder.

The performance-difference lemma: for a policy pi, with d(s) the expected discounted visits to s from the start,

    J* - J^pi = sum_s d(s) sum_a pi(a | s) [ V*(s) - Q*(s, a) ]

Each part is a state's visits times what its action gives away each time; none is negative. The sum holds whatever V is,
Q being one look ahead from it, so what V* lacks of the exact optimum moves parts a little and the sum not at all beyond
the suboptimality that `evaluate` reports.

- With a horizon of n steps it holds step by step: V*_k(s) - Q*_k(s, a) with k steps to go, k = n, ..., 1.
- With the average reward d is the share of time, V* the bias and Q* = r - gain + P bias: the parts are of the gain.
- At gamma = 1 an agent may be caught where it never ends. There each step gives away nothing, as ever so many more
  can still make good for it, and visits are infinite. What is lost is lost by coming in:

      (expected entries at s) * [ V*(s) - V^pi(s) ]      for s in a class of states that the agent never leaves.

Source: Kakade and Langford (2002), "Approximately optimal approximate reinforcement learning", lemma 6.1; with a
horizon, Kakade (2003), On the Sample Complexity of Reinforcement Learning, section 5.2.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rltk.agents.planning import FiniteHorizonSolution, Solution
from rltk.errors import CriterionError, ModelError
from rltk.evaluation.exact import AnswerKey, answer_key
from rltk.evaluation.explanation import Explanation
from rltk.evaluation.grading import grade_exactly, subject_of
from rltk.evaluation.result import Evaluation
from rltk.mdp import MDP, Criterion
from rltk.mdp.model import first_best
from rltk.mdp.validation import refuse_size


class Split(NamedTuple):
    """A suboptimality in parts."""

    loss: np.ndarray  # (S, A) float64
    visits: np.ndarray  # (S,) float64
    advantage: np.ndarray  # (S,) float64, at most 0
    best: np.ndarray  # (S,) int: the action to take instead


def explain(
    agent: Any,
    env: Any,
    criterion: Criterion | float | None = None,
    deterministic: bool = True,
    *,
    solution: Solution | None = None,
) -> Explanation:
    """Split the suboptimality of `agent` on `env` over states, exactly; the arguments are those of `evaluate`.

    Works for all that `evaluate` grades exactly. Raises ModelError, saying why, where there is no exact model or the
    agent does not offer its action probabilities, CriterionError where return or optimum are no numbers that could be
    split, and what `evaluate` raises.
    """
    subject = subject_of(agent, env, criterion, solution)
    mdp, criterion = subject.mdp, subject.criterion
    if mdp is None:
        raise ModelError(f"{subject.reason}; only where T and R are known can a loss be split. `evaluate` samples")
    try:
        evaluation = grade_exactly(agent, env, subject, deterministic, solution)
    except ModelError as error:
        raise ModelError(f"{error}; only what is graded exactly can be split. `evaluate` samples") from None
    assert evaluation.optimum is not None
    if np.isnan(evaluation.value) or not np.isfinite(evaluation.optimum):
        raise CriterionError(
            f"under [{criterion}] the agent's return is {evaluation.value:g}, the optimum {evaluation.optimum:g}: "
            "their difference can't be split. Ask for gamma < 1"
        )
    key = answer_key(mdp, criterion, solution)
    with np.errstate(invalid="ignore"):
        if isinstance(agent, FiniteHorizonSolution):
            stages = list(agent.stages)
            split = _over_horizon(mdp, criterion, lambda k: stages[min(k, len(stages)) - 1])
        elif criterion.horizon is not None:
            split = _over_horizon(mdp, criterion, lambda k: evaluation.policy)
        else:
            split = _for_ever(mdp, criterion, evaluation, key)
        width = (key.upper - key.lower)[np.isfinite(key.upper - key.lower)]
    unknown = np.flatnonzero(np.isnan(split.loss).any(axis=1))
    if unknown.size:
        raise CriterionError(
            f"under [{criterion}] the optimum of state {unknown[0]}, where the agent comes, or of one that follows it, "
            "is not known: what is lost there can't be said. Ask for gamma < 1"
        )
    return Explanation(
        evaluation=evaluation,
        loss=split.loss.sum(axis=1),
        visits=split.visits,
        advantage=split.advantage,
        action_loss=split.loss,
        best_action=split.best,
        error=(1 + criterion.gamma) * float(width.max(initial=0.0)),
        mdp=mdp,
        layout=getattr(env.unwrapped, "layout", None),
    )


def _for_ever(mdp: MDP, criterion: Criterion, evaluation: Evaluation, key: AnswerKey) -> Split:
    """Without a horizon: one policy, one V*."""
    policy, visits = evaluation.policy, evaluation.occupancy
    assert policy is not None
    assert visits is not None
    assert key.policy is not None
    if criterion.kind == "average":
        assert key.bias is not None
        gap = (key.bias + key.optimum)[:, None] - mdp.q(key.bias, 1.0)
    else:
        gap = key.optimum[:, None] - mdp.q(key.optimum, criterion.gamma)
    gap[key.optimum == -np.inf] = 0.0  # nothing is left to lose
    taken = np.where(policy > 0, policy * np.where(policy > 0, gap, 0.0), 0.0)  # (S, A) given away at a visit
    loss = np.where(visits[:, None] > 0, visits[:, None] * taken, 0.0)
    if criterion.kind == "total":
        caught, entries = _entries(mdp, policy, visits)
        forgone = np.where(entries > 0, entries * (key.optimum - evaluation.state_value), 0.0)
        forgone[key.optimum == -np.inf] = 0.0
        loss[caught] = np.where(policy > 0, policy * forgone[:, None], 0.0)[caught]
    return Split(loss, visits, -taken.sum(axis=1), key.policy)


def _entries(mdp: MDP, policy: np.ndarray, visits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which states (S,) bool the agent never leaves together, and the expected entries (S,) into them from outside."""
    chain = mdp.chain(policy)
    caught = chain.classes >= 0
    entries = mdp.start + chain.P.T @ np.where(caught, 0.0, visits)
    return caught, np.where(caught, entries, 0.0)


def _over_horizon(mdp: MDP, criterion: Criterion, policy_with: Callable[[int], Any]) -> Split:
    """With a horizon: `policy_with(k)`, (S,) actions or (S, A) probabilities, acts with k steps to go."""
    assert criterion.horizon is not None
    n, gamma = criterion.horizon, criterion.gamma
    optima = _optima(mdp, gamma, n)
    loss, worth = np.zeros((mdp.n_states, mdp.n_actions)), np.zeros((mdp.n_states, mdp.n_actions))
    visits, here = np.zeros(mdp.n_states), np.array(mdp.start)
    acting: Any = None
    for k in range(n, 0, -1):
        if policy_with(k) is not acting:
            acting = policy_with(k)
            policy = mdp.policy_probabilities(acting)
            P = mdp.chain(policy).P
        now, later = (optima[min(j, len(optima) - 1)] for j in (k, k - 1))
        q = mdp.q(later, gamma)
        there = here > 0
        loss[there] += here[there, None] * np.where(policy > 0, policy * (now[:, None] - q), 0.0)[there]
        worth[there] += here[there, None] * q[there]
        visits += here
        here = gamma * (P.T @ here)
        if not here.any():
            break
    advantage = np.where(visits > 0, -loss.sum(axis=1) / np.maximum(visits, np.finfo(float).tiny), 0.0)
    return Split(loss, visits, advantage, first_best(np.where(mdp.available, worth, -np.inf)))


def _optima(mdp: MDP, gamma: float, n: int) -> list[np.ndarray]:
    """V*_0, V*_1, ... up to V*_n, or to the first that further steps leave as it is."""
    optima = [np.zeros(mdp.n_states)]
    while len(optima) <= n:
        optima.append(mdp.backup(optima[-1], gamma))
        if (optima[-1] == optima[-2]).all():
            break
        refuse_size(
            f"the values of {len(optima):,} of {n:,} steps in {mdp.n_states:,} states",
            8.0 * len(optima) * mdp.n_states,
            "Ask for a shorter horizon",
        )
    return optima
