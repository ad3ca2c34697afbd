"""Batch TD, batch Monte Carlo and least-squares TD: the book's examples, literal references, mutants."""

import inspect

import gymnasium as gym
import numpy as np
import pytest

from rltk.agents.tabular import LSTD, BatchMonteCarlo, BatchTD, batch, lstd
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError, LearningError, SizeError
from rltk.mdp import MDP

S, GAMMA = 5, 0.75
METHODS = [BatchTD, BatchMonteCarlo, LSTD]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda cls: cls.name)


def world(n=S):
    """n states, one action; what it does is of no matter to agents that are fed by hand."""
    return TabularEnv(MDP.from_arrays(np.full((n, 1, n), 1 / n), np.zeros((n, 1))))


def episodes(seed, n=40, most=8):
    """Random episodes, every third cut short: (states, rewards, whether terminated), one state more than rewards."""
    random = np.random.default_rng(seed)
    for i in range(n):
        length = int(random.integers(1, most))
        states = random.integers(S, size=length + 1)
        yield states.tolist(), random.normal(size=length).tolist(), i % 3 != 0


def feed(agent, experience, update=None):
    """Let the agent's update kernel, or another, see the episodes step by step, as the loops would; then settle."""
    update, stream = update or agent._update(), np.arange(6, dtype=np.uint64)
    for states, rewards, terminated in experience:
        for t, reward in enumerate(rewards):
            over = t == len(rewards) - 1
            step = states[t], 0, reward, states[t + 1], -1, over and terminated, over
            agent._reserve(1)
            update(agent.table, tuple(agent.memory), *step, 0.0, agent.gamma, (0.0, tuple(agent.habits)), stream)
    agent._settle()
    return agent.table


def summed_sweeps(experience, monte_carlo, discard=True, gamma=GAMMA, alpha=0.02, sweeps=5_000):
    """Section 6.3 of Sutton and Barto (2018) to the letter: increments are computed for every step of every episode,
    the value function is changed once, by their sum times a small step size; again and again."""
    V, experience = np.zeros(S), list(experience)
    for _ in range(sweeps):
        change = np.zeros(S)
        for states, rewards, terminated in experience:
            if monte_carlo and discard and not terminated:
                continue
            for t in range(len(rewards)):
                end = len(rewards) if monte_carlo else t + 1
                G = sum(gamma ** (k - t) * rewards[k] for k in range(t, end))
                if end < len(rewards) or not terminated:
                    G += gamma ** (end - t) * V[states[end]]
                change[states[t]] += G - V[states[t]]
        V += alpha * change
        if np.abs(change).max() < 1e-11:
            return V
    raise AssertionError("the reference did not settle")


REFERENCES = {
    "TD": (lambda: BatchTD(world(), gamma=GAMMA), {"monte_carlo": False}),
    "MC": (lambda: BatchMonteCarlo(world(), gamma=GAMMA), {"monte_carlo": True}),
    "MC bootstrapped": (
        lambda: BatchMonteCarlo(world(), gamma=GAMMA, truncated="bootstrap"),
        {"monte_carlo": True, "discard": False},
    ),
    "LSTD": (lambda: LSTD(world(), gamma=GAMMA, ridge=0.0), {"monte_carlo": False}),
}
EXPECTED = {}


def check_reference(name, update=None):
    make, options = REFERENCES[name]
    if name not in EXPECTED:
        EXPECTED[name] = summed_sweeps(episodes(0), **options)
    np.testing.assert_allclose(feed(make(), episodes(0), update), EXPECTED[name], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", REFERENCES)
def test_the_values_are_those_of_the_book_s_small_steps(name):
    """Sweeps of means and equations rest where summed increments with a small step size do, to 1e-9: the reference
    stops when its increments are below 1e-11."""
    check_reference(name)


def predictor():
    """Example 6.4: A 0 B 0; six times B 1; B 0. A is state 0, B state 1."""
    return [([0, 1, 0], [0.0, 0.0], True), *[([1, 0], [1.0], True)] * 6, ([1, 0], [0.0], True)]


def test_you_are_the_predictor():
    """Example 6.4 of Sutton and Barto (2018): V(B) = 3/4 for both; V(A) = 3/4 for batch TD and so for LSTD, 0 for batch
    Monte Carlo."""
    td, mc = BatchTD(world(2), gamma=1.0), BatchMonteCarlo(world(2), gamma=1.0)
    np.testing.assert_allclose(feed(td, predictor()), [0.75, 0.75], rtol=0, atol=1e-15)
    np.testing.assert_allclose(feed(mc, predictor()), [0.0, 0.75], rtol=0, atol=1e-15)
    np.testing.assert_allclose(
        feed(LSTD(world(2), gamma=1.0, ridge=0.0), predictor()), [0.75, 0.75], rtol=0, atol=1e-14
    )
    np.testing.assert_allclose(feed(LSTD(world(2), gamma=1.0), predictor()), [0.75, 0.75], rtol=0, atol=3e-6)
    assert td.converged
    assert mc.converged


def test_batch_td_errs_less_than_batch_monte_carlo_on_the_random_walk():
    """Example 6.3 and Figure 6.2 of Sutton and Barto (2018): although batch Monte Carlo fits the experience best, batch
    TD is nearer to the true values, after 25 and after 100 episodes (so many steps on average), over 40 runs."""
    errors = {BatchTD: [], BatchMonteCarlo: []}
    walk = gym.make("rltk/RandomWalk-v0", length=5, left_reward=0.0)
    for seed in range(40):
        for method, found in errors.items():
            agent = method(walk, gamma=1.0, initial_value=0.5, seed=seed)
            inner = np.arange(1, 6)
            found.append([agent.learn(225).error(inner), agent.learn(675).error(inner)])
            assert agent.converged
    td, mc = np.array(errors[BatchTD]), np.array(errors[BatchMonteCarlo])
    gain = mc - td
    assert (gain.mean(axis=0) > 3 * gain.std(axis=0, ddof=1) / np.sqrt(40)).all()


def test_batch_td_is_the_certainty_equivalence_estimate():
    """What the policy would be worth, exactly, in the world made of the frequencies and mean rewards of the steps
    (Sutton and Barto 2018, section 6.3), on the steps of a slippery lake; LSTD solves the same equations."""
    env = gym.make("rltk/FrozenLake-v0", max_episode_steps=30)
    seen = []

    class Watched(gym.Wrapper):
        def step(self, action):
            state = int(self.unwrapped.get_state()["state"])
            outcome = self.env.step(action)
            seen.append((state, int(outcome[0]), outcome[1], outcome[2]))
            return outcome

    agent = BatchTD(Watched(env), gamma=0.9, seed=2).learn(3_000)
    n = agent.n_states
    counts, P, r = np.zeros(n), np.zeros((n, n)), np.zeros(n)
    for state, next_state, reward, terminated in seen:
        counts[state] += 1
        r[state] += reward
        P[state, next_state] += not terminated
    known = counts > 0
    P[known] /= counts[known, None]
    r[known] /= counts[known]

    np.testing.assert_allclose(agent.value, np.linalg.solve(np.eye(n) - 0.9 * P, r), rtol=0, atol=1e-10)
    solved = LSTD(Watched(env), gamma=0.9, seed=2, ridge=1e-9).learn(3_000)
    np.testing.assert_allclose(solved.value, agent.value, rtol=0, atol=1e-7)


def sherman_morrison(X, experience, epsilon):
    """LSTD as Sutton and Barto (2018) print it, page 230: the inverse is kept up to date, step by step."""
    inverse, b = np.eye(X.shape[1]) / epsilon, np.zeros(X.shape[1])
    for states, rewards, terminated in experience:
        for t, r in enumerate(rewards):
            x = X[states[t]]
            ahead = np.zeros_like(x) if terminated and t == len(rewards) - 1 else X[states[t + 1]]
            v = inverse.T @ (x - GAMMA * ahead)
            inverse -= np.outer(inverse @ x, v) / (1 + v @ x)
            b += r * x
    return inverse @ b


def check_features(update=None):
    X = np.random.default_rng(1).normal(size=(S, 3))
    X[2, 1] = 0.0
    agent = LSTD(world(), features=X, ridge=0.1, gamma=GAMMA)
    value = feed(agent, episodes(3), update)
    expected = sherman_morrison(X, episodes(3), 0.1)
    np.testing.assert_allclose(agent.weights, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(value, X @ expected, rtol=0, atol=1e-10)


def test_lstd_on_features_is_the_book_s_pseudocode():
    """With the ridge that is the book's epsilon, to 1e-10."""
    check_features()


def test_features_of_single_states_are_the_table():
    """Both ways of the kernel, and a value that untouched states begin with."""
    for value in (0.0, 2.5):
        options = {"gamma": GAMMA, "initial_value": value, "ridge": 0.5}
        short = [([0, 1, 2], [1.0, 2.0], False), ([1, 0], [3.0], True)]
        table = feed(LSTD(world(), **options), short)
        np.testing.assert_allclose(feed(LSTD(world(), features=np.eye(S), **options), short), table, rtol=0, atol=1e-12)
        assert (table[2:] == value).all()


CHAIN = {0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 2, 2.0, False)]}, 2: {0: [(1, 0, 4.0, True)]}}
LOOP = {0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 2, 2.0, False)]}, 2: {0: [(1, 0, 4.0, False)]}}


@every_method
@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_a_chain_of_three_states_analytically(method, backend):
    """0 -> 1 -> 2 paying 1, 2, 4, ended after 2: V = (3, 4, 4) at gamma = 1/2. A ring, cut short every two steps:
    (24, 34, 40) / 7 as if never cut, where truncated episodes are not discarded."""
    options = {"gamma": 0.5, "backend": backend, **({"ridge": 1e-10} if method is LSTD else {})}
    ended = method(TabularEnv(MDP.from_table(CHAIN)), **options).learn(60)
    ring = TabularEnv(MDP.from_table(LOOP), max_episode_steps=2)
    if method is BatchMonteCarlo:
        assert (method(ring, **options).learn(60).value == 0).all()
        options["truncated"] = "bootstrap"

    np.testing.assert_allclose(ended.value, [3, 4, 4], rtol=0, atol=1e-9)
    np.testing.assert_allclose(method(ring, **options).learn(60).value, [24 / 7, 34 / 7, 40 / 7], rtol=0, atol=1e-9)


@every_method
def test_the_values_depend_on_the_experience_alone(method):
    """Both loops, however learning is cut or called back, a checkpoint in between: the same bits."""
    env = gym.make("rltk/FrozenLake-v0", max_episode_steps=17)
    whole = method(env, seed=3).learn(2_500)
    others = [
        method(env, seed=3, backend="gymnasium").learn(2_500),
        method(env, seed=3).learn(7).learn(1_493).learn(1_000),
        method(env, seed=3).learn(2_500, lambda progress: None, callback_every=999),
    ]
    saved = method(env, seed=3).learn(1_111)
    others.append(method.from_config(saved.config(), env).restore(saved.state()).learn(1_389))
    assert whole.value.any()
    for other in others:
        assert other.value.tobytes() == whole.value.tobytes()


def test_what_can_not_come_to_rest_says_so():
    """An endless ring at gamma = 1 has no value: sweeping stops after `sweeps`."""
    agent = BatchTD(TabularEnv(MDP.from_table(LOOP)), gamma=1.0, sweeps=50).learn(20)
    assert not agent.converged
    assert np.isfinite(agent.value).all()


class Paying(gym.Env):
    """One state; pays what it is told, one reward an episode."""

    observation_space, action_space = gym.spaces.Discrete(1), gym.spaces.Discrete(1)

    def __init__(self, rewards):
        self.rewards = list(rewards)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        return 0, self.rewards.pop(0), True, False, {}


@every_method
def test_learning_stops_where_a_value_is_not_finite(method):
    """At the very step that paid nothing finite; or at the end of the piece in which finite rewards overflow."""
    for reward in (np.nan, np.inf):
        with pytest.raises(LearningError, match="step 3 is not finite"):
            method(Paying([1.0, 1.0, reward, 1.0])).learn(4)
    agent = method(Paying([1.7e308] * 9))
    with pytest.raises(LearningError, match="after step 4 are not finite"):
        agent.learn(4)
    with pytest.raises(LearningError, match="load an earlier checkpoint"):
        agent.learn(4)


def test_arguments_are_checked():
    """Typed errors that name the argument, and sizes before any memory is taken."""
    for method in METHODS:
        assert "alpha" not in method.options()
        with pytest.raises(ArgumentError, match="has no step size"):
            method(world(), alpha=0.5)
        with pytest.raises(ArgumentError, match="learns on-policy"):
            method(world(), behaviour=np.ones((S, 1)))
    for wrong in (np.ones(S), np.ones((S + 1, 2)), np.full((S, 2), np.nan), np.ones((S, 0))):
        with pytest.raises(ArgumentError, match=r"features: (\(5, d\)|finite) numbers"):
            LSTD(world(), features=wrong)
    with pytest.raises(SizeError, match="unknowns, which would take 3 GiB"):
        LSTD(gym.make("rltk/RandomWalk-v0", length=20_000))
    for name, value in (("tolerance", -1.0), ("sweeps", 0)):
        with pytest.raises(ArgumentError, match=name):
            BatchTD(world(), **{name: value})
    with pytest.raises(ArgumentError, match="truncated"):
        BatchMonteCarlo(world(), truncated="keep")


MUTANTS = {
    "no terminal mask": (batch, "TD", "ends[at] = TERMINATED if terminated else", "ends[at] ="),
    "a cut episode ends": (batch, "TD", "TRUNCATED if over else GOES_ON", "TERMINATED if over else GOES_ON"),
    "episodes run together": (batch, "MC bootstrapped", "TRUNCATED if over else GOES_ON", "GOES_ON"),
    "truncated kept": (batch, "MC", "size[0] = ended[0]", "pass"),
    "LSTD: no terminal mask": (lstd, "LSTD", "0.0 if terminated else gamma", "gamma"),
    "LSTD: the state itself": (lstd, "LSTD", "A[state, state] += 1.0", "A[state, next_state] += 1.0"),
    "LSTD: transposed": (lstd, "LSTD", "A[state, next_state] -=", "A[next_state, state] -="),
    "LSTD: features transposed": (lstd, "features", "A[i, j] += x", "A[j, i] += x"),
    "LSTD: features not discounted": (lstd, "features", "discount * features", "features"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    """Each small fault in the source leaves other values than the reference: the check can fail."""
    module, which, old, new = MUTANTS[name]
    source = inspect.getsource(module)
    assert source.count(old) >= 1, f"the source no longer holds {old!r}: bring this list up to date"
    names = {}
    exec(
        source.replace(old, new).replace(
            "import jit\n", "import jit\njit = lambda kernel=None, **options: kernel or (lambda k: k)\n"
        ),
        names,
    )
    update = names["batch_update" if module is batch else "lstd_update"]
    with pytest.raises((AssertionError, IndexError)):
        check_features(update) if which == "features" else check_reference(which, update)
