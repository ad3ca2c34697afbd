"""Several MDPs as one, side by side: no way leads from one to another, and an episode begins in each equally often.

So what holds of an MDP's states can be asked of the states of many levels at once.
"""

from collections.abc import Sequence

import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp.model import MDP
from rltk.mdp.rows import Rows


def union(mdps: Sequence[MDP]) -> tuple[MDP, np.ndarray]:
    """(the MDP of all states of `mdps`, one after another; (S,) int64 the number of the MDP that each is of).

    Raises ArgumentError where they have not the same number of actions.
    """
    mdps = list(mdps)
    if not mdps or not all(isinstance(mdp, MDP) for mdp in mdps):
        raise ArgumentError("union takes a list of MDPs, at least one")
    actions = sorted({mdp.n_actions for mdp in mdps})
    if len(actions) > 1:
        raise ArgumentError(f"MDPs side by side have the same number of actions; these have {actions}")
    sizes = [mdp.n_states for mdp in mdps]
    first = np.cumsum([0, *sizes])
    outcomes = np.cumsum([0, *(mdp.next_state.size for mdp in mdps)])
    rows = Rows(
        int(first[-1]),
        actions[0],
        np.concatenate([[0], *(mdp.row_start[1:] + k for mdp, k in zip(mdps, outcomes, strict=False))]).astype(
            np.int64
        ),
        np.concatenate([mdp.next_state + k for mdp, k in zip(mdps, first, strict=False)]).astype(np.int32),
        np.concatenate([mdp.probability for mdp in mdps]),
        np.concatenate([mdp.reward for mdp in mdps]),
        np.concatenate([mdp.terminated for mdp in mdps]),
        None if any(mdp.success is None for mdp in mdps) else np.concatenate([mdp.success for mdp in mdps]),
    )
    start = np.concatenate([mdp.start for mdp in mdps]) / len(mdps)
    return MDP(rows, start), np.repeat(np.arange(len(mdps)), sizes)
