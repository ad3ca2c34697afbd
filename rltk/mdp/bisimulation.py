"""How far two states are from being the same: the bisimulation metric, exactly.

    d = F d,   (F d)(s, t) = max_a [ |R(s, a) - R(t, a)| + gamma W1(T(. | s, a), T(. | t, a); d) ]

W1 is the Kantorovich distance (`rltk.mdp.transport`). d is 0 between states of one class of the coarsest bisimulation
(`rltk.mdp.lumping`) and only there, and |V*(s) - V*(t)| <= d(s, t).

- An outcome that terminates leads to the end: one more state, in which every action is available, stays and pays 0.
- States with different available actions are as far apart as any two states can be: D = (max R - min R) / (1 - gamma),
  over all rewards and the end's. Where all rewards are equal everything is worth the same, and D and d are 0.

F is a contraction by gamma in the largest difference, and monotone. From d_0 = 0 sweeps that put each new distance in
place at once rise towards d and never pass it, and such a sweep G is a contraction by gamma with the same fixed point:

    d_k <= d <= d_k + gamma / (1 - gamma) max |d_k - d_(k-1)|

which is where they stop. Any way of transport costs at least W1: where a plain one is too cheap to raise a distance,
the best need not be found. States of one class are equally far from any third, so distances are sought between classes.
In W1 what two rows share stays where it is: right for a metric, as d is; this F is still monotone and a contraction.

Source: Ferns, Panangaden and Precup (2004), "Metrics for finite Markov decision processes", theorems 4.5 and 5.1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from rltk.errors import ArgumentError, CriterionError
from rltk.mdp.criterion import checked_gamma
from rltk.mdp.jit import jit
from rltk.mdp.lumping import point_classes
from rltk.mdp.model import MDP
from rltk.mdp.transport import corner_cost, least_cost, unshared, workspace
from rltk.mdp.validation import refuse_size

EPSILON = float(np.finfo(np.float64).eps)


def bisimulation_metric(
    mdp: MDP, gamma: float, tolerance: float = 1e-6, *, report: Callable[[int, float], Any] | None = None
) -> np.ndarray:
    """(S, S) float64: the bisimulation metric from below, d - tolerance <= found <= d, rounding included.

    gamma: below 1. report: called now and then with the sweeps done and the error left, as planners do. States that
    differ by no more than the rounding of their numbers (1e-12) count as one class and are at distance 0.

    Raises SizeError where (S, S) would not fit, CriterionError for gamma 1, ArgumentError where float64 can't hold the
    distances to within `tolerance`.
    """
    gamma = checked_gamma(gamma)
    if gamma == 1:
        raise CriterionError("distances under gamma 1 need not be finite; ask for gamma < 1")
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | np.number) or not 0 < tolerance < np.inf:
        raise ArgumentError(f"tolerance is a positive number; it is {tolerance!r}")
    if not isinstance(mdp, MDP):
        raise ArgumentError(f"an MDP was expected; found {type(mdp).__name__}. Of an environment: env.unwrapped.mdp()")
    refuse_size(
        f"the distances between {mdp.n_states:,} states",
        16.0 * mdp.n_states**2,
        "Ask for a smaller MDP; bisimulation_classes(mdp) tells at any size which are 0",
    )
    classes = point_classes(mdp)
    quotient = quotient_of(mdp, classes)
    distance = _fixed_point(quotient, gamma, float(tolerance), report or (lambda sweeps, error: None))
    own = classes[: mdp.n_states]
    return distance[np.ix_(own, own)]


class Quotient(NamedTuple):
    """An MDP on the C classes of its states: what each class does, told by one member."""

    row_start: np.ndarray  # (C * A + 1,) int64
    target: np.ndarray  # (n,) int32: classes, rising strictly in each row
    probability: np.ndarray  # (n,) float64; a row sums to 1 but for rounding
    reward: np.ndarray  # (C, A) float64
    kind: np.ndarray  # (C,) int64: the same number for the same available actions
    span: float  # the largest reward less the smallest


def quotient_of(mdp: MDP, classes: np.ndarray) -> Quotient:
    """The quotient of `mdp` by `classes` (S,) or, with the end, (S + 1,): numbers by first member."""
    first = np.unique(classes, return_index=True)[1]
    with_end, ends = first.size, classes.size > mdp.n_states
    reward, available = np.zeros((with_end, mdp.n_actions)), np.ones((with_end, mdp.n_actions), dtype=bool)
    inside = first < mdp.n_states  # the end alone makes a class where no state is like it
    reward[inside], available[inside] = mdp.expected_reward()[first[inside]], mdp.available[first[inside]]
    target = np.where(mdp.terminated, classes[-1], classes[mdp.next_state]) if ends else classes[mdp.next_state]
    shape = (mdp.n_states * mdp.n_actions, with_end)
    rows = sp.csr_array((mdp.probability, target, mdp.row_start), shape=shape)
    chosen = rows[(first[inside, None] * mdp.n_actions + np.arange(mdp.n_actions)).reshape(-1)]
    if not inside.all():
        stays = np.full(mdp.n_actions, with_end - 1), np.arange(mdp.n_actions + 1)
        chosen = sp.vstack([chosen, sp.csr_array((np.ones(mdp.n_actions), *stays), shape=(mdp.n_actions, with_end))])
    chosen = sp.csr_array(chosen)
    chosen.sum_duplicates()
    total = np.repeat(np.asarray(chosen.sum(axis=1)).reshape(-1), np.diff(chosen.indptr))
    paid = reward[available]
    return Quotient(
        chosen.indptr.astype(np.int64),
        chosen.indices.astype(np.int32),
        chosen.data / total,
        reward,
        np.unique(available, axis=0, return_inverse=True)[1].reshape(-1),
        float(paid.max() - paid.min()),
    )


def _fixed_point(quotient: Quotient, gamma: float, tolerance: float, report: Callable[[int, float], Any]) -> np.ndarray:
    """(C, C): the least fixed point of F from below, to within `tolerance`."""
    most = int(np.diff(quotient.row_start).max())
    farthest = quotient.span / (1 - gamma)
    # A distance is a sum of at most 4 `most` products of numbers up to `farthest`, and gamma carries its error on.
    rounding = EPSILON * (4 * most + 4) * farthest / (1 - gamma)
    if rounding >= tolerance:
        raise ArgumentError(
            f"distances up to {farthest:.3g} can't be had to within {tolerance:.3g} in float64 at gamma {gamma:.16g}; "
            f"ask for a tolerance above {rounding:.3g}"
        )
    distance = np.where(quotient.kind[:, None] == quotient.kind, 0.0, farthest)
    work, sweeps, error = workspace(most), 0, np.inf
    while error > tolerance:
        change = _sweep(*quotient[:5], gamma, distance, sweeps % 2 == 0, work)
        sweeps += 1
        error = gamma / (1 - gamma) * change + rounding
        report(sweeps, error)
    return distance


@jit(nogil=True)
def _sweep(row_start, target, probability, reward, kind, gamma, distance, upwards, work):
    """Put F d in place of d, a class against all before it at a time; return the largest change."""
    n, n_actions = reward.shape
    change, risen = 0.0, np.empty(n)
    for k in range(1, n):
        s = k if upwards else n - k
        for t in range(s):
            risen[t] = distance[s, t]  # distances only rise: what does not reach them need not be known
        for a in range(n_actions):
            row = s * n_actions + a
            i, end = row_start[row], row_start[row + 1]
            for t in range(s if i < end else 0):
                if kind[s] != kind[t]:
                    continue
                j, other_end = row_start[t * n_actions + a], row_start[t * n_actions + a + 1]
                paid = abs(reward[s, a] - reward[t, a])
                if end - i == 1 and other_end - j == 1:
                    apart = distance[target[i], target[j]]
                else:
                    m, n_sinks = unshared(target, probability, i, end, j, other_end, work)
                    apart = corner_cost(m, n_sinks, distance, work)
                    if m > 1 and n_sinks > 1 and paid + gamma * apart > risen[t]:
                        apart = least_cost(m, n_sinks, distance, work)
                risen[t] = max(risen[t], paid + gamma * apart)
        for t in range(s):
            change = max(change, risen[t] - distance[s, t])
            distance[s, t] = distance[t, s] = risen[t]
    return change
