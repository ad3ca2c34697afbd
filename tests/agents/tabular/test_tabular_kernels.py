"""Behaviour and update kernels against exact arithmetic; and mutants of the update, each of which must be caught."""

import inspect
from fractions import Fraction

import numpy as np
import pytest

from rltk.agents.tabular import LEARNERS
from rltk.agents.tabular.behaviour import behaviour_probabilities, epsilon_greedy
from rltk.agents.tabular.q_learning import q_learning_update
from rltk.mdp import MDP

INF = np.inf
ROWS = {
    "one best": [0.0, 2.0, 1.0],
    "two best": [2.0, 0.5, 2.0],
    "all equal": [0.0, 0.0, 0.0],
    "negative": [-3.0, -1.0, -2.0],
    "one not available": [-INF, 1.0, 0.0],
    "the best after one that is not available": [0.0, -INF, 0.0, 5.0],
    "only one available": [-INF, -7.0, -INF],
    "a single action": [0.0],
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("epsilon", [0.0, 0.125, 0.5, 0.75, 1.0])
def test_one_word_gives_the_epsilon_greedy_distribution(row, epsilon):
    """Over a grid of all u = (k + 1/2) / 3072 the shares of the actions are those of `behaviour_probabilities`, which
    are those of the equation, pi = epsilon / |A(s)| + (1 - epsilon) [greedy] / #greedy, to one point a boundary
    (Sutton and Barto 2018, section 2.2)."""
    q = np.array([ROWS[row]])
    points = 3072
    counts = np.zeros(q.shape[1])
    for k in range(points):
        counts[epsilon_greedy(q, 0, epsilon, (k + 0.5) / points)] += 1
    best, there = max(ROWS[row]), [x > -INF for x in ROWS[row]]
    by_hand = [
        (epsilon / sum(there) if is_there else 0) + ((1 - epsilon) / ROWS[row].count(best) if x == best else 0)
        for x, is_there in zip(ROWS[row], there, strict=True)
    ]

    np.testing.assert_allclose(behaviour_probabilities(q, epsilon)[0], by_hand, atol=1e-15)
    np.testing.assert_allclose(counts / points, by_hand, atol=2 / points)
    assert (counts[np.array(by_hand) == 0] == 0).all()


@pytest.mark.parametrize("u", [0.0, np.nextafter(0.5, 0), 0.5, np.nextafter(1, 0), 1e-320])
@pytest.mark.parametrize("epsilon", [0.0, 5e-324, 0.5, np.nextafter(1, 0), 1.0])
def test_the_ends_of_the_interval_stay_inside(u, epsilon):
    """The smallest and largest words, with rates at the edge: never an action that is not there."""
    assert epsilon_greedy(np.array([[-INF, 1.0, -INF, 1.0, -INF]]), 0, epsilon, u) in (1, 3)


# Checks of an update kernel: each takes the kernel and raises AssertionError where it is wrong.

GAMMA = 0.75
STEP = (1, 2, -3.0, 0)  # state, action, reward, next_state


def table():
    return np.array([[4.0, 8.0, -INF], [1.0, 2.0, 16.0], [0.5, -INF, -4.0]])


def moved(update, alpha, terminated, step=STEP):
    """(change of the table, error)."""
    q = table()
    before = q.copy()
    state, action, reward, next_state = step
    with np.errstate(invalid="ignore"):
        error = update(q, state, action, reward, next_state, terminated, alpha, GAMMA)
        return np.where(q == before, 0.0, q - before), error


def check_target(update):
    """r + gamma max_b Q(s', b) - Q(s, a) = -3 + 0.75 * 8 - 16 = -13, all of it exact."""
    change, error = moved(update, 1.0, False)
    assert error == -13
    assert change[1, 2] == -13


def check_end(update):
    """A terminated step has no bootstrap: -3 - 16 = -19; a truncated one, passed as going on, has."""
    assert moved(update, 1.0, True)[1] == -19
    assert moved(update, 1.0, False)[1] == -13


def check_alpha(update):
    """The table moves by alpha times the error."""
    change, error = moved(update, 0.25, False)
    assert change[1, 2] == 0.25 * error
    assert moved(update, 0.0, False)[0][1, 2] == 0


def check_place(update):
    """Only Q(s, a) moves."""
    change, _ = moved(update, 0.5, False)
    change[1, 2] = 0
    assert (change == 0).all()


def check_operator(update):
    """Weighted by T, the targets are the Bellman optimality operator: sum_s' T (r + gamma max Q) = (T Q)(s, a)."""
    mdp = MDP.from_table(
        {
            0: {0: [(0.25, 1, 2.0, False), (0.75, 0, -1.0, True)], 1: [(1.0, 2, 0.5, False)]},
            1: {0: [(0.5, 0, 0.0, False), (0.5, 2, 4.0, False)], 2: [(0.125, 1, 1.0, True), (0.875, 1, 1.0, False)]},
            2: {0: [(1.0, 2, -2.0, False)], 2: [(0.5, 0, 8.0, True), (0.5, 1, 0.0, False)]},
        }
    )
    q = np.array([[4.0, 8.0, -INF], [1.0, -INF, 16.0], [0.5, -INF, -4.0]])
    exact = mdp.q(q.max(axis=1), GAMMA)
    for s, a in np.argwhere(mdp.available):
        total = Fraction(0)
        row = s * mdp.n_actions + a
        for i in range(mdp.row_start[row], mdp.row_start[row + 1]):
            fresh = q.copy()
            update(fresh, s, a, mdp.reward[i], mdp.next_state[i], mdp.terminated[i], 1.0, GAMMA)
            total += Fraction(float(mdp.probability[i])) * Fraction(float(fresh[s, a]))
        assert total == Fraction(float(exact[s, a])), (s, a)


CHECKS = [check_target, check_end, check_alpha, check_place, check_operator]
MUTANTS = {
    "no terminal mask": ("if not terminated:", "if True:"),
    "terminal mask turned round": ("if not terminated:", "if terminated:"),
    "another action's value moves": ("q[state, action] += ", "q[state, action - 1] += "),
    "the next state's value moves": ("q[state, action] += ", "q[next_state, action] += "),
    "gamma forgotten": ("target += gamma * best", "target += best"),
    "alpha forgotten": ("+= alpha * error", "+= error"),
    "min for max": ("> best", "< best"),
    "the first action left out": ("best = q[next_state, 0]", "best = q[next_state, 1]"),
    "the last action left out": ("range(1, q.shape[1])", "range(1, q.shape[1] - 1)"),
    "the best of the state left": ("best = q[next_state, 0]", "best = q[state, 0]"),
    "the reward forgotten": ("target = reward", "target = 0.0"),
    "the sign of the error": ("target - q[state, action]", "q[state, action] - target"),
    "the old value overwritten": ("q[state, action] += ", "q[state, action] = "),
}


@pytest.mark.parametrize("check", CHECKS)
def test_q_learning_s_update_is_its_equation(check):
    """Sutton and Barto (2018), equation 6.8: compiled, and as the plain function."""
    check(q_learning_update)
    check(q_learning_update.py_func)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_of_the_update_are_caught(name):
    """Each small fault in the kernel's source fails at least one check: the checks can fail."""
    old, new = MUTANTS[name]
    source = inspect.getsource(q_learning_update.py_func).replace("@jit\n", "")
    assert source.count(old) == 1, f"the kernel no longer holds {old!r}: bring this list up to date"
    names = {}
    exec(source.replace(old, new), names)
    caught = []
    for check in CHECKS:
        try:
            check(names["q_learning_update"])
        except (AssertionError, OverflowError):  # an infinity is no Fraction
            caught.append(check.__name__)
    assert caught


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_s_update_keeps_the_contract(name):
    """Any learner's kernel returns its TD error, moves nothing at alpha 0, keeps actions that are not there at -inf,
    and turns a NaN or an infinite reward into an error that is not finite, which is how the loops notice."""
    update = LEARNERS[name].update
    change, error = moved(update, 0.0, False)

    assert np.isfinite(error)
    assert (change == 0).all()
    for reward in (np.nan, INF, -INF):
        assert not np.isfinite(moved(update, 0.5, False, (1, 2, reward, 0))[1])
    q = table()
    update(q, 1, 2, 1.0, 2, False, 0.5, GAMMA)
    assert (np.isneginf(q) == np.isneginf(table())).all()
