"""The builders: arrays, sparse matrices, moves, tables and functions make one MDP, in order, merged, and their own."""

import mdp_reference as slow
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError
from rltk.mdp import MDP
from rltk.mdp.rows import Rows

quick = settings(deadline=None, max_examples=60)


@quick
@given(arrays=slow.compact())
def test_rows_of_the_compact_form_through_from_arrays(arrays):
    """T, R and endings read off the rows and given to `from_arrays` make the same rows, where a next state has one
    reward and one ending (all that (S, A, S) arrays can say)."""
    moves, noise, *_ = arrays
    reward = np.arange(len(moves), dtype=float)
    model = MDP.from_moves(moves, noise, reward, reward == 0)
    shape = (model.n_states, model.n_actions, model.n_states)
    T, R, ends = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    row = np.repeat(np.arange(shape[0] * shape[1]), np.diff(model.row_start))
    where = (row // shape[1], row % shape[1], model.next_state)
    T[where], R[where], ends[where] = model.probability, model.reward, model.terminated

    assert_same(MDP.from_arrays(T, R, terminated=ends), model)


ARRAYS = ("row_start", "next_state", "probability", "reward", "terminated")


def assert_same(one, two):
    """The same MDP, array by array and bit by bit."""
    for name in ARRAYS:
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
        assert getattr(one, name).dtype == getattr(two, name).dtype
    for name in ("success", "reward_noise"):
        a, b = getattr(one, name), getattr(two, name)
        assert (a is None) == (b is None), name
        assert a is None or np.array_equal(a, b), name
    assert np.array_equal(one.start, two.start)


@st.composite
def dense(draw):
    """T, R, terminated and available as `from_arrays` takes them, dense."""
    n_states, n_actions = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    available = np.array(
        draw(
            st.lists(
                st.lists(st.booleans(), min_size=n_actions, max_size=n_actions), min_size=n_states, max_size=n_states
            )
        )
    )
    available[:, 0] |= ~available.any(axis=1)
    T, shape = np.zeros((n_states, n_actions, n_states)), (n_states, n_actions, n_states)
    for s, a in np.argwhere(available):
        T[s, a] = [float(p) for p in draw(slow.distributions(n_states))]
    R = np.array(draw(st.lists(slow.dyadic.map(float), min_size=T.size, max_size=T.size))).reshape(shape)
    ends = np.array(draw(st.lists(st.booleans(), min_size=T.size, max_size=T.size))).reshape(shape)
    return T, R, ends, available


@quick
@given(arrays=dense(), data=st.data())
def test_every_builder_makes_the_same_mdp(arrays, data):
    """Dense arrays, sparse matrices, Gymnasium's table and a transition function: one MDP, one set of arrays."""
    T, R, ends, available = arrays
    n_states, n_actions, _ = T.shape
    make = data.draw(st.sampled_from([sp.csr_array, sp.coo_array, sp.csc_matrix]))
    slices = lambda array: [make(np.ascontiguousarray(array[:, a])) for a in range(n_actions)]  # noqa: E731
    one = MDP.from_arrays(T, R, terminated=ends, available=available)
    two = MDP.from_arrays(slices(T), slices(R), terminated=slices(ends), available=available, success=slices(ends))
    mixed = MDP.from_arrays(slices(T), R, terminated=ends, available=available)

    def row(s, a):
        return (
            [(float(T[s, a, t]), t, float(R[s, a, t]), bool(ends[s, a, t])) for t in range(n_states)]
            if available[s, a]
            else []
        )

    P = {s: {a: row(s, a) for a in range(n_actions)} for s in range(n_states)}
    three = MDP.from_table(P)
    four = MDP.from_function(row, dict.fromkeys(range(n_states), 1 / n_states), n_actions)

    assert np.array_equal(two.success, two.terminated)
    assert_same(mixed, one)
    for other in (two, three, four):
        for name in ARRAYS:
            assert np.array_equal(getattr(other, name), getattr(one, name)), name
    assert np.array_equal(one.available, available)


def test_a_function_numbers_states_in_the_order_it_meets_them():
    """From a corridor of names: the values agree with those of the table under the numbering, and labels say which."""
    names = ["d", "a", "c", "b"]

    def transition(name, action):
        if name == "d":
            return None if action else [(1.0, "d", 0.0, True)]
        successor = chr(ord(name) + 1)
        return (
            [(0.5, name, -1.0, False), (0.5, successor, -1.0, successor == "d")]
            if action
            else [(1.0, name, -2.0, False)]
        )

    mdp = MDP.from_function(transition, "a", ["wait", "walk"])

    assert [mdp.label(s) for s in range(mdp.n_states)] == ["a", "b", "c", "d"]
    assert mdp.action_label(1) == "walk"
    assert mdp.start.tolist() == [1, 0, 0, 0]
    # Two steps expected for each of the cells that are left.
    assert mdp.chain([1, 1, 1, 0]).value(1.0).tolist() == [-6, -4, -2, 0]
    assert sorted(names) == [mdp.label(s) for s in range(4)]


def test_the_callers_arrays_stay_the_callers():
    """Arrays that a person passes are neither changed, frozen nor looked at again; those of the MDP are read-only."""
    T = np.array([[[0.5, 0.5], [1, 0]], [[0, 1], [0, 1]]])
    R, ends, start = np.ones((2, 2)), np.array([False, True]), np.array([1.0, 0.0])
    available = np.ones((2, 2), dtype=bool)
    given_arrays = (T, R, ends, start, available)
    copies = [array.copy() for array in given_arrays]
    one = MDP.from_arrays(T, R, terminated=ends, start=start, available=available, success=ends)
    before = [getattr(one, name).copy() for name in (*ARRAYS, "start", "success")]

    for array, copied in zip(given_arrays, copies, strict=True):
        assert np.array_equal(array, copied)
        array[...] = 0  # still writeable
    for name, kept in zip((*ARRAYS, "start", "success"), before, strict=True):
        assert np.array_equal(getattr(one, name), kept), name
        with pytest.raises(ValueError, match="read-only"):
            getattr(one, name)[0] = 0


def test_the_callers_moves_stay_the_callers():
    """The same for the compact form."""
    moves, noise = np.array([[0, 1], [1, 0]], dtype=np.int32), np.eye(2)
    reward, ends = np.array([1.0, 2.0]), np.array([[False, True], [False, False]])
    start = np.array([0.5, 0.5])
    mdp = MDP.from_moves(moves, noise, reward, ends, start, success=ends)
    q = mdp.q([1.0, 2.0], 0.5)

    for array in (moves, noise, reward, ends, start):
        array[...] = 0
    assert np.array_equal(mdp.q([1.0, 2.0], 0.5), q)
    assert mdp.start.tolist() == [0.5, 0.5]
    for array in (mdp.form.moves, mdp.form.noise, mdp.form.reward, mdp.form.terminated, mdp.form.success, mdp.start):
        assert not array.flags.writeable


def test_the_callers_sparse_matrices_stay_the_callers():
    """A matrix with unsorted indices, duplicates and a stored zero is read, not tidied up."""
    data, indices, indptr = np.array([0.25, 0.5, 0.25, 0.0, 1.0]), np.array([1, 0, 1, 0, 1]), np.array([0, 3, 5])
    T = sp.csr_array((data.copy(), indices.copy(), indptr.copy()), shape=(2, 2))
    R = sp.csr_array((data.copy(), indices.copy(), indptr.copy()), shape=(2, 2))
    mdp = MDP.from_arrays([T], [R])

    for matrix in (T, R):
        assert matrix.data.tolist() == data.tolist()
        assert matrix.indices.tolist() == indices.tolist()
        assert matrix.data.flags.writeable
    assert mdp.probability.tolist() == [0.5, 0.5, 1.0]
    assert mdp.reward.tolist() == [0.5, 0.5, 1.0]
    T.data[:] = 0
    assert mdp.probability.tolist() == [0.5, 0.5, 1.0]


def test_derived_arrays_are_read_only():
    """Cached results are shared between callers, so they can't be written to."""
    rows = MDP.from_arrays(np.ones((1, 1, 1)), [[1.0]])
    moves = MDP.from_moves([[0]], [[1.0]], 1.0)

    for mdp in (rows, moves):
        for array in (mdp.available, mdp.expected_reward()):
            with pytest.raises(ValueError, match="read-only"):
                array[0, 0] = 0


def test_equal_outcomes_are_merged_and_different_ones_are_not():
    """Equal in everything but probability: one outcome. Another reward or ending: two. Nothing that can't happen."""
    row = [
        (0.25, 1, 1.0, False),
        (0.125, 0, 0.0, False),
        (0.25, 1, 1.0, False),
        (0.125, 1, 2.0, False),
        (0.25, 1, 1.0, True),
    ]
    mdp = MDP.from_table({0: {0: [*row, (0.0, 0, 9.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}})

    found = list(
        zip(
            mdp.probability.tolist(), mdp.next_state.tolist(), mdp.reward.tolist(), mdp.terminated.tolist(), strict=True
        )
    )
    assert found == [
        (0.125, 0, 0.0, False),
        (0.5, 1, 1.0, False),
        (0.125, 1, 2.0, False),
        (0.25, 1, 1.0, True),
        (1.0, 1, 0.0, True),
    ]


def test_rows_given_by_hand_are_put_in_order_too():
    """`MDP(rows)` sorts, merges and drops what can't happen like every builder: an infinite value of a state that
    can't be reached must not become a NaN (0 x inf)."""
    rows = Rows(
        2, 1, np.array([0, 3, 4]), np.array([1, 0, 0, 1], dtype=np.int32), np.array([0.0, 0.5, 0.5, 1.0]),
        np.array([5.0, 1.0, 1.0, 0.0]), np.array([False] * 4),
    )  # fmt: skip
    mdp = MDP(rows)

    assert mdp.probability.tolist() == [1.0, 1.0]
    assert mdp.q([0.0, np.inf], 1.0)[0, 0] == 1.0


def test_labels_are_shapes_or_functions():
    """A shape unravels the index; a function is asked; without either the index is its own label."""
    noise, moves = [[1.0]], np.zeros((6, 1), dtype=int)
    assert MDP.from_moves(moves, noise, 0.0, state_labels=(2, 3)).label(4) == (1, 1)
    assert MDP.from_moves(moves, noise, 0.0, state_labels=lambda s: f"cell {s}").label(4) == "cell 4"
    assert MDP.from_moves(moves, noise, 0.0).label(np.int32(4)) == 4
    assert MDP.from_moves(moves, noise, 0.0, action_labels="x".__getitem__).action_label(0) == "x"
    for wrong in [(2, 2), (-2, -3), (0,), ("a", "b"), 6]:
        with pytest.raises(ArgumentError, match="state_labels"):
            MDP.from_moves(moves, noise, 0.0, state_labels=wrong)
