"""The rules of behaviour: what a word picks agrees with what the equation says, at extreme rates and values too."""

import gymnasium as gym
import numpy as np
import pytest

from rltk.agents.tabular import UCB, EpsilonGreedy, FixedPolicy, QLearning, Softmax
from rltk.agents.tabular.exploration import EXPLORATIONS, exploration_from
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError
from rltk.mdp import MDP
from rltk.runs import linear

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
    "the largest numbers": [1.7e308, -1.7e308, -INF, 1.7e308],
    "nine actions": [0.0, 0.5, 0.25, 0.5, -1.0, 0.5, -INF, 0.125, 0.5],
}
POINTS = 3072


def by_hand(rule, row, rate):
    """The equations, in plain Python over a list."""
    there = [x > -INF for x in row]
    best = max(row)
    if rule is EpsilonGreedy:
        return [
            (rate / sum(there) if is_there else 0) + ((1 - rate) / row.count(best) if x == best else 0)
            for x, is_there in zip(row, there, strict=True)
        ]
    if rate == 0:
        return [1 / row.count(best) if x == best else 0 for x in row]
    weights = [float(np.exp((x - best) / rate)) if is_there else 0 for x, is_there in zip(row, there, strict=True)]
    return [weight / sum(weights) for weight in weights]


def shares(rule, row, rate, policy=None):
    """(what `weigh` says, how often `choose` picks each action over u = (k + 1/2) / POINTS)."""
    q = np.array([row])
    habits = rule.habits(q > -INF)
    counts = np.zeros(q.shape[1])
    for k in range(POINTS):
        fresh = tuple(array.copy() for array in habits)
        counts[rule.choose(q[0], 0, rate, fresh, (k + 0.5) / POINTS)] += 1
    return rule.probabilities(q, np.array([0]), rate, habits)[0], counts / POINTS


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize(
    ("rule", "rate"),
    [
        *((EpsilonGreedy, rate) for rate in (0.0, 0.125, 0.5, 0.75, 1.0)),
        *((Softmax, rate) for rate in (0.0, 5e-324, 1e-3, 0.5, 1.0, 1e9, 1e308)),
    ],
)
@pytest.mark.filterwarnings("ignore:(overflow|invalid|divide):RuntimeWarning")
def test_one_word_gives_the_distribution(rule, rate, row):
    """Over a fine grid of words the shares of the actions are those that `weigh` says, to one point a boundary, which
    are those of the equation (Sutton and Barto 2018, sections 2.2 and 13.1). An action of probability 0 is never
    taken, and no value or temperature overflows."""
    said, picked = shares(rule(), ROWS[row], rate)
    expected = by_hand(rule, ROWS[row], rate)

    np.testing.assert_allclose(said, expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(picked, expected, rtol=0, atol=2 / POINTS)
    assert (picked[np.array(expected) == 0] == 0).all()


@pytest.mark.parametrize("u", [0.0, np.nextafter(0.5, 0), 0.5, np.nextafter(1, 0), 1e-320])
@pytest.mark.parametrize(
    ("rule", "rates"),
    [
        (EpsilonGreedy(), [0.0, 5e-324, 0.5, np.nextafter(1, 0), 1.0]),
        (Softmax(), [0.0, 5e-324, 1.0, 1e308]),
        (UCB(), [0.0, 2.0, 1e308]),
        (FixedPolicy([[0.0, 0.3, 0.0, 0.7, 0.0]]), [0.0]),
    ],
)
def test_the_ends_of_the_interval_stay_inside(rule, rates, u):
    """The smallest and largest words, with rates at the edge: never an action that is not there."""
    row = np.array([-INF, 1.0, -INF, 1.0, -INF])
    for rate in rates:
        assert rule.choose(row, 0, rate, tuple(rule.habits((row > -INF)[None])), u) in (1, 3)


def test_ucb_tries_everything_once_and_then_trusts_its_bounds():
    """What was never tried comes first, in random order; then argmax Q + c sqrt(ln N / n), by hand (Auer et al. 2002,
    UCB1; Sutton and Barto 2018, equation 2.10)."""
    rule, c = UCB(), 2.0
    row = np.array([1.0, 0.25, -INF, 0.5])
    habits = rule.habits((row > -INF)[None])
    (counts,) = tuple(habits)
    random = np.random.default_rng(0)

    first = [rule.choose(row, 0, c, tuple(habits), random.random()) for _ in range(3)]
    assert sorted(first) == [0, 1, 3]
    for turn in range(3, 200):
        with np.errstate(divide="ignore"):
            bounds = row + c * np.sqrt(np.log(turn) / np.where(row > -INF, counts[0], 1))
        said = rule.probabilities(row[None], np.array([0]), c, habits)[0]
        action = rule.choose(row, 0, c, tuple(habits), random.random())
        assert action == bounds.argmax()
        assert said.tolist() == np.eye(4)[action].tolist()
        assert counts.sum() == turn + 1
    assert counts[0, 2] == 0


def test_ucb_breaks_ties_at_random():
    """Before anything is tried all available actions are alike."""
    said, picked = shares(UCB(), [0.0, -INF, 3.0, 1.0], 2.0)

    np.testing.assert_allclose(said, [1 / 3, 0, 1 / 3, 1 / 3])
    np.testing.assert_allclose(picked, said, atol=2 / POINTS)


@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_a_learner_that_follows_ucb_counts_its_steps(backend):
    """One count a step of Q-learning, in the state that it was taken in; nothing barred is counted."""
    mdp = MDP.from_table({0: {1: [(1, 1, 1, False)], 2: [(1, 0, 0, False)]}, 1: {0: [(1, 0, 2, True)]}})
    agent = QLearning(TabularEnv(mdp), exploration=UCB(1.0), gamma=0.5, backend=backend).learn(500)

    assert agent.habits.counts.sum() == 500
    assert (agent.habits.counts[~mdp.available] == 0).all()
    assert (agent.habits.counts[mdp.available] > 0).all()


def test_a_fixed_policy_is_followed_to_the_word():
    """Shares of the actions by state, from probabilities and from whole actions."""
    table = [[0.25, 0.0, 0.75], [0.0, 1.0, 0.0]]
    rule = FixedPolicy(table)
    habits = rule.habits(np.ones((2, 3), dtype=bool))
    picked = [rule.choose(np.zeros(3), 0, 0.0, tuple(habits), (k + 0.5) / 1000) for k in range(1000)]

    assert np.bincount(picked, minlength=3).tolist() == [250, 0, 750]
    assert rule.probabilities(np.zeros((2, 3)), np.array([1, 0]), 0.0, habits).tolist() == table[::-1]
    assert FixedPolicy([2, 1]).habits(np.ones((2, 3), dtype=bool)).policy.tolist() == [[0, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ([[0.5, 0.5]], r"\(2, 2\) probabilities.*shape \(1, 2\)"),
        ([[0.5, 0.5], [0.5, 0.4]], "no distributions"),
        ([[0.5, 0.5], [1.5, -0.5]], "no distributions"),
        ([[0.5, 0.5], [np.nan, 1.0]], "no distributions"),
        ([0, 2], "from 0 to 1"),
        ([-1, 0], "from 0 to 1"),
        ([0.0, 1.0], "shape"),
        ("left", "probabilities or whole actions"),
        ([1, 1], "action 1 in state 1, where it is not available"),
        ([[0.5, 0.5], [0.999, 0.001]], "action 1 in state 1"),
    ],
)
def test_what_is_no_policy_is_refused(policy, says):
    """A learner that follows a fixed policy never takes an action that is not there: the kernels would not look."""
    mdp = MDP.from_table({0: {0: [(1, 1, 0, False)], 1: [(1, 0, 0, False)]}, 1: {0: [(1, 0, 0, True)]}})
    with pytest.raises(ArgumentError, match=says):
        QLearning(TabularEnv(mdp), exploration=FixedPolicy(policy))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: EpsilonGreedy(1.5), r"epsilon is a number in \[0, 1\]"),
        (lambda: EpsilonGreedy(float("nan")), "epsilon"),
        (lambda: EpsilonGreedy(True), "epsilon"),
        (lambda: Softmax(-1.0), "temperature is a number, at least 0"),
        (lambda: Softmax(np.inf), "temperature"),
        (lambda: UCB("much"), "c is a number, at least 0"),
        (lambda: lake(epsilon=0.1, exploration=Softmax()), "one of the two"),
        (lambda: lake(exploration=Softmax(lambda step: -1.0)).learn(5), "temperature at timestep 0 is -1"),
        (lambda: lake(exploration=UCB(linear(1.0, -1.0, 4))).learn(5), "c at timestep 3"),
    ],
)
def test_wrong_rates_are_told_by_name(make, says):
    """Numbers and schedules alike."""
    with pytest.raises(ArgumentError, match=says):
        make()


def lake(**options):
    return QLearning(gym.make("rltk/FrozenLake-v0"), seed=2, **options)


@pytest.mark.parametrize(
    "rule", [EpsilonGreedy(0.3), Softmax(linear(1.0, 0.01, 900)), UCB(1.5), FixedPolicy(np.full((16, 4), 0.25))]
)
def test_every_rule_runs_on_both_loops_and_comes_back_from_a_checkpoint(rule, tmp_path):
    """The same bits compiled and stepped, and after save and load on a fresh environment; `predict` follows it too."""
    whole = lake(exploration=rule).learn(1000)
    stepped = lake(exploration=rule, backend="gymnasium").learn(1000)
    half = lake(exploration=rule).learn(437)
    half.save(tmp_path / "agent")
    loaded = QLearning.load(tmp_path / "agent", gym.make("rltk/FrozenLake-v0"))

    assert rule.name in EXPLORATIONS
    assert exploration_from(rule.config()).config() == rule.config() == loaded.exploration.config()
    loaded.learn(1000 - 437)
    for agent in (stepped, loaded):
        assert agent.q.tobytes() == whole.q.tobytes()
        for name, array in agent.habits._asdict().items():
            assert array.tobytes() == getattr(whole.habits, name).tobytes()
    policy = whole.action_probabilities(np.arange(16), deterministic=False)
    np.testing.assert_allclose(policy.sum(axis=1), 1)
    assert whole.predict(np.arange(16))[0].shape == (16,)
