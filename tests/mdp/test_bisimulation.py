"""Bisimulation: classes and the metric against definitions written out, known answers, and the values they bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from rltk.errors import ArgumentError, CriterionError, SizeError
from rltk.mdp import MDP, bisimulation_classes, bisimulation_metric

quick = settings(deadline=None, max_examples=60, derandomize=True)


def written_out(mdp):
    """What the definitions speak of: T (N, A, N), R (N, A), available (N, A) over the states and the end."""
    n = mdp.n_states + 1
    T, R = np.zeros((n, mdp.n_actions, n)), np.zeros((n, mdp.n_actions))
    for s in range(mdp.n_states):
        for a in range(mdp.n_actions):
            row = s * mdp.n_actions + a
            for i in range(mdp.row_start[row], mdp.row_start[row + 1]):
                T[s, a, n - 1 if mdp.terminated[i] else mdp.next_state[i]] += mdp.probability[i]
                R[s, a] += mdp.probability[i] * mdp.reward[i]
    T[n - 1, :, n - 1] = 1
    return T, R, np.vstack([mdp.available, np.ones((1, mdp.n_actions), bool)])


def slow_classes(mdp):
    """Split by what is seen of each state until nothing changes; O(S^2) a round."""
    T, R, available = written_out(mdp)
    n, classes = len(T), np.zeros(len(T), dtype=int)
    while True:
        into = np.stack([T[:, :, classes == c].sum(axis=2) for c in range(classes.max() + 1)], axis=2)
        split = np.empty(n, dtype=int)
        for s in range(n):
            for t in range(s + 1):
                alike = classes[s] == classes[t] and (available[s] == available[t]).all()
                if t == s or (
                    alike and np.allclose(R[s], R[t], atol=1e-12) and np.allclose(into[s], into[t], atol=1e-12)
                ):
                    split[s] = split[t] if t < s else split[:s].max(initial=-1) + 1
                    break
        if split.max() == classes.max():
            return split[: mdp.n_states]
        classes = split


def transported(p, q, cost):
    """The linear program, as it stands, of the states that have any mass."""
    i, j = np.flatnonzero(p), np.flatnonzero(q)
    if i.size == 1 or j.size == 1:
        return p[i] @ cost[np.ix_(i, j)] @ q[j]
    A = np.vstack([np.kron(np.eye(i.size), np.ones(j.size)), np.kron(np.ones(i.size), np.eye(j.size))])
    return linprog(cost[np.ix_(i, j)].reshape(-1), A_eq=A[:-1], b_eq=np.concatenate([p[i], q[j]])[:-1]).fun


def one_step(mdp, distance, gamma):
    """F d on the states and the end, by definition."""
    T, R, available = written_out(mdp)
    n = len(T)
    paid = R[available] if mdp.terminated.any() else R[:-1][available[:-1]]
    out = np.zeros((n, n))
    for s in range(n):
        for t in range(n):
            if (available[s] != available[t]).any():
                out[s, t] = (paid.max() - paid.min()) / (1 - gamma)
            elif s != t:
                out[s, t] = max(
                    abs(R[s, a] - R[t, a]) + gamma * transported(T[s, a], T[t, a], distance)
                    for a in np.flatnonzero(available[s])
                )
    return out


@st.composite
def mdps(draw, most_states=6, resting=False):
    """Small MDPs in which states that are alike, ends, ties and actions that are missing are common; with a last state
    that stays where it is for nothing if it is asked for."""
    stream = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_states, n_actions = draw(st.integers(1, most_states)), draw(st.integers(1, 2))
    available = stream.random((n_states, n_actions)) < draw(st.sampled_from([1.0, 0.8]))
    available[:, 0] = True
    T = np.zeros((n_states, n_actions, n_states))
    for s, a in np.argwhere(available):
        outcomes = stream.integers(0, n_states, draw(st.sampled_from([1, 2, 4])))
        np.add.at(T[s, a], outcomes, 1 / outcomes.size)
    R = stream.integers(-1, 2, (n_states, n_actions)) * available
    terminated = stream.random(n_states) < draw(st.sampled_from([0.0, 0.3]))
    if resting:
        available[-1], T[-1], T[-1, :, -1], R[-1], terminated[-1] = True, 0, 1, 0, False
    return MDP.from_arrays(T, R, terminated=terminated, available=available)


@quick
@given(mdp=mdps(most_states=9))
def test_classes_are_the_coarsest_bisimulation(mdp):
    """The refinement by splitters and the definition applied round by round give the same classes and numbers."""
    assert bisimulation_classes(mdp).tolist() == slow_classes(mdp).tolist()


@settings(quick, max_examples=25)
@given(mdp=mdps(most_states=5, resting=True), gamma=st.sampled_from([0.0, 0.5, 0.9]))
def test_the_metric_is_the_fixed_point(mdp, gamma):
    """d = F d with each W1 by linear programming; F is a contraction, so nothing else is."""
    found = bisimulation_metric(mdp, gamma, 1e-9)
    with_end = np.pad(found, (0, 1), mode="edge")  # the last state stays for nothing, as the end does

    np.testing.assert_allclose(one_step(mdp, with_end, gamma)[:-1, :-1], found, atol=1e-8)


@quick
@given(mdp=mdps(), gamma=st.sampled_from([0.0, 0.5, 0.95]))
def test_it_is_a_pseudometric_that_bounds_optimal_values(mdp, gamma):
    """Symmetric, 0 on the diagonal, the triangle inequality, and |V*(s) - V*(t)| <= d(s, t) (Ferns et al. 2004)."""
    value = np.zeros(mdp.n_states)
    for _ in range(800):
        value = mdp.backup(value, gamma)
    d = bisimulation_metric(mdp, gamma, 1e-7)

    assert (d == d.T).all()
    assert (np.diag(d) == 0).all()
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :] + 1e-6).all()
    assert (np.abs(value[:, None] - value) <= d + 1e-6).all()


@quick
@given(mdp=mdps())
def test_it_is_0_within_classes_and_only_there(mdp):
    """Unless all rewards are equal, where different actions make a class but no distance."""
    classes = bisimulation_classes(mdp)
    d = bisimulation_metric(mdp, 0.9, 1e-9)
    same = classes[:, None] == classes

    assert (d[same] == 0).all()
    if np.ptp(mdp.reward) > 0 and mdp.available.all():
        assert (d[~same] > 1e-6).all()


def two_rewards(gamma):
    """State 0 pays 1 for ever, state 1 pays 0 for ever, and state 2 goes to either by halves and pays 0."""
    T = np.array([[[1, 0, 0]], [[0, 1, 0]], [[0.5, 0.5, 0]]])
    return bisimulation_metric(MDP.from_arrays(T, np.array([[1.0], [0.0], [0.0]])), gamma, 1e-9)


def test_a_distance_by_hand():
    """d(0, 1) = 1 / (1 - g); d(2, 1) = g d(0, 1) / 2; d(2, 0) = 1 + g d(0, 1) / 2."""
    d = two_rewards(0.9)

    assert d[0, 1] == pytest.approx(10)
    assert d[2, 1] == pytest.approx(4.5)
    assert d[2, 0] == pytest.approx(5.5)


def test_an_end_is_a_state_that_pays_nothing():
    """To end now, and to stay for nothing for ever, is the same; to be paid 1 on the way out is 1 away from both."""
    T = np.zeros((3, 1, 3))
    T[:, 0, :] = np.eye(3)
    ends = np.zeros((3, 1, 3), dtype=bool)
    ends[0] = ends[2] = True
    mdp = MDP.from_arrays(T, np.array([[0.0], [0.0], [1.0]]), terminated=ends)

    assert bisimulation_classes(mdp).tolist() == [0, 0, 1]
    assert bisimulation_metric(mdp, 0.9).tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]


def test_states_with_different_actions_are_as_far_apart_as_can_be():
    """(max R - min R) / (1 - gamma), although both stay where they are for nothing."""
    T = np.zeros((3, 2, 3))
    T[0, 0, 0] = T[1, 0, 1] = T[1, 1, 1] = T[2, 0, 2] = 1
    mdp = MDP.from_arrays(T, np.array([[0.0, 0], [0, 0], [3, 0]]), available=T.sum(axis=2) > 0)

    assert bisimulation_metric(mdp, 0.5)[0] == pytest.approx([0, 6, 6])
    assert bisimulation_metric(mdp, 0.5)[2, 1] == pytest.approx(6)


def test_the_error_is_told_and_falls():
    """`report` gets sweeps and the error left, which bounds how far the answer may still rise."""
    T = np.array([[[1, 0]], [[0, 1]]])
    mdp = MDP.from_arrays(T, np.array([[1.0], [0.0]]))
    told = []
    d = bisimulation_metric(mdp, 0.9, 1e-3, report=lambda sweeps, error: told.append((sweeps, error)))

    assert [sweeps for sweeps, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][1] <= 1e-3 < told[-2][1]
    assert 10 - 1e-3 <= d[0, 1] <= 10


def test_a_long_corridor_has_no_two_states_alike():
    """Goal distance tells 50,000 states apart, the worst case for refinement by rounds."""
    n = 50_000
    moves = np.stack([np.maximum(np.arange(n) - 1, 0), np.minimum(np.arange(n) + 1, n - 1)], axis=1)
    reward = np.zeros(n)
    reward[-1] = 1
    terminated = np.arange(n) == n - 1
    mdp = MDP.from_moves(moves, np.array([[0.8, 0.2], [0.2, 0.8]]), reward, terminated)

    assert (bisimulation_classes(mdp) == np.arange(n)).all()


def test_a_field_of_mirror_images_folds():
    """A square with its goal in the middle and one action, a random walk, folds into an eighth."""
    side = 21
    row, column = np.divmod(np.arange(side**2), side)
    moves = np.stack(
        [
            np.clip(row + i, 0, side - 1) * side + np.clip(column + j, 0, side - 1)
            for i, j in ((0, 1), (1, 0), (0, -1), (-1, 0))
        ],
        axis=1,
    )
    goal = (row == side // 2) & (column == side // 2)
    mdp = MDP.from_moves(moves, np.full((1, 4), 0.25), goal.astype(float), goal)
    low, high = np.sort(np.abs(np.stack([row, column]) - side // 2), axis=0)

    classes = bisimulation_classes(mdp)

    assert classes.max() + 1 == 66
    assert np.unique(np.stack([classes, low * side + high]), axis=1).shape[1] == 66


@pytest.mark.parametrize(
    ("gamma", "tolerance", "error", "words"),
    [
        (1.0, 1e-6, CriterionError, "gamma < 1"),
        (1.2, 1e-6, ArgumentError, "gamma is the discount"),
        (0.9, 0.0, ArgumentError, "tolerance is a positive number"),
        (0.9, 1e-18, ArgumentError, "ask for a tolerance above"),
    ],
)
def test_bad_input_is_named(gamma, tolerance, error, words):
    """Discounts and tolerances that can't be used."""
    mdp = MDP.from_arrays(np.ones((2, 1, 2)) / 2, np.array([[0.0], [1.0]]))
    with pytest.raises(error, match=words):
        bisimulation_metric(mdp, gamma, tolerance)


def test_sizes_are_refused_before_memory_is_taken():
    """The distances of 10^6 states are 8 TB; and what is no MDP is named."""
    n = 1_000_000
    mdp = MDP.from_moves(np.zeros((n, 1), dtype=np.int32), np.ones((1, 1)), 0.0)
    with pytest.raises(SizeError, match=r"1,000,000 states would take 14,9"):
        bisimulation_metric(mdp, 0.9)
    with pytest.raises(ArgumentError, match="an MDP was expected; found int"):
        bisimulation_classes(3)
