"""Monte Carlo methods against literal sums of returns, the book's examples, exact chains and mutants."""

import inspect

import gymnasium as gym
import numpy as np
import pytest
from tabular_episodes import ALPHA, GAMMA, RATE, A, S, episodes, feed, world

from rltk.agents.tabular import (
    UCB,
    MonteCarlo,
    MonteCarloControl,
    MonteCarloExploringStarts,
    OffPolicyMonteCarlo,
    OffPolicyMonteCarloControl,
    Softmax,
    monte_carlo,
    off_policy_monte_carlo,
)
from rltk.agents.tabular.exploring_starts import any_pair
from rltk.envs import TabularEnv
from rltk.envs.classics.blackjack import blackjack_mdp, state_of
from rltk.errors import ArgumentError
from rltk.mdp import MDP

BEHAVIOUR = np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.7, 0.2, 0.1]])
POLICY = np.array([[0.0, 0.5, 0.5], [0.4, 0.2, 0.4], [0.3, 0.3, 0.4], [1.0, 0.0, 0.0], [0.6, 0.4, 0.0]])


def reference(table, experience, alpha, first_visit, truncated, gamma=GAMMA):
    """Sutton and Barto (2018), pages 92 and 101: back from the end; Returns are kept as lists and averaged."""
    returns = {}
    for S_, A_, rewards, terminated in experience:
        if not terminated and truncated == "discard":
            continue
        places = [(s,) if table.ndim == 1 else (s, a) for s, a in zip(S_, A_, strict=True)]
        G = 0.0 if terminated else table[places[-1]]
        for t in range(len(rewards) - 1, -1, -1):
            G = gamma * G + rewards[t]
            if first_visit and places[t] in places[:t]:
                continue
            if alpha is None:
                returns.setdefault(places[t], []).append(G)
                table[places[t]] = np.mean(returns[places[t]])
            else:
                table[places[t]] += alpha * (G - table[places[t]])
    return table


def check_monte_carlo(method, update=None):
    shape = (S,) if method is MonteCarlo else (S, A)
    for alpha in (None, ALPHA):
        for first_visit in (True, False):
            for truncated in ("discard", "bootstrap"):
                options = {"alpha": alpha, "first_visit": first_visit, "truncated": truncated}
                table = feed(method(world(), gamma=GAMMA, **options), episodes(0), update)
                expected = reference(np.zeros(shape), episodes(0), alpha, first_visit, truncated)
                np.testing.assert_allclose(table, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", [MonteCarlo, MonteCarloControl], ids=lambda cls: cls.name)
def test_the_table_is_that_of_the_book_s_pseudocode(method):
    """First and every visit, averages and a constant step size, truncated episodes discarded or bootstrapped."""
    check_monte_carlo(method)


def weighed_returns(experience, weighted, first_visit):
    """Equations 5.5 and 5.6 of Sutton and Barto (2018), as sums over all visits; truncated episodes left out."""
    above, below = np.zeros(S), np.zeros(S)
    for S_, A_, rewards, terminated in experience:
        T = len(rewards)
        for t in range(T if terminated else 0):
            if first_visit and S_[t] in S_[:t]:
                continue
            G = sum(GAMMA ** (k - t) * rewards[k] for k in range(t, T))
            rho = np.prod([POLICY[S_[k], A_[k]] / BEHAVIOUR[S_[k], A_[k]] for k in range(t, T)])
            above[S_[t]] += rho * G
            below[S_[t]] += rho if weighted else 1
    return np.divide(above, below, out=np.zeros(S), where=below > 0)


def check_off_policy(update=None):
    for weighted in (True, False):
        for first_visit in (True, False):
            options = {"behaviour": BEHAVIOUR, "weighted": weighted, "first_visit": first_visit, "gamma": GAMMA}
            table = feed(OffPolicyMonteCarlo(world(), POLICY, **options), episodes(1), update)
            expected = weighed_returns(episodes(1), weighted, first_visit)
            np.testing.assert_allclose(table, expected, rtol=0, atol=1e-12)


def test_off_policy_prediction_is_its_sums():
    """Ordinary and weighted importance sampling, first and every visit."""
    check_off_policy()


def test_on_policy_both_kinds_of_importance_sampling_are_plain_monte_carlo():
    """All ratios are 1 where the behaviour is the policy (Sutton and Barto 2018, section 5.5); what a truncated episode
    teaches by bootstrapping is the same, too."""
    for truncated in ("discard", "bootstrap"):
        plain = feed(MonteCarlo(world(), gamma=GAMMA, truncated=truncated), episodes(2))
        for weighted in (True, False):
            other = OffPolicyMonteCarlo(world(), gamma=GAMMA, weighted=weighted, truncated=truncated)
            np.testing.assert_allclose(feed(other, episodes(2)), plain, rtol=0, atol=1e-12)


def off_policy_control(agent, experience, truncated):
    """Off-policy Monte Carlo control, Sutton and Barto (2018), page 111; b is the agent's exploration."""
    Q, C = np.zeros((S, A)), np.zeros((S, A))
    for S_, A_, rewards, terminated in experience:
        b = agent.exploration.probabilities(Q, np.arange(S), RATE, agent.habits)
        if not terminated and truncated == "discard":
            continue
        G, W = 0.0 if terminated else Q[S_[-1]].max(), 1.0
        for t in range(len(rewards) - 1, -1, -1):
            G = GAMMA * G + rewards[t]
            C[S_[t], A_[t]] += W
            Q[S_[t], A_[t]] += W / C[S_[t], A_[t]] * (G - Q[S_[t], A_[t]])
            if A_[t] != Q[S_[t]].argmax():
                break
            W /= b[S_[t], A_[t]]
    return Q


def check_off_policy_control(update=None):
    for rule in ({"epsilon": RATE}, {"exploration": Softmax(RATE)}):
        for truncated in ("discard", "bootstrap"):
            agent = OffPolicyMonteCarloControl(world(), gamma=GAMMA, truncated=truncated, **rule)
            kernel = None if update is None else update(agent.exploration.weigh)
            expected = off_policy_control(agent, episodes(3), truncated)
            np.testing.assert_allclose(feed(agent, episodes(3), kernel), expected, rtol=0, atol=1e-12)


def test_off_policy_control_is_the_book_s_pseudocode():
    """Under two behaviours, with the probabilities that they had when the episode was made."""
    check_off_policy_control()


CHAIN = {0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 2, 2.0, False)]}, 2: {0: [(1, 0, 4.0, True)]}}
LOOP = {0: {0: [(1, 1, 1.0, False)]}, 1: {0: [(1, 2, 2.0, False)]}, 2: {0: [(1, 0, 4.0, False)]}}
METHODS = [MonteCarlo, MonteCarloControl, OffPolicyMonteCarlo, OffPolicyMonteCarloControl, MonteCarloExploringStarts]
every_method = pytest.mark.parametrize("method", METHODS, ids=lambda cls: cls.name)


@every_method
@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_a_chain_of_three_states_analytically(method, backend):
    """0 -> 1 -> 2 paying 1, 2, 4: ended after 2, V = (3, 4, 4) at gamma = 1/2. A ring, cut short every two steps: from
    discarded episodes nothing is learnt; bootstrapped ones come closer and closer to (24, 34, 40) / 7."""
    options = {"gamma": 0.5, "backend": backend}
    ended = method(TabularEnv(MDP.from_table(CHAIN)), **options).learn(200)
    ring = TabularEnv(MDP.from_table(LOOP), max_episode_steps=2)
    nothing = method(ring, **options).learn(200)
    bootstrapped = method(ring, truncated="bootstrap", **options).learn(4000)

    np.testing.assert_allclose(ended.table.ravel(), [3, 4, 4], rtol=0, atol=1e-12)
    assert (nothing.table == 0).all()
    assert nothing.episodes == 100
    np.testing.assert_allclose(bootstrapped.table.ravel(), [24 / 7, 34 / 7, 40 / 7], rtol=0, atol=0.1)


# The book's examples


def infinite_variance():
    """Example 5.5: left (1) comes back with probability 0.9, else ends and pays 1; right (0) ends for nothing."""
    return TabularEnv(MDP.from_table({0: {0: [(1, 0, 0.0, True)], 1: [(0.9, 0, 0.0, False), (0.1, 0, 1.0, True)]}}))


def test_ordinary_importance_sampling_may_have_an_infinite_variance():
    """Example 5.5 and Figure 5.4 of Sutton and Barto (2018): v = 1 under "left". The weighted estimate is exactly 1
    for ever after the first episode of lefts; the ordinary one, whose squares sum to 0.1 * sum of 0.9^k 2^(k + 1), has
    not settled after 50,000 episodes, where a variance of 1 would leave a standard error of 0.0045."""
    ordinary, weighted = [], []
    for seed in range(30):
        options = {"behaviour": [[0.5, 0.5]], "gamma": 1.0, "seed": seed}
        weighted.append(OffPolicyMonteCarlo(infinite_variance(), [1], **options).learn(2_000).value[0])
        agent = OffPolicyMonteCarlo(infinite_variance(), [1], weighted=False, **options)
        ordinary.append(agent.learn(91_000).value[0])
    assert weighted == pytest.approx([1.0] * 30, abs=1e-12)
    assert np.std(ordinary) > 10 * 0.0045
    assert np.median(ordinary) < 1  # most runs lack the rare long episodes that make up for it


def blackjack_state():
    """Example 5.4: the dealer shows a deuce, the player holds 13 with a usable ace. (environment, state, policy)."""
    mdp, state = blackjack_mdp(), state_of(13, 2, True)
    policy = np.ones(mdp.n_states, dtype=np.int64)
    for dealer in range(1, 11):
        for usable in (False, True):
            policy[[state_of(20, dealer, usable), state_of(21, dealer, usable)]] = 0
    return TabularEnv(MDP(mdp.form, np.eye(mdp.n_states)[state])), state, policy


def test_the_blackjack_state_of_example_5_4():
    """Sticking on 20 and 21 only, the state is worth -0.27726 (Sutton and Barto 2018, Example 5.4, from 100 million
    episodes, so to four digits); both estimators come to within 5 standard errors of what it is exactly."""
    env, state, policy = blackjack_state()
    uniform = np.full((env.mdp().n_states, 2), 0.5)
    truth = env.mdp().chain(policy).value(1.0)[state]
    assert truth == pytest.approx(-0.27726, abs=1e-4)
    for weighted in (True, False):
        runs = [
            OffPolicyMonteCarlo(env, policy, behaviour=uniform, weighted=weighted, gamma=1.0, seed=seed)
            .learn(20_000)
            .value[state]
            for seed in range(25)
        ]
        assert abs(np.mean(runs) - truth) <= 5 * np.std(runs, ddof=1) / 5
        assert np.std(runs, ddof=1) / 5 < 0.02


def test_weighted_importance_sampling_errs_less_at_first():
    """Figure 5.3 of Sutton and Barto (2018): over 300 runs the mean square error after a few hands is far lower with
    weighted than with ordinary importance sampling."""
    env, state, policy = blackjack_state()
    uniform = np.full((env.mdp().n_states, 2), 0.5)
    truth = env.mdp().chain(policy).value(1.0)[state]
    errors = {}
    for weighted in (True, False):
        options = {"behaviour": uniform, "weighted": weighted, "gamma": 1.0}
        runs = [OffPolicyMonteCarlo(env, policy, seed=seed, **options).learn(10).value[state] for seed in range(300)]
        errors[weighted] = np.mean((np.array(runs) - truth) ** 2)
    assert errors[True] < errors[False] / 2


def test_exploring_starts_solve_blackjack():
    """Example 5.3 of Sutton and Barto (2018): after five million hands the greedy policy is worth, exactly, less than
    0.002 below the optimum, and disagrees with Figure 5.2's only where the choice hardly matters."""
    env = gym.make("rltk/Blackjack-v0")
    agent = MonteCarloExploringStarts(env, gamma=1.0, seed=0).learn(5_000_000)
    mdp = agent.mdp
    q = np.where(mdp.available, 0.0, -np.inf)
    for _ in range(60):  # no hand takes more cards
        q = mdp.q(q.max(axis=1), 1.0)
    policy = agent.q.argmax(axis=1)
    worth = mdp.chain(policy).value(1.0)

    assert mdp.over_start(q.max(axis=1) - worth) < 0.002
    assert (q.max(axis=1) - q[np.arange(len(q)), policy]).max() < 0.05


# Exploring starts


def far_apart():
    """Three states, the last of one action; every step ends and pays 10 s + a; episodes start in state 0."""
    R = np.array([[0.0, 1.0], [10.0, 11.0], [20.0, 0.0]])
    available = np.array([[True, True], [True, True], [True, False]])
    T = np.eye(3)[:, None, :] * available[:, :, None]
    return TabularEnv(MDP.from_arrays(T, R, terminated=[True] * 3, start=[1, 0, 0], available=available))


@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_every_pair_begins_episodes(backend):
    """What no episode could reach from the start is learnt, the very first episode included; barred actions never."""
    agent = MonteCarloExploringStarts(far_apart(), seed=1, backend=backend)
    pairs = []
    for _ in range(300):
        before = agent.memory.visits.copy()
        agent.learn(1)
        pairs.append(int(np.flatnonzero(agent.memory.visits != before)[0]))
    counts = np.bincount(pairs, minlength=6)

    np.testing.assert_array_equal(agent.q, [[0, 1], [10, 11], [20, -np.inf]])
    assert counts[5] == 0
    # Binomial, 300 draws: four pairs of 1/6 and one of 1/3, each within 5 standard deviations.
    expected = np.array([50, 50, 50, 50, 100, 0])
    assert (np.abs(counts - expected) <= 5 * np.sqrt(expected * (1 - expected / 300)) + 1e-9).all()


def test_both_loops_begin_in_the_same_places():
    """The same table, bit for bit, however learning is cut; and an environment stepped in between changes nothing."""
    runs = []
    for backend, pieces in (
        ("compiled", [3000]),
        ("gymnasium", [3000]),
        ("compiled", [1, 7, 2992]),
        ("gymnasium", [9] + [2991]),
    ):
        env = gym.make("rltk/FrozenLake-v0", max_episode_steps=15)
        agent = MonteCarloExploringStarts(env, seed=4, backend=backend, truncated="bootstrap")
        for piece in pieces:
            agent.learn(piece)
            env.reset()
        runs.append((agent.q.tobytes(), agent.episodes))
    assert len(set(runs)) == 1


def test_the_first_pair_is_uniform_over_states_then_actions():
    """600 draws from each of many streams, over a table with barred actions, are what the words say they are."""
    q = np.array([[0.0, 1.0, 2.0], [-np.inf, 5.0, -np.inf], [3.0, -np.inf, 3.0]])
    stream = np.random.default_rng(0).integers(2**62, size=6).astype(np.uint64)
    stream[4:] = 0
    stream[3] |= np.uint64(1)
    counts = np.zeros((3, 3))
    for _ in range(3600):
        counts[any_pair(q, (), 0, stream)] += 1
    expected = 3600 / 3 * np.array([[1 / 3] * 3, [0, 1, 0], [1 / 2, 0, 1 / 2]])
    assert (np.abs(counts - expected) <= 5 * np.sqrt(expected * (1 - expected / 3600))).all()


# What is refused


def test_what_can_not_be_is_refused():
    """ArgumentError, with the way out."""
    with pytest.raises(ArgumentError, match="Take MonteCarloControl"):
        MonteCarloExploringStarts(gym.make("FrozenLake-v1"))
    with pytest.raises(ArgumentError, match="never takes action 1 in state 0"):
        OffPolicyMonteCarlo(world(), POLICY, behaviour=np.eye(A)[[0] * S])
    with pytest.raises(ArgumentError, match="UCB's choices have none"):
        OffPolicyMonteCarloControl(world(), exploration=UCB())
    for method in (OffPolicyMonteCarlo, OffPolicyMonteCarloControl):
        assert "alpha" not in method.options()
        with pytest.raises(ArgumentError, match="has no step size; leave alpha= out"):
            method(world(), alpha=0.1)
    for method in METHODS:
        with pytest.raises(ArgumentError, match="truncated is one of discard, bootstrap"):
            method(world(), truncated="ignore")


def control_check(update):
    check_monte_carlo(MonteCarloControl, update)


def prediction_check(update):
    check_monte_carlo(MonteCarlo, update)


V, Q = (monte_carlo, "monte_carlo_update", prediction_check), (monte_carlo, "monte_carlo_control_update", control_check)
P = (off_policy_monte_carlo, "off_policy_monte_carlo_update", check_off_policy)
C = (off_policy_monte_carlo, "off_policy_monte_carlo_control_update", check_off_policy_control)
MUTANTS = {
    "the cut episode's end is an end": (V, "        target = value[next_state]", "        target = 0.0"),
    "no terminal mask": (V, "if not terminated and flags[1]:", "if flags[1]:"),
    "truncated episodes never discarded": (V, "if (terminated or flags[1]) and", "if True and"),
    "last visits for first": (V, "first[row] == t", "first[row] != t"),
    "first visits never forgotten": (V, "        first[states[t]] = -1", "        pass"),
    "steps kept": (V, "    size[0] = 0", "    pass"),
    "not discounted": (V, "rewards[t] + gamma * target", "rewards[t] + target"),
    "another next action": (Q, "q[next_state, next_action]", "q[next_state, 0]"),
    "no terminal mask (control)": (Q, "if not terminated and flags[1]:", "if flags[1]:"),
    "steps kept (control)": (Q, "    size[0] = 0", "    pass"),
    "the step's own ratio left out": (P, "weight *= ratio[row, actions[t]]", "weight *= ratio[row, 0]"),
    "ordinary for weighted": (P, "share = weight if flags[2] else 1.0", "share = 1.0"),
    "visits of no weight left out": (P, "else weight * target - value[row]", "else target - value[row]"),
    "no terminal mask (off-policy)": (C, "0.0 if terminated else q[", "q["),
    "steps kept (off-policy)": (P, "    size[0] = 0", "    pass"),
    "steps kept (off-policy control)": (C, "        size[0] = 0", "        pass"),
    "goes on past exploring actions": (C, "                    break", "                    pass"),
    "not divided by the chance": (C, "weight /= chances[t]", "weight /= 1.0"),
    "the weight before its time": (C, "weights[s, a] += weight", "weights[s, a] += 1.0"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    """Each small fault in the source leaves another table than the reference: the check can fail."""
    (module, kernel, check), old, new = MUTANTS[name]
    source = inspect.getsource(module)
    assert source.count(old) >= 1, f"the source no longer holds {old!r}: bring this list up to date"
    names = {}
    exec(
        source.replace(old, new).replace(
            "import jit\n", "import jit\njit = lambda kernel=None, **options: kernel or (lambda k: k)\n"
        ),
        names,
    )
    with pytest.raises((AssertionError, IndexError)):
        check(names[kernel])
