"""What a policy earns in the long run, episodes following each other: where one ends, the next begins from `start`.

    g = lim E[r_0 + ... + r_(n-1)] / n        the gain: the mean reward a step
    h = r - g + P h + ending (start . h)      the bias: what a state is worth beside others

A policy that surely ends earns its expected return over its expected length (the renewal-reward theorem); one that
settles in a closed class earns that class's mean reward under its stationary distribution.

Source: Ross (1996), Stochastic Processes, theorem 3.6.1; Puterman (1994), section 8.2.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from rltk.errors import CriterionError
from rltk.mdp.chain import Chain, reachable, stationary


class LongRun(NamedTuple):
    """What follows from a start distribution in the long run."""

    gain: np.ndarray  # (S,) float64: the mean reward a step; nan for states that need not come where the start leads
    occupancy: np.ndarray  # (S,) float64: the share of time in each state


def restarting(chain: Chain, start: np.ndarray) -> sp.csr_array:
    """(S + 1, S + 1) the graph of a chain whose episodes begin anew: an end leads to node S, node S to the starts.

    Only what is stored counts, not its numbers.
    """
    n = chain.n_states
    edges = chain.P.tocoo()
    ending, starts = np.flatnonzero(chain.ending > 0), np.flatnonzero(start > 0)
    source = np.concatenate([edges.coords[0], ending, np.full(starts.size, n)])
    target = np.concatenate([edges.coords[1], np.full(ending.size, n), starts])
    return sp.coo_array((np.ones(source.size, dtype=bool), (source, target)), shape=(n + 1, n + 1)).tocsr()


def closed_classes(graph: sp.csr_array) -> np.ndarray:
    """(N,) int: the number of the closed class of `graph` (N, N) that a node belongs to; -1 where it is in none."""
    count, label = connected_components(graph, directed=True, connection="strong")
    edges = graph.tocoo()
    source, target = label[edges.coords[0]], label[edges.coords[1]]
    closed = np.ones(count, dtype=bool)
    closed[source[source != target]] = False
    return np.where(closed, np.cumsum(closed) - 1, -1)[label]


def long_run(chain: Chain, start: np.ndarray) -> LongRun:
    """The gain and the occupancy of a policy's chain from `start` (S,), episodes following each other.

    Raises CriterionError, naming two states, where the start can lead to two closed classes: one mean reward a step is
    then no answer.
    """
    n, graph = chain.n_states, restarting(chain, start)
    label = closed_classes(graph)
    entered = np.unique(label[reachable(graph, np.append(start > 0, False))])
    entered = entered[entered >= 0]
    if entered.size != 1:
        first, second = sorted(int(np.flatnonzero(label == number)[0]) for number in entered[:2])
        raise CriterionError(
            f"under this policy the start leads to state {first} or to state {second}, and neither leads to the other: "
            "its mean reward a step depends on chance. Ask for gamma < 1"
        )
    if label[n] == entered[0]:
        visits = chain.occupancy(start, 1.0)
        occupancy = visits / visits.sum()
    else:
        members = np.flatnonzero(label[:n] == entered[0])
        occupancy = np.zeros(n)
        occupancy[members] = stationary(chain.P[members][:, members])
    gain = float(occupancy @ chain.reward)
    elsewhere = reachable(graph.T.tocsr(), (label >= 0) & (label != entered[0]))[:n]
    return LongRun(np.where(elsewhere, np.nan, gain), occupancy)


def bias(chain: Chain, start: np.ndarray) -> np.ndarray | None:
    """(S,) the bias of a policy's chain, right up to a constant; None where it settles in more than one class, or in
    one that never ends while other states do end. nan where rounding leaves no answer."""
    label = closed_classes(restarting(chain, start))
    ends = bool(label[-1] >= 0)
    if label.max() > 0 or (not ends and (chain.ending > 0).any()):
        return None
    paid = chain.reward - long_run(chain, start).gain
    if not ends:  # a state of the class stands for the end: it is worth 0
        end = int(np.flatnonzero(label == 0)[0])
        kept = sp.diags_array((np.arange(chain.n_states) != end).astype(float))
        entering = np.asarray(chain.P[:, [end]].todense()).reshape(-1)
        chain = replace(chain, P=sp.csr_array(chain.P @ kept), ending=entering)
        chain.P.eliminate_zeros()
    return chain.with_reward(paid).value(1.0)
