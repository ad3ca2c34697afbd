"""The Kantorovich distance between two distributions with finitely many outcomes, exactly.

    W1(p, q; d) = min_x sum_ij x_ij d_ij      x_ij >= 0,  sum_j x_ij = p_i,  sum_i x_ij = q_j

Successive shortest paths: mass goes along the cheapest path from a source that has some left to a sink that lacks
some. A path may take back what an earlier one sent (the arc backwards costs -d_ij). With potentials u, v that keep all
reduced costs d_ij + u_i - v_j at least 0, the path is Dijkstra's; every flow on the way is the cheapest of its size, so
the last is too. Each path empties a source, fills a sink or takes an arc's flow back whole.

Where p and q share outcomes and d is a metric, what they share stays where it is.

Source: Ahuja, Magnanti and Orlin (1993), Network Flows, section 9.7; Villani (2009), Optimal Transport, chapter 6.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp.jit import jit


def kantorovich(p: Any, q: Any, cost: Any) -> float:
    """W1 of `p` (m,) and `q` (n,), distributions, under `cost` (m, n) of at least 0. It need not be a metric.

    Raises ArgumentError where these are no distributions or the shapes don't fit.
    """
    p, q, cost = (np.array(array, dtype=np.float64) for array in (p, q, cost))
    if p.ndim != 1 or q.ndim != 1 or cost.shape != (p.size, q.size):
        raise ArgumentError(
            f"p (m,), q (n,) and cost (m, n) were expected; their shapes are {p.shape}, {q.shape}, {cost.shape}"
        )
    for name, array in (("p", p), ("q", q)):
        if not (array >= 0).all() or not abs(array.sum() - 1) <= 1e-9:
            raise ArgumentError(f"{name} is a distribution: at least 0, sum 1. Its sum is {array.sum():.12g}")
    if not ((cost >= 0) & np.isfinite(cost)).all():
        raise ArgumentError("cost holds finite numbers of at least 0; one is not. Leave out what can't be reached")
    work = workspace(max(p.size, q.size))
    work.supply[: p.size], work.demand[: q.size] = p / p.sum(), q / q.sum()
    work.sources[: p.size], work.sinks[: q.size] = np.arange(p.size), np.arange(q.size)
    return float(least_cost(p.size, q.size, cost, work))


class Workspace(NamedTuple):
    """Arrays for transports between at most K sources and K sinks, made once for very many of them."""

    sources: np.ndarray  # (K,) int64: rows of the cost
    sinks: np.ndarray  # (K,) int64: its columns
    supply: np.ndarray  # (K,) float64: what a source has left
    demand: np.ndarray  # (K,) float64: what a sink lacks
    flow: np.ndarray  # (K, K) float64
    u: np.ndarray  # (K,) float64: potentials of sources
    v: np.ndarray  # (K,) float64: of sinks
    to_source: np.ndarray  # (K,) float64: lengths of paths
    to_sink: np.ndarray
    source_settled: np.ndarray  # (K,) bool
    sink_settled: np.ndarray
    before_source: np.ndarray  # (K,) int64: the sink that the path to a source comes from; -1 where it begins
    before_sink: np.ndarray  # (K,) int64: the source that the path to a sink comes from


def workspace(most: int) -> Workspace:
    """Arrays for transports with at most `most` outcomes on a side."""
    indices, numbers, flags = np.zeros((4, most), dtype=np.int64), np.zeros((6, most)), np.zeros((2, most), dtype=bool)
    return Workspace(
        sources=indices[0],
        sinks=indices[1],
        supply=numbers[0],
        demand=numbers[1],
        flow=np.zeros((most, most)),
        u=numbers[2],
        v=numbers[3],
        to_source=numbers[4],
        to_sink=numbers[5],
        source_settled=flags[0],
        sink_settled=flags[1],
        before_source=indices[2],
        before_sink=indices[3],
    )


@jit(nogil=True, _nrt=False)
def unshared(target, probability, begin, end, other_begin, other_end, work):
    """(m, n): how many sources and sinks there are, filled in, once what two rows of outcomes share is taken away.
    The outcomes of a row, target[begin:end], rise strictly."""
    m = n = 0
    i, j = begin, other_begin
    while i < end or j < other_end:
        if j == other_end or (i < end and target[i] < target[j]):
            work.sources[m], work.supply[m] = target[i], probability[i]
            m, i = m + 1, i + 1
        elif i == end or target[j] < target[i]:
            work.sinks[n], work.demand[n] = target[j], probability[j]
            n, j = n + 1, j + 1
        else:
            rest = probability[i] - probability[j]
            if rest > 0.0:
                work.sources[m], work.supply[m] = target[i], rest
                m += 1
            elif rest < 0.0:
                work.sinks[n], work.demand[n] = target[j], -rest
                n += 1
            i, j = i + 1, j + 1
    return m, n


@jit(nogil=True, _nrt=False)
def corner_cost(m, n, cost, work):
    """What it costs to serve the sinks in their order from the sources in theirs (the north-west corner): a way that
    is allowed, the only one where there is but one source or sink. It uses nothing up."""
    if m == 0 or n == 0:
        return 0.0
    total, i, j = 0.0, 0, 0
    supply, demand = work.supply[0], work.demand[0]
    while True:
        amount = min(supply, demand)
        total += amount * cost[work.sources[i], work.sinks[j]]
        supply, demand = supply - amount, demand - amount
        if supply == 0.0:
            i += 1
            if i == m:
                return total
            supply = work.supply[i]
        if demand == 0.0:
            j += 1
            if j == n:
                return total
            demand = work.demand[j]


@jit(nogil=True, _nrt=False)
def least_cost(m, n, cost, work):
    """The least cost of bringing work.supply[:m] at its sources to work.demand[:n] at its sinks; uses both up."""
    total = 0.0
    work.u[:m] = 0.0
    work.v[:n] = 0.0
    for i in range(m):
        for j in range(n):
            work.flow[i, j] = 0.0
    while True:
        last = _nearest_sink(m, n, cost, work)
        if last < 0:
            return total
        total += _send(last, cost, work)


@jit(nogil=True, _nrt=False)
def _nearest_sink(m, n, cost, work):
    """Dijkstra from all sources with supply left to the nearest sink with demand left; -1 where there is neither."""
    u, v = work.u, work.v
    for i in range(m):
        work.to_source[i] = 0.0 if work.supply[i] > 0.0 else np.inf
        work.before_source[i], work.source_settled[i] = -1, False
    for j in range(n):
        work.to_sink[j], work.sink_settled[j] = np.inf, False
    while True:
        length, node, at_sink = np.inf, -1, False
        for i in range(m):
            if not work.source_settled[i] and work.to_source[i] < length:
                length, node = work.to_source[i], i
        for j in range(n):
            if not work.sink_settled[j] and work.to_sink[j] < length:
                length, node, at_sink = work.to_sink[j], j, True
        if node < 0:
            return -1
        if at_sink and work.demand[node] > 0.0:
            break
        if at_sink:
            work.sink_settled[node] = True
            for i in range(m):
                if work.flow[i, node] > 0.0:
                    reduced = v[node] - u[i] - cost[work.sources[i], work.sinks[node]]
                    if length + max(0.0, reduced) < work.to_source[i]:
                        work.to_source[i], work.before_source[i] = length + max(0.0, reduced), node
        else:
            work.source_settled[node] = True
            for j in range(n):
                reduced = cost[work.sources[node], work.sinks[j]] + u[node] - v[j]
                if length + max(0.0, reduced) < work.to_sink[j]:
                    work.to_sink[j], work.before_sink[j] = length + max(0.0, reduced), node
    for i in range(m):
        u[i] += min(work.to_source[i], length)
    for j in range(n):
        v[j] += min(work.to_sink[j], length)
    return node


@jit(nogil=True, _nrt=False)
def _send(last, cost, work):
    """Send as much as can go along the path that ends at sink `last`; return what it costs."""
    amount = work.demand[last]
    i, j = work.before_sink[last], work.before_source[work.before_sink[last]]
    while j >= 0:
        amount = min(amount, work.flow[i, j])
        i = work.before_sink[j]
        j = work.before_source[i]
    amount = min(amount, work.supply[i])
    work.demand[last] -= amount
    work.supply[i] -= amount
    price, j = 0.0, last
    while j >= 0:
        i = work.before_sink[j]
        work.flow[i, j] += amount
        price += cost[work.sources[i], work.sinks[j]]
        j = work.before_source[i]
        if j >= 0:
            work.flow[i, j] -= amount
            price -= cost[work.sources[i], work.sinks[j]]
    return amount * price
