"""Linear function approximation and least squares, against tables, plain Python, and exact equations."""

import inspect
import re

import gymnasium as gym
import numpy as np
import pytest
from tabular_worlds import random_world

import rltk
from rltk.agents.tabular import LSPI, SARSA, FixedPolicy, LinearQLearning, LinearSARSA, QLearning, learn_many
from rltk.agents.tabular.exploration import epsilon_greedy
from rltk.agents.tabular.linear import linear_q_learning_update, linear_sarsa_update
from rltk.agents.tabular.lspi import Samples, lspi, lstdq, samples_of
from rltk.envs.tabular import TabularEnv
from rltk.errors import ArgumentError, LearningError, SizeError
from rltk.mdp import MDP
from rltk.runs import Streams

ALPHA, GAMMA, EPSILON = 0.05, 0.9, 0.4


def world(limit=None):
    """Eight states."""
    return random_world(3, 8, ends=0.2, limit=limit)


FEATURES = np.random.default_rng(4).normal(size=(8, 4))


@pytest.mark.parametrize(("linear", "table"), [(LinearSARSA, SARSA), (LinearQLearning, QLearning)])
def test_a_feature_for_each_state_is_the_table(linear, table):
    """With one-hot features the weights are the table, bit for bit (Sutton and Barto 2018, section 9.3)."""
    options = {"alpha": 0.3, "gamma": GAMMA, "epsilon": EPSILON, "seed": 5}
    one, other = linear(world(6), **options).learn(2000), table(world(6), **options).learn(2000)

    assert one.q.tobytes() == other.q.tobytes()
    assert (np.where(np.isfinite(other.q), other.q, 0.0) == one.weights.T).all()


def literal(env, seed, steps, learner):
    """The weights after so many steps of section 10.1's box "Episodic Semi-gradient Sarsa", or of its Q-learning."""
    streams = Streams(seed)
    behaviour, available = streams.generator("behaviour"), env.mdp().available
    w = np.zeros((3, 4))

    def q(s):
        return np.array([sum(w[a] * FEATURES[s]) if available[s, a] else -np.inf for a in range(3)])

    def choose(s):
        return epsilon_greedy.py_func(q(s), s, EPSILON, (), behaviour.random())

    state, _ = env.reset(seed=streams.seed("environment"))
    action = choose(state)
    for _ in range(steps):
        next_state, reward, terminated, truncated, _ = env.step(action)
        next_action = -1
        if learner is LinearSARSA and not terminated:
            next_action = choose(next_state)
        ahead = q(next_state)[next_action] if learner is LinearSARSA else q(next_state).max()
        error = reward + (0.0 if terminated else GAMMA * ahead) - q(state)[action]
        w[action] += ALPHA * error * FEATURES[state]
        state, action = next_state, next_action
        if terminated or truncated:
            state, action = env.reset()[0], -1
        if action < 0:
            action = choose(state)
    return w


def compare(learner, backend="auto", steps=500, limit=5):
    options = {"alpha": ALPHA, "gamma": GAMMA, "epsilon": EPSILON, "seed": 1, "backend": backend}
    agent = learner(world(limit), features=FEATURES, **options).learn(steps)
    np.testing.assert_allclose(agent.weights, literal(world(limit), 1, steps, learner), rtol=0, atol=1e-12)


@pytest.mark.parametrize("limit", [None, 5])
@pytest.mark.parametrize("learner", [LinearSARSA, LinearQLearning])
def test_each_does_what_the_equation_says(learner, limit):
    """500 steps with random features give the weights that plain Python gives, ends and truncations included."""
    compare(learner, limit=limit)


MUTANTS = {
    "SARSA bootstraps at an end": (LinearSARSA, linear_sarsa_update, "not terminated", "True or not terminated"),
    "SARSA does not bootstrap when cut": (LinearSARSA, linear_sarsa_update, "not terminated", "not over"),
    "SARSA takes the action that was": (
        LinearSARSA,
        linear_sarsa_update,
        "next_state, next_action)",
        "next_state, action)",
    ),
    "Q-learning bootstraps at an end": (LinearQLearning, linear_q_learning_update, "not terminated", "True"),
    "Q-learning takes the first": (LinearQLearning, linear_q_learning_update, "highest_of(", "(lambda row: row[0])("),
    "the gradient of the next state": (
        LinearQLearning,
        linear_q_learning_update,
        "move(weights, features, state,",
        "move(weights, features, next_state,",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    """The comparison above fails for each of these changes of a kernel, and passes without."""
    learner, kernel, old, new = MUTANTS[name]
    for replacement, wrong in ((old, False), (new, True)):
        source = re.sub(r"@jit.*\n", "", inspect.getsource(kernel.py_func))
        assert source.count(old) == 1, f"{old!r} is not in the kernel: mend this test"
        namespace = dict(kernel.py_func.__globals__)
        exec(source.replace(old, replacement), namespace)

        class Changed(learner):
            update = staticmethod(namespace[kernel.py_func.__name__])

        Changed.__name__ = learner.__name__
        options = {"alpha": ALPHA, "gamma": GAMMA, "epsilon": EPSILON, "seed": 1, "backend": "gymnasium"}
        weights = Changed(world(5), features=FEATURES, **options).learn(200).weights
        assert (np.abs(weights - literal(world(5), 1, 200, learner)).max() > 1e-6) == wrong


def test_semi_gradient_sarsa_comes_to_the_fixed_point():
    """Under a policy that stays the same, with steps that become smaller, the weights come to the w for which the
    expected update is 0, A w = b (section 9.4), found from T exactly: the mean of 40 runs is within four standard
    errors of it, each below 0.02."""
    env, gamma = world(), 0.8
    mdp = env.mdp()
    policy = mdp.uniform_policy()
    options = {"alpha": lambda t: 0.2 / (1 + t / 500), "gamma": gamma, "exploration": FixedPolicy(policy)}
    many = learn_many(LinearSARSA, env, 100_000, seeds=40, checkpoints=1, features=FEATURES, **options)
    runs = np.array([(FEATURES @ weights.T)[mdp.available] for weights in many.tables[:, 0]])
    # How often states are met, episode after episode, is the number of visits in one, up to a factor.
    visits = mdp.chain(policy).occupancy(mdp.start, 1.0)
    w = lstdq(FEATURES, expected_samples(mdp, visits[:, None] * policy), policy, gamma, 0.0)
    error = np.std(runs, axis=0, ddof=1) / np.sqrt(len(runs))

    assert error.max() < 0.02
    assert (np.abs(np.mean(runs, axis=0) - (FEATURES @ w.T)[mdp.available]) < 4 * error).all()


def test_divergence_stops_learning():
    """Sutton and Barto (2018), section 11.2: one weight w, features 1 and 2, the first state leading to the second, and
    the second never updated. Each step multiplies w by 1 + alpha (2 gamma - 1), so that it overflows after
    ln(1.8e308) / ln(1.08) = 9,222 steps or a few fewer, and the error says where."""
    table = {0: {0: [(1.0, 1, 0.0, False)]}, 1: {0: [(1.0, 1, 0.0, False)]}}
    env = TabularEnv(MDP.from_table(table, start=[1.0, 0.0]), max_episode_steps=1)
    agent = LinearQLearning(env, features=[[1.0], [2.0]], gamma=0.9, alpha=0.1, initial_value=1.0)
    with pytest.raises(LearningError, match=r"update of step 92[12]\d is not finite"):
        agent.learn(20_000)


# Least squares


def expected_samples(mdp, weight=None):
    """All outcomes of T, weighted by their probability and by `weight` (S, A)."""
    rows = np.repeat(np.arange(mdp.n_states * mdp.n_actions), np.diff(mdp.row_start))
    states, actions = np.divmod(rows, mdp.n_actions)
    weights = mdp.probability * (1.0 if weight is None else weight[states, actions])
    return Samples(states, actions, mdp.reward, mdp.next_state, mdp.terminated, weights)


def test_lstdq_with_a_feature_for_each_state_is_exact():
    """From all of T, LSTDQ gives q of the policy: r + gamma P v (Lagoudakis and Parr 2003, section 5)."""
    mdp = world().mdp()
    policy = mdp.uniform_policy()
    w = lstdq(np.eye(8), expected_samples(mdp), policy, GAMMA, 1e-13)
    exact = mdp.q(mdp.chain(policy).value(GAMMA), GAMMA)

    np.testing.assert_allclose(w.T[mdp.available], exact[mdp.available], rtol=0, atol=1e-9)


def test_lstdq_is_the_projected_fixed_point():
    """With few features it solves Phi' D (Phi w - r - gamma P_pi Phi w) = 0, written out densely from T."""
    mdp = world().mdp()
    policy, n = mdp.uniform_policy(), 24
    w = lstdq(FEATURES, expected_samples(mdp), policy, GAMMA, 0.0)
    P, r = np.zeros((n, n)), np.zeros(n)
    for row in range(n):
        for i in range(mdp.row_start[row], mdp.row_start[row + 1]):
            r[row] += mdp.probability[i] * mdp.reward[i]
            if not mdp.terminated[i]:
                t = mdp.next_state[i]
                P[row, 3 * t : 3 * t + 3] += mdp.probability[i] * policy[t]
    phi = np.zeros((n, 12))
    for row in range(n):
        phi[row, 4 * (row % 3) : 4 * (row % 3) + 4] = FEATURES[row // 3]
    D = np.diag(mdp.available.reshape(-1).astype(float))
    left = phi.T @ D @ (phi @ w.reshape(-1) - r - GAMMA * P @ phi @ w.reshape(-1))

    np.testing.assert_allclose(left, 0.0, atol=1e-12)


def test_lspi_finds_the_optimum_where_features_can_hold_it():
    """With a feature for each state and all of T it is policy iteration: Q* to 1e-9."""
    mdp = world().mdp()
    w = lspi(np.zeros((3, 8)), np.eye(8), mdp.available, expected_samples(mdp), GAMMA, 1e-13)
    optimum = rltk.solve(mdp, gamma=GAMMA, tolerance=1e-12)

    np.testing.assert_allclose(w.T[mdp.available], optimum.q[mdp.available], rtol=0, atol=1e-9)


def chain_walk():
    """Four states in a row, 0.9 to go where one wants and 0.1 the other way, a reward of 1 in the two in the middle."""
    T, R = np.zeros((4, 2, 4)), np.zeros((4, 2))
    for s in range(4):
        for a, way in enumerate((-1, 1)):
            T[s, a, min(max(s + way, 0), 3)] += 0.9
            T[s, a, min(max(s - way, 0), 3)] += 0.1
            R[s, a] = 1.0 if s in (1, 2) else 0.0
    return TabularEnv(MDP.from_arrays(T, R), max_episode_steps=20)


@pytest.mark.parametrize("seed", range(5))
def test_lspi_solves_the_chain_walk(seed):
    """Lagoudakis and Parr (2003), section 9.1: on the chain of four states, with the features 1, s, s^2 for each action
    and discount 0.9, LSPI finds the optimal policy, right, right, left, left, from random walks."""
    features = np.vander(np.arange(1.0, 5.0), 3, increasing=True)
    agent = LSPI(chain_walk(), features=features, gamma=0.9, seed=seed).learn(5000)

    assert agent.q.argmax(axis=1).tolist() == [1, 1, 0, 0]
    assert rltk.evaluate(agent, chain_walk()).suboptimality < 1e-6


def test_samples_alike_are_taken_together():
    """Their weights are their numbers and their reward the mean: the equations stay the same."""
    random = np.random.default_rng(0)
    raw = [random.integers(3, size=200), random.integers(2, size=200), random.normal(size=200)]
    raw += [random.integers(3, size=200), random.random(200) < 0.3]
    single = Samples(*raw, np.ones(200))
    together = samples_of(*raw)
    features, policy = random.normal(size=(3, 2)), np.full((3, 2), 0.5)

    assert together.weights.sum() == 200
    assert len(together.states) < 40
    np.testing.assert_allclose(
        lstdq(features, together, policy, GAMMA), lstdq(features, single, policy, GAMMA), rtol=1e-10
    )


def test_lspi_goes_on_as_if_never_stopped(tmp_path):
    """Learning in parts, on both loops, and saved and loaded on the way, gives the same bits, with behaviour that
    follows the weights."""
    options = {"features": FEATURES, "epsilon": 0.3, "every": 250, "seed": 2}
    whole = LSPI(world(5), **options).learn(1700)
    parts = LSPI(world(5), backend="gymnasium", **options).learn(333).learn(600)
    parts.save(tmp_path)
    loaded = LSPI.load(tmp_path, world(5)).learn(767)

    assert whole.weights.any()
    assert loaded.weights.tobytes() == whole.weights.tobytes()


def test_weights_that_samples_leave_open():
    """Without a ridge an action that was never taken has no weight; the error says how to mend it."""
    samples = samples_of([0, 0], [0, 0], [1.0, 2.0], [0, 0], [True, True])
    with pytest.raises(LearningError, match="gather more, or give a ridge above 0"):
        lstdq(np.ones((1, 1)), samples, np.full((1, 2), 0.5), GAMMA, 0.0)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((7, 2)), "(8, d) numbers, a row for each observation"),
        (np.zeros(8), "found the shape (8,)"),
        (np.zeros((8, 0)), "found the shape (8, 0)"),
        (np.full((8, 1), np.nan), "finite numbers were expected; found nan at row 0, 0"),
        ([["a"]] * 8, "(8, d) numbers were expected"),
        (lambda observations: observations, "found the shape (8,)"),
    ],
)
def test_features_that_can_not_be_used(features, message):
    """Each says what was expected."""
    with pytest.raises(ArgumentError, match=re.escape(message)):
        LinearSARSA(world(), features=features)


def test_features_may_be_a_function_of_the_observations():
    """It sees all of them at once, as the environment numbers them, and is kept as an array, in checkpoints too."""
    agent = LinearSARSA(world(), features=lambda s: np.stack([np.ones(8), s], axis=1))
    assert agent.features[:, 1].tolist() == list(range(8))
    assert LinearSARSA.from_config(agent.config(), world()).features.tolist() == agent.features.tolist()


def test_too_many_states_for_a_feature_each():
    """The size is in the message, and no memory is taken."""
    n = 200_000
    mdp = MDP.from_moves(np.arange(n, dtype=np.int32)[:, None], np.ones((1, 1)), reward=0.0)
    with pytest.raises(SizeError, match=r"one feature for each of 200,000 states would take 298\.0 GiB"):
        LinearSARSA(TabularEnv(mdp))


def test_linear_sarsa_on_taxi():
    """Features that tell apart where taxi, passenger and destination are, but no two together, can't solve Taxi; it
    learns without a fault, and behaves within the spaces."""
    env = gym.make("rltk/Taxi-v0")
    s = np.arange(env.observation_space.n)
    features = np.concatenate([np.eye(25)[s // 20], np.eye(5)[s // 4 % 5], np.eye(4)[s % 4]], axis=1)
    agent = LinearSARSA(env, features=features, alpha=0.05, seed=0).learn(20_000)
    action, _ = agent.predict(env.reset(seed=0)[0])

    assert env.action_space.contains(np.int64(action))
    assert np.isfinite(agent.weights).all()
