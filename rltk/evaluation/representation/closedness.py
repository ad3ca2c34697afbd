"""Whether features carry their own future: the next features and the reward, each linear in the present ones.

    z'(s, a) = E[ z(s') | s, a, the episode goes on ] ~ M_a z(s) + m_a,      R(s, a) ~ w_a' phi(s) + b_a
    error = sum |truth - fitted|^2 / sum |truth - mean|^2        0: closed; 1: no better than a constant

z are whitened features: each direction of phi counts the same, whatever its size, and dimensions that never change do
not count at all (left in, their rounding would be blown up without bound). What is closed without error holds the value
of every policy that depends on the action alone linearly (Parr et al. 2008).

Source: Parr, Li, Taylor, Painter-Wakefield and Littman (2008), "An analysis of linear models, linear value-function
approximation, and feature selection for reinforcement learning".
"""

from typing import Any

import numpy as np
import scipy.sparse as sp

from rltk.errors import ArgumentError
from rltk.evaluation.representation.checks import checked_features, checked_states
from rltk.evaluation.representation.probes import Standard, decomposed, r_squared, read_columns, ridge
from rltk.mdp import MDP

_WHITE = 1e-5  # directions below this share of the largest are float32's rounding


def closedness_error(features: Any, mdp: MDP, train: Any, test: Any) -> float:
    """The error of the next features of the states `test`, pooled over actions, by lines fitted on the states `train`.
    `features` (S, F) of all states; whitened on `train`. nan where nothing goes on, or nothing varies.
    """
    features = checked_features(features, mdp.n_states)
    train, test = checked_states(train, mdp.n_states, "train"), checked_states(test, mdp.n_states, "test")
    white = whitened(features, train)
    if white.shape[1] == 0:
        return np.nan
    going = sp.csr_array(
        (np.where(mdp.terminated, 0.0, mdp.probability), mdp.next_state, mdp.row_start),
        shape=(mdp.n_states * mdp.n_actions, mdp.n_states),
    )
    truths, fits = [], []
    for a in range(mdp.n_actions):
        rows = going[a :: mdp.n_actions]  # (S, S)
        mass = np.asarray(rows.sum(axis=1)).reshape(-1)
        fitted_on, asked = train[mass[train] > 0], test[mass[test] > 0]
        if fitted_on.size and asked.size:
            following = (rows @ white) / np.where(mass > 0, mass, 1.0)[:, None]  # (S, r)
            fits.append(ridge(white[fitted_on], following[fitted_on]).predict(white[asked]))
            truths.append(following[asked])
    return 1.0 - r_squared(np.concatenate(truths), np.concatenate(fits)) if truths else np.nan


def whitened(features: np.ndarray, states: np.ndarray) -> np.ndarray:
    """(S, r), r the rank: `features` (S, F) turned and scaled to mean 0 and covariance I on `states`."""
    standard = Standard.of(features[states])
    _, s, Vt = decomposed(standard(features[states]), _WHITE)
    return standard(features) @ Vt.T * (np.sqrt(states.size) / s)


def reward_error(features: Any, mdp: MDP, train: Any, test: Any) -> float:
    """The error of R(s, a) on the available actions of the states `test`, by lines fitted on the states `train`; nan
    where the reward does not vary on them."""
    if not isinstance(mdp, MDP):
        raise ArgumentError(f"an MDP was expected; found {type(mdp).__name__}")
    features = checked_features(features, mdp.n_states)
    train, test = checked_states(train, mdp.n_states, "train"), checked_states(test, mdp.n_states, "test")
    reward, available = mdp.expected_reward(), mdp.available
    read = read_columns(features, reward, available, train)
    return 1.0 - r_squared(reward[test], read[test], available[test])
