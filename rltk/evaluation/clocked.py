"""Exact evaluation of a policy that knows how many steps are left: a chain for each of them.

    v_k = r_k + gamma P_k v_(k-1),    v_0 = 0,    k = 1, ..., n        r_k, P_k of what is done with k steps to go

Once the n steps are over it goes on as with one step to go; the success probability and the length are counted to the
end of the episode, as for every policy.

Source: Puterman (1994), section 4.2.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain as joined
from itertools import repeat
from typing import Any

import numpy as np

from rltk.agents.planning import FiniteHorizonSolution
from rltk.errors import ModelError
from rltk.evaluation.exact import LIMITED_WORK, comparison, limited_optimum
from rltk.mdp import MDP, Chain, Criterion


def clocked_figures(
    mdp: MDP,
    agent: FiniteHorizonSolution,
    criterion: Criterion,
    time_limit: int | None,
    solution: Any = None,
) -> dict[str, Any]:
    """The figures of an Evaluation for an `agent` under its own criterion; ModelError, saying why, for any other."""
    if criterion != agent.criterion:
        raise ModelError(f"an agent that counts the steps of [{agent.criterion}] is graded exactly under that alone")
    n, gamma = agent.horizon, criterion.gamma
    if float(n) * mdp.form.n_outcomes > LIMITED_WORK:
        raise ModelError(f"a policy of {n:,} steps in {mdp.n_states:,} states is too large to be graded exactly")
    limit = n if time_limit is None else min(time_limit, n)
    value, limited = np.zeros(mdp.n_states), np.zeros(mdp.n_states)
    for k, chain in _chains(mdp.chain, agent, range(1, n + 1)):
        value = chain.reward + gamma * (chain.P @ value)
        if k > n - limit:
            limited = chain.reward + gamma * (chain.P @ limited)
        if k == 1:
            length, success = chain.length(), chain.success_probability()
        else:
            length = 1.0 + chain.P @ length
            if success is not None and chain.success is not None:
                success = np.clip(chain.success + chain.unsuccessful @ success, 0.0, 1.0)
    visits, here = np.zeros(mdp.n_states), mdp.start
    for _, chain in _chains(mdp.chain, agent, range(n, 0, -1)):
        visits, here = visits + here, gamma * (chain.P.T @ here)
    figures = {
        "value": mdp.over_start(value),
        "state_value": value,
        "policy": mdp.policy_probabilities(agent.policy),
        "success_probability": None if success is None else mdp.over_start(success),
        "expected_length": mdp.over_start(length),
        "occupancy": visits,
        **comparison(mdp, criterion, mdp.over_start(value), solution),
    }
    if time_limit is not None:
        figures["limited_value"] = mdp.over_start(limited)
        figures["limited_optimum"] = mdp.over_start(limited_optimum(mdp, gamma, limit))
    return figures


def chains_by_the_clock(chain_of: Callable[[Any], Chain], agent: FiniteHorizonSolution) -> Iterator[Chain]:
    """The chains, by `chain_of(policy)`, of what is done on step 1, 2, ..., without end."""
    steps_to_go = joined(range(agent.horizon, 0, -1), repeat(1))
    return (chain for _, chain in _chains(chain_of, agent, steps_to_go))


def _chains(
    chain_of: Callable[[Any], Chain], agent: FiniteHorizonSolution, steps_to_go: Iterable[int]
) -> Iterator[tuple[int, Chain]]:
    """(k, the chain of what is done with k steps to go); stages that are shared share theirs."""
    stage, chain = -1, None
    for k in steps_to_go:
        if chain is None or min(k, len(agent.stages)) != stage:
            stage = min(k, len(agent.stages))
            chain = chain_of(agent.stages[stage - 1])
        yield k, chain
