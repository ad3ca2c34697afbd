"""Every state of a set of levels, every action in it, every outcome, and V* and Q* of all: data without a gap."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.agents.planning import solve
from rltk.encoders import Plain
from rltk.errors import ArgumentError, ModelError, RltkError
from rltk.evaluation.levels import Levels, begin_level, checked_levels, name_of, own_copy
from rltk.evaluation.policies import observations_of
from rltk.experiments.data.transitions import Transitions
from rltk.mdp import MDP, Criterion, bisimulation_metric, model_of, union
from rltk.runs import ProgressBar


def every_transition(
    env: Any,
    levels: int | Iterable[Any] | None = None,
    *,
    gamma: float = 0.99,
    distances: bool = False,
    progress_bar: bool = False,
) -> Transitions:
    """All transitions of `levels` of `env`, an id or an environment: so many, their seeds, or layouts. None: of the
    one that it is in, for environments without levels.

    Targets: "value" (M,), V* at `gamma`; "q" (M, A), Q*, -inf where an action is not available; "state" (M,). Outcomes
    are drawn in proportion to their probability, states and actions evenly. An outcome that ends the episode leads to
    the state that the model says. distances: whether to compute the exact bisimulation metric between all states of all
    levels, at `gamma`; for some thousand states at most.

    Raises ModelError where the environment does not know its T and R, SizeError where a level has too many states.
    """
    made = gym.make(env) if isinstance(env, str) else env
    if not isinstance(made, gym.Env):
        raise ArgumentError(f"env: an id or a single Gymnasium environment; found {type(env).__name__}")
    criterion = Criterion(gamma)
    if levels is None:
        return _with_distances([_of_level(made, criterion)], gamma, distances)
    wanted, own = checked_levels("levels", levels), own_copy(made)
    bar = ProgressBar(len(wanted), "every transition", "levels") if progress_bar else None
    parts: list[tuple[Transitions, MDP]] = []
    try:
        for i in range(len(wanted)):
            parts.append(_begun(own, wanted, i, criterion))
            if bar is not None:
                bar.update(i + 1)
    finally:
        if bar is not None:
            bar.close()
    return _with_distances(parts, gamma, distances)


def _with_distances(parts: list[tuple[Transitions, MDP]], gamma: float, wanted: bool) -> Transitions:
    data = Transitions.joined([part for part, _ in parts])
    if not wanted:
        return data
    mdp, _ = union([mdp for _, mdp in parts])
    return replace(data, distance=bisimulation_metric(mdp, gamma).astype(np.float32))


def _begun(env: Any, levels: Levels, i: int, criterion: Criterion) -> tuple[Transitions, MDP]:
    try:
        begin_level(env, levels[i])
        return _of_level(env, criterion)
    except RltkError as error:
        raise type(error)(f"{name_of(levels, i)}: {error}") from None


def _of_level(env: Any, criterion: Criterion) -> tuple[Transitions, MDP]:
    mdp, _, reason = model_of(env)
    if mdp is None:
        raise ModelError(f"env: {reason}; record episodes instead: recorded(agent, env, steps)")
    plain, states = Plain(env.observation_space), np.arange(mdp.n_states)
    solution = solve(mdp, criterion=criterion)
    origin, action, reward, reached, terminated, weight = _outcomes(mdp)
    data = Transitions(
        observation_space=plain.space,
        observations=plain.many(observations_of(env, states), len(states)),
        level=np.zeros(len(states), np.int64),
        origin=origin,
        action=action,
        reward=reward,
        next=reached,
        terminated=terminated,
        n_actions=mdp.n_actions,
        weight=weight,
        targets={
            "value": solution.value.astype(np.float32),
            "q": solution.q.astype(np.float32),
            "state": states.astype(np.int64),
        },
    )
    return data, mdp


def _outcomes(mdp: MDP) -> tuple[np.ndarray, ...]:
    """(state, action, reward, next state, terminated, probability) of every outcome."""
    rows = mdp.rows
    counts = np.diff(rows.row_start)
    row = np.repeat(np.arange(len(counts)), counts)
    return (
        row // mdp.n_actions,
        row % mdp.n_actions,
        rows.reward.astype(np.float32),
        rows.next_state.astype(np.int64),
        rows.terminated.astype(bool),
        rows.probability.astype(np.float64),
    )
