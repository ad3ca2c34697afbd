"""The compact storage form: deterministic moves and the noise that mixes them. It serves grids, ten times smaller.

    q(s, a) = sum_m noise[a, m] x(s, m)     with     x(s, m) = r(s, m) + gamma (1 - terminated(s, m)) v(moves[s, m])

Rewards and endings belong to a move, (S, M), or to the state that is entered, (S,). A state whose entering terminates
is absorbing: it keeps its place, pays nothing, and its value is 0.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rltk.mdp.jit import jit
from rltk.mdp.rows import Outcomes


@dataclass(frozen=True, eq=False)
class Moves:
    """Action `a` performs move `m` with probability `noise[a, m]`. Arrays are read-only."""

    moves: np.ndarray  # (S, M) int32: the state that move m leads to
    noise: np.ndarray  # (A, M) float64: each row sums to 1
    reward: np.ndarray  # (S, M) float64 by move, or (S,) by the state entered
    terminated: np.ndarray  # (S, M) bool by move, or (S,) by the state entered
    success: np.ndarray | None = None  # like `terminated`

    name = "moves"

    @property
    def n_states(self) -> int:
        return self.moves.shape[0]

    @property
    def n_actions(self) -> int:
        return self.noise.shape[0]

    @property
    def available(self) -> np.ndarray:
        """(S, A) bool: every action, everywhere (a view of one element)."""
        return np.broadcast_to(np.True_, (self.n_states, self.n_actions))

    @property
    def absorbing(self) -> np.ndarray:
        """(S,) bool: the states whose entering terminates. None where endings belong to moves."""
        return self.terminated if self.terminated.ndim == 1 else np.zeros(self.n_states, dtype=bool)

    @cached_property
    def expected_reward(self) -> np.ndarray:
        """(S, A) float64: the mean reward of each action."""
        out = self.q(np.zeros(self.n_states), 0.0)
        out.flags.writeable = False
        return out

    def q(self, value: np.ndarray, gamma: float) -> np.ndarray:
        """(S, A) float64 action values after one look ahead from `value` (S,)."""
        out = np.empty((self.n_states, self.n_actions))
        _q(self.moves, self.noise, *self.flat, value, gamma, out)
        return out

    def backup(self, value: np.ndarray, gamma: float) -> np.ndarray:
        """(S,) float64: the Bellman optimality operator applied once."""
        out = np.empty(self.n_states)
        _backup(self.moves, self.noise, *self.flat, value, gamma, out)
        return out

    @property
    def flat(self) -> tuple[np.ndarray, bool, np.ndarray, bool]:
        """reward and terminated for kernels: each flat, with whether it belongs to moves."""
        return self.reward.reshape(-1), self.reward.ndim == 2, self.terminated.reshape(-1), self.terminated.ndim == 2

    def per_move(self, array: np.ndarray) -> np.ndarray:
        """(S, M): an array of this form spread over moves; an absorbing state's moves have the value 0 or False."""
        if array.ndim == 2 and self.terminated.ndim == 2:
            return array
        spread = array[self.moves] if array.ndim == 1 else array.copy()
        spread[self.absorbing] = 0
        return spread

    def outcomes(self, policy: np.ndarray) -> Outcomes:
        """Every outcome that `policy` (S, A), probabilities, can meet, weighted by its probability under the policy."""
        weight = policy @ self.noise  # (S, M)
        state, move = np.nonzero(weight > 0)
        absorbing = self.absorbing
        next_state = np.where(absorbing[state], state, self.moves[state, move]).astype(np.int32)
        terminated = self.per_move(self.terminated)[state, move] | absorbing[state]
        success = None if self.success is None else self.per_move(self.success)[state, move]
        return Outcomes(
            state, next_state, weight[state, move], self.per_move(self.reward)[state, move], terminated, success
        )

    def mass_range(self) -> tuple[float, float]:
        """The least and the largest probability of going on, over all rows: what a backup contracts by."""
        _, _, terminated, by_move = self.flat
        return _mass_range(self.moves, self.noise, terminated, by_move)

    def longest_row(self) -> int:
        """The largest number of outcomes in a row: how many products a backup sums."""
        return self.moves.shape[1]

    def resting(self) -> np.ndarray:
        """(S,) bool: the states where every outcome ends and pays nothing, worth exactly 0."""
        if self.terminated.ndim == 1:
            return self.terminated.copy()  # any other state that only ends is valued like the rest
        return (self.terminated & (self.per_move(self.reward) == 0)).all(axis=1)

    @property
    def n_outcomes(self) -> int:
        """How many outcomes all actions have in all states, counting moves that lead to one state apart."""
        return self.n_states * int(np.count_nonzero(self.noise))

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(array.nbytes for array in vars(self).values() if isinstance(array, np.ndarray))


@jit
def move_targets(moves, reward, reward_by_move, terminated, terminated_by_move, value, gamma, s, out):
    """Fill `out` (M,) with x(s, m): what each move is worth. An absorbing state's moves are worth nothing."""
    n_moves = moves.shape[1]
    if not terminated_by_move and terminated[s]:
        out[:] = 0.0
        return
    for m in range(n_moves):
        t = moves[s, m]
        target = reward[s * n_moves + m] if reward_by_move else reward[t]
        if not (terminated[s * n_moves + m] if terminated_by_move else terminated[t]):
            target += gamma * value[t]
        out[m] = target


@jit
def mixed(noise, a, targets):
    """The mean of the moves' targets under the noise of action `a`, summed left to right."""
    total = 0.0
    for m in range(targets.size):
        if noise[a, m] > 0.0:  # an infinite target that can't happen must not turn the sum into a NaN
            total += noise[a, m] * targets[m]
    return total


@jit
def _q(moves, noise, reward, reward_by_move, terminated, terminated_by_move, value, gamma, out):
    targets = np.empty(moves.shape[1])
    for s in range(out.shape[0]):
        move_targets(moves, reward, reward_by_move, terminated, terminated_by_move, value, gamma, s, targets)
        for a in range(out.shape[1]):
            out[s, a] = mixed(noise, a, targets)


@jit
def _backup(moves, noise, reward, reward_by_move, terminated, terminated_by_move, value, gamma, out):
    targets = np.empty(moves.shape[1])
    for s in range(out.size):
        move_targets(moves, reward, reward_by_move, terminated, terminated_by_move, value, gamma, s, targets)
        best = -np.inf
        for a in range(noise.shape[0]):
            q = mixed(noise, a, targets)
            if q > best:
                best = q
        out[s] = best


@jit
def _mass_range(moves, noise, terminated, by_move):
    n_states, n_moves = moves.shape
    low, high = np.inf, 0.0
    for s in range(n_states):
        ended = not by_move and terminated[s]
        for a in range(noise.shape[0]):
            mass = 0.0
            for m in range(n_moves):
                if not ended and not terminated[s * n_moves + m if by_move else moves[s, m]]:
                    mass += noise[a, m]
            low, high = min(low, mass), max(high, mass)
    return low, high
