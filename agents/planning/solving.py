"""`rltk.solve`: the answer key of an MDP or an environment in one call."""

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.planning.average_reward import RelativeValueIteration
from rltk.agents.planning.choosing import Attempt, attempts
from rltk.agents.planning.finite_horizon import BackwardInduction
from rltk.agents.planning.gauss_seidel import GaussSeidel
from rltk.agents.planning.inexact_policy_iteration import InexactPolicyIteration
from rltk.agents.planning.linear_programming import LinearProgramming
from rltk.agents.planning.modified_policy_iteration import ModifiedPolicyIteration
from rltk.agents.planning.planner import Planner, Report, checked_criterion, onward
from rltk.agents.planning.policy_iteration import PolicyIteration
from rltk.agents.planning.prioritised_sweeping import PrioritisedSweeping
from rltk.agents.planning.soft import SoftValueIteration
from rltk.agents.planning.solution import Solution
from rltk.agents.planning.topological import TopologicalValueIteration
from rltk.agents.planning.value_iteration import ValueIteration
from rltk.errors import ArgumentError, CriterionError, SizeError, UnknownNameError
from rltk.mdp import MDP, Criterion
from rltk.mdp.threads import checked_threads

PLANNERS: dict[str, type[Planner]] = {
    "value-iteration": ValueIteration,
    "policy-iteration": PolicyIteration,
    "gauss-seidel": GaussSeidel,
    "topological-value-iteration": TopologicalValueIteration,
    "prioritised-sweeping": PrioritisedSweeping,
    "modified-policy-iteration": ModifiedPolicyIteration,
    "inexact-policy-iteration": InexactPolicyIteration,
    "linear-programming": LinearProgramming,
    "backward-induction": BackwardInduction,
    "relative-value-iteration": RelativeValueIteration,
    "soft-value-iteration": SoftValueIteration,
}


def solve(
    env_or_mdp: Any,
    gamma: float | None = None,
    *,
    criterion: Criterion | None = None,
    tolerance: float = 1e-6,
    method: str | Planner = "auto",
    warm_start: Solution | np.ndarray | None = None,
    report: Report | None = None,
    threads: int | None = None,
) -> Solution:
    """The optimum of an MDP, or of an environment whose exact MDP is known, between certified bounds.

    gamma (or a whole `criterion`): what is optimal; gamma defaults to 0.99. tolerance: the largest (upper - lower) / 2
    of any state. method: "auto", the name of a planner, or a planner. warm_start: the solution of a similar MDP.
    threads: how many cores planners may use whose sweeps can be shared (None: all, where the problem is large).

    Raises ModelError where an environment has no exact MDP, saying why, and UnknownNameError for an unknown method.
    """
    if isinstance(method, Planner):
        asked = method.criterion if gamma is None and criterion is None else checked_criterion(gamma, criterion)
        if asked != method.criterion:
            raise CriterionError(
                f"the planner solves [{method.criterion}], but [{asked}] was asked for; drop one of them"
            )
        if threads is not None:
            raise ArgumentError(f"a planner has its own threads: {type(method).__name__}(..., threads={threads!r})")
        return method.solve(_mdp(env_or_mdp), report, warm_start=warm_start)
    threads = checked_threads(threads)
    if not isinstance(method, str) or (method != "auto" and method not in PLANNERS):
        raise UnknownNameError(f"no planner is called {method!r}; there are auto, {', '.join(PLANNERS)}")
    mdp, asked = _mdp(env_or_mdp), checked_criterion(gamma, criterion)
    turns = attempts(mdp, asked) if method == "auto" else [Attempt(method)]
    return _in_turn(mdp, [_planner(turn, asked, tolerance, threads) for turn in turns], report, warm_start)


def _planner(turn: Attempt, criterion: Criterion, tolerance: float, threads: int | None) -> Planner:
    planner = PLANNERS[turn.method]
    options: dict[str, Any] = {"criterion": criterion, "tolerance": tolerance}
    if planner.takes_threads:
        options["threads"] = threads
    if turn.budget is not None:
        options["max_sweeps"] = turn.budget
    return planner(**options)


def _in_turn(
    mdp: MDP, planners: list[Planner], report: Report | None, warm_start: Solution | np.ndarray | None
) -> Solution:
    """The first solution that converges, or the last; each planner begins from what the one before it found.

    What is known is not lost: where a later planner would not fit in memory the earlier answer stands, and says so.
    """
    solution = planners[0].solve(mdp, report, warm_start=warm_start)
    for planner in planners[1:]:
        if solution.converged:
            break
        before, told = solution, None if report is None else onward(report, solution.sweeps)
        try:
            solution = planner.solve(mdp, told, warm_start=before)
        except (SizeError, MemoryError) as error:
            return replace(before, note=f"{before.note}\n{planner.name} was to go on, but: {error}".strip())
        solution = replace(
            solution,
            sweeps=before.sweeps + solution.sweeps,
            seconds=before.seconds + solution.seconds,
            method=f"{before.method}, {solution.method}",
        )
    return solution


def _mdp(env_or_mdp: Any) -> MDP:
    if isinstance(env_or_mdp, MDP):
        return env_or_mdp
    if isinstance(env_or_mdp, str):
        raise ArgumentError(f"solve takes an environment or an MDP; make one first: gym.make({env_or_mdp!r})")
    if not isinstance(env_or_mdp, gym.Env | gym.vector.VectorEnv):
        raise ArgumentError(f"solve takes a Gymnasium environment or an rltk MDP, not {type(env_or_mdp).__name__}")
    return MDP.from_env(env_or_mdp)
