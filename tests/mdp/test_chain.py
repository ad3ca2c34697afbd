"""A policy's Markov chain: values, lengths, success and occupancy against exact linear solves in fractions."""

from fractions import Fraction
from math import inf

import mdp_reference as slow
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError
from rltk.mdp import MDP
from rltk.mdp import chain as chain_module
from rltk.mdp.chain import reachable, stationary

quick = settings(deadline=None, max_examples=80)
signed = st.sampled_from([Fraction(-1), Fraction(0), Fraction(0), Fraction(1)])


@st.composite
def chains(draw, rewards=slow.dyadic):
    """(mdp, chain, (P, reward, ending) in fractions, outcomes, policy)"""
    outcomes, _ = draw(slow.mdps(rewards=rewards))
    policy = draw(slow.policies(outcomes))
    mdp = MDP.from_table(slow.as_table(outcomes))
    return mdp, mdp.chain(slow.as_policy(policy, mdp.n_actions)), slow.chain(outcomes, policy), outcomes, policy


def close(found, expected):
    expected = [np.nan if x is None else float(x) for x in expected]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@quick
@given(case=chains())
def test_matrix_reward_and_ending_are_those_of_the_policy(case):
    """P holds what goes on, and P's row sum and the ending make 1."""
    _, chain, (P, reward, ending), *_ = case

    dense = np.array([[float(row.get(t, 0)) for t in range(len(P))] for row in P])
    assert np.array_equal(chain.P.toarray(), dense)
    assert chain.reward.tolist() == [float(r) for r in reward]
    assert chain.ending.tolist() == [float(e) for e in ending]


@quick
@given(case=chains(), gamma=st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(63, 64)]))
def test_discounted_value_solves_the_bellman_equation(case, gamma):
    """v = (I - gamma P)^-1 r, by Gaussian elimination with fractions."""
    _, chain, (P, reward, _), *_ = case

    close(chain.value(float(gamma)), slow.fixed_point(P, reward, gamma))


@quick
@given(case=chains(rewards=signed))
def test_total_value_with_classes_that_never_end(case):
    """gamma = 1 with rewards of -1, 0 and 1, among which closed classes worth 0, inf, -inf and nothing are common;
    what reaches them shares their worth (Puterman 1994, section 7.1)."""
    _, chain, (P, reward, ending), *_ = case

    close(chain.value(1.0), slow.total_value(P, reward, ending))


def ring(*rewards):
    """A closed ring of states that pays `rewards`; state 0 enters it half the time, at -1, and ends otherwise."""
    n = len(rewards)
    table = {0: {0: [(0.5, 1, -1.0, False), (0.5, 0, -1.0, True)]}}
    for i, reward in enumerate(rewards):
        table[i + 1] = {0: [(1.0, 1 + (i + 1) % n, reward, False)]}
    return MDP.from_table(table).chain(np.zeros(n + 1, dtype=int))


ENDLESS = [((0.0,), 0.0), ((0.0, 0.0), 0.0), ((1.0, 0.0), inf), ((0.0, -2.0, 0.0), -inf)]
ENDLESS += [((1.0, -1.0), np.nan), ((0.1, 0.2, -0.3), np.nan), ((3.0, -1.0, -1.0), inf), ((1.0, -1.0, -1.0), -inf)]


@pytest.mark.parametrize(("rewards", "worth"), ENDLESS)
def test_what_an_endless_ring_is_worth(rewards, worth):
    """A ring that pays nothing is worth 0; one that gains is inf; one that loses -inf; one whose payments cancel has
    no total. What may enter it has the same worth, but for the payments on the way to a ring worth 0."""
    value = ring(*rewards).value(1.0)

    np.testing.assert_array_equal(value[1:], worth)
    np.testing.assert_array_equal(value[0], worth if worth != 0 else -1.0)
    assert ring(*rewards).length().tolist() == [inf] * (len(rewards) + 1)


def test_a_state_that_reaches_both_infinities_has_no_value():
    """inf - inf is not a number; a third state that reaches only one of them keeps it."""
    go = lambda *row: {0: [(p, t, r, False) for p, t, r in row]}  # noqa: E731
    table = {0: go((0.5, 1, 0.0), (0.5, 2, 0.0)), 1: go((1.0, 1, 1.0)), 2: go((1.0, 2, -1.0)), 3: go((1.0, 1, -9.0))}

    np.testing.assert_array_equal(MDP.from_table(table).chain([0] * 4).value(1.0), [np.nan, inf, -inf, inf])


@quick
@given(case=chains())
def test_length_is_the_expected_number_of_steps(case):
    """Infinite exactly where a closed class can be reached; the exact mean elsewhere."""
    _, chain, (P, _, ending), *_ = case
    endless = slow.reach(slow.transposed(P), set().union(*slow.closed_classes(P, ending)))
    exact = slow.fixed_point(P, [Fraction(1)] * len(P), Fraction(1), [s for s in range(len(P)) if s not in endless])

    close(chain.length(), [inf if s in endless else exact[s] for s in range(len(P))])


@quick
@given(case=chains(), goal=st.integers(0, 4))
def test_success_probability_is_of_ever_succeeding(case, goal):
    """A success counts once, whether or not the episode goes on after it; "success" here is entering one state. The
    reference makes every success an absorbing end and solves for the mass that arrives."""
    mdp, _, _, outcomes, policy = case
    n, goal = len(outcomes), goal % len(outcomes)
    rows = mdp.rows
    marked = type(rows)(
        rows.n_states,
        rows.n_actions,
        rows.row_start,
        rows.next_state,
        rows.probability,
        rows.reward,
        rows.terminated,
        rows.next_state == goal,
    )
    on, hit = [{} for _ in range(n)], [Fraction(0)] * n
    for s, actions in enumerate(outcomes):
        for a, weight in policy[s].items():
            for p, t, _, done in actions[a]:
                if t == goal:
                    hit[s] += weight * p
                elif not done and weight * p:
                    on[s][t] = on[s].get(t, Fraction(0)) + weight * p
    able = slow.reach(slow.transposed(on), [s for s in range(n) if hit[s] > 0])

    found = MDP(marked).chain(slow.as_policy(policy, mdp.n_actions)).success_probability()
    close(found, slow.fixed_point(on, hit, Fraction(1), able))


def test_a_success_that_goes_on_is_counted_once():
    """A checkpoint passed again and again is reached with probability 1, not 2 or 0."""
    T = np.array([[[0.5, 0.5]], [[0.5, 0.5]]])
    chain = MDP.from_arrays(T, np.zeros((2, 1)), success=np.array([False, True])).chain([0, 0])

    np.testing.assert_allclose(chain.success_probability(), [1, 1], rtol=1e-12)
    assert MDP.from_arrays(T, np.zeros((2, 1))).chain([0, 0]).success_probability() is None


@quick
@given(case=chains(), gamma=st.sampled_from([Fraction(1, 2), Fraction(1)]), data=st.data())
def test_occupancy_is_the_expected_number_of_visits(case, gamma, data):
    """x = start + gamma P' x; at gamma 1 infinite in the closed classes that the start reaches, 0 in others. The return
    is the visits times the rewards."""
    mdp, chain, (P, _, ending), *_ = case
    n = len(P)
    start = data.draw(slow.distributions(n))
    recurrent = set().union(*slow.closed_classes(P, ending)) if gamma == 1 else set()
    transient = [s for s in range(n) if s not in recurrent]
    right = [start[s] if s in transient else Fraction(0) for s in range(n)]
    visits = slow.fixed_point(slow.transposed(P), right, gamma, transient)
    reached = slow.reach(P, [s for s in range(n) if start[s] > 0])

    floats = np.array([float(p) for p in start])
    found = chain.occupancy(floats, float(gamma))
    close(found, [inf if s in recurrent & reached else visits[s] for s in range(n)])
    if gamma < 1:
        assert found @ chain.reward == pytest.approx(floats @ chain.value(float(gamma)), abs=1e-9)
    assert mdp.n_states == n


@quick
@given(edges=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7))), sources=st.sets(st.integers(0, 7)))
def test_reachable_is_a_breadth_first_search(edges, sources):
    """Any graph, any sources, none included."""
    graph = [{t: 1 for s, t in edges if s == state} for state in range(8)]
    dense = np.array([[float(t in graph[s]) for t in range(8)] for s in range(8)])

    found = reachable(sp.csr_array(dense), np.isin(np.arange(8), list(sources)))
    assert set(np.flatnonzero(found).tolist()) == slow.reach(graph, sources)


def test_gamblers_ruin():
    """From i of n coins, a fair gambler wins with probability i / n after i (n - i) bets (Feller 1968, chapter XIV)."""
    n = 10
    T = np.zeros((n + 1, 1, n + 1))
    for i in range(1, n):
        T[i, 0, [i - 1, i + 1]] = 0.5
    T[0, 0, 0] = T[n, 0, n] = 1
    ends, wins = np.isin(np.arange(n + 1), [0, n]), np.arange(n + 1) == n
    chain = MDP.from_arrays(T, np.ones((n + 1, 1)), terminated=ends, success=wins).chain([0] * (n + 1))

    inside = np.arange(1, n)
    np.testing.assert_allclose(chain.length()[inside], inside * (n - inside), rtol=1e-12)
    np.testing.assert_allclose(chain.success_probability()[inside], inside / n, rtol=1e-12)
    np.testing.assert_allclose(chain.value(1.0)[inside], inside * (n - inside), rtol=1e-12)


@quick
@given(weights=st.lists(slow.distributions(4), min_size=4, max_size=4))
def test_stationary_distribution(weights):
    """pi P = pi, for matrices made irreducible by a ring; and of one state alone."""
    P = np.array([[float(p) for p in row] for row in weights]) / 2 + np.roll(np.eye(4), 1, axis=1) / 2
    pi = stationary(sp.csr_array(P))

    np.testing.assert_allclose(pi @ P, pi, atol=1e-12)
    assert pi.sum() == pytest.approx(1)
    assert (pi > 0).all()
    assert stationary(sp.csr_array(np.ones((1, 1)))).tolist() == [1.0]


@pytest.mark.parametrize("gamma", [1.2, -0.1, float("nan"), True, "x", None])
def test_gamma_is_checked(gamma):
    """Chain and occupancy refuse what is no discount."""
    with pytest.raises(ArgumentError, match="gamma"):
        ring(0.0).value(gamma)
    with pytest.raises(ArgumentError, match="gamma"):
        ring(0.0).occupancy(np.array([1.0, 0.0]), gamma)


@pytest.mark.parametrize("gamma", [0.5, 0.99, 1.0])
def test_large_systems_are_iterated_to_the_same_answer(gamma, monkeypatch):
    """Where factors would fill up: value, length, success and occupancy, to the last digits but two."""
    random = np.random.default_rng(5)
    probability = random.dirichlet(np.full(300, 0.1), (300, 2))
    terminated = random.random(300) < 0.02
    mdp = MDP.from_arrays(probability, random.normal(size=(300, 2)), terminated=terminated)
    policy = random.dirichlet(np.ones(mdp.n_actions), mdp.n_states)

    def figures():
        chain = mdp.chain(policy)
        return (
            chain.value(gamma),
            chain.length(),
            chain.success_probability(),
            chain.occupancy(mdp.start, gamma),
        )

    direct = figures()
    monkeypatch.setattr(chain_module, "_MANY", 0)
    monkeypatch.setattr(chain_module, "_DENSE", 0)
    monkeypatch.setattr(chain_module, "splu", None)  # it is not asked
    for found, expected in zip(figures(), direct, strict=True):
        if expected is None:
            continue
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
