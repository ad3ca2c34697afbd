"""The Markov chain of a policy, and everything exact that follows from it.

    v = r + gamma P v        P (S, S): what goes on after a step; the mass that P lacks has ended

so v = (I - gamma P)^-1 r for gamma < 1. At gamma = 1 the states that never end are found first, as closed classes of
the graph of P: a class that pays nothing is worth 0; one that pays on average is worth plus or minus infinity; one
whose payments cancel has no total (nan). What can reach a class of infinite worth is infinite too.

Source: Kemeny and Snell (1976), Finite Markov Chains, chapter 3; Puterman (1994), section 6.1 and appendix A.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import bicgstab, splu, spsolve

from rltk.mdp.criterion import checked_gamma
from rltk.mdp.rows import Outcomes

_ROUNDING = 1e-12
# Factors of a matrix with many entries in each row fill up: 130,000 states of 90 outcomes each take minutes. Beyond
# this such systems are iterated instead, to the same residual.
_MANY, _DENSE = 20_000, 12
_RESTARTS, _ITERATIONS = 6, 2_000
_LOST = 5e-15  # of a sum of many products, to rounding


@dataclass(frozen=True, eq=False)
class Chain:
    """A policy's Markov chain. `P` (S, S) sparse rows of what goes on; `reward`, `ending` (the probability that a step
    ends the episode) and `success` (that it succeeds, or None) are (S,). `unsuccessful` is P less what succeeds."""

    P: sp.csr_array
    reward: np.ndarray
    ending: np.ndarray
    success: np.ndarray | None
    unsuccessful: sp.csr_array

    @classmethod
    def from_outcomes(cls, n_states: int, outcomes: Outcomes) -> "Chain":
        """Sum the weighted outcomes of each state."""

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(outcomes.state, weights=values, minlength=n_states)

        def matrix(kept: np.ndarray) -> sp.csr_array:
            entries = (outcomes.weight[kept], (outcomes.state[kept], outcomes.next_state[kept]))
            return sp.coo_array(entries, shape=(n_states, n_states)).tocsr()

        P = unsuccessful = matrix(~outcomes.terminated)
        success = None
        if outcomes.success is not None:
            success = total(outcomes.weight * outcomes.success)
            if (outcomes.success & ~outcomes.terminated).any():
                unsuccessful = matrix(~outcomes.terminated & ~outcomes.success)
        reward, ending = total(outcomes.weight * outcomes.reward), total(outcomes.weight * outcomes.terminated)
        return cls(P, reward, ending, success, unsuccessful)

    def with_reward(self, reward: np.ndarray) -> "Chain":
        """The same chain, paid `reward` (S,) a step."""
        return replace(self, reward=reward)

    @property
    def n_states(self) -> int:
        return self.P.shape[0]

    @cached_property
    def classes(self) -> np.ndarray:
        """(S,) int: the number of the closed class that a state belongs to; -1 for states that leave or end."""
        count, label = connected_components(self.P, directed=True, connection="strong")
        closed = np.ones(count, dtype=bool)
        edges = self.P.tocoo()
        source, target = label[edges.coords[0]], label[edges.coords[1]]
        closed[source[source != target]] = False
        closed[label[self.ending > 0]] = False
        number = np.where(closed, np.cumsum(closed) - 1, -1)
        return number[label]

    def can_reach(self, targets: np.ndarray) -> np.ndarray:
        """(S,) bool: the states from which a state of `targets` (S,) bool can be reached, themselves included."""
        return reachable(self.P.T.tocsr(), targets)

    @cached_property
    def _recurrent_total(self) -> np.ndarray:
        """(S,) the total reward of staying in one's closed class; 0 for states that are in none."""
        total = np.zeros(self.n_states)
        for number in range(int(self.classes.max(initial=-1)) + 1):
            members = np.flatnonzero(self.classes == number)
            reward = self.reward[members]
            if not reward.any():
                continue
            if (reward >= 0).all() or (reward <= 0).all():
                gain = float(reward.sum())
            else:
                gain = float(stationary(self.P[members][:, members]) @ reward)
                if abs(gain) <= _ROUNDING * np.abs(reward).max():
                    gain = np.nan
            total[members] = np.inf * gain
        return total

    def value(self, gamma: float) -> np.ndarray:
        """(S,) float64: the expected (discounted) return from each state, with infinities and nan as said above."""
        gamma = checked_gamma(gamma)
        if gamma < 1:
            return self._solve(np.ones(self.n_states, dtype=bool), self.reward, gamma)
        endless = self._recurrent_total
        up, down = self.can_reach(endless == np.inf), self.can_reach(endless == -np.inf)
        none = self.can_reach(np.isnan(endless)) | (up & down)
        finite = ~(up | down | none) & (self.classes < 0)
        value = self._solve(finite, self.reward, 1.0)
        value[up], value[down], value[none] = np.inf, -np.inf, np.nan
        return value

    def length(self) -> np.ndarray:
        """(S,) the expected number of steps to the end; infinite where the end may never come."""
        endless = self.can_reach(self.classes >= 0)
        steps = self._solve(~endless, np.ones(self.n_states), 1.0)
        steps[endless] = np.inf
        return steps

    def success_probability(self) -> np.ndarray | None:
        """(S,) the probability of ever reaching a success; None where the MDP does not say what success is."""
        if self.success is None:
            return None
        # The first success counts: a later one, where the episode goes on after it, adds nothing.
        able = reachable(self.unsuccessful.T.tocsr(), self.success > 0)
        return np.clip(self._solve(able, self.success, 1.0, self.unsuccessful), 0.0, 1.0)

    def occupancy(self, start: np.ndarray, gamma: float) -> np.ndarray:
        """(S,) the expected discounted number of visits to each state from `start` (S,); infinite where endless."""
        gamma = checked_gamma(gamma)
        solved = np.ones(self.n_states, dtype=bool) if gamma < 1 else self.classes < 0
        visits = self._solve(solved, np.where(solved, start, 0.0), gamma, self.P.T.tocsr())
        if gamma == 1:
            entered = reachable(self.P, start > 0) & ~solved
            visits[entered] = np.inf
        return visits

    def _solve(self, states: np.ndarray, right: np.ndarray, gamma: float, P: sp.csr_array | None = None) -> np.ndarray:
        """x = right + gamma P x on `states` (S,) bool, x = 0 elsewhere; one step of refinement.
        nan where rounding leaves no answer."""
        P = self.P if P is None else P
        out = np.zeros(self.n_states)
        index = np.flatnonzero(states)
        if index.size == 0:
            return out
        inner = P if index.size == self.n_states else P[index][:, index]
        matrix = sp.csc_matrix(sp.identity(index.size) - gamma * inner)
        if index.size > _MANY and matrix.nnz > _DENSE * index.size:
            found = _iterated(matrix, right[index])
            if found is not None:
                out[index] = found
                return out
        # Row pivoting is not needed for an M-matrix, and without it the fill stays low.
        try:
            factors = splu(matrix, permc_spec="COLAMD", diag_pivot_thresh=0.0)
        except RuntimeError:  # exactly singular: some state is left with a probability too small for floats to hold
            out[index] = np.nan
            return out
        solution = factors.solve(right[index])
        solution += factors.solve(right[index] - matrix @ solution)
        out[index] = solution
        return out


def _iterated(matrix: sp.csc_matrix, right: np.ndarray) -> np.ndarray | None:
    """x with matrix x = right, to within rounding; None where that is not reached soon."""
    rows, x = matrix.tocsr(), np.zeros(right.size)
    largest = np.abs(right).max()
    for _ in range(_RESTARTS):  # each gains the digits that the last one's residual lost to rounding
        left = right - rows @ x
        if np.abs(left).max() <= _LOST * (largest + np.abs(x).max()):
            return x
        step, _ = bicgstab(rows, left, rtol=1e-10, atol=0.0, maxiter=_ITERATIONS)
        if not np.isfinite(step).all():
            return None
        x = x + step
    return None


def reachable(graph: sp.csr_array, sources: np.ndarray) -> np.ndarray:
    """(S,) bool: what is reached along the edges of `graph` (S, S) from `sources` (S,) bool, themselves included."""
    found = sources.copy()
    frontier = np.flatnonzero(sources)
    while frontier.size:
        begin, end = graph.indptr[frontier], graph.indptr[frontier + 1]
        count = end - begin
        offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        neighbours = np.unique(graph.indices[np.repeat(begin, count) + offset])
        frontier = neighbours[~found[neighbours]]
        found[frontier] = True
    return found


def stationary(P: sp.csr_array) -> np.ndarray:
    """(n,) the stationary distribution of an irreducible stochastic matrix (n, n)."""
    n = P.shape[0]
    if n == 1:
        return np.ones(1)
    # The balance equations have rank n - 1: the last is replaced by "it sums to one".
    balance = sp.lil_matrix((sp.identity(n) - P).T)
    balance[n - 1, :] = 1.0
    right = np.zeros(n)
    right[n - 1] = 1.0
    return np.asarray(spsolve(balance.tocsc(), right))
