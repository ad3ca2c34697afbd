"""An MDP from groups of outcomes, each a few columns: what may follow a state and an action, in any order."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rltk.mdp import MDP
from rltk.mdp.rows import Rows


class Outcomes(NamedTuple):
    """n outcomes; each field is an (n,) array, or a number that holds for all of them."""

    state: Any
    action: Any
    next_state: Any
    probability: Any = 1.0
    reward: Any = 0.0
    reward_noise: Any = 0.0  # standard deviation of what is added to the reward


def mdp_from_outcomes(
    n_states: int,
    n_actions: int,
    groups: Sequence[Outcomes],
    *,
    start: Any,
    final: Sequence[int] = (),
    final_actions: Sequence[int] | None = None,
    success: Sequence[int] | None = None,
    **labels: Any,
) -> MDP:
    """An MDP that has these outcomes, and no action where there are none.

    start: (S,) probabilities. final: the states whose entering ends the episode; there the `final_actions` (all of them
    if None) lead nowhere. success: the states whose entering reaches the goal. labels: those of `MDP`.
    """
    ends = np.asarray(final, dtype=np.int64)
    state, action = np.meshgrid(ends, np.arange(n_actions) if final_actions is None else final_actions)
    resting = Outcomes(state.ravel(), action.ravel(), state.ravel())
    spread = [np.broadcast_arrays(*map(np.atleast_1d, group)) for group in (*groups, resting)]
    columns = [np.concatenate(column) for column in zip(*spread, strict=True)]
    row = columns[0].astype(np.int64) * n_actions + columns[1].astype(np.int64)
    order = np.argsort(row, kind="stable")
    state, _, next_state, probability, reward, noise = (column[order] for column in columns)
    moved = ~np.isin(state, ends)
    rows = Rows(
        n_states,
        n_actions,
        np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n_states * n_actions))]),
        next_state.astype(np.int32),
        probability.astype(np.float64),
        reward.astype(np.float64),
        np.isin(next_state, ends),
        None if success is None else np.isin(next_state, success) & moved,
        noise.astype(np.float64) if noise.any() else None,
    )
    return MDP(rows, start, **labels)


def uniform_over(states: Any, n_states: int) -> NDArray[np.float64]:
    """(S,) the distribution that is uniform over `states`."""
    start = np.zeros(n_states)
    start[states] = 1 / np.size(states)
    return start
