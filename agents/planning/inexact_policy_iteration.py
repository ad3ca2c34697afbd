"""Inexact policy iteration: Newton's method on v = T v, each linear system solved only as far as it is worth it.

    pi = greedy(v),    r = r_pi + gamma P_pi v - v = T v - v,    (I - gamma P_pi) d = r  to  |r - A d| <= eta |r|,
    v <- v + d

eta shrinks as r does (eta_k = |r_k|^2 / |r_k-1|^2, at most 0.1), which keeps the fast convergence of policy iteration
without its factorisation. The systems are solved by BiCGSTAB, preconditioned by one symmetric Gauss-Seidel sweep: where
information travels slowly, gamma near 1 and long chains, a Krylov method takes about the square root of the sweeps that
value iteration takes, and this one keeps going where restarted GMRES stalls. A step that does not shorten r is not
taken: a few plain sweeps under the policy are, and when these lead nowhere value iteration goes on. The certificate
(`bounds`) is one look ahead of the caller's T.

Source: Dembo, Eisenstat and Steihaug (1982), "Inexact Newton methods"; Eisenstat and Walker (1996) for eta; van der
Vorst (1992) for BiCGSTAB; Gargiani, Liao-McPherson, Zanelli and Lygeros (2022), "Inexact GMRES policy iteration for
large-scale Markov decision processes".
"""

from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import LinearOperator, bicgstab

from rltk.agents.planning.bounds import Certifier
from rltk.agents.planning.planner import Planner, Report, onward, shortfall
from rltk.agents.planning.value_iteration import iterate
from rltk.mdp import MDP, Chain, jit

LARGEST_ETA, SMALLEST_ETA = 0.1, 1e-8
ITERATIONS = 500  # of BiCGSTAB under one policy
PLAIN = 20  # sweeps under the policy where it does not help
PATIENCE = 300  # policies without progress


class InexactPolicyIteration(Planner):
    """Policy iteration by a Krylov solver: `InexactPolicyIteration(gamma=0.9999).solve(mdp)`.

    For large problems in which information travels slowly. `sweeps` counts looks ahead and products with P_pi.
    """

    name = "inexact policy iteration"

    def _solve(self, mdp: MDP, report: Report, guess: np.ndarray | None) -> dict[str, Any]:
        gamma, certifier = self.criterion.gamma, Certifier(mdp, self.criterion.gamma)
        value = np.zeros(mdp.n_states) if guess is None else guess
        policy, chain = np.full(mdp.n_states, -1), None
        sweeps, rounds, best, best_at, length, eta = 0, 0, np.inf, 0, np.inf, LARGEST_ETA
        while True:
            look = mdp.form.look(value, gamma, 0.0)
            sweeps, rounds = sweeps + 1, rounds + 1
            e = certifier.rounding(value)
            half_width = certifier.shift_of(look.least_change, look.most_change, e).half_width
            report(sweeps, half_width)
            if half_width < best:
                best, best_at = half_width, rounds
            stuck = half_width <= 2 * certifier.shift_of(0.0, 0.0, e).half_width or rounds - best_at > PATIENCE
            if half_width <= self.tolerance or sweeps >= self.max_sweeps or stuck:
                break
            if chain is None or not np.array_equal(policy, look.policy):
                policy, chain = look.policy, mdp.chain(look.policy)
            before, length = length, float(np.linalg.norm(look.best - value))
            if np.isfinite(before):
                eta = min(LARGEST_ETA, (length / before) ** 2) if length < before else eta / 10
            worth = 0.1 * self.tolerance / max(half_width, self.tolerance)  # no system is solved beyond the tolerance
            value, used = step(chain, gamma, value, max(eta, worth, SMALLEST_ETA), self.max_sweeps - sweeps - 1)
            sweeps += used
        if half_width > self.tolerance and sweeps < self.max_sweeps:
            options = self.tolerance, self.max_sweeps - sweeps, onward(report, sweeps)
            value, more = iterate(certifier, value, *options)
            sweeps += more
        answer = certifier.bounds(value)
        return {**answer, "sweeps": sweeps + 1, "note": shortfall(answer, self.tolerance, sweeps, self.max_sweeps)}


def step(chain: Chain, gamma: float, value: np.ndarray, eta: float, allowed: int) -> tuple[np.ndarray, int]:
    """(value (S,), products with P) nearer to the value of the policy whose chain this is, in `allowed` products."""
    P = sp.csr_array(chain.P)
    arrays = P.indptr, P.indices, P.data, gamma
    residual = chain.reward + gamma * (P @ value) - value
    size, used = float(np.abs(residual).max()), 0
    if allowed < 1 or size == 0 or not np.isfinite(size):
        return value, 0

    def count(_: np.ndarray) -> None:
        nonlocal used
        used += 2  # an iteration of BiCGSTAB takes two products

    correction, _ = bicgstab(
        LinearOperator(P.shape, matvec=lambda x: x - gamma * (P @ x), dtype=np.float64),
        residual / size,  # of size 1, so that no unit of reward is too small for the solver
        rtol=eta,
        atol=0.0,
        maxiter=max(1, min(ITERATIONS, allowed // 2)),
        M=LinearOperator(P.shape, matvec=lambda x: symmetric_sweep(*arrays, x), dtype=np.float64),
        callback=count,
    )
    used = min(max(used, 1), allowed)
    nearer = value + size * correction
    left = float(np.abs(chain.reward + gamma * (P @ nearer) - nearer).max())
    if left <= gamma * size:
        return nearer, used
    plain = min(PLAIN, allowed - used)
    for _ in range(plain):
        value = chain.reward + gamma * (P @ value)
    return value, used + plain


@jit
def symmetric_sweep(row_start, column, probability, gamma, right):
    """x (S,) with (D - L) D^-1 (D - U) x = `right`, where D - L - U = I - gamma P: there and back."""
    n_states = right.size
    x, diagonal = np.empty(n_states), np.empty(n_states)
    for s in range(n_states):
        total, own = right[s], 1.0
        for i in range(row_start[s], row_start[s + 1]):
            if column[i] < s:
                total += gamma * probability[i] * x[column[i]]
            elif column[i] == s:
                own -= gamma * probability[i]
        diagonal[s] = own
        x[s] = total / own
    for s in range(n_states - 1, -1, -1):
        total = 0.0
        for i in range(row_start[s], row_start[s + 1]):
            if column[i] > s:
                total += gamma * probability[i] * x[column[i]]
        x[s] += total / diagonal[s]
    return x
