"""Exact evaluation: a policy's return, its optimum, and what lies between, from T and R.

    v = r_pi + gamma P_pi v,      suboptimality = sum_s start(s) [ V*(s) - v(s) ]

A finite horizon or a time limit of n steps is n backups instead: v_k = r_pi + gamma P_pi v_(k-1), v_0 = 0. Under the
average criterion a policy is worth its mean reward a step in the long run (`rltk.mdp.renewal`).

Source: Puterman (1994), sections 4.2, 6.1 and 8.2.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from rltk.agents.planning import Solution, solve
from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.finite_horizon import Induced, induce
from rltk.mdp import MDP, Chain, Criterion
from rltk.mdp.renewal import long_run

# Backups times outcomes beyond which the second, time-limited figure is left out.
LIMITED_WORK = 3e9


@dataclass(frozen=True, eq=False)
class AnswerKey:
    """What an MDP's evaluations share under one criterion: the optimum and the uniform policy's value, (S,) each.

    `policy` (S,) is an optimal one, None where it depends on the steps left; `bias` (S,) is there under the average
    criterion alone.
    """

    optimum: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    uniform: np.ndarray
    policy: np.ndarray | None
    bias: np.ndarray | None


_keys: WeakKeyDictionary[MDP, dict[Any, Any]] = WeakKeyDictionary()


def answer_key(mdp: MDP, criterion: Criterion, solution: Solution | None = None) -> AnswerKey:
    """The answer key, remembered for as long as the MDP lives: an MDP is frozen. A `solution` that was brought along
    is used and not remembered: it may be a rough one."""
    known = _keys.setdefault(mdp, {})
    if ("uniform", criterion) not in known:
        known["uniform", criterion] = policy_value(mdp.chain(mdp.uniform_policy()), criterion, mdp.start)
    uniform = known["uniform", criterion]
    if solution is not None:
        return _key(solution, solution.value, uniform)
    if criterion not in known:
        if criterion.horizon is not None:
            limited = _limited(mdp, criterion.gamma, criterion.horizon)
            known[criterion] = AnswerKey(limited.value, *limited.bounds(mdp), uniform, None, None)
        else:
            solution = solve(mdp, criterion=criterion, tolerance=1e-7)
            optimum, lower, upper = solution.value, solution.lower, solution.upper
            if criterion.kind == "discounted":
                # The bounds are 1e-7 apart; the policy found is optimal but for ties as close, and its value is exact.
                optimum = np.clip(mdp.chain(solution.policy).value(criterion.gamma), lower, upper)
            known[criterion] = _key(solution, optimum, uniform)
    return known[criterion]


def _key(solution: Solution, optimum: np.ndarray, uniform: np.ndarray) -> AnswerKey:
    policy = None if solution.criterion.horizon is not None else solution.policy
    return AnswerKey(optimum, solution.lower, solution.upper, uniform, policy, getattr(solution, "bias", None))


def policy_value(chain: Chain, criterion: Criterion, start: np.ndarray) -> np.ndarray:
    """(S,) the value of the policy whose chain this is, under the average criterion from `start` (S,) on."""
    if criterion.kind == "average":
        return long_run(chain, start).gain
    if criterion.horizon is None:
        return chain.value(criterion.gamma)
    return limited_value(chain, criterion.gamma, criterion.horizon)


def limited_value(chain: Chain, gamma: float, steps: int) -> np.ndarray:
    """(S,) the (discounted) return of the first `steps` steps."""
    value = np.zeros(chain.n_states)
    for _ in range(steps):
        longer = chain.reward + gamma * (chain.P @ value)
        if (longer == value).all():
            break
        value = longer
    return value


def policy_occupancy(chain: Chain, start: np.ndarray, criterion: Criterion) -> np.ndarray:
    """(S,) the expected (discounted) visits to each state from `start` (S,), within the horizon where there is one;
    under the average criterion the share of time in each."""
    if criterion.kind == "average":
        return long_run(chain, start).occupancy
    if criterion.horizon is None:
        return chain.occupancy(start, criterion.gamma)
    visits, here = np.zeros(chain.n_states), start
    for _ in range(criterion.horizon):
        if not here.any():
            break
        visits = visits + here
        here = criterion.gamma * (chain.P.T @ here)
    return visits


def limited_optimum(mdp: MDP, gamma: float, steps: int) -> np.ndarray:
    """(S,) the best return of `steps` steps, for a policy that knows how many are left."""
    return _limited(mdp, gamma, steps).value


def _limited(mdp: MDP, gamma: float, steps: int) -> Induced:
    known = _keys.setdefault(mdp, {})
    if (gamma, steps) not in known:
        known[gamma, steps] = induce(Certifier(mdp, gamma), steps)
    return known[gamma, steps]


def exact_figures(
    mdp: MDP, policy: np.ndarray, criterion: Criterion, time_limit: int | None, solution: Solution | None = None
) -> dict[str, Any]:
    """The figures of an Evaluation for `policy` (S, A)."""
    chain = mdp.chain(policy)
    state_value = policy_value(chain, criterion, mdp.start)
    value = mdp.over_start(state_value)
    success = chain.success_probability()
    figures = {
        "value": value,
        "state_value": state_value,
        "policy": policy,
        "success_probability": None if success is None else mdp.over_start(success),
        "expected_length": mdp.over_start(chain.length()),
        "occupancy": policy_occupancy(chain, mdp.start, criterion),
        **comparison(mdp, criterion, value, solution),
    }
    if time_limit is not None and criterion.horizon is not None:
        time_limit = min(time_limit, criterion.horizon)
    if criterion.kind == "average":  # in the long run there is no limit
        return figures
    if time_limit is not None and time_limit * (chain.P.nnz + 1) <= LIMITED_WORK:
        figures["limited_value"] = mdp.over_start(limited_value(chain, criterion.gamma, time_limit))
        figures["limited_optimum"] = mdp.over_start(limited_optimum(mdp, criterion.gamma, time_limit))
    return figures


def comparison(mdp: MDP, criterion: Criterion, value: float, solution: Solution | None = None) -> dict[str, Any]:
    """optimum, its bounds, suboptimality and its normalised form, for a return `value` over the start distribution."""
    key = answer_key(mdp, criterion, solution)
    optimum, uniform = mdp.over_start(key.optimum), mdp.over_start(key.uniform)
    low, high = mdp.over_start(key.lower), mdp.over_start(key.upper)
    suboptimality = optimum - value
    if low <= value <= high + 1e-9 * max(1.0, abs(high)):  # within the bounds on the optimum, nothing is proved lost
        suboptimality = max(suboptimality, 0.0)
    span = optimum - uniform
    normalised = suboptimality / span if np.isfinite(span) and span > 1e-9 * max(1.0, abs(optimum)) else np.nan
    return {
        "optimum": optimum,
        "optimum_bounds": (low, high),
        "suboptimality": suboptimality,
        "normalised_suboptimality": normalised,
        "uniform_value": uniform,
    }
