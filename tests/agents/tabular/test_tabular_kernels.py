"""One-step updates against exact arithmetic; mutants of them, each of which must be caught; what every kernel keeps."""

import inspect
import re
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest

from rltk.agents.tabular import CONTROL, LEARNERS, MonteCarloControl
from rltk.agents.tabular.double_q_learning import double_q_learning_update
from rltk.agents.tabular.expected_sarsa import expected_sarsa_update
from rltk.agents.tabular.exploration import EpsilonGreedy, mean_epsilon_greedy
from rltk.agents.tabular.loop import row_of_table
from rltk.agents.tabular.q_learning import q_learning_update
from rltk.agents.tabular.sarsa import sarsa_update
from rltk.agents.tabular.td import td_update
from rltk.envs import TabularEnv
from rltk.mdp import MDP, stream_of

INF = np.inf
GAMMA, EPSILON = 0.75, 0.5
STEP = (1, 2, -3.0, 0, 1)  # state, action, reward, next_state, next_action
Q = np.array([[4.0, 8.0, -INF], [1.0, -INF, 16.0], [0.5, -INF, -4.0]])
OTHER = np.array([[2.0, -1.0, -INF], [3.0, -INF, 8.0], [1.0, -INF, 2.0]])  # double Q-learning's second table
WORLD = MDP.from_table(  # probabilities, rewards, gamma and epsilon are such that all arithmetic is exact
    {
        0: {0: [(0.25, 1, 2.0, False), (0.75, 0, -1.0, True)], 1: [(1.0, 2, 0.5, False)]},
        1: {0: [(0.5, 0, 0.0, False), (0.5, 2, 4.0, False)], 2: [(0.125, 1, 1.0, True), (0.875, 1, 1.0, False)]},
        2: {0: [(1.0, 2, -2.0, False)], 2: [(0.5, 0, 8.0, True), (0.5, 1, 0.0, False)]},
    }
)


def policy_of(q):
    """(S, A) the epsilon-greedy policy at EPSILON, by its equation."""
    there, greedy = q > -INF, q == q.max(axis=1, keepdims=True)
    share = EPSILON * there / there.sum(axis=1, keepdims=True)
    return share + (1 - EPSILON) * greedy / greedy.sum(axis=1, keepdims=True)


def streams():
    """A stream whose next number is below 1/2, and one whose is not: the two sides of a coin."""
    seeds = {np.random.default_rng(seed).random() < 0.5: seed for seed in range(10)}
    return [stream_of(np.random.default_rng(seeds[side])) for side in (True, False)]


HEADS, TAILS = streams()


class Method(NamedTuple):
    """An update kernel, a table to start from, and its next value by hand: (s') -> what the target bootstraps from."""

    kernel: object
    bootstrap: object
    memory: object = lambda: (np.zeros(3),)
    table: object = Q.copy
    coin: np.ndarray = HEADS
    moves: int | None = None  # the array of the memory that moves; None: the table itself

    def moved(self, update, alpha, terminated, step=STEP, over=None):
        """(what changed, error)."""
        table, memory = self.table(), self.memory()
        state, action, reward, next_state, next_action = step
        moving = table if self.moves is None else memory[self.moves]
        before = moving.copy()
        over = terminated if over is None else over
        behaviour = (EPSILON, (np.zeros(0),))
        rest = (terminated, over, alpha, GAMMA, behaviour, self.coin.copy())
        with np.errstate(invalid="ignore"):
            error = update(table, memory, state, action, reward, next_state, next_action, *rest)
            return np.where(moving == before, 0.0, moving - before), error

    def old(self, state, action):
        """The value that the update moves."""
        table = self.table() if self.moves is None else self.memory()[self.moves]
        return table[state] if table.ndim == 1 else table[state, action]


def expected_next(s):
    return sum(p * x for p, x in zip(policy_of(Q)[s], Q[s], strict=True) if p > 0)


def two_tables():
    return Q.copy(), OTHER.copy()


VALUE = np.array([4.0, -2.0, 8.0])
METHODS = {
    "q-learning": Method(q_learning_update, lambda s, a: Q[s].max()),
    "sarsa": Method(sarsa_update, lambda s, a: Q[s, a]),
    "expected-sarsa": Method(expected_sarsa_update(mean_epsilon_greedy), lambda s, a: expected_next(s)),
    "td": Method(td_update, lambda s, a: VALUE[s], table=VALUE.copy),
    "double, first": Method(
        double_q_learning_update, lambda s, a: OTHER[s, Q[s].argmax()], two_tables, lambda: (Q + OTHER) / 2, HEADS, 0
    ),
    "double, second": Method(
        double_q_learning_update, lambda s, a: Q[s, OTHER[s].argmax()], two_tables, lambda: (Q + OTHER) / 2, TAILS, 1
    ),
}


# Checks of an update kernel: each takes the method and its kernel, and raises AssertionError where that is wrong.


def check_target(method, update):
    """r + gamma B(s') - Q(s, a), all of it exact, where B is what the method bootstraps from."""
    for next_action in (0, 1):
        step = (*STEP[:4], next_action)
        change, error = method.moved(update, 1.0, False, step)
        assert error == -3 + GAMMA * method.bootstrap(0, next_action) - method.old(1, 2)
        assert change[1, 2] == error if change.ndim == 2 else change[1] == error


def check_end(method, update):
    """A terminated step has no bootstrap; a truncated one, which is over but not terminated, has."""
    assert method.moved(update, 1.0, True)[1] == -3 - method.old(1, 2)
    assert method.moved(update, 1.0, False, over=True)[1] == method.moved(update, 1.0, False)[1]
    assert method.bootstrap(0, 1) != 0


def check_alpha(method, update):
    """The table moves by alpha times the error."""
    change, error = method.moved(update, 0.25, False)
    assert change.sum() == 0.25 * error
    assert (method.moved(update, 0.0, False)[0] == 0).all()


def check_place(method, update):
    """Only Q(s, a) moves, or V(s)."""
    change, _ = method.moved(update, 0.5, False)
    change[(1, 2) if change.ndim == 2 else 1] = 0
    assert (change == 0).all()


def check_operator(method, update):
    """Weighted by T, and by the policy where the next action is drawn, the targets are those of the method's Bellman
    operator: sum_s' T(s' | s, a) (r + gamma B(s')), computed by `MDP.q` or `chain` in one go and here outcome by
    outcome."""
    policy = policy_of(Q)
    for s, a in np.argwhere(WORLD.available):
        total = Fraction(0)
        row = s * WORLD.n_actions + a
        for i in range(WORLD.row_start[row], WORLD.row_start[row + 1]):
            t = WORLD.next_state[i]
            drawn = [(b, p) for b, p in enumerate(policy[t]) if p > 0] if update_draws(method) else [(0, 1.0)]
            for b, p in drawn:
                step = (s, a, WORLD.reward[i], t, b)
                _, error = method.moved(update, 1.0, WORLD.terminated[i], step)
                share = Fraction(float(WORLD.probability[i])) * Fraction(float(p))
                total += share * (Fraction(float(error)) + Fraction(float(method.old(s, a))))
        assert total == Fraction(float(operator_of(method)[s, a])), (s, a)


def update_draws(method):
    return method.kernel is sarsa_update


def operator_of(method):
    """(S, A): the Bellman operator applied to what the method bootstraps from, by the MDP's own arrays."""
    if method.kernel is sarsa_update:
        return WORLD.q(np.array([expected_next(s) for s in range(3)]), GAMMA)
    return WORLD.q(np.array([method.bootstrap(s, 0) for s in range(3)]), GAMMA)


CHECKS = [check_target, check_end, check_alpha, check_place, check_operator]
COMMON = {
    "no terminal mask": ("if not terminated:", "if True:"),
    "terminal mask turned round": ("if not terminated:", "if terminated:"),
    "a truncated step has no bootstrap": ("if not terminated:", "if not over:"),
    "alpha forgotten": ("+= alpha * error", "+= error"),
    "the reward forgotten": ("target = reward", "target = 0.0"),
}
MUTANTS = {
    "q-learning": {
        **COMMON,
        "another action's value moves": ("q[state, action] += ", "q[state, action - 1] += "),
        "the next state's value moves": ("q[state, action] += ", "q[next_state, action] += "),
        "gamma forgotten": ("gamma * highest", "highest"),
        "min for max": ("highest_of(", "min("),
        "the first action left out": ("q[next_state]", "q[next_state, 1:]"),
        "the last action left out": ("q[next_state]", "q[next_state, :1]"),
        "the best of the state left": ("q[next_state]", "q[state]"),
        "the mean for the maximum": ("highest_of(", "sum("),
        "the sign of the error": ("target - q[state, action]", "q[state, action] - target"),
        "the old value overwritten": ("q[state, action] += ", "q[state, action] = "),
    },
    "sarsa": {
        **COMMON,
        "the action taken for the next one": ("q[next_state, next_action]", "q[next_state, action]"),
        "the state left": ("q[next_state, next_action]", "q[state, next_action]"),
        "the best action for the next one": ("q[next_state, next_action]", "max(q[next_state])"),
        "gamma forgotten": ("gamma * q", "q"),
    },
    "expected-sarsa": {
        **COMMON,
        "the policy of the state left": ("mean(q[next_state], next_state", "mean(q[state], state"),
        "greedy for the policy": ("rate, habits, room", "0.0, habits, room"),
        "gamma forgotten": ("gamma * ", ""),
    },
    "td": {
        **COMMON,
        "the state left": ("value[next_state]", "value[state]"),
        "the next state's value moves": ("value[state] +=", "value[next_state] +="),
        "gamma forgotten": ("gamma * ", ""),
    },
    "double, first": {
        **COMMON,
        "its own word for the value": ("other[next_state, best]", "mine[next_state, best]"),
        "the other chooses as well": (
            "mine[next_state, b] > mine[next_state, best]",
            "other[next_state, b] > other[next_state, best]",
        ),
        "the other table moves": ("mine[state, action] += ", "other[state, action] += "),
        "the first action left out": ("best = 0", "best = 1"),
        "gamma forgotten": ("gamma * ", ""),
    },
    "double, second": {"always the first table": ("< 0.5", "< 1.5")},
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", METHODS)
def test_an_update_is_its_equation(name, check):
    """Sutton and Barto (2018), equations 6.2, 6.7, 6.8, 6.9 and 6.10: compiled, and as the plain function."""
    method = METHODS[name]
    if name == "td" and check is check_operator:
        pytest.skip("below, over actions too")
    check(method, method.kernel)
    check(method, method.kernel.py_func)


def test_the_expected_td_update_is_the_bellman_operator_of_the_policy():
    """sum_a pi(a | s) sum_s' T(s' | s, a) (r + gamma V(s')) = (T_pi V)(s), exactly (Sutton and Barto 2018, 4.4)."""
    policy, method = policy_of(Q), METHODS["td"]
    operator = (policy * np.where(WORLD.available, WORLD.q(VALUE, GAMMA), 0)).sum(axis=1)
    for s in range(3):
        total = 0
        for a in np.flatnonzero(WORLD.available[s]):
            row = s * WORLD.n_actions + a
            for i in range(WORLD.row_start[row], WORLD.row_start[row + 1]):
                step = (s, a, WORLD.reward[i], WORLD.next_state[i], -1)
                change, _ = method.moved(method.kernel, 1.0, WORLD.terminated[i], step)
                share = Fraction(float(policy[s, a])) * Fraction(float(WORLD.probability[i]))
                total += share * (Fraction(float(change[s])) + Fraction(float(VALUE[s])))
        assert total == Fraction(float(operator[s]))


def test_double_q_learning_s_table_is_the_mean_of_its_two():
    """After an update of either."""
    for coin in (HEADS, TAILS):
        q, memory = (Q + OTHER) / 2, two_tables()
        double_q_learning_update(q, memory, 1, 2, -3.0, 0, -1, False, False, 0.5, GAMMA, (EPSILON, ()), coin.copy())
        assert q.tolist() == ((memory[0] + memory[1]) / 2).tolist()
        assert q[1, 2] != 12


@pytest.mark.parametrize(("name", "mutant"), [(name, mutant) for name in MUTANTS for mutant in MUTANTS[name]])
def test_mutants_of_the_update_are_caught(name, mutant):
    """Each small fault in the kernel's source fails at least one check: the checks can fail."""
    method, (old, new) = METHODS[name], MUTANTS[name][mutant]
    kernel = method.kernel.py_func
    source = re.sub(r"@jit.*\n", "", inspect.cleandoc("\n" + inspect.getsource(kernel)))
    assert source.count(old) == 1, f"the kernel no longer holds {old!r}: bring this list up to date"
    closed = dict(zip(kernel.__code__.co_freevars, (c.cell_contents for c in kernel.__closure__ or ()), strict=True))
    names = {**kernel.__globals__, **closed}
    exec(source.replace(old, new), names)
    caught = []
    for check in CHECKS:
        if check is check_operator and name == "td":
            continue
        try:
            check(method, names[kernel.__name__])
        except (AssertionError, OverflowError, ValueError):  # neither an infinity nor a NaN is a Fraction
            caught.append(check.__name__)
    assert caught


# What every learner's kernel keeps


def learner_on(mdp, name, **options):
    learner = LEARNERS[name]
    step_size = {"alpha": 0.5} if "alpha" in learner.options() else {}
    return learner(TabularEnv(mdp), gamma=GAMMA, **step_size, **options)


def updated(agent, alpha, reward, over=True):
    """The error of one update of `agent`'s table by its own kernel; (state 1, action 2) -> state 0, next action 1."""
    agent._reserve(1)
    looks_ahead = 1 if agent.looks_ahead else -1
    behaviour = (EPSILON, tuple(agent.habits))
    rest = (False, over, alpha, GAMMA, behaviour, HEADS.copy())
    return agent._update()(agent.table, tuple(agent.memory), 1, 2, reward, 0, looks_ahead, *rest)


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_s_update_keeps_the_contract(name):
    """Any learner's kernel returns its error, moves nothing at alpha 0, keeps actions that are not there at -inf, and
    turns a NaN or an infinite reward into an error that is not finite at once, which is how the loops notice."""
    agent = learner_on(WORLD, name, initial_value=1.0)
    before = agent.table.copy()

    assert np.isfinite(updated(agent, 0.0, 1.0))
    if "alpha" in agent.options():
        assert agent.table.tobytes() == before.tobytes()
    for over in (False, True):
        for reward in (np.nan, INF, -INF):
            assert not np.isfinite(updated(learner_on(WORLD, name), 0.5, reward, over))
    updated(agent, 0.5, 1.0)
    assert (np.isneginf(agent.table) == np.isneginf(before)).all()
    assert np.isneginf(before).any() == (name in CONTROL and agent.values is row_of_table)


@pytest.mark.parametrize("name", CONTROL)
def test_probabilities_are_probabilities(name):
    """Rows of `action_probabilities` sum to 1, greedy or not, masked or not; a barred action has none."""
    agent = learner_on(WORLD, name).learn(300)
    for deterministic in (False, True):
        policy = agent.action_probabilities(np.arange(3), deterministic=deterministic)
        np.testing.assert_allclose(policy.sum(axis=1), 1, rtol=0, atol=1e-12)
        assert (policy >= 0).all()
        assert (policy[~WORLD.available] == 0).all()
        mask = np.array([[True, False, False], [False, False, True], [True, False, True]])
        masked = agent.action_probabilities(np.arange(3), mask, deterministic)
        np.testing.assert_allclose(masked.sum(axis=1), 1, rtol=0, atol=1e-12)
        assert (masked[~mask] == 0).all()
    assert agent.value.shape == (3,)


def test_control_by_averages_needs_no_step_size():
    """Monte Carlo control without alpha averages: the first return is taken whole."""
    agent = MonteCarloControl(TabularEnv(WORLD), gamma=GAMMA, truncated="bootstrap", exploration=EpsilonGreedy(1.0))
    agent.table[:] = Q
    updated(agent, 0.0, 1.0)

    assert agent.q[1, 2] == 1 + GAMMA * Q[0, 1]
