"""Policies over classes of states, evaluated and changed exactly: the operators of memoryless policy search.

    J(x) = mu M r_x,   M = (I - gamma P_x)^-1        x (C, A): what the policy does in each class; mu: the start
    d = mu M,   A(s, a) = Q(s, a) - V(s)             expected discounted visits, advantages

If class c alone moves by the share w towards action a, x'_c = (1 - w) x_c + w e_a, only the rows of c change in P and
r, and the gain follows from a system as small as the class (Sherman, Morrison and Woodbury):

    J(x') - J(x) = w d_c (I - w gamma D M_c)^-1 A_c(a)      D = (T_a - P_x) on the rows of c, M_c the columns of c

d' = d_c (I - ...)^-1 are the visits afterwards, and no visit is negative: where the advantage of `a` is positive in no
state of the class, or no state of it is visited, nothing can be gained, and nothing needs to be solved.

Source: the performance difference, Kakade and Langford (2002), lemma 6.1; the update, Golub and Van Loan (2013),
Matrix Computations, section 2.1.4.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import SuperLU, splu

from rltk.mdp import MDP

ROUNDING = 1e-11  # gains below this share of the value's size are no gains


class ClassProblem:
    """An MDP seen through classes of states: `classes` (S,) numbers from 0 to C - 1, gamma < 1.

    T: (S * A, S) sparse, what goes on after a step; R: (S, A). All states of a class have the same available actions.
    """

    def __init__(self, mdp: MDP, classes: np.ndarray, gamma: float) -> None:
        self.gamma, self.classes, self.start = gamma, classes, np.asarray(mdp.start)
        self.n_states, self.n_actions = mdp.n_states, mdp.n_actions
        self.n_classes = int(classes.max()) + 1
        order = np.argsort(classes, kind="stable")
        self.members = np.split(order, np.cumsum(np.bincount(classes))[:-1])  # states by class
        self.available = mdp.available[[states[0] for states in self.members]]  # (C, A) bool
        goes_on = np.where(mdp.terminated, 0.0, mdp.probability)
        shape = (self.n_states * self.n_actions, self.n_states)
        self.T = sp.csr_array((goes_on, mdp.next_state, mdp.row_start), shape=shape)
        self.R = mdp.expected_reward()

    def transitions(self, policy: np.ndarray) -> sp.csr_array:
        """(S, S): P of a policy (S, A) of probabilities."""
        chosen = sp.csr_array(policy)
        row = np.repeat(np.arange(self.n_states), np.diff(chosen.indptr))
        wide = (chosen.data, row * self.n_actions + chosen.indices, chosen.indptr)
        return sp.csr_array(wide, shape=(self.n_states, self.n_states * self.n_actions)) @ self.T

    def evaluate(self, x: np.ndarray) -> "Evaluated":
        """The exact evaluation of x (C, A), the probabilities of each class."""
        return Evaluated(self, x)

    def mean_over_classes(self, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(C, A): sums of `weights` (S,) times `values` (S, A) over the states of each class; infinities count 0."""
        products = weights[:, None] * np.where(np.isfinite(values), values, 0.0)
        return np.stack([np.bincount(self.classes, column, minlength=self.n_classes) for column in products.T], axis=1)


@dataclass(eq=False)
class Evaluated:
    """One policy over the classes with all that follows from it exactly."""

    problem: ClassProblem
    x: np.ndarray  # (C, A) probabilities

    @cached_property
    def policy(self) -> np.ndarray:
        """(S, A) probabilities."""
        return self.x[self.problem.classes]

    @cached_property
    def P(self) -> sp.csr_array:
        """(S, S): what goes on after a step of the policy."""
        return self.problem.transitions(self.policy)

    @cached_property
    def factors(self) -> SuperLU:
        """Of I - gamma P, an M-matrix: it needs no pivoting."""
        matrix = sp.csc_matrix(sp.identity(self.problem.n_states) - self.problem.gamma * self.P)
        return splu(matrix, permc_spec="COLAMD", diag_pivot_thresh=0.0)

    @cached_property
    def state_value(self) -> np.ndarray:
        """(S,) V."""
        reward = (self.policy * self.problem.R).sum(axis=1)
        return self.factors.solve(reward)

    @cached_property
    def value(self) -> float:
        """J, the value over the start."""
        return float(self.problem.start @ self.state_value)

    @cached_property
    def visits(self) -> np.ndarray:
        """(S,) d: expected discounted visits; exactly 0 where rounding would leave a trace below 0."""
        return np.maximum(self.factors.solve(self.problem.start, trans="T"), 0.0)  # type: ignore[call-overload]

    @cached_property
    def advantage(self) -> np.ndarray:
        """(S, A) Q - V; -inf where an action is not available."""
        look = (self.problem.T @ self.state_value).reshape(self.problem.n_states, -1)
        advantage = self.problem.R + self.problem.gamma * look - self.state_value[:, None]
        advantage[~self.problem.available[self.problem.classes]] = -np.inf
        return advantage

    @cached_property
    def margin(self) -> float:
        """What a gain has to exceed so that it is none of rounding."""
        return ROUNDING * max(1.0, abs(self.value), float(np.abs(self.state_value).max()))

    def greedy(self) -> np.ndarray:
        """(C,) actions: in each class the one with the largest sum of d(s) Q(s, a) over its states."""
        worth = self.problem.mean_over_classes(self.visits, self.advantage)
        worth[~self.problem.available] = -np.inf
        return worth.argmax(axis=1)

    def promising(self, c: int) -> np.ndarray:
        """The actions by which class `c` could gain at all: see the module's head."""
        states = self.problem.members[c]
        if not self.visits[states].any():
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero((self.advantage[states] > self.margin).any(axis=0))

    def gains(self, c: int, actions: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """(len(actions), len(shares)) J(x') - J(x), exact, where class `c` alone moves by a share towards an action."""
        problem, states = self.problem, self.problem.members[c]
        columns = np.zeros((problem.n_states, states.size))
        columns[states, np.arange(states.size)] = 1.0
        columns = self.factors.solve(columns)  # M_c
        found = np.empty((actions.size, shares.size))
        for i, action in enumerate(actions):
            changed = problem.T[states * problem.n_actions + action] - self.P[states]  # D
            inner = problem.gamma * (changed @ columns)
            for j, share in enumerate(shares):
                after = np.linalg.solve(np.identity(states.size) - share * inner, self.advantage[states, action])
                found[i, j] = share * (self.visits[states] @ after)
        return found
