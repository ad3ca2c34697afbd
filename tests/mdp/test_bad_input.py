"""Whatever is no MDP gives an error of rltk's own that says where, what was found and what was expected."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError, CriterionError, MDPError, RltkError, SizeError
from rltk.mdp import MDP, Criterion, require_same
from rltk.mdp.criterion import checked_gamma
from rltk.mdp.moves import Moves
from rltk.mdp.rows import Rows

T = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])
R = np.zeros((2, 2))


def put(array, where, value):
    changed = np.array(array, dtype=float)
    changed[where] = value
    return changed


def sparse(array):
    return [sp.csr_array(np.ascontiguousarray(array[:, a])) for a in range(array.shape[1])]


# message (a pattern) -> arguments of from_arrays
ARRAYS = {
    r"s=0, a=1\): .*sum to 0\.99; expected 1": {"T": put(T, (0, 1, 0), 0.99)},
    r"s=1, a=0\): .*sum to 1\.000001; expected 1": {"T": put(T, (1, 0, 0), 1e-6)},
    r"s'=1 \| s=1, a=0\) is 1\.000001; expected a probability": {"T": put(T, (1, 0, 1), 1 + 1e-6)},
    r"s'=0 \| s=1, a=1\) is -0\.5; expected a probability": {"T": put(T, (1, 1, 0), -0.5)},
    r"s'=0 \| s=0, a=0\) is nan": {"T": put(T, (0, 0, 0), np.nan)},
    r"R\(s=1, a=0\) is nan; expected a finite number": {"R": put(R, (1, 0), np.nan)},
    r"R\(s=0, a=1, s'=1\) is -inf; expected a finite": {"R": put(np.zeros((2, 2, 2)), (0, 1, 1), -np.inf)},
    r"T has shape \(2, 2\); expected \(S, A, S\)": {"T": np.eye(2)},
    r"T has shape \(2, 2, 3\); expected": {"T": np.zeros((2, 2, 3))},
    r"T is no array of numbers": {"T": [[1.0], [0.5, 0.5]]},
    r"T is no array of numbers: .*dtype": {"T": T.astype(complex)},
    r"T is no array of numbers: .*dtype is <U": {"T": T.astype(str)},
    r"R is no array of numbers": {"R": [[1, "x"], [2, {}]]},
    r"R has shape \(2,\); expected \(S, A\) = \(2, 2\)": {"R": [0.0, 1.0]},
    r"terminated is an array of bool; its dtype is int64": {"terminated": np.array([0, 1])},
    r"terminated is an array of bool; its dtype is float64": {"terminated": [0.0, 1.0]},
    r"terminated has shape \(3,\); expected": {"terminated": [True] * 3},
    r"terminated is no array of bool": {"terminated": [[True], [False, True]]},
    r"success is an array of bool": {"success": ["yes", "no"]},
    r"available is an array of bool": {"available": np.ones((2, 2))},
    r"available has shape \(2,\); expected \(S, A\)": {"available": [True, True]},
    r"start sums to 0\.9; expected 1": {"start": [0.5, 0.4]},
    r"start of state 1 is nan": {"start": [1, np.nan]},
    r"start of state 0 is 1\.5": {"start": [1.5, -0.5]},
    r"start is a probability for each of the 2 states": {"start": [1.0]},
    r"start is no array of numbers": {"start": "ab"},
    r"s=0, a=1\): the probabilities sum to 0; expected 1.*available=": {"T": put(T, (0, 1, 0), 0)},
    r"action 1 is not available in state 0, but T has": {"available": np.array([[True, False], [True, True]])},
    r"state 1 has no action": {"T": put(T, 1, 0), "available": np.array([[True, True], [False, False]])},
    r"at least one state": {"T": np.zeros((0, 1, 0)), "R": np.zeros((0, 1))},
    r"at least one state and one action": {"T": np.zeros((2, 0, 2)), "R": np.zeros((2, 0))},
    r"T of action 1 has shape \(3, 3\); expected \(2, 2\)": {"T": [sp.eye_array(2), sp.eye_array(3)]},
    r"T of action 0 has .*dtype complex128": {"T": [sp.eye_array(2, dtype=complex)]},
    r"s=0, a=1\): .*sum to 0\.99": {"T": sparse(put(T, (0, 1, 0), 0.99))},
    r"s=1, a=1\): outcome to state 1: the probability is nan": {"T": sparse(put(T, (1, 1, 1), np.nan))},
    r"s=1, a=1\): outcome to state 1: the reward is inf": {"T": sparse(T), "R": sparse(put(0 * T, (1, 1, 1), np.inf))},
    r"R as a list": {"T": sparse(T), "R": sparse(T)[:1]},
    r"terminated as sparse matrices": {"terminated": sparse(T)},
}  # fmt: skip


@pytest.mark.parametrize(("message", "change"), ARRAYS.items(), ids=range(len(ARRAYS)))
def test_bad_arrays(message, change):
    """State, action or argument, what was found and what was expected stand in the message."""
    arguments = {"T": T, "R": R, **change}
    with pytest.raises(MDPError, match=message):
        MDP.from_arrays(arguments.pop("T"), arguments.pop("R"), **arguments)


OK = [(1.0, 0, 0.0, False)]
TABLES = {
    r"s=0, a=1\): .*sum to 0\.99": {0: {0: OK, 1: [(0.99, 0, 0.0, False)]}},
    r"P has 2 states but not the state 1": {0: {0: OK}, 2: {0: OK}},
    r"P has 1 states but not the state 0": {"a": {0: OK}},
    r"P is a list": [{0: OK}],
    r"P\[0\] is a list": {0: [OK]},
    r"P\[0\] has the action 'up'": {0: {"up": OK}},
    r"P\[0\] has the action -1": {0: {-1: OK, 0: OK}},
    r"P\[0\] has the action 1000000000": {0: {10**9: OK}},
    r"state 0, action 1: None is no list of outcomes": {0: {0: OK, 1: None}},
    r"state 0, action 1: the outcome is \(1\.0, 0, 0\.0\); expected four": {0: {0: OK, 1: [(1.0, 0, 0.0)]}},
    r"state 1, action 0: the outcome is 3; expected four": {0: {0: OK}, 1: {0: [3]}},
    r"s=1, a=0\): outcome to state 7: .* expected 0 to 1": {0: {0: OK}, 1: {0: [(1.0, 7, 0.0, True)]}},
    r"outcome to state -1": {0: {0: [(1.0, -1, 0.0, True)]}},
    r"outcome to state 4294967296": {0: {0: [(1.0, 2**32, 0.0, True)]}},
    r"state 0, action 0: the next state of an outcome is 1180591620717411303424": {0: {0: [(1.0, 2**70, 0.0, True)]}},
    r"the next state of an outcome is 0\.5; expected the number": {0: {0: [(1.0, 0.5, 0.0, True)]}},
    r"the next state of an outcome is None": {0: {0: [(1.0, None, 0.0, True)]}},
    r"the probability of an outcome is '1'": {0: {0: [("1", 0, 0.0, True)]}},
    r"the reward of an outcome is \[1\]": {0: {0: [(1.0, 0, [1], True)]}},
    r"the reward is nan; expected a finite": {0: {0: [(1.0, 0, float("nan"), True)]}},
    r"the probability is -0\.5": {0: {0: [(-0.5, 0, 0.0, True), (1.5, 0, 0.0, True)]}},
    r"the terminated of an outcome is 'no'; expected True or False": {0: {0: [(1.0, 0, 0.0, "no")]}},
    r"the terminated of an outcome is 0\.5": {0: {0: [(1.0, 0, 0.0, 0.5)]}},
    r"state 1 has no action": {0: {0: OK}, 1: {}},
    r"at least one state": {},
}  # fmt: skip


@pytest.mark.parametrize(("message", "P"), TABLES.items(), ids=range(len(TABLES)))
def test_bad_tables(message, P):
    """Gymnasium's P with missing keys, wrong entries and wrong numbers."""
    with pytest.raises(MDPError, match=message):
        MDP.from_table(P)


def always(outcomes):
    return lambda state, action: outcomes


FUNCTIONS = {
    r"state 0, action 0: the outcome is \(1\.0, 0, 0\.0\); expected four": (always([(1.0, 0, 0.0)]), 0, 1),
    r"state 'a', action 0: the next state \[1\] is not hashable": (always([(1.0, [1], 0.0, False)]), "a", 1),
    r"state 0, action 0: 5 is no list of outcomes": (always(5), 0, 1),
    r"s=0, a=0\): .*sum to 0\.5": (always([(0.5, 0, 0.0, False)]), 0, 1),
    r"the probability of an outcome is None": (always([(None, 0, 0.0, False)]), 0, 1),
    r"the terminated of an outcome is 2": (always([(1.0, 0, 0.0, 2)]), 0, 1),
    r"state 0 has no action": (always(None), 0, 2),
    r"at least one state and one action": (always(OK), 0, 0),
    r"start is a state \(hashable\)": (always(OK), [0], 1),
    r"start is no array of numbers": (always(OK), {0: "x"}, 1),
    r"start sums to 0\.9; expected 1": (always(OK), {0: 0.9}, 1),
    r"at least one state and": (always(OK), {}, 1),
    r"actions is a number of actions or their labels; it is 1\.5": (always(OK), 0, 1.5),
}


@pytest.mark.parametrize(("message", "arguments"), FUNCTIONS.items(), ids=range(len(FUNCTIONS)))
def test_bad_functions(message, arguments):
    """A transition function that returns rubbish, rubbish starts, rubbish actions."""
    with pytest.raises((MDPError, ArgumentError), match=message):
        MDP.from_function(*arguments)


def test_a_function_that_invents_states_is_stopped():
    """The number of states is bounded; the message names the bound and the last state."""
    with pytest.raises(SizeError, match=r"more than 50 states.*50.*max_states"):
        MDP.from_function(lambda s, a: [(1.0, s + 1, 0.0, False)], 0, 1, max_states=50)
    with pytest.raises(ArgumentError, match="max_states"):
        MDP.from_function(always(OK), 0, 1, max_states="many")


def test_an_error_of_the_function_itself_is_shown_as_it_is():
    """What a person's own code raises is theirs: it is not dressed up as an error of rltk."""

    def broken(state, action):
        return [(1.0, {}["missing"], 0.0, False)]

    with pytest.raises(KeyError, match="missing"):
        MDP.from_function(broken, 0, 1)


def test_numpys_integers_count_actions():
    """`env.action_space.n` is a NumPy integer."""
    assert MDP.from_function(always(OK), 0, np.int64(3)).n_actions == 3


MOVES = {
    r"move 1 of state 0 leads to 2; expected 0 to 1": {"moves": [[0, 2], [0, 1]]},
    r"move 0 of state 1 leads to -1": {"moves": [[0, 1], [-1, 1]]},
    r"leads to 4294967296; expected 0 to 1": {"moves": np.array([[0, 2**32], [0, 1]])},
    r"moves holds numbers of states; its dtype is float64": {"moves": [[0.0, 1.7], [0, 1]]},
    r"moves is no array of integers": {"moves": [[0], [0, 1]]},
    r"moves is \(S, M\) and noise \(A, M\)": {"noise": [[1.0, 0, 0]]},
    r"moves is \(S, M\) and": {"moves": [0, 1]},
    r"at least one state, one move": {"moves": np.zeros((0, 2), dtype=int)},
    r"noise of action 1 is \[0\.5, 0\.49\], which sums to 0\.99": {"noise": [[1, 0], [0.5, 0.49]]},
    r"noise of action 0 .*expected a distribution": {"noise": [[1.5, -0.5]]},
    r"noise of action 0 is \[nan": {"noise": [[np.nan, 1]]},
    r"noise is no array of numbers": {"noise": "x"},
    r"reward of entering state 1 is nan": {"reward": [0.0, np.nan]},
    r"reward of state 1, move 0 is inf": {"reward": [[0, 0], [np.inf, 0]]},
    r"reward of entering state 0 is nan": {"reward": np.nan},
    r"reward has shape \(3,\); expected": {"reward": [1.0, 2.0, 3.0]},
    r"reward is no array of numbers": {"reward": [1.0, "x"]},
    r"terminated is an array of bool; its dtype is int64": {"terminated": [0, 1]},
    r"terminated has shape \(1, 2\)": {"terminated": [[True, False]]},
    r"success is an array of bool": {"success": 1.0},
    r"start sums to 0\.9": {"start": [0.5, 0.4]},
}


@pytest.mark.parametrize(("message", "change"), MOVES.items(), ids=range(len(MOVES)))
def test_bad_moves(message, change):
    """The compact form's arguments, one wrong at a time. An index beyond int32 must not wrap to a state that exists."""
    arguments = {"moves": [[0, 1], [1, 0]], "noise": np.eye(2), "reward": 0.0, **change}
    with pytest.raises(MDPError, match=message):
        MDP.from_moves(**arguments)


def test_rows_that_do_not_fit_together():
    """The general form given by hand: lengths and row_start are checked before any kernel reads them."""
    good = {
        "row_start": np.array([0, 1, 2]), "next_state": np.array([0, 1], dtype=np.int32), "probability": np.ones(2),
        "reward": np.zeros(2), "terminated": np.zeros(2, dtype=bool),
    }  # fmt: skip
    assert MDP(Rows(2, 1, **good)).n_states == 2
    changes = {
        "row_start has shape": {"row_start": np.array([0, 2])},
        "row_start rises": {"row_start": np.array([0, 3, 2])},
        "row_start rises from 0 to the number of outcomes, 2": {"row_start": np.array([0, 1, 5])},
        "probability has shape": {"probability": np.ones(3)},
        "there is no such state; expected 0 to 1": {"next_state": np.array([0, 2], dtype=np.int32)},
        "reward noise is a standard deviation": {"reward_noise": np.array([0.0, -1.0])},
    }
    for message, change in changes.items():
        with pytest.raises(MDPError, match=message):
            MDP(Rows(2, 1, **{**good, **change}))
    with pytest.raises(MDPError, match="the same M"):
        MDP(Moves(np.zeros(2, dtype=np.int32), np.ones((1, 1)), np.zeros(2), np.zeros(2, dtype=bool)))


@pytest.mark.parametrize(
    "gamma", [1.2, -1e-9, float("nan"), float("inf"), True, "x", None, 1j, [0.9], 10**400, -(10**400)]
)
def test_gammas_that_are_none(gamma):
    """gamma of 1.2, NaN, True or "x": an ArgumentError that names it."""
    with pytest.raises(ArgumentError, match="gamma"):
        Criterion(gamma)


def test_criteria():
    """The kind follows from gamma; contradictions, unknown kinds and empty horizons are refused by name."""
    assert Criterion(0.9) == Criterion(np.float64(0.9), None, "discounted")
    assert Criterion(1).kind == "total"
    assert str(Criterion(0.5, np.int64(3))) == "gamma 0.5, 3 steps"
    assert str(Criterion(1 - 1e-9)) == "gamma 0.999999999"  # and not 1, which would be another criterion
    for wrong in [
        {"gamma": 1, "kind": "discounted"},
        {"gamma": 0.9, "kind": "total"},
        {"gamma": 0.9, "kind": "average"},
    ]:
        with pytest.raises(CriterionError, match="does not go with gamma"):
            Criterion(**wrong)
    for horizon in (0, -1, 1.5, True, "x", float("nan")):
        with pytest.raises(ArgumentError, match="horizon"):
            Criterion(0.9, horizon)
    with pytest.raises(ArgumentError, match="kind is"):
        Criterion(0.9, None, "best")
    with pytest.raises(CriterionError, match=re.escape("A is under [gamma 0.5], B under [gamma 0.9]")):
        require_same(Criterion(0.5), Criterion(0.9), ("A", "B"))
    require_same(Criterion(0.5), Criterion(0.5), ("A", "B"))


# Anything at all: every result is an MDP or an error of rltk's own.

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(max_size=3), st.binary(),
    st.sampled_from([0, 1, 0.5, 1.0, np.float32(0.5), np.int8(1), 2**31, 2**64, np.datetime64("2020-01-01"), ...]),
)  # fmt: skip
rubbish = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.integers(-1, 2), inner, max_size=3)
    ),
    max_leaves=8,
)
arrays = st.sampled_from([T, R, np.eye(2), np.array([True, False]), np.zeros(0), np.array(1.0), np.array([None, "x"])])
sparses = st.sampled_from(
    [sparse(T), sparse(T)[:1], [sp.eye_array(3)], [sp.coo_array(np.ones(2))], [sp.eye_array(2), 3]]
)
anything = st.one_of(rubbish, arrays, sparses)
maybe = st.one_of(st.none(), anything)
loose = settings(deadline=None, max_examples=200)


def mdp_or_own_error(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = make()
        except RltkError:
            return
    assert isinstance(result, MDP | Criterion | float)


@loose
@given(T=st.one_of(st.just(T), anything), R=st.one_of(st.just(R), anything), ends=maybe, start=maybe, there=maybe)
def test_any_arrays(T, R, ends, start, there):
    """`from_arrays`."""
    mdp_or_own_error(lambda: MDP.from_arrays(T, R, terminated=ends, start=start, available=there, success=ends))


@loose
@given(
    moves=st.one_of(st.just([[0], [1]]), anything),
    noise=st.one_of(st.just([[1.0]]), anything),
    rest=st.tuples(st.one_of(st.just(0.0), anything), st.one_of(st.just(False), anything), maybe),
)
def test_any_moves(moves, noise, rest):
    """`from_moves`."""
    mdp_or_own_error(lambda: MDP.from_moves(moves, noise, *rest))


entries = st.one_of(st.just((1.0, 0, 0.0, False)), st.tuples(scalars, scalars, scalars, scalars), rubbish)
rows = st.one_of(st.lists(entries, max_size=3), rubbish)


@loose
@given(P=st.one_of(rubbish, st.dictionaries(st.integers(0, 2), st.dictionaries(st.integers(0, 1), rows))), start=maybe)
def test_any_table(P, start):
    """`from_table`."""
    mdp_or_own_error(lambda: MDP.from_table(P, start))


@loose
@given(
    outcomes=rows,
    start=st.one_of(st.just(0), rubbish),
    actions=st.one_of(st.integers(-1, 3), rubbish.filter(lambda n: not isinstance(n, int))),
)
def test_any_function(outcomes, start, actions):
    """`from_function`; a huge number of actions only takes long, so it is left out."""
    mdp_or_own_error(lambda: MDP.from_function(lambda s, a: outcomes, start, actions, max_states=5))


@loose
@given(gamma=rubbish, horizon=rubbish, kind=st.one_of(st.none(), rubbish))
def test_any_criterion(gamma, horizon, kind):
    """`Criterion`."""
    mdp_or_own_error(lambda: checked_gamma(gamma))
    mdp_or_own_error(lambda: Criterion(gamma, horizon, kind))
    mdp_or_own_error(lambda: Criterion(1.0, horizon, kind))
