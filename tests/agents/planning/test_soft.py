"""Soft value iteration against the same equation in 50 decimal digits, by hand, and as an agent that draws."""

from decimal import Decimal, localcontext
from fractions import Fraction

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mdp_reference import mdps
from planning_reference import as_mdp, stored
from test_planning_degenerate import SHAPES
from test_planning_exact import float_mdp

import rltk
from rltk.agents.planning import SoftSolution, SoftValueIteration, ValueIteration
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError, CriterionError
from rltk.mdp import MDP, Criterion

DIGITS = 50


def decimal(number):
    number = Fraction(number)
    return Decimal(number.numerator) / Decimal(number.denominator)


def tables(outcomes):
    """[{action: [(probability, next state, reward, done)]}] in decimals, and which states only end for nothing."""
    exact = [{a: [(decimal(p), t, decimal(r), d) for p, t, r, d in row] for a, row in x.items()} for x in outcomes]
    return exact, [all(d and r == 0 for row in x.values() for p, _, r, d in row if p > 0) for x in exact]


def q_of(actions, value, gamma):
    return {a: sum(p * (r + (0 if d else gamma * value[t])) for p, t, r, d in row) for a, row in actions.items()}


def fixed_point(step, n_states, gamma):
    """Iterate `step` until 10^-30 can't matter; gamma is at most 0.9."""
    value = [Decimal(0)] * n_states
    for _ in range(700 if gamma > Decimal("0.5") else 120):
        value = step(value)
    return value


def soft_optimum(outcomes, gamma, temperature):
    """tau log sum exp(q / tau) at its fixed point, in 50 digits (Ziebart 2010, chapter 6)."""
    (exact, rest), gamma, tau = tables(outcomes), decimal(gamma), decimal(temperature)

    def one(actions, value):
        q = q_of(actions, value, gamma)
        top = max(q.values())
        return top + tau * sum(((x - top) / tau).exp() for x in q.values()).ln()

    def step(value):
        return [Decimal(0) if r else one(actions, value) for actions, r in zip(exact, rest, strict=True)]

    return fixed_point(step, len(exact), gamma)


def soft_value(outcomes, policy, gamma, temperature):
    """Reward plus tau times entropy of `policy` (S, A), in 50 digits."""
    (exact, rest), gamma, tau = tables(outcomes), decimal(gamma), decimal(temperature)
    weights = [[decimal(p) for p in row] for row in policy.tolist()]
    weights = [[p / sum(row) for p in row] for row in weights]
    bonus = [-tau * sum((p * p.ln() for p in row if p > 0), Decimal(0)) for row in weights]

    def step(value):
        out = []
        for s, actions in enumerate(exact):
            q = q_of(actions, value, gamma)
            out.append(Decimal(0) if rest[s] else bonus[s] + sum(weights[s][a] * x for a, x in q.items()))
        return out

    return fixed_point(step, len(exact), gamma)


def assert_sound(solution, outcomes):
    """Bounds hold the soft optimum, and the soft policy loses no more than is said."""
    gamma, tau, n = solution.criterion.gamma, solution.temperature, len(outcomes)
    policy = solution.action_probabilities(np.arange(n), deterministic=False)
    with localcontext() as context:
        context.prec = DIGITS
        best, own = soft_optimum(outcomes, gamma, tau), soft_value(outcomes, policy, gamma, tau)
        for s in range(n):
            assert decimal(solution.lower[s]) <= best[s] + Decimal("1e-28"), s
            assert best[s] <= decimal(solution.upper[s]) + Decimal("1e-28"), s
            assert best[s] - own[s] <= decimal(solution.policy_loss) + Decimal("1e-28"), s


@settings(max_examples=25, deadline=None)
@given(
    mdps(max_states=3), st.sampled_from([0.0, 0.5]), st.sampled_from([0.01, 1.0, 30.0]), st.sampled_from([1e-3, 1e-9])
)
def test_bounds_contain_the_soft_optimum(drawn, gamma, temperature, tolerance):
    """Bounds and loss against 50 digits: missing actions, ends, any temperature."""
    outcomes, _ = drawn
    solution = SoftValueIteration(gamma, temperature=temperature, tolerance=tolerance).solve(as_mdp(outcomes))

    assert isinstance(solution, SoftSolution)
    assert solution.converged
    assert_sound(solution, outcomes)
    assert solution.policy_loss <= 2 * tolerance + 1e-11


@pytest.mark.parametrize("temperature", [1e-3, 1.0])
def test_bounds_allow_for_rounding(temperature):
    """Rows that sum to 1 only nearly, rewards from 1e-6 to 1e6, a tolerance that can't be reached: the allowance for
    exp and log included, the bounds hold, and it says that rounding stopped it."""
    for seed in range(6):
        mdp = float_mdp(seed)
        solution = SoftValueIteration(0.9, temperature=temperature, tolerance=1e-300, max_sweeps=3000).solve(mdp)

        assert_sound(solution, stored(mdp))
        assert not solution.converged
        assert "half-width" in solution.note
        assert solution.half_width <= 1e-11 * max(1.0, np.abs(solution.value).max())


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if "subnormal" not in shape])
def test_degenerate_shapes(shape):
    """The edge cases of what is an MDP, at gamma 0.5."""
    mdp = MDP.from_table(SHAPES[shape])
    solution = SoftValueIteration(0.5, temperature=0.5).solve(mdp)

    assert_sound(solution, stored(mdp))
    assert mdp.available[np.arange(mdp.n_states), solution.policy].all()
    assert "huge" in shape or solution.converged
    assert "entropy" in str(solution)


def test_entropy_by_hand():
    """Three free ways to stay, for ever: tau log 3 / (1 - gamma), drawn evenly. A state that only ends for nothing is
    worth 0, however many its actions; one that ends for a reward earns the entropy of its last choice."""
    free = {0: {a: [(1, 0, 0, False)] for a in range(3)}, 1: {a: [(1, 1, 0, True)] for a in range(3)}}
    last = {2: {a: [(1, 1, 2, True)] for a in range(3)}, 3: {0: [(1, 1, 1, False)]}}
    solution = SoftValueIteration(0.9, temperature=0.5, tolerance=1e-9).solve(MDP.from_table(free | last))

    assert solution.value[0] == pytest.approx(0.5 * np.log(3) / 0.1, abs=1e-8)
    assert solution.lower[1] == solution.upper[1] == 0
    assert solution.value[2] == pytest.approx(2 + 0.5 * np.log(3), abs=1e-8)
    assert solution.value[3] == pytest.approx(1, abs=1e-8)
    np.testing.assert_allclose(solution.action_probabilities([0], deterministic=False), [[1 / 3] * 3])


@pytest.mark.parametrize("n_actions", range(2, 9))
def test_logarithms_round_too(n_actions):
    """At gamma 0, with nothing paid, all that can be wrong is exp and log: tau log A lies within the bounds."""
    for temperature in (0.1, 0.3, 0.7, 1.0, 3.0):
        mdp = MDP.from_table({0: {a: [(1, 0, 0, False)] for a in range(n_actions)}})
        solution = SoftValueIteration(0.0, temperature=temperature).solve(mdp)
        with localcontext() as context:
            context.prec = DIGITS
            exact = decimal(temperature) * Decimal(n_actions).ln()
            assert decimal(solution.lower[0]) <= exact <= decimal(solution.upper[0])


def test_a_cold_policy_is_the_optimum():
    """V* <= V*_soft <= V* + tau log(A) / (1 - gamma): as tau goes to 0 it tends to value iteration."""
    env = TabularEnv(MDP.from_env(gym.make("FrozenLake-v1")))
    hard = ValueIteration(0.9, tolerance=1e-10).solve(env.mdp())
    for temperature in (1.0, 0.1, 1e-3, 1e-9, 1e-300):
        soft = SoftValueIteration(0.9, temperature=temperature, tolerance=1e-9).solve(env.mdp())
        most = temperature * np.log(4) / 0.1

        assert (hard.lower <= soft.upper).all()
        assert (soft.lower <= hard.upper + most).all()
        if temperature <= 1e-3:
            result = rltk.evaluate(soft, env, deterministic=False)
            assert result.suboptimality <= most + 1e-8
    np.testing.assert_allclose(soft.value, hard.value, atol=1e-8)


def test_it_draws_from_its_own_seeded_stream():
    """The same planner, the same draws; another seed, others; frequencies are the softmax's; what is not there is
    never drawn; the mode when deterministic."""
    table = {0: {0: [(1, 0, 0, True)], 2: [(1, 0, 1, True)]}, 1: {1: [(1, 0, 0, True)]}}
    mdp, states = MDP.from_table(table), np.tile([0, 1], 5000)
    first, again = (SoftValueIteration(0.9, temperature=1.0, seed=3).solve(mdp) for _ in range(2))
    drawn, memory = first.predict(states, "memory", deterministic=False)

    assert memory == "memory"
    np.testing.assert_array_equal(drawn, again.predict(states, deterministic=False)[0])
    assert (drawn != first.predict(states, deterministic=False)[0]).any()  # the stream goes on
    other = SoftValueIteration(0.9, seed=4).solve(mdp)
    assert (drawn != other.predict(states, deterministic=False)[0]).any()
    assert set(drawn[::2]) == {0, 2}
    assert set(drawn[1::2]) == {1}
    share = np.e / (1 + np.e)
    assert abs((drawn[::2] == 2).mean() - share) < 5 * np.sqrt(share * (1 - share) / 5000)
    np.testing.assert_allclose(first.action_probabilities([0], deterministic=False), [[1 - share, 0, share]])
    np.testing.assert_array_equal(first.action_probabilities([0]), [[0, 0, 1]])
    assert first.predict(0) == (2, None)
    assert isinstance(first.predict(0, deterministic=False)[0], int)
    with pytest.raises(ArgumentError, match="0 to 1"):
        first.predict(2, deterministic=False)


def test_its_values_are_no_answer_key_of_plain_reward():
    """Values that hold entropy are refused as the optimum of what does not; as an agent it is graded on reward."""
    table = {0: {0: [(1, 0, 0, True)], 1: [(1, 0, 1, True)]}}
    env = TabularEnv(MDP.from_table(table))
    soft = rltk.solve(env, gamma=0.9, method="soft-value-iteration")
    with pytest.raises(CriterionError, match="entropy"):
        rltk.evaluate(soft, env, solution=soft)
    assert rltk.evaluate(soft, env).value == 1
    assert rltk.evaluate(soft, env, deterministic=False).value == pytest.approx(np.e / (1 + np.e))


def test_it_says_when_it_was_stopped():
    """One sweep: sound, not converged, and how to mend it."""
    one, nothing = Fraction(1), Fraction(0)
    outcomes = [{0: [(one, 0, nothing, False)], 1: [(one, 1, nothing, False)]}, {0: [(one, 1, one, False)]}]
    solution = SoftValueIteration(0.5, tolerance=1e-300, max_sweeps=1).solve(as_mdp(outcomes))
    assert_sound(solution, outcomes)
    assert not solution.converged
    assert "max_sweeps" in solution.note or "rounding" in solution.note


@pytest.mark.parametrize("wrong", [0, -1, np.nan, np.inf, "hot", True])
def test_wrong_temperatures_are_refused(wrong):
    """A temperature is a finite number above 0."""
    with pytest.raises(ArgumentError, match="temperature"):
        SoftValueIteration(0.9, temperature=wrong)


def test_other_wrong_arguments_are_refused():
    """gamma 1, a horizon, a seed that is none."""
    for criterion in (Criterion(1.0), Criterion(0.9, horizon=3)):
        with pytest.raises(CriterionError, match="SoftValueIteration"):
            SoftValueIteration(criterion=criterion)
    for seed in (-1, 0.5, True):
        with pytest.raises(ArgumentError, match="seed"):
            SoftValueIteration(0.9, seed=seed)
