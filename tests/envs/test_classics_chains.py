"""Random walk, gambler, maximisation bias, bandit: what the book says of them, and their rules worked out plainly."""

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.envs import BanditEnv, GamblersProblemEnv, MaximizationBiasEnv, RandomWalkEnv
from rltk.envs.classics.maximization_bias import LEFT, RIGHT, A, B
from rltk.errors import ArgumentError, SizeError


def model(name, **options):
    return gym.make(f"rltk/{name}-v0", **options).unwrapped.mdp()


def row_of(mdp, state, action):
    """{(next state, reward, terminated): probability} of one state and action."""
    row = slice(*mdp.row_start[state * mdp.n_actions + action : state * mdp.n_actions + action + 2])
    keys = zip(mdp.next_state[row].tolist(), mdp.reward[row].tolist(), mdp.terminated[row].tolist(), strict=True)
    return dict(zip(keys, mdp.probability[row].tolist(), strict=True))


# Random walk


def test_the_short_walks_values_are_sixths():
    """Sutton and Barto (2018), Example 6.2: the true values of A to E are 1/6, 2/6, 3/6, 4/6, 5/6; it starts in C."""
    env = RandomWalkEnv(length=5, left_reward=0.0)
    value = env.mdp().chain(np.zeros(7, dtype=int)).value(1.0)
    assert value[1:6] == pytest.approx(np.arange(1, 6) / 6)
    assert env.reset(seed=0)[0] == 3
    assert env.layout.labels[2:] == tuple((0, s, letter) for s, letter in enumerate("ABCDE", start=1))


def test_the_long_walks_values_are_a_line():
    """Sutton and Barto (2018), Example 7.1: 19 states, -1 on the left, +1 on the right, all values -0.9 to 0.9."""
    mdp = model("RandomWalk")
    assert mdp.chain(np.zeros(21, dtype=int)).value(1.0)[1:20] == pytest.approx(np.linspace(-0.9, 0.9, 19))
    assert mdp.action_label(0) == "step"
    assert mdp.start[10] == 1


@pytest.mark.parametrize("length", [1, 2, 4, 30])
def test_walks_of_any_length(length):
    mdp = RandomWalkEnv(length=length, left_reward=-2, right_reward=5).mdp()
    assert mdp.n_states == length + 2
    for s in range(1, length + 1):
        left = (s - 1, -2.0 if s == 1 else 0.0, s == 1)
        right = (s + 1, 5.0 if s == length else 0.0, s == length)
        assert row_of(mdp, s, 0) == {left: 0.5, right: 0.5}
    places = np.arange(length + 2)
    assert mdp.start @ places == (length + 1) / 2  # in the middle, or in both
    assert np.count_nonzero(mdp.start) == 2 - length % 2
    assert mdp.next_state[mdp.success].tolist() == [length + 1]


# Gambler's problem


@pytest.mark.parametrize("p_h", [0.25, 0.4, 0.55])
def test_the_gamblers_value_is_the_slow_loops(p_h):
    """Sutton and Barto (2018), Example 4.3 and Exercise 4.9 (p_h = 0.25 and 0.55): value iteration, state by state."""
    value = [0.0] * 100 + [1.0]
    change = 1.0
    while change > 1e-13:
        change = 0.0
        for s in range(1, 100):
            stakes = range(1, min(s, 100 - s) + 1)
            best = max(p_h * value[s + a] + (1 - p_h) * value[s - a] for a in stakes)
            change, value[s] = max(change, abs(best - value[s])), best
    value[100] = 0.0  # an end is worth nothing any more: what it pays is paid on entering
    assert model("GamblersProblem", p_h=p_h).backup(value, 1.0) == pytest.approx(value, abs=1e-9)


def test_bold_play_wins_where_the_coin_is_unfair():
    """Sutton and Barto (2018), Figure 4.3, p_h = 0.4: the stakes leap at 50, where all is staked, so v(50) = 0.4; bold
    play reaches the optimum everywhere (Dubins and Savage, 1965), though not it alone: 51 may as well stake 1."""
    mdp = model("GamblersProblem")
    capital = np.arange(101)
    bold = mdp.chain(np.minimum(capital, 100 - capital)).value(1.0)
    optimum = rltk.solve(mdp, gamma=1.0, tolerance=1e-10).value
    assert bold == pytest.approx(optimum, abs=1e-9)
    assert bold[[25, 50, 75]] == pytest.approx([0.16, 0.4, 0.4 + 0.6 * 0.4])
    q = mdp.q(bold, 1.0)
    assert q[50, 50] == pytest.approx(0.4)
    assert q[50, 1:50].max() < 0.4 - 1e-3
    assert q[51, 1] == pytest.approx(q[51, 49])


def test_timid_play_wins_where_the_coin_is_kind():
    """Sutton and Barto (2018), Exercise 4.9, p_h = 0.55: with stakes of 1 it is the gambler's ruin, which is won with
    probability (1 - r^s) / (1 - r^100), r = 0.45 / 0.55 (Feller, volume 1, section XIV.2), and nothing is better."""
    mdp = model("GamblersProblem", p_h=0.55)
    odds = 0.45 / 0.55
    capital = np.arange(101)
    ruin = np.where(capital < 100, (1 - odds**capital) / (1 - odds**100), 0.0)
    timid = np.where((capital > 0) & (capital < 100), 1, 0)
    assert mdp.chain(timid).value(1.0) == pytest.approx(ruin, abs=1e-12)
    assert mdp.backup(ruin, 1.0) == pytest.approx(ruin, abs=1e-12)


def test_stakes_above_the_capital_are_barred():
    env = GamblersProblemEnv()
    mdp = env.mdp()
    for s in range(1, 100):
        assert np.flatnonzero(mdp.available[s]).tolist() == list(range(1, min(s, 100 - s) + 1))
    assert row_of(mdp, 30, 20) == {(50, 0.0, False): pytest.approx(0.4), (10, 0.0, False): pytest.approx(0.6)}
    assert row_of(mdp, 60, 40) == {(100, 1.0, True): pytest.approx(0.4), (20, 0.0, False): pytest.approx(0.6)}
    _, info = env.reset(seed=0)
    assert np.flatnonzero(info["action_mask"]).tolist() == list(range(1, min(info["state"], 100 - info["state"]) + 1))
    for stake in (0, min(info["state"], 100 - info["state"]) + 1):
        with pytest.raises(ArgumentError, match="can't be taken"):
            env.step(stake)


def test_another_goal():
    """With a goal of 2 there is one flip."""
    mdp = GamblersProblemEnv(goal=2, p_h=0.3).mdp()
    assert (mdp.n_states, mdp.n_actions) == (3, 2)
    assert row_of(mdp, 1, 1) == {(0, 0.0, True): 0.7, (2, 1.0, True): 0.3}
    assert row_of(mdp, 2, 0) == {(2, 0.0, True): 1.0}
    assert mdp.success.tolist() == [False, False, True, False]  # resting at the goal is no second success
    with pytest.raises(SizeError, match="Choose a lower goal"):
        GamblersProblemEnv(goal=10**7)


# Maximisation bias


def test_the_bias_mdp_is_the_books():
    """Sutton and Barto (2018), Example 6.7: left leads to B, whose actions pay -0.1 on average; so right is best."""
    mdp = model("MaximizationBias")
    value = rltk.solve(mdp, gamma=1.0).value
    assert value[[A, B]] == pytest.approx([0.0, -0.1])
    q = mdp.q(value, 1.0)
    assert q[A, :2] == pytest.approx([-0.1, 0.0])
    assert np.flatnonzero(mdp.available[A]).tolist() == [LEFT, RIGHT]
    assert mdp.available[B].all()
    assert mdp.start[A] == 1
    assert rltk.solve(MaximizationBiasEnv(mean=0.2).mdp(), gamma=1.0).value[A] == pytest.approx(0.2)


@pytest.mark.parametrize("batched", [False, True])
def test_b_pays_gaussian_rewards(batched):
    """The mean and standard deviation of 4,000 rewards, and none of it on the way to B."""
    if batched:
        env = gym.make_vec("rltk/MaximizationBias-v0", num_envs=4000, n_actions=3, mean=0.5, noise=2.0)
        env.reset(seed=0)
        assert not env.step(np.full(4000, LEFT))[1].any()
        rewards = env.step(np.full(4000, 2))[1]
    else:
        env, rewards = MaximizationBiasEnv(n_actions=3, mean=0.5, noise=2.0), []
        for _ in range(4000):
            env.reset(seed=0 if not rewards else None)
            assert env.step(LEFT)[1] == 0
            rewards.append(env.step(2)[1])
    assert np.mean(rewards) == pytest.approx(0.5, abs=5 * 2 / 4000**0.5)
    assert np.std(rewards) == pytest.approx(2.0, abs=5 * 2 / 8000**0.5)


# Bandits


def test_the_same_seed_is_the_same_bandit():
    """Sutton and Barto (2018), section 2.3: true values drawn from a normal distribution, rewards with variance 1."""
    env = gym.make("rltk/Bandit-v0", bandit_seed=3).unwrapped
    assert env.arms == pytest.approx(np.random.default_rng(3).standard_normal(10))
    assert env.mdp().expected_reward()[0] == pytest.approx(env.arms)
    assert (env.mdp().reward_noise == 1.0).all()
    shifted = BanditEnv(bandit_seed=3, mean=4.0, k=5)
    assert shifted.arms == pytest.approx(4.0 + np.random.default_rng(3).standard_normal(5))
    assert not np.array_equal(env.arms, BanditEnv(bandit_seed=4).arms)


def test_the_testbeds_best_arm_is_worth_1_54():
    """Sutton and Barto (2018), section 2.3 and Figure 2.2: over 2,000 bandits the best of ten arms is worth 1.54 on
    average (the figure's ceiling is "about 1.55"), the mean of the largest of ten normal numbers."""
    best = [BanditEnv(bandit_seed=seed).arms.max() for seed in range(500)]
    assert np.mean(best) == pytest.approx(1.5388, abs=5 * 0.587 / 500**0.5)


def test_an_arm_pays_its_value_and_noise():
    env = BanditEnv(bandit_seed=1)
    env.reset(seed=0)
    rewards = [env.step(4)[1] for _ in range(4000)]
    assert np.mean(rewards) == pytest.approx(env.arms[4], abs=5 / 4000**0.5)
    assert np.std(rewards) == pytest.approx(1.0, abs=5 / 8000**0.5)
    assert BanditEnv(bandit_seed=1, noise=0.0).mdp().reward_noise is None


# Bad options


@pytest.mark.parametrize(
    ("env", "options"),
    [
        (RandomWalkEnv, {"length": 0}),
        (RandomWalkEnv, {"length": 2.5}),
        (RandomWalkEnv, {"length": True}),
        (RandomWalkEnv, {"left_reward": np.nan}),
        (RandomWalkEnv, {"right_reward": "1"}),
        (GamblersProblemEnv, {"p_h": 1.5}),
        (GamblersProblemEnv, {"p_h": None}),
        (GamblersProblemEnv, {"goal": 1}),
        (MaximizationBiasEnv, {"n_actions": 1}),
        (MaximizationBiasEnv, {"noise": -1}),
        (MaximizationBiasEnv, {"mean": np.inf}),
        (BanditEnv, {"k": 0}),
        (BanditEnv, {"bandit_seed": -1}),
        (BanditEnv, {"noise": -0.1}),
    ],
)
def test_a_wrong_option_is_named(env, options):
    with pytest.raises(ArgumentError, match=f"{next(iter(options))}: "):
        env(**options)
