"""n-step TD, n-step SARSA and tree backup against the book's pseudocode, exact arithmetic, and their own mutants."""

import inspect
import itertools

import numpy as np
import pytest
from tabular_episodes import ALPHA, GAMMA, A, S, episodes, feed, world

from rltk.agents.tabular import SARSA, TD, MonteCarlo, NStepSARSA, NStepTD, QLearning, TreeBackup, n_step, tree_backup
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError
from rltk.mdp import MDP


def reference(table, experience, n, bootstrap, alpha=ALPHA, gamma=GAMMA):
    """n-step TD and n-step SARSA as Sutton and Barto (2018) print them, pages 144 and 147, T unknown until met. The one
    addition: where the episode is cut short at T, what is left bootstraps from S_T."""
    for S_, A_, rewards, terminated in experience:
        R, T, t = [None, *rewards], np.inf, 0
        while True:
            if t < T and t + 1 == len(rewards):
                T = t + 1
            tau = t - n + 1
            if tau >= 0:
                last = int(min(tau + n, T))
                G = sum(gamma ** (i - tau - 1) * R[i] for i in range(tau + 1, last + 1))
                if tau + n < T or not terminated:
                    G += gamma ** (last - tau) * bootstrap(table, S_[last], A_[last])
                place = (S_[tau],) if table.ndim == 1 else (S_[tau], A_[tau])
                table[place] += alpha * (G - table[place])
            if tau == T - 1:
                break
            t += 1
    return table


def greedy(Q, s):
    """pi(. | s): greedy, its ties sharing the weight."""
    best = Q[s] == Q[s].max()
    return best / best.sum()


def tree_backup_reference(Q, experience, n, alpha=ALPHA, gamma=GAMMA):
    """n-step tree backup as Sutton and Barto (2018) print it, page 154."""
    for S_, A_, rewards, terminated in experience:
        R, T, t = [None, *rewards], np.inf, 0
        while True:
            if t < T and t + 1 == len(rewards):
                T = t + 1
            tau = t + 1 - n
            if tau >= 0:
                end = int(min(t + 1, T))
                G = R[end]
                if t + 1 < T or not terminated:
                    G += gamma * sum(greedy(Q, S_[end]) * Q[S_[end]])
                for k in range(end - 1, tau, -1):
                    pi = greedy(Q, S_[k])
                    others = sum(pi[a] * Q[S_[k], a] for a in range(A) if a != A_[k])
                    G = R[k] + gamma * others + gamma * pi[A_[k]] * G
                Q[S_[tau], A_[tau]] += alpha * (G - Q[S_[tau], A_[tau]])
            if tau == T - 1:
                break
            t += 1
    return Q


METHODS = {
    NStepTD: lambda n, seed: reference(np.zeros(S), episodes(seed), n, lambda V, s, a: V[s]),
    NStepSARSA: lambda n, seed: reference(np.zeros((S, A)), episodes(seed), n, lambda Q, s, a: Q[s, a]),
    TreeBackup: lambda n, seed: tree_backup_reference(np.zeros((S, A)), episodes(seed), n),
}
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda cls: cls.name)


def check_reference(method, n, update=None):
    """The same table as the pseudocode's, fed the same steps."""
    for seed in (0, 1):
        table = feed(method(world(), gamma=GAMMA, n=n), episodes(seed), update)
        np.testing.assert_allclose(table, METHODS[method](n, seed), rtol=0, atol=1e-12)


@every_method
@pytest.mark.parametrize("n", [1, 2, 3, 8, 50])
def test_the_table_is_that_of_the_book_s_pseudocode(method, n):
    """Terminated and truncated episodes, shorter and longer than n, to 1e-12."""
    check_reference(method, n)


@pytest.mark.parametrize(("method", "one_step"), [(NStepTD, TD), (NStepSARSA, SARSA), (TreeBackup, QLearning)])
def test_one_step_is_the_one_step_method(method, one_step):
    """n = 1 is TD(0), SARSA and, under a greedy policy, Q-learning (Sutton and Barto 2018, sections 7.1, 7.2, 7.5)."""
    ours = feed(method(world(), gamma=GAMMA, n=1), episodes(3))
    theirs = feed(one_step(world(), gamma=GAMMA), episodes(3))

    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_as_many_steps_as_the_episode_has_are_monte_carlo():
    """n at least the episode's length leaves the return (Sutton and Barto 2018, section 7.1). On episodes that meet no
    state twice, as the two update in other orders."""
    whole = [([4, 2, 0, 1, 3], [0] * 5, [1.0, -2.0, 0.5, 3.0], True), ([1, 0, 2], [0] * 3, [2.0, -1.0], True)]
    for n in (4, 7):
        ours = feed(NStepTD(world(), gamma=GAMMA, n=n), whole)
        theirs = feed(MonteCarlo(world(), gamma=GAMMA, alpha=ALPHA), whole)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


CHAIN = {0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 2, 2.0, False)]}, 2: {0: [(1, 0, 4.0, True)]}}
LOOP = {0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 2, 2.0, False)]}, 2: {0: [(1, 0, 4.0, False)]}}


@every_method
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_a_chain_of_three_states_analytically(method, n, backend):
    """0 -> 1 -> 2 paying 1, 2, 4. Ended after 2: V = (3, 4, 4) at gamma = 1/2. A ring instead, cut short every two
    steps: V(0) = (1 + 1 + 1) / (1 - 1/8) = 24/7, and so on, as if it were never cut; a truncated step bootstraps, a
    terminated one does not."""
    options = {"gamma": 0.5, "alpha": 1.0, "n": n, "backend": backend}
    ended = method(TabularEnv(MDP.from_table(CHAIN, [1, 0, 0])), **options).learn(60)
    ring = method(TabularEnv(MDP.from_table(LOOP), max_episode_steps=2), **options).learn(600)

    np.testing.assert_allclose(ended.table.ravel(), [3, 4, 4], rtol=0, atol=1e-12)
    np.testing.assert_allclose(ring.table.ravel(), [24 / 7, 34 / 7, 40 / 7], rtol=0, atol=1e-12)


LAYERS = [[0], [1, 2], [3, 4], [5]]


def layered():
    """Layers of states that episodes pass through, or end on the way, so that no path meets a state twice."""
    random = np.random.default_rng(0)
    T, terminated = np.zeros((6, 2, 6)), np.zeros((6, 2, 6), dtype=bool)
    for here, after in itertools.pairwise([*LAYERS, [0]]):
        T[np.ix_(here, [0, 1], after)] = random.dirichlet(np.ones(len(after)), (len(here), 2)) * 0.75
        T[here, :, 0] += 0.25
        terminated[here, :, 0] = True
    return MDP.from_arrays(T, random.normal(size=(6, 2, 6)), terminated=terminated)


def paths(mdp, state, n, action=None):
    """Every path of n steps, or fewer where it ends, from `state`, with the action that follows: (probability, states,
    actions, rewards, whether it ended); actions are uniform, the first as given."""
    for a in range(mdp.n_actions) if action is None else [action]:
        chance = 1.0 if action is not None else 1 / mdp.n_actions
        if n == 0:
            yield chance, [state], [a], [], False
            continue
        row = state * mdp.n_actions + a
        for i in range(mdp.row_start[row], mdp.row_start[row + 1]):
            here, r, next_state = chance * mdp.probability[i], float(mdp.reward[i]), int(mdp.next_state[i])
            if mdp.terminated[i]:
                yield here, [state, next_state], [a, 0], [r], True
                continue
            for p, states, actions, rewards, ended in paths(mdp, next_state, n - 1):
                yield here * p, [state, *states], [a, *actions], [r, *rewards], ended


def expected_target(method, n, table, action=None):
    """What the first state, or state and action, is moved to at alpha 1, averaged over all paths of n steps."""
    mdp, total, weight = layered(), 0.0, 0.0
    for p, states, actions, rewards, ended in paths(mdp, 0, n, action):
        agent = method(TabularEnv(mdp), gamma=GAMMA, n=n)
        agent.table[:] = table
        feed(agent, [(states, actions, rewards, ended)], alpha=1.0)
        total += p * (agent.table[0] if action is None else agent.table[0, action])
        weight += p
    assert weight == pytest.approx(1, abs=1e-12)
    return total


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_expected_update_is_the_bellman_operator_applied_n_times(n):
    """Over all paths, weighted by T, the target is (B_pi)^n V, and (B_pi)^n Q for SARSA (Sutton and Barto 2018,
    equations 7.1 and 7.4)."""
    mdp, random = layered(), np.random.default_rng(1)
    value, q = random.normal(size=6), random.normal(size=(6, 2))
    after, after_q = value, q
    for _ in range(n):
        after, after_q = mdp.q(after, GAMMA).mean(axis=1), mdp.q(after_q.mean(axis=1), GAMMA)

    assert expected_target(NStepTD, n, value) == pytest.approx(after[0], abs=1e-12)
    for a in (0, 1):
        assert expected_target(NStepSARSA, n, q, a) == pytest.approx(after_q[0, a], abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tree_backup_rests_at_the_optimum_whatever_the_behaviour(n):
    """Q* is what tree backup's target is on average when the behaviour is uniform: no importance sampling needed."""
    mdp = layered()
    q = np.zeros((6, 2))
    for _ in range(200):
        q = mdp.q(q.max(axis=1), GAMMA)

    for a in (0, 1):
        assert expected_target(TreeBackup, n, q, a) == pytest.approx(q[0, a], abs=1e-12)


def test_n_step_td_converges_to_the_value_of_the_policy():
    """On a random MDP with step sizes 20 / (100 + t): over 40 seeds the mean lies within 5 of its standard errors of
    the exact value, and the root mean square error falls with the root of the steps, from 4,000 to 64,000."""
    random = np.random.default_rng(5)
    T = random.dirichlet(np.ones(4), (4, 2))
    env = TabularEnv(MDP.from_arrays(T, random.normal(size=(4, 2)), terminated=[False, False, False, True]))
    runs = np.empty((40, 2, 4))
    for seed in range(40):
        agent = NStepTD(env, gamma=GAMMA, n=3, alpha=lambda t: 20 / (100 + t), seed=seed)
        for k, steps in enumerate((4_000, 60_000)):
            runs[seed, k] = agent.learn(steps).value
    truth = agent.true_value()
    error = runs - truth
    standard = error[:, 1].std(axis=0, ddof=1) / np.sqrt(len(runs))

    assert (np.abs(error[:, 1].mean(axis=0)) <= 5 * standard).all()
    rms = np.sqrt((error**2).mean(axis=(0, 2)))
    assert rms[1] < rms[0] / 2  # a fourth, were it exact


def test_tree_backup_converges_to_the_optimum():
    """On a random MDP under uniform behaviour, with step sizes 20 / (100 + t): over 12 seeds the root mean square
    error of Q falls with the root of the steps, from 4,000 to 64,000: by four; the greedy policy is then the best."""
    random = np.random.default_rng(5)
    T = random.dirichlet(np.ones(4), (4, 2))
    env = TabularEnv(MDP.from_arrays(T, random.normal(size=(4, 2)), terminated=[False, False, False, True]))
    q = np.zeros((4, 2))
    for _ in range(200):
        q = env.mdp().q(q.max(axis=1), GAMMA)
    options = {"gamma": GAMMA, "n": 3, "alpha": lambda t: 20 / (100 + t), "epsilon": 1.0}
    agents = [TreeBackup(env, seed=seed, **options) for seed in range(12)]
    error = np.array([[agent.learn(n).q.copy() - q for n in (4_000, 60_000)] for agent in agents])

    rms = np.sqrt((error**2).mean(axis=(0, 2, 3)))
    assert rms[1] < rms[0] / 2
    for agent in agents:
        np.testing.assert_array_equal(agent.q.argmax(axis=1), q.argmax(axis=1))


@every_method
def test_n_is_a_positive_whole_number(method):
    """ArgumentError otherwise."""
    for n in (0, 1.5, True, "3"):
        with pytest.raises(ArgumentError, match="n is a whole number, at least 1"):
            method(world(), n=n)


MUTANTS = {
    "no terminal mask (TD)": (n_step, NStepTD, "0.0 if terminated else value[next_state]", "value[next_state]"),
    "no terminal mask (SARSA)": (n_step, NStepSARSA, "0.0 if terminated else q[next", "q[next"),
    "no bootstrap where cut": (n_step, NStepTD, "0.0 if terminated else value", "0.0 if over else value"),
    "another next action": (n_step, NStepSARSA, "q[next_state, next_action]", "q[next_state, action]"),
    "not discounted": (n_step, NStepTD, "+ gamma * total", "+ total"),
    "the window kept at an end": (n_step, NStepTD, " or (over and size[0] > 0)", ""),
    "the window kept at an end (SARSA)": (n_step, NStepSARSA, " or (over and size[0] > 0)", ""),
    "another step forgotten": (n_step, NStepTD, "(begin[0] + 1) %", "(begin[0] + 2) %"),
    "the newest moved": (n_step, NStepSARSA, "s, a = states[begin[0]], actions[begin[0]]", "s, a = state, action"),
    "tree: no terminal mask": (tree_backup, TreeBackup, "if not terminated:", "if True:"),
    "tree: the window kept at an end": (tree_backup, TreeBackup, " or (over and size[0] > 0)", ""),
    "tree: another next action": (tree_backup, TreeBackup, "states[after], actions[after])", "states[after], action)"),
    "tree: ties not shared": (tree_backup, TreeBackup, "1.0 / ties if", "1.0 if"),
    "tree: the taken action twice": (tree_backup, TreeBackup, "best - chance * q[", "best - 0.0 * q["),
    "tree: as if always greedy": (tree_backup, TreeBackup, "left + chance * target", "left + target"),
    "tree: a step left out": (tree_backup, TreeBackup, "range(size[0] - 2", "range(size[0] - 3"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    """Each small fault in the source leaves another table than the pseudocode: the check can fail."""
    module, method, old, new = MUTANTS[name]
    source = inspect.getsource(module)
    assert source.count(old) >= 1, f"the source no longer holds {old!r}: bring this list up to date"
    names = {}
    exec(
        source.replace(old, new).replace(
            "import jit\n", "import jit\njit = lambda kernel=None, **options: kernel or (lambda k: k)\n"
        ),
        names,
    )
    update = names[method.update.py_func.__name__]
    check_reference(method, 3)
    with pytest.raises((AssertionError, IndexError)):
        check_reference(method, 3, update)
