"""The general storage form: one compressed sparse row of outcomes per (state, action).

    q(s, a) = sum_i p_i [ r_i + gamma (1 - terminated_i) v(s'_i) ]       i over the outcomes of row s * A + a
    (T v)(s) = max_a q(s, a)                                             over the available actions

An empty row is an action that is not available there; its q is -inf.

Source: Puterman (1994), Markov Decision Processes, section 6.1.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from rltk.mdp.jit import jit
from rltk.mdp.looking import Look, look_ahead, rows_kernel
from rltk.mdp.survey import Survey, survey_rows
from rltk.mdp.threads import in_chunks


class Outcomes(NamedTuple):
    """Every outcome of every (state, action) pair in a row each, weighted: what a policy's Markov chain is made of."""

    state: np.ndarray  # (n,) int64
    next_state: np.ndarray  # (n,) int32
    weight: np.ndarray  # (n,) float64
    reward: np.ndarray  # (n,) float64
    terminated: np.ndarray  # (n,) bool
    success: np.ndarray | None  # (n,) bool


@dataclass(frozen=True, eq=False)
class Rows:
    """Compressed sparse rows; row `s * n_actions + a` spans `row_start[k]:row_start[k + 1]`. Arrays are read-only."""

    n_states: int
    n_actions: int
    row_start: np.ndarray  # (S * A + 1,) int64
    next_state: np.ndarray  # (nnz,) int32
    probability: np.ndarray  # (nnz,) float64
    reward: np.ndarray  # (nnz,) float64
    terminated: np.ndarray  # (nnz,) bool
    success: np.ndarray | None = None  # (nnz,) bool
    reward_noise: np.ndarray | None = None  # (nnz,) float64

    name = "rows"

    @cached_property
    def available(self) -> np.ndarray:
        """(S, A) bool: the actions that can be taken."""
        return (np.diff(self.row_start) > 0).reshape(self.n_states, self.n_actions)

    @cached_property
    def expected_reward(self) -> np.ndarray:
        """(S, A) float64: the mean reward of each action; 0 where it is not available."""
        out = np.zeros((self.n_states, self.n_actions))
        _expected_reward(self.row_start, self.probability, self.reward, out.reshape(-1))
        out.flags.writeable = False
        return out

    def q(self, value: np.ndarray, gamma: float) -> np.ndarray:
        """(S, A) float64 action values after one look ahead from `value` (S,)."""
        out = np.empty((self.n_states, self.n_actions))
        _q(self.row_start, self.next_state, self.probability, self.reward, self.terminated, value, gamma, out)
        return out

    def backup(self, value: np.ndarray, gamma: float, threads: int = 1) -> np.ndarray:
        """(S,) float64: the Bellman optimality operator applied once; the same bits by any number of threads."""
        out = np.empty(self.n_states)
        arrays = (self.row_start, self.next_state, self.probability, self.reward, self.terminated)

        def sweep(begin: int, stop: int) -> None:
            _backup(*arrays, value, gamma, self.n_actions, out, begin, stop)

        in_chunks(sweep, self.n_states, threads)
        return out

    def outcomes(self, policy: np.ndarray) -> Outcomes:
        """Every outcome that `policy` (S, A), probabilities, can meet, weighted by its probability under the policy."""
        row = np.repeat(np.arange(self.n_states * self.n_actions), np.diff(self.row_start))
        weight = policy.reshape(-1)[row] * self.probability
        met = np.flatnonzero(weight > 0)
        return Outcomes(
            row[met] // self.n_actions,
            self.next_state[met],
            weight[met],
            self.reward[met],
            self.terminated[met],
            None if self.success is None else self.success[met],
        )

    def look(self, value: np.ndarray, gamma: float, tie: float, threads: int = 1) -> Look:
        """The greedy policy and its backup from `value` (S,), in one pass; `tie` is `first_best`'s."""
        arrays = (self.row_start, self.next_state, self.probability, self.reward, self.terminated)
        return look_ahead(rows_kernel(self.n_actions), arrays, value, gamma, tie, threads=threads)

    @cached_property
    def survey(self) -> Survey:
        """What bounds need to know of T and R."""
        resting = np.empty(self.n_states, dtype=bool)
        noise = np.zeros(0) if self.reward_noise is None else self.reward_noise
        arrays = (self.row_start, self.probability, self.reward, noise, self.terminated)
        low, high, longest, largest = survey_rows(*arrays, self.n_actions, resting)
        return Survey(low, high, longest, largest, resting)

    @property
    def n_outcomes(self) -> int:
        """How many outcomes all rows have together."""
        return self.next_state.size

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(array.nbytes for array in vars(self).values() if isinstance(array, np.ndarray))


@jit
def _expected_reward(row_start, probability, reward, out):
    for row in range(out.size):
        total = 0.0
        for i in range(row_start[row], row_start[row + 1]):
            total += probability[i] * reward[i]
        out[row] = total


@jit(inline="always")  # a call for each row takes three times as long
def row_value(row_start, next_state, probability, reward, terminated, value, gamma, row):
    """q of one (state, action) row; -inf where the row is empty."""
    if row_start[row] == row_start[row + 1]:
        return -np.inf
    total = 0.0
    for i in range(row_start[row], row_start[row + 1]):
        target = reward[i]
        if not terminated[i]:
            target += gamma * value[next_state[i]]
        total += probability[i] * target
    return total


@jit
def _q(row_start, next_state, probability, reward, terminated, value, gamma, out):
    n_states, n_actions = out.shape
    for s in range(n_states):
        for a in range(n_actions):
            row = s * n_actions + a
            out[s, a] = row_value(row_start, next_state, probability, reward, terminated, value, gamma, row)


@jit(nogil=True)
def _backup(row_start, next_state, probability, reward, terminated, value, gamma, n_actions, out, begin, stop):
    for s in range(begin, stop):
        best = -np.inf
        for a in range(n_actions):
            row = s * n_actions + a
            q = row_value(row_start, next_state, probability, reward, terminated, value, gamma, row)
            if q > best:
                best = q
        out[s] = best
