"""Exact grading: every figure of an Evaluation against fractions, simulation, and what can be said by hand."""

import gc
import weakref
from fractions import Fraction
from itertools import product
from math import inf, isnan, nan

import gymnasium as gym
import mdp_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mdp_reference import mdps

import rltk
from rltk.agents import QLearning
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError, CriterionError
from rltk.mdp import MDP, Criterion, stream_of


class Table:
    """The smallest exact agent: a policy (S, A) over the numbers that it observes."""

    def __init__(self, policy, criterion=None):
        self.policy, self.random = np.asarray(policy, dtype=float), np.random.default_rng(0)
        if criterion is not None:
            self.criterion = criterion

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return int(self.random.choice(self.policy.shape[1], p=self.policy[observation])), state

    def action_probabilities(self, observations, mask=None, deterministic=True):
        policy = self.policy[observations]
        return np.eye(policy.shape[1])[policy.argmax(axis=1)] if deterministic else policy


def line(n, stay=0.0):
    """States 0 to n; action 0 goes on and pays -1, action 1 stays and pays `stay`; entering n ends, a success."""

    def transition(s, a):
        return [(1.0, s + 1, -1.0, s + 1 == n)] if a == 0 else [(1.0, s, stay, False)]

    return MDP.from_function(transition, 0, 2)


def uniform_over(outcomes):
    return [{a: Fraction(1, len(actions)) for a in actions} for actions in outcomes]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_figure_equals_the_exact_one(data):
    """Value, optimum, suboptimality, its normalised form, expected length and occupancy, in fractions, for policies
    that choose at random (Puterman 1994, section 6.1)."""
    outcomes, _ = data.draw(mdps(max_states=4))
    policy = data.draw(reference.policies(outcomes))
    gamma = data.draw(st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(7, 8)]))
    P, reward, _ = reference.chain(outcomes, policy)
    own = reference.fixed_point(P, reward, gamma)
    n = len(outcomes)
    start = [Fraction(1, n)] * n
    best = [Fraction(-(10**9))] * n
    for choice in product(*outcomes):
        Q, r, _ = reference.chain(outcomes, [{a: Fraction(1)} for a in choice])
        best = [max(x, y) for x, y in zip(best, reference.fixed_point(Q, r, gamma), strict=True)]
    Q, r, _ = reference.chain(outcomes, uniform_over(outcomes))
    plain = sum(reference.fixed_point(Q, r, gamma)) / n
    optimum, value = sum(best) / n, sum(own) / n

    env = TabularEnv(MDP.from_table(reference.as_table(outcomes)))
    agent = Table(reference.as_policy(policy, env.action_space.n), Criterion(float(gamma)))
    result = rltk.evaluate(agent, env, deterministic=False)

    assert result.exact
    assert result.value == pytest.approx(float(value), abs=1e-9)
    assert result.optimum == pytest.approx(float(optimum), abs=2e-7)
    assert result.optimum_bounds[0] <= optimum <= result.optimum_bounds[1]
    assert result.suboptimality == pytest.approx(float(optimum - value), abs=2e-7)
    assert result.suboptimality >= 0
    assert result.uniform_value == pytest.approx(float(plain), abs=1e-9)
    if optimum - plain > Fraction(1, 100):
        assert result.normalised_suboptimality == pytest.approx(
            float((optimum - value) / (optimum - plain)), abs=1e-4, rel=1e-4
        )
    np.testing.assert_allclose(result.state_value, [float(x) for x in own], atol=1e-9)
    visits = reference.fixed_point(reference.transposed(P), start, gamma)
    np.testing.assert_allclose(result.occupancy, [float(x) for x in visits], atol=1e-9)


def test_exact_figures_agree_with_a_simulation():
    """Value, length and success of a slippery walk, against 40,000 simulated episodes, within five standard errors."""
    env = gym.make("rltk/FrozenLake-v0")
    mdp = env.unwrapped.mdp()
    result = rltk.evaluate(Table(mdp.uniform_policy(), Criterion(0.9)), env, deterministic=False)
    stream, choice = stream_of(np.random.default_rng(1)), np.random.default_rng(2)
    count = 40_000
    state = choice.choice(mdp.n_states, count, p=mdp.start)
    alive, total, length, success = np.arange(count), np.zeros(count), np.zeros(count), np.zeros(count)
    discount = 1.0
    while alive.size:
        actions = choice.integers(0, mdp.n_actions, alive.size)
        state, rewards, terminated = mdp.sample(state, actions, stream)
        total[alive] += discount * rewards
        length[alive] += 1
        success[alive] += rewards > 0
        discount *= 0.9
        alive, state = alive[~terminated], state[~terminated]

    for figure, sample in (
        (result.value, total),
        (result.expected_length, length),
        (result.success_probability, success),
    ):
        assert abs(figure - sample.mean()) < 5 * sample.std() / np.sqrt(count)
    assert result.occupancy.sum() == pytest.approx(sum(0.9**k * (length > k).mean() for k in range(300)), rel=0.02)


def test_deterministic_and_behaviour_policy_are_graded_apart():
    """Greedy: straight to the end. Behaving: epsilon-greedy, by hand v = 0.9 (-1 + v') + 0.1 v (Sutton and Barto 2018,
    section 2.2): each step takes 1 / 0.9 tries."""
    policy = np.tile([0.9, 0.1], (5, 1))
    env = TabularEnv(line(4))

    greedy = rltk.evaluate(Table(policy, Criterion(1.0)), env)
    behaving = rltk.evaluate(Table(policy, Criterion(1.0)), env, deterministic=False)

    assert greedy.value == pytest.approx(-4)
    assert greedy.expected_length == pytest.approx(4)
    assert behaving.value == pytest.approx(-4)  # staying is free
    assert behaving.expected_length == pytest.approx(4 / 0.9)
    np.testing.assert_allclose(greedy.policy[:4], [[1, 0]] * 4)


@pytest.mark.parametrize(("stay", "value"), [(1.0, inf), (-1.0, -inf), (0.0, 0.0)])
def test_endless_agents_are_reported_not_crashed(stay, value, capsys):
    """At gamma 1, an agent that stays for ever collects plus or minus infinity, or nothing; its length is infinite."""
    env = TabularEnv(line(4, stay))
    result = rltk.evaluate(Table([[0, 1]] * 5, Criterion(1.0)), env)

    assert result.exact
    assert result.value == value
    assert result.expected_length == inf
    assert result.success_probability in (None, 0.0)
    assert result.occupancy[0] == inf
    assert "inf" in str(result)


def test_an_endless_agent_whose_rewards_have_no_total():
    """+1, -1, +1, ...: no total, so nan; a suboptimality of nan is no error either."""
    table = {0: {0: [(1, 1, 1, False)], 1: [(1, 0, 0, True)]}, 1: {0: [(1, 0, -1, False)], 1: [(1, 0, -1, False)]}}
    result = rltk.evaluate(Table([[1, 0], [1, 0]], Criterion(1.0)), TabularEnv(MDP.from_table(table)))

    assert isnan(result.value)
    assert isnan(result.suboptimality)
    assert result.expected_length == inf
    assert "nan" in str(result)


def test_the_time_limit_is_a_second_figure():
    """Within the limit the return and the optimum are others (FrozenLake: 0.7442 in 100 steps, 14/17 without): both
    stand in the result, by hand on a line that is longer than the limit."""
    env = gym.wrappers.TimeLimit(TabularEnv(line(6)), 4)
    result = rltk.evaluate(Table([[1, 0]] * 7, Criterion(1.0)), env)

    assert result.time_limit == 4
    assert (result.value, result.limited_value) == (-6, -4)
    assert result.optimum == pytest.approx(0, abs=1e-6)  # staying costs nothing
    assert result.limited_optimum == 0
    assert "return in 4 steps" in str(result)
    inner = gym.wrappers.TimeLimit(env, 3)
    assert rltk.evaluate(Table([[1, 0]] * 7, Criterion(1.0)), inner).limited_value == -3


def test_a_horizon_is_a_criterion():
    """Under a horizon of n steps value, optimum and occupancy are those of n steps, by hand."""
    env = TabularEnv(line(6, stay=-0.25))
    result = rltk.evaluate(Table([[1, 0]] * 7), env, criterion=Criterion(0.5, horizon=3))

    assert result.value == pytest.approx(-1 - 0.5 - 0.25)
    assert result.optimum == pytest.approx(-0.25 * 1.75)
    assert result.suboptimality == pytest.approx(0.75 * 1.75)
    np.testing.assert_allclose(result.occupancy, [1, 0.5, 0.25, 0, 0, 0, 0])
    endless = rltk.evaluate(Table([[0, 1]] * 7), env, criterion=Criterion(1.0, horizon=8))
    assert endless.value == -2
    assert endless.occupancy[0] == 8


def test_normalised_suboptimality_is_nan_where_nothing_can_be_gained():
    """V* = V^uniform: the share of nothing is no number."""
    env = TabularEnv(MDP.from_table({0: {a: [(1, 0, 3, True)] for a in range(3)}}))
    result = rltk.evaluate(Table([[1, 0, 0]], Criterion(0.9)), env)

    assert result.suboptimality == 0
    assert isnan(result.normalised_suboptimality)
    assert "%" not in str(result)


def test_uniform_scores_1_and_optimal_0():
    """The normalised suboptimality's two ends."""
    env = gym.make("rltk/FourRooms-v0")
    mdp = env.unwrapped.mdp()
    solution = rltk.solve(env, gamma=0.99)

    uniform = rltk.evaluate(Table(mdp.uniform_policy(), Criterion(0.99)), env, deterministic=False)
    assert uniform.normalised_suboptimality == pytest.approx(1)
    assert rltk.evaluate(solution, env).normalised_suboptimality == pytest.approx(0, abs=1e-6)


def test_a_rough_answer_key_brought_along_is_not_kept():
    """`solution=` serves this evaluation; the next one computes its own (found in review: it stayed)."""
    env = gym.make("rltk/FrozenLake-v0")
    agent = Table(env.unwrapped.mdp().uniform_policy(), Criterion(0.99))
    rough = rltk.solve(env, gamma=0.99, tolerance=0.2, method="value-iteration")

    with_rough = rltk.evaluate(agent, env, solution=rough)
    without = rltk.evaluate(agent, env)

    assert with_rough.optimum == rough.start_value
    assert without.optimum == pytest.approx(0.5420259320, abs=2e-7)


def test_the_answer_key_lives_as_long_as_its_mdp():
    """Evaluating remembers the optimum of an MDP, and forgets it with the MDP."""
    mdp = line(3)
    gone = weakref.ref(mdp)
    rltk.evaluate(Table([[1, 0]] * 4, Criterion(0.9)), TabularEnv(mdp))
    rltk.evaluate(rltk.solve(mdp, gamma=0.9), TabularEnv(mdp))
    del mdp
    gc.collect()

    assert gone() is None


def test_partial_observations_count_the_aliasing_they_suffer():
    """Four rooms seen through a 3x3 window: many cells look alike; the figures are those of the policy over
    observations, in every state. With coordinates none do."""

    class Still:
        criterion = Criterion(0.99)

        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return 0, state

        def action_probabilities(self, observations, mask=None, deterministic=True):
            return np.eye(4)[np.zeros(len(observations), dtype=int)]

    env = gym.make("rltk/FourRooms-v0", observation="egocentric", view_size=3)
    seen = env.unwrapped.observations(np.arange(env.unwrapped.mdp().n_states))
    _, inverse, count = np.unique(seen.reshape(len(seen), -1), axis=0, return_inverse=True, return_counts=True)
    result = rltk.evaluate(Still(), env)

    assert result.exact
    assert result.aliased_states == (count[inverse.reshape(-1)] > 1).sum() > 10
    assert f"{result.aliased_states} states share their observation" in str(result)
    assert rltk.evaluate(Still(), gym.make("rltk/FourRooms-v0", observation="coords")).aliased_states == 0


def test_criteria_never_meet_silently():
    """An agent's own criterion is used; another one's answer key, or none at all, is refused."""
    env = gym.make("rltk/FrozenLake-v0")
    agent = QLearning(env, gamma=0.9)
    other = rltk.solve(env, gamma=0.99)

    assert rltk.evaluate(agent, env).criterion == Criterion(0.9)
    assert rltk.evaluate(agent, env, criterion=0.99).criterion == Criterion(0.99)
    with pytest.raises(CriterionError, match=r"0\.99"):
        rltk.evaluate(agent, env, solution=other)
    with pytest.raises(ArgumentError, match="another MDP"):
        rltk.evaluate(agent, gym.make("rltk/FrozenLake8x8-v0"), criterion=0.99, solution=other)
    with pytest.raises(CriterionError, match=r"criterion=0\.99"):
        rltk.evaluate(Table([[1, 0, 0, 0]] * 16), env)
    with pytest.raises(CriterionError, match="10 steps"):
        rltk.evaluate(agent, env, criterion=Criterion(1.0, 10, "average"))
    soft = rltk.solve(env, gamma=0.9, method="soft-value-iteration")
    with pytest.raises(CriterionError, match="entropy"):
        rltk.evaluate(agent, env, solution=soft)
    with pytest.raises(ArgumentError, match=r"1\.5"):
        rltk.evaluate(agent, env, criterion=1.5)
    with pytest.raises(ArgumentError, match=r"gym\.make"):
        rltk.evaluate(agent, "rltk/FrozenLake-v0")
    with pytest.raises(ArgumentError, match="predict"):
        rltk.evaluate(object(), env)
    for episodes in (1, 2.5, nan, True):
        with pytest.raises(ArgumentError, match="episodes"):
            rltk.evaluate(agent, env, episodes=episodes)


def test_probabilities_that_are_none_are_refused():
    """An agent whose probabilities do not sum to 1, or that takes an action that is not there, is told where."""
    env = TabularEnv(MDP.from_table({0: {0: [(1, 0, 0, True)]}, 1: {1: [(1, 0, 0, True)]}}))
    with pytest.raises(ArgumentError, match="state 1"):
        rltk.evaluate(Table([[1, 0], [1, 0]], Criterion(0.9)), env)
    with pytest.raises(ArgumentError, match="distribution"):
        rltk.evaluate(Table([[1, 0], [0, 0.5]], Criterion(0.9)), env, deterministic=False)
    with pytest.raises(ArgumentError, match="2 actions"):
        rltk.evaluate(Table(np.eye(3)[:2], Criterion(0.9)), env)
    with pytest.raises(ArgumentError, match="another MDP"):
        rltk.evaluate(rltk.solve(MDP.from_table({0: {1: [(1, 0, 0, True)]}}), gamma=0.9), env)
