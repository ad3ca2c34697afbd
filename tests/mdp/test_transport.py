"""The Kantorovich distance against linear programming, degenerate cases included."""

import numpy as np
import pytest
from scipy.optimize import linprog

from rltk.errors import ArgumentError
from rltk.mdp.transport import corner_cost, kantorovich, unshared, workspace


def by_linear_programming(p, q, cost):
    m, n = cost.shape
    rows = np.kron(np.eye(m), np.ones(n))
    columns = np.kron(np.ones(m), np.eye(n))
    found = linprog(cost.reshape(-1), A_eq=np.vstack([rows, columns])[:-1], b_eq=np.concatenate([p, q])[:-1])
    assert found.success
    return found.fun


def distributions(stream, kind, m, n):
    if kind == "general":
        return stream.dirichlet(np.full(m, 0.5)), stream.dirichlet(np.full(n, 0.5))
    if kind == "equal":  # every partial sum of one side meets one of the other: degenerate vertices
        return np.full(m, 1 / m), np.full(n, 1 / n)
    p, q = stream.integers(0, 3, m).astype(float), stream.integers(0, 3, n).astype(float)
    p[stream.integers(m)] += 1
    q[stream.integers(n)] += 1
    return p / p.sum(), q / q.sum()  # some are 0


@pytest.mark.parametrize("kind", ["general", "equal", "coarse"])
@pytest.mark.parametrize("costs", ["general", "tied", "mostly nothing"])
def test_the_cost_is_the_linear_program_s(kind, costs):
    """Hundreds of random cases; equal masses and tied costs, where vertices are degenerate, among them."""
    stream = np.random.default_rng([len(kind), len(costs)])
    for _ in range(40):
        m, n = stream.integers(1, 8, 2)
        p, q = distributions(stream, kind, m, n)
        cost = stream.random((m, n)) if costs == "general" else stream.integers(0, 3, (m, n)).astype(float)
        if costs == "mostly nothing":
            cost *= stream.random((m, n)) < 0.3
        assert kantorovich(p, q, cost) == pytest.approx(by_linear_programming(p, q, cost), abs=1e-10)


def test_a_path_takes_back_what_an_earlier_one_sent():
    """The nearest pair is not part of the optimum here: 0 + 10 is dearer than 1 + 1."""
    assert kantorovich([0.5, 0.5], [0.5, 0.5], [[0, 1], [1, 10]]) == 1
    assert kantorovich([0.5, 0.5], [0.5, 0.5], [[0, 1], [10, 1]]) == 0.5


def test_on_a_line_it_is_the_area_between_the_distribution_functions():
    """W1 = integral |F - G| (Villani 2009, remark 2.19)."""
    stream = np.random.default_rng(0)
    for _ in range(20):
        x = np.sort(stream.random(40))
        p, q = stream.dirichlet(np.ones(40), 2)
        area = np.abs(np.cumsum(p - q)[:-1]) @ np.diff(x)
        assert kantorovich(p, q, np.abs(x[:, None] - x)) == pytest.approx(area, rel=1e-9)


def test_what_two_rows_share_is_taken_away():
    """Outcome 3 is shared by 0.25; 1 and 9 are not; 5 is shared whole."""
    target = np.array([1, 3, 5, 3, 5, 9], dtype=np.int32)
    probability = np.array([0.25, 0.5, 0.25, 0.25, 0.25, 0.5])
    work = workspace(3)

    assert unshared(target, probability, 0, 3, 3, 6, work) == (2, 1)
    assert work.sources[:2].tolist() == [1, 3]
    assert work.supply[:2].tolist() == [0.25, 0.25]
    assert (work.sinks[0], work.demand[0]) == (9, 0.5)
    assert corner_cost(2, 1, np.arange(100.0).reshape(10, 10), work) == 0.25 * 19 + 0.25 * 39
    assert corner_cost(0, 0, np.zeros((0, 0)), work) == 0


@pytest.mark.parametrize(
    ("p", "q", "cost", "words"),
    [
        ([1.0], [0.5, 0.4], [[1, 1]], "q is a distribution.*0.9"),
        ([1.5, -0.5], [1.0], [[1], [1]], "p is a distribution"),
        ([1.0], [1.0], [[1, 2]], r"their shapes are \(1,\), \(1,\), \(1, 2\)"),
        ([1.0], [1.0], [[-1]], "cost holds"),
        ([1.0], [1.0], [[np.nan]], "cost holds"),
    ],
)
def test_bad_input_is_named(p, q, cost, words):
    """What is no distribution, or no cost."""
    with pytest.raises(ArgumentError, match=words):
        kantorovich(p, q, cost)
