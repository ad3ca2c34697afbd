"""The compact storage form: deterministic moves and the noise that mixes them. It serves grids, ten times smaller.

    q(s, a) = sum_m noise[a, m] x(s, m)     with     x(s, m) = r(s, m) + gamma (1 - terminated(s, m)) v(moves[s, m])

Rewards and endings belong to a move, (S, M), or to the state that is entered, (S,). A state whose entering terminates
is absorbing: it keeps its place, pays nothing, and its value is 0.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rltk.mdp.jit import jit
from rltk.mdp.looking import Look, look_ahead, moves_kernel
from rltk.mdp.rows import Outcomes
from rltk.mdp.survey import Survey, survey_moves
from rltk.mdp.threads import in_chunks

BLOCK = 256  # states at a time: what their moves lead to stays in the nearest cache


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
        _q(self.moves, self.noise, *self.flat, self._entering(value, gamma), out)
        return out

    def backup(self, value: np.ndarray, gamma: float, threads: int = 1) -> np.ndarray:
        """(S,) float64: the Bellman optimality operator applied once; the same bits by any number of threads."""
        entering, out = self._entering(value, gamma, threads), np.empty(self.n_states)

        def sweep(begin: int, stop: int) -> None:
            _backup(self.moves, self.noise, *self.flat, entering, out, begin, stop)

        in_chunks(sweep, self.n_states, threads)
        return out

    def _entering(self, value: np.ndarray, gamma: float, threads: int = 1) -> np.ndarray:
        """(S,) float64: what of a move's worth depends on the state entered alone, so that it is gathered at once."""
        out = np.empty(self.n_states)
        in_chunks(lambda begin, stop: _enter(*self.flat, value, gamma, out, begin, stop), self.n_states, threads)
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

    def look(self, value: np.ndarray, gamma: float, tie: float, threads: int = 1) -> Look:
        """The greedy policy and its backup from `value` (S,), in one pass; `tie` is `first_best`'s."""
        kernel = moves_kernel(self.moves.shape[1], self.n_actions)
        return look_ahead(kernel, (self.moves, self.noise, *self.flat), value, gamma, tie, threads=threads)

    @cached_property
    def survey(self) -> Survey:
        """What bounds need to know of T and R."""
        resting = np.empty(self.n_states, dtype=bool)
        low, high, longest, largest = survey_moves(self.moves, self.noise, *self.flat, resting)
        return Survey(low, high, longest, largest, resting)

    @property
    def n_outcomes(self) -> int:
        """How many outcomes all actions have in all states, counting moves that lead to one state apart."""
        return self.n_states * int(np.count_nonzero(self.noise))

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(array.nbytes for array in vars(self).values() if isinstance(array, np.ndarray))


@jit(nogil=True)
def _enter(reward, reward_by_move, terminated, terminated_by_move, value, gamma, out, begin, stop):
    for s in range(begin, stop):
        worth = 0.0 if not terminated_by_move and terminated[s] else gamma * value[s]
        out[s] = worth if reward_by_move or terminated_by_move else reward[s] + worth


@jit(nogil=True)
def _targets(moves, reward, reward_by_move, terminated, terminated_by_move, entering, begin, stop, out):
    """Fill `out` (M, BLOCK) with x(s, m) of the states from `begin` to `stop`."""
    n_moves = moves.shape[1]
    for s in range(begin, stop):
        for m in range(n_moves):
            t = moves[s, m]
            # An ending is a choice, not a product: an infinite value behind it must not turn into a NaN.
            worth = 0.0 if terminated_by_move and terminated[s * n_moves + m] else entering[t]
            if reward_by_move:
                worth = reward[s * n_moves + m] + worth
            elif terminated_by_move:
                worth = reward[t] + worth
            out[m, s - begin] = worth


@jit(nogil=True)
def _mix(noise, a, targets, count, out):
    """Fill `out` (BLOCK,) with the mean of the targets under the noise of action `a`, each summed in order of moves."""
    out[:count] = 0.0
    for m in range(targets.shape[0]):
        if noise[a, m] > 0.0:  # an infinite target that can't happen must not turn the sum into a NaN
            for j in range(count):
                out[j] += noise[a, m] * targets[m, j]


@jit(nogil=True)
def _q(moves, noise, reward, reward_by_move, terminated, terminated_by_move, entering, out):
    targets, mixed = np.empty((moves.shape[1], BLOCK)), np.empty(BLOCK)
    for first in range(0, out.shape[0], BLOCK):
        last = min(first + BLOCK, out.shape[0])
        _targets(moves, reward, reward_by_move, terminated, terminated_by_move, entering, first, last, targets)
        for a in range(out.shape[1]):
            _mix(noise, a, targets, last - first, mixed)
            for s in range(first, last):
                absorbing = not terminated_by_move and terminated[s]
                out[s, a] = 0.0 if absorbing else mixed[s - first]


@jit(nogil=True)
def _backup(moves, noise, reward, reward_by_move, terminated, terminated_by_move, entering, out, begin, stop):
    targets, mixed, best = np.empty((moves.shape[1], BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    for first in range(begin, stop, BLOCK):
        last = min(first + BLOCK, stop)
        _targets(moves, reward, reward_by_move, terminated, terminated_by_move, entering, first, last, targets)
        best[:] = -np.inf
        for a in range(noise.shape[0]):
            _mix(noise, a, targets, last - first, mixed)
            for j in range(last - first):
                best[j] = mixed[j] if mixed[j] > best[j] else best[j]
        for s in range(first, last):
            absorbing = not terminated_by_move and terminated[s]
            out[s] = 0.0 if absorbing else best[s - first]
