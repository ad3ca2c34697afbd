"""MDPs that tests of planners share: random graphs with ragged rows, ends and missing actions; slippery grids."""

import numpy as np

from rltk.mdp import MDP
from rltk.mdp.rows import Rows


def random_graph(n_states, n_actions=3, longest=6, seed=0, ending=0.1, missing=0.3, reward_scale=1.0):
    """General rows of 1 to `longest` outcomes to random states."""
    source = np.random.default_rng(seed)
    length = source.integers(1, longest + 1, (n_states, n_actions))
    length[source.random((n_states, n_actions)) < missing] = 0
    length[np.arange(n_states), source.integers(n_actions, size=n_states)] = longest
    row_start = np.concatenate(([0], np.cumsum(length.reshape(-1))))
    n = row_start[-1]
    weight = source.random(n) + 0.05
    row = np.repeat(np.arange(length.size), length.reshape(-1))
    probability = weight / np.bincount(row, weights=weight, minlength=length.size)[row]
    reward = reward_scale * source.normal(size=n)
    next_state = source.integers(n_states, size=n).astype(np.int32)
    return MDP(
        Rows(n_states, n_actions, row_start, next_state, probability, reward, source.random(n) < ending),
        np.full(n_states, 1 / n_states),
    )


def slippery_grid(n, seed=0, reward_by_move=False, terminated_by_move=False):
    """The compact form of an open grid of n x n."""
    source = np.random.default_rng(seed)
    row, column = np.divmod(np.arange(n * n), n)
    steps = ((-1, 0), (0, 1), (1, 0), (0, -1))
    moves = np.stack([np.clip(row + r, 0, n - 1) * n + np.clip(column + c, 0, n - 1) for r, c in steps], axis=1)
    noise = 0.8 * np.eye(4) + 0.1 * (np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1))
    reward = source.normal(size=(n * n, 4) if reward_by_move else n * n)
    terminated = source.random((n * n, 4) if terminated_by_move else n * n) < 0.02
    return MDP.from_moves(moves, noise, reward, terminated)
