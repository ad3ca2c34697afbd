"""Backward induction against fractions, by hand, and as an agent that follows the clock."""

from fractions import Fraction

import gymnasium as gym
import mdp_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mdp_reference import mdps
from planning_reference import as_mdp, stored
from test_planning_degenerate import SHAPES
from test_planning_exact import float_mdp

import rltk
from rltk.agents.planning import BackwardInduction, FiniteHorizonSolution
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError, CriterionError, SizeError
from rltk.mdp import MDP, Criterion

# With 1 step to go stay, for 1; with more go, for the 3 on the way back: what to do in state 0 depends on the clock.
SWING = {0: {0: [(1, 1, 0, False)], 1: [(1, 0, 1, False)]}, 1: {0: [(1, 0, 3, False)]}}


def exact_optimum(outcomes, gamma, n):
    """(the optimum of n steps, all before it) in fractions."""
    values = [[Fraction(0)] * len(outcomes)]
    for _ in range(n):
        values.append(reference.backup(outcomes, values[-1], gamma))
    return values[-1], values


def exact_value(outcomes, stages, gamma):
    """What the policies `stages` (n, S), the last step first, are worth over their n steps, in fractions."""
    value = [Fraction(0)] * len(outcomes)
    for policy in stages:
        value = [row[int(a)] for row, a in zip(reference.q(outcomes, value, gamma), policy, strict=True)]
    return value


def assert_sound(solution, outcomes):
    """Bounds hold the optimum, the policy's loss is owned up to, `converged` is the truth: in exact arithmetic."""
    gamma, n = Fraction(solution.criterion.gamma), solution.horizon
    best, _ = exact_optimum(outcomes, gamma, n)
    own = exact_value(outcomes, solution.stage_policy, gamma)
    for lower, upper, optimum, value in zip(solution.lower.tolist(), solution.upper.tolist(), best, own, strict=True):
        assert lower <= optimum <= upper
        assert optimum - value <= Fraction(solution.policy_loss)
    assert solution.converged == ((solution.upper - solution.lower).max() / 2 <= solution.tolerance)


@settings(max_examples=80, deadline=None)
@given(mdps(max_states=4), st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.integers(1, 12))
def test_bounds_contain_the_exact_optimum(drawn, gamma, n):
    """For any gamma, the stages' policies included (Puterman 1994, section 4.5); q is that of the first step."""
    outcomes, _ = drawn
    solution = BackwardInduction(criterion=Criterion(gamma, horizon=n)).solve(as_mdp(outcomes))

    assert_sound(solution, outcomes)
    assert solution.converged
    assert solution.sweeps <= n
    best, values = exact_optimum(outcomes, Fraction(gamma), n)
    np.testing.assert_allclose(solution.value, [float(x) for x in best], atol=1e-12)
    np.testing.assert_allclose(solution.q.max(axis=1), solution.value, atol=1e-12)
    np.testing.assert_allclose(solution.values, np.array(values, dtype=float), atol=1e-12)
    np.testing.assert_array_equal(solution.policy, solution.stage_policy[-1])


@pytest.mark.parametrize("gamma", [0.9, 1.0])
def test_bounds_allow_for_rounding(gamma):
    """Rows of floats that sum to 1 only nearly, rewards of all sizes, 40 steps: what rounding adds is in the bounds,
    and little more than that."""
    for seed in range(40):
        mdp = float_mdp(seed)
        solution = BackwardInduction(criterion=Criterion(gamma, horizon=40), tolerance=1e-13).solve(mdp)

        assert_sound(solution, stored(mdp))
        assert solution.half_width <= 1e-11 * max(1.0, np.abs(solution.value).max(), np.abs(mdp.reward).max())
        if not solution.converged:
            assert "rounding" in solution.note


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gamma", [0.0, 0.9, 1.0])
def test_degenerate_shapes(shape, gamma):
    """Within n steps nothing is infinite: every shape has its optimum, endless ones too."""
    mdp = MDP.from_table(SHAPES[shape])
    solution = rltk.solve(mdp, criterion=Criterion(gamma, horizon=7))

    assert isinstance(solution, FiniteHorizonSolution)
    assert_sound(solution, stored(mdp))
    assert mdp.available[np.arange(mdp.n_states), solution.stage_policy].all()
    assert solution.stages.dtype == np.uint8
    assert solution.policy.dtype == np.int64
    assert all(len(line) <= 100 for line in str(solution).splitlines())


def test_what_to_do_depends_on_the_steps_to_go():
    """Two states, by hand: the agent that follows the clock earns what was promised, 4; always going would earn 3."""
    mdp = MDP.from_table(SWING)
    solution = rltk.solve(mdp, criterion=Criterion(1.0, horizon=3))

    assert solution.stage_policy[:, 0].tolist() == [1, 0, 0]
    assert solution.value.tolist() == [4, 6]
    assert solution.q[1].tolist() == [6, -np.inf]
    np.testing.assert_array_equal(solution.values, [[0, 0], [1, 3], [3, 4], [4, 6]])
    total, state, memory = 0.0, 0, None
    for step in range(3):
        action, memory = solution.predict(state, memory, np.array([step == 0]))
        (_, state, reward, _) = SWING[state][action][0]
        total += reward
    assert total == 4


def test_the_clock_in_a_batch():
    """Each of N environments has its own clock: `episode_start` turns one back, and past the horizon the last stage
    goes on; the state is a new array each time."""
    solution = rltk.solve(MDP.from_table(SWING), criterion=Criterion(1.0, horizon=3))

    actions, first = solution.predict(np.array([0, 0, 1]))
    np.testing.assert_array_equal(actions, [0, 0, 0])
    np.testing.assert_array_equal(first, [1, 1, 1])
    clocks = np.array([2, 2, 0])
    actions, after = solution.predict(np.array([0, 0, 0]), clocks, np.array([False, True, False]))
    np.testing.assert_array_equal(actions, [1, 0, 0])
    np.testing.assert_array_equal(after, [3, 1, 1])
    np.testing.assert_array_equal(clocks, [2, 2, 0])
    assert [solution.predict(0, np.array([taken]))[0] for taken in range(4)] == [0, 0, 1, 1]
    assert solution.predict(0, np.array([99]))[0] == solution.stage_policy[0, 0] == 1
    assert solution.predict(np.zeros(0, dtype=int))[0].shape == (0,)
    probabilities = solution.action_probabilities(np.array([0, 1]))
    np.testing.assert_array_equal(probabilities.argmax(axis=1), solution.policy)


def test_wrong_clocks_are_refused():
    """A state of another batch, of floats or below 0, and starts of another batch: told what was expected."""
    solution = rltk.solve(MDP.from_table(SWING), criterion=Criterion(1.0, horizon=3))
    for memory in (np.zeros(3, dtype=int), np.array([0.5, 0.5]), np.array([-1, 0]), "early"):
        with pytest.raises(ArgumentError, match="steps taken"):
            solution.predict(np.array([0, 1]), memory)
    with pytest.raises(ArgumentError, match="episode_start"):
        solution.predict(np.array([0, 1]), None, np.array([True]))


def test_stages_are_shared_once_the_value_no_longer_changes():
    """1 a step at gamma 1/2: V_n = 2 - 2^(1-n) is 2 in floats after some 50 steps; the bounds still hold the exact
    value of 5,000, and a million steps of an episode that ends in two take no time."""
    mdp = MDP.from_table({0: {0: [(1, 0, 1, False)], 1: [(1, 0, 0, False)]}})
    solution = BackwardInduction(criterion=Criterion(0.5, horizon=5000)).solve(mdp)
    assert len(solution.stages) == solution.sweeps < 60
    assert solution.stage_policy.shape == (5000, 1)
    assert Fraction(solution.lower[0]) <= 2 - Fraction(1, 2**4999) <= Fraction(solution.upper[0])
    assert solution.half_width < 1e-13
    assert solution.predict(0)[0] == 0

    short = MDP.from_table({0: {0: [(1, 1, -1, False)]}, 1: {0: [(1, 1, -1, True)]}})
    solution = BackwardInduction(criterion=Criterion(1.0, horizon=1_000_000)).solve(short)
    assert solution.sweeps == 3
    assert solution.lower[0] <= -2 <= solution.upper[0]
    assert solution.upper[0] - solution.lower[0] < 1e-8  # rounding of a million steps, had they been taken


def test_frozen_lake_within_100_steps():
    """FrozenLake 4x4, Gymnasium's own limit: 0.7442 undiscounted from the start, which is less than the 14/17 without
    a limit; `evaluate` grades the solution exactly, by propagating each stage, and finds nothing lost."""
    env = gym.make("FrozenLake-v1")
    solution = rltk.solve(env, criterion=Criterion(1.0, horizon=100))
    result = rltk.evaluate(solution, env)

    assert solution.converged
    assert f"{solution.start_value:.4f}" == "0.7442"
    assert solution.lower[15] == solution.upper[15] == 0
    assert result.exact
    assert result.value == pytest.approx(solution.start_value, abs=1e-12)
    assert result.limited_value == pytest.approx(solution.start_value, abs=1e-12)
    assert result.optimum == pytest.approx(solution.start_value, abs=1e-12)
    assert result.optimum_bounds == pytest.approx(solution.start_bounds, abs=1e-12)
    assert 0 <= result.suboptimality < 1e-12
    endless = rltk.evaluate(rltk.solve(env, gamma=1.0), env)
    assert endless.limited_value < endless.limited_optimum == pytest.approx(solution.start_value, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(mdps(max_states=4), st.sampled_from([0.5, 1.0]), st.integers(1, 6), st.integers(1, 7))
def test_it_is_graded_exactly(drawn, gamma, n, limit):
    """Value, visits and the value within a time limit, which may cut the plan short, against fractions."""
    outcomes, _ = drawn
    states, mdp = range(len(outcomes)), as_mdp(outcomes)
    solution = rltk.solve(mdp, criterion=Criterion(gamma, horizon=n))
    result = rltk.evaluate(solution, gym.wrappers.TimeLimit(TabularEnv(mdp), limit))

    stages = solution.stage_policy
    own = exact_value(outcomes, stages, Fraction(gamma))
    assert result.exact
    np.testing.assert_allclose(result.state_value, [float(x) for x in own], atol=1e-12)
    cut = exact_value(outcomes, stages[max(n - limit, 0) :], Fraction(gamma))
    assert result.limited_value == pytest.approx(float(sum(cut)) / len(cut), abs=1e-12)
    here, visits = [Fraction(1, len(outcomes)) for _ in states], [Fraction(0) for _ in states]
    for policy in stages[::-1]:
        P, _, _ = reference.chain(outcomes, [{int(a): Fraction(1)} for a in policy])
        visits = [x + y for x, y in zip(visits, here, strict=True)]
        here = [Fraction(gamma) * sum(here[s] * P[s].get(t, 0) for s in states) for t in states]
    np.testing.assert_allclose(result.occupancy, [float(x) for x in visits], atol=1e-12)


def test_success_and_length_of_a_plan_with_a_clock():
    """Three steps: twice right, which pays, then out for good where that is all that is left. By hand."""
    table = {0: {0: [(1, 0, 1, False)], 1: [(0.5, 0, 5, True), (0.5, 0, 0, True)]}}
    result = rltk.evaluate(
        rltk.solve(MDP.from_table(table), criterion=Criterion(1.0, horizon=3)), TabularEnv(MDP.from_table(table))
    )
    assert result.value == pytest.approx(4.5)
    assert result.expected_length == pytest.approx(3)
    assert result.occupancy.tolist() == [3]


def test_sampled_episodes_agree_with_the_exact_grade():
    """The same agent seen only through `predict`: its clock makes it worth 4, as the exact figures say. Under another
    criterion it is sampled, and the reason says so."""

    class Veiled:
        acts_on_states = True

        def __init__(self, agent):
            self.predict, self.criterion = agent.predict, agent.criterion

    env = TabularEnv(MDP.from_table(SWING, start=[1, 0]))
    solution = rltk.solve(env, criterion=Criterion(1.0, horizon=3))
    veiled = rltk.evaluate(Veiled(solution), env, episodes=50)
    assert not veiled.exact
    assert veiled.value == rltk.evaluate(solution, env).value == 4
    other = rltk.evaluate(solution, env, criterion=Criterion(1.0, horizon=2), episodes=50)
    assert not other.exact
    assert "3 steps" in other.reason


def test_both_storage_forms_agree():
    """Compact moves and their rows: the same bounds to rounding and the same stages."""
    env = gym.make("rltk/FrozenLake-v0")
    compact = env.unwrapped.mdp()
    first, second = (
        rltk.solve(mdp, criterion=Criterion(0.97, horizon=30)) for mdp in (compact, MDP(compact.rows, compact.start))
    )
    np.testing.assert_allclose(first.value, second.value, atol=1e-14)
    np.testing.assert_array_equal(first.stages, second.stages)


def test_what_it_does_not_take():
    """No horizon, average reward, fewer sweeps than steps, policies that would not fit: typed, and told how to mend."""
    mdp = MDP.from_table(SWING)
    with pytest.raises(CriterionError, match="needs a horizon"):
        BackwardInduction(0.9)
    with pytest.raises(CriterionError, match="average"):
        BackwardInduction(criterion=Criterion(1.0, 5, "average"))
    with pytest.raises(ArgumentError, match="max_sweeps is 4"):
        BackwardInduction(criterion=Criterion(1.0, horizon=5), max_sweeps=4)
    with pytest.raises(SizeError, match=r"1,000,000,000,000 steps.*GiB"):
        rltk.solve(mdp, criterion=Criterion(1.0, horizon=10**12))
    solution = rltk.solve(mdp, criterion=Criterion(0.5, horizon=10**9))
    with pytest.raises(SizeError, match="GiB"):
        _ = solution.values
