"""Relative value iteration against the best of all policies in fractions, and against published gains."""

from fractions import Fraction

import gymnasium as gym
import mdp_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mdp_reference import mdps
from planning_reference import STYLES, as_mdp, policies, random_mdp, stored
from test_planning_degenerate import SHAPES
from test_planning_exact import float_mdp

import rltk
from rltk.agents.planning import AverageSolution, RelativeValueIteration, average_reward
from rltk.envs import TabularEnv
from rltk.errors import CriterionError
from rltk.mdp import MDP, Criterion

AVERAGE = Criterion(1.0, kind="average")


def distributions_of(outcomes):
    """The same rows, each divided by its sum: average reward reads rows as distributions."""
    normal = []
    for actions in outcomes:
        total = {a: sum(p for p, *_ in row) for a, row in actions.items()}
        normal.append({a: [(p / total[a], t, r, d) for p, t, r, d in row] for a, row in actions.items()})
    return normal


def exact_gain(outcomes, policy, start):
    """The mean reward a step from each state in fractions, episodes following each other; `policy` (S,) actions."""
    n = len(outcomes)
    P, reward, ending = reference.chain(outcomes, [{int(a): Fraction(1)} for a in policy])
    for s in range(n):
        for t in range(n):
            if ending[s] * start[t] > 0:
                P[s][t] = P[s].get(t, Fraction(0)) + ending[s] * start[t]
    right, settled = [Fraction(0)] * n, {}
    for members in reference.closed_classes(P, [0] * n):
        order = sorted(members)
        matrix = [[P[s].get(t, Fraction(0)) - (s == t) for s in order] for t in order]
        matrix[-1] = [Fraction(1)] * len(order)
        share = reference.solve(matrix, [Fraction(0)] * (len(order) - 1) + [Fraction(1)])
        settled |= dict.fromkeys(order, sum(w * reward[s] for w, s in zip(share, order, strict=True)))
    moving = [s for s in range(n) if s not in settled]
    for s in moving:
        right[s] = sum(p * settled[t] for t, p in P[s].items() if t in settled)
    gain = reference.fixed_point(P, right, Fraction(1), moving)
    return [settled.get(s, gain[s]) for s in range(n)]


def exact_optimum(outcomes, start):
    """The best gain of each state: some deterministic policy is the best from everywhere (Puterman 1994, 9.1)."""
    gains = [exact_gain(outcomes, policy, start) for policy in policies(outcomes)]
    return [max(column) for column in zip(*gains, strict=True)]


def starts(mdp):
    exact = [Fraction(float(p)) for p in mdp.start]
    return [p / sum(exact) for p in exact]


def assert_sound(solution, outcomes):
    """The bounds hold the best gain of every state, and the policy gains what it is said to, in exact arithmetic."""
    start = starts(solution.mdp)
    best, own = exact_optimum(outcomes, start), exact_gain(outcomes, solution.policy, start)
    for lower, upper, optimum, gain in zip(solution.lower.tolist(), solution.upper.tolist(), best, own, strict=True):
        assert lower <= optimum <= upper
        assert optimum - gain <= Fraction(solution.policy_loss)
    assert solution.converged == ((solution.upper - solution.lower).max() / 2 <= solution.tolerance)


def assert_solved_or_refused(outcomes, tolerance=1e-6):
    """One gain for all states is found; gains that differ are refused in words."""
    mdp = as_mdp(outcomes)
    best = exact_optimum(outcomes, starts(mdp))
    planner = RelativeValueIteration(tolerance=tolerance)
    if len(set(best)) > 1:
        with pytest.raises(CriterionError, match="can't reach state"):
            planner.solve(mdp)
        return 0
    solution = planner.solve(mdp)
    assert solution.converged
    assert_sound(solution, outcomes)
    return 1


@pytest.mark.parametrize("style", STYLES)
def test_the_best_of_all_policies(style):
    """Small MDPs that end, go round, rest and fall apart: where the best gain is one number the bounds close on it,
    elsewhere the planner says that there are two (Puterman 1994, section 8.5)."""
    solved = [assert_solved_or_refused(random_mdp(seed, style)[0], [1e-3, 1e-9][seed % 2]) for seed in range(50)]
    assert sum(solved) > 10


@settings(max_examples=60, deadline=None)
@given(mdps(max_states=4, max_actions=2))
def test_the_best_of_all_policies_whatever_hypothesis_finds(drawn):
    """The same on MDPs that are drawn to break it."""
    assert_solved_or_refused(drawn[0])


def test_bounds_allow_for_rounding():
    """Rows of floats that sum to 1 only within 1e-9, starts of floats, a tolerance beyond floats: the bounds hold for
    the rows as distributions, are as close as those rows allow, and it says what stopped it."""
    for seed in range(60):
        table = {s: {} for s in range(float_mdp(seed).n_states)}
        for s, actions in enumerate(stored(float_mdp(seed))):
            for a, row in actions.items():  # one step in two begins anew, so that all states share a class
                table[s][a] = [(float(p) / 2, t, float(r), done) for p, t, r, done in row] + [(0.5, 0, 0.0, True)]
        weights = np.random.default_rng(seed).random(len(table))
        mdp = MDP.from_table(table, start=weights / weights.sum())
        solution = RelativeValueIteration(tolerance=1e-300, max_sweeps=5000).solve(mdp)

        assert_sound(solution, distributions_of(stored(mdp)))
        assert not solution.converged
        assert "rounding" in solution.note
        assert solution.half_width <= 1e-8 * np.abs(mdp.reward).max()


@pytest.mark.parametrize("shape", SHAPES)
def test_degenerate_shapes(shape):
    """The edge cases of what is an MDP: solved soundly, or refused where gains differ."""
    mdp = MDP.from_table(SHAPES[shape])
    outcomes = distributions_of(stored(mdp))
    best = exact_optimum(outcomes, starts(mdp))
    if max(best) - min(best) > 1e-6:
        with pytest.raises(CriterionError, match="can't reach state"):
            RelativeValueIteration().solve(mdp)
        return
    solution = RelativeValueIteration().solve(mdp)
    assert_sound(solution, outcomes)
    assert "huge" in shape or solution.converged
    assert mdp.available[np.arange(mdp.n_states), solution.policy].all()
    assert all(len(line) <= 100 for line in str(solution).splitlines())


def rows_of(probabilities, rewards):
    """Gymnasium's table from Howard's: per state and action a row of probabilities and one of rewards."""
    return {
        s: {a: [(p, t, r, False) for t, (p, r) in enumerate(zip(*row, strict=True))] for a, row in enumerate(rows)}
        for s, rows in enumerate([list(zip(*pair, strict=True)) for pair in zip(probabilities, rewards, strict=True)])
    }


TAXICAB = rows_of(
    [
        [[1 / 2, 1 / 4, 1 / 4], [1 / 16, 3 / 4, 3 / 16], [1 / 4, 1 / 8, 5 / 8]],
        [[1 / 2, 0, 1 / 2], [1 / 16, 7 / 8, 1 / 16]],
        [[1 / 4, 1 / 4, 1 / 2], [1 / 8, 3 / 4, 1 / 8], [3 / 4, 1 / 16, 3 / 16]],
    ],
    [[[10, 4, 8], [8, 2, 4], [4, 6, 4]], [[14, 0, 18], [8, 16, 8]], [[10, 2, 8], [6, 4, 2], [4, 0, 8]]],
)


def test_howard_s_taxicab():
    """Three towns: drive to the nearest stand in each, 13.34 a trip, relative values -1.18, 12.66 and 0 (Howard 1960,
    Dynamic Programming and Markov Processes, chapter 5). In fractions the gain is 1588/119."""
    mdp = MDP.from_table(TAXICAB)
    solution = rltk.solve(mdp, criterion=AVERAGE, tolerance=1e-10)

    assert isinstance(solution, AverageSolution)
    assert solution.converged
    assert solution.lower[0] <= Fraction(1588, 119) <= solution.upper[0]
    assert f"{solution.gain:.2f}" == "13.34"
    assert solution.policy.tolist() == [1, 1, 1]
    np.testing.assert_allclose(solution.bias - solution.bias[2], [-1.18, 12.66, 0], atol=0.005)
    assert solution.bias @ mdp.start == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(solution.q.max(axis=1), solution.bias, atol=1e-9)
    assert solution.q[1, 2] == -np.inf


def test_howard_s_toymaker():
    """Advertise while the toy sells, research while it does not: gain 2, and 10 between the states (Howard 1960,
    chapter 4)."""
    table = rows_of([[[0.5, 0.5], [0.8, 0.2]], [[0.4, 0.6], [0.7, 0.3]]], [[[9, 3], [4, 4]], [[3, -7], [1, -19]]])
    solution = rltk.solve(MDP.from_table(table), criterion=AVERAGE, tolerance=1e-9)

    assert solution.policy.tolist() == [1, 1]
    assert solution.gain == pytest.approx(2, abs=2e-9)
    assert solution.bias[0] - solution.bias[1] == pytest.approx(10, abs=1e-7)


def test_a_cycle_needs_the_step():
    """To and fro between two states, paid one way: half a unit a step. Without the aperiodicity transform h swings for
    ever (Puterman 1994, section 8.5.4)."""
    mdp = MDP.from_table({0: {0: [(1, 1, 1, False)]}, 1: {0: [(1, 0, 0, False)]}})
    solution = RelativeValueIteration(tolerance=1e-9).solve(mdp)
    assert solution.converged
    assert solution.gain == pytest.approx(0.5, abs=1e-9)
    assert solution.sweeps < 10

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(average_reward, "_STEP", 1.0)
        patch.setattr(average_reward, "_SMALL", 0)
        swinging = RelativeValueIteration(tolerance=1e-9, max_sweeps=2000).solve(mdp)
    assert not swinging.converged
    assert swinging.lower[0] <= 0.5 <= swinging.upper[0]


@pytest.mark.parametrize("ends", [True, False])
def test_long_cycles_are_quick(ends):
    """300 steps there, paid at the end, and from the start again: 1/300 a step whether the episode ends or goes round,
    found by evaluating the policy and not by some hundred thousand sweeps. An end takes no step of its own."""
    n = 300
    last = [(1, n - 1, 1, True)] if ends else [(1, 0, 1, False)]
    table = {s: {0: [(1, s + 1, 0, False)], 1: [(1, s, 0, False)]} for s in range(n - 1)} | {n - 1: {0: last}}
    solution = RelativeValueIteration().solve(MDP.from_table(table, start=np.eye(n)[0]))

    assert solution.converged
    assert solution.lower[0] <= Fraction(1, n) <= solution.upper[0]
    assert solution.sweeps < 1000


def test_gains_that_differ_are_refused_by_name():
    """Two places that can't be left; one that can be left for a worse one; two of the same worth are no trouble."""
    apart = {0: {0: [(1, 0, 2, False)]}, 1: {0: [(1, 1, 1, False)]}}
    with pytest.raises(CriterionError, match=r"2 from state 0, at most 1 from state 1, which can't reach state 0"):
        rltk.solve(MDP.from_table(apart), criterion=AVERAGE)
    one_way = {0: {0: [(1, 0, 5, False)], 1: [(1, 1, 0, False)]}, 1: {0: [(1, 1, 3, False)]}}
    with pytest.raises(CriterionError, match=r"5 from state 0, at most 3 from state 1"):
        rltk.solve(MDP.from_table(one_way), criterion=AVERAGE)
    equal = {0: {0: [(1, 0, 2, False)]}, 1: {0: [(1, 1, 2, False)]}}
    assert rltk.solve(MDP.from_table(equal), criterion=AVERAGE).gain == 2
    poorer = {0: {0: [(1, 0, 1, False)], 1: [(1, 1, 0, False)]}, 1: {0: [(1, 1, 3, False)]}}
    solution = rltk.solve(MDP.from_table(poorer), criterion=AVERAGE)
    assert solution.gain == pytest.approx(3, abs=1e-6)
    assert solution.policy.tolist() == [1, 0]


def test_what_is_not_proved_is_not_refused():
    """Two cycles of the same gain, stopped before the bounds close: not converged, and no word of gains that differ."""
    table = {s: {0: [(1, s - 2 if s % 3 == 2 else s + 1, s % 3, False)]} for s in range(6)}
    stopped = RelativeValueIteration(max_sweeps=1).solve(MDP.from_table(table))
    assert not stopped.converged
    assert stopped.lower[0] <= 1 <= stopped.upper[0]
    assert RelativeValueIteration().solve(MDP.from_table(table)).gain == pytest.approx(1, abs=1e-6)


def test_what_a_tie_loses_is_owned_up_to():
    """The first of two actions within 1e-9 of each other is taken; what it lacks is in the policy's loss."""
    outcomes = [{0: [(Fraction(1), 0, Fraction(1 - 2**-31), False)], 1: [(Fraction(1), 0, Fraction(1), False)]}]
    solution = RelativeValueIteration(tolerance=1e-12).solve(as_mdp(outcomes))
    assert solution.policy.tolist() == [0]
    assert solution.converged
    assert_sound(solution, outcomes)


def test_episodes_follow_each_other():
    """The best episodic policy is the one with the most return a step, not the most return: 1 in one step beats 3 in
    four. Graded by `evaluate` it loses nothing, and the policy with the larger return loses 1/4."""
    table = {0: {0: [(1, 0, 1, True)], 1: [(1, 1, 0, False)]}} | {
        s: {0: [(1, (s + 1) % 4, 3 if s == 3 else 0, s == 3)]} for s in range(1, 4)
    }
    env = TabularEnv(MDP.from_table(table, start=[1, 0, 0, 0]))
    solution = rltk.solve(env, criterion=AVERAGE)
    result = rltk.evaluate(solution, env)

    assert solution.policy[0] == 0
    assert (result.exact, result.value) == (True, 1)
    assert result.optimum == pytest.approx(1, abs=1e-6)
    assert result.occupancy.tolist() == [1, 0, 0, 0]
    total = rltk.evaluate(rltk.solve(env, gamma=1.0), env, criterion=AVERAGE)
    assert total.value == pytest.approx(3 / 4)
    assert total.suboptimality == pytest.approx(1 / 4, abs=1e-6)
    np.testing.assert_allclose(total.occupancy, [1 / 4] * 4)
    assert total.limited_value is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_policies_are_graded_exactly_or_refused(data):
    """The gain of any policy from the start, in fractions; where it hangs on chance, a typed refusal."""
    outcomes, _ = data.draw(mdps(max_states=4, max_actions=2))
    mdp = as_mdp(outcomes)
    choice = [data.draw(st.sampled_from(sorted(actions))) for actions in outcomes]
    gains = exact_gain(outcomes, choice, starts(mdp))
    best = exact_optimum(outcomes, starts(mdp))

    class Agent:
        acts_on_states, criterion = True, AVERAGE

        def predict(self, observation, state=None, episode_start=None, deterministic=True):
            return choice[int(observation)], state

        def action_probabilities(self, observations, mask=None, deterministic=True):
            return np.eye(mdp.n_actions)[[choice[s] for s in observations]]

    try:
        result = rltk.evaluate(Agent(), TabularEnv(mdp))
    except CriterionError:
        # Refused only where some state's gain or optimum is another than its neighbour's, or two classes pay alike.
        P, _, ending = reference.chain(outcomes, [{a: Fraction(1)} for a in choice])
        several = len(reference.closed_classes(P, ending)) + any(ending) > 1
        assert several or len(set(best)) > 1
        return
    assert result.exact
    np.testing.assert_allclose(result.state_value, [float(x) for x in gains], atol=1e-9)
    assert result.optimum == pytest.approx(float(best[0]), abs=1e-6)
    assert result.occupancy.sum() == pytest.approx(1)


def test_what_can_t_be_graded_under_the_average():
    """A policy that settles here or there by chance; an agent that only predicts: both refused, and why."""
    fork = {0: {0: [(0.5, 1, 0, False), (0.5, 2, 0, False)]}, 1: {0: [(1, 1, 1, False)]}, 2: {0: [(1, 2, 2, False)]}}
    env = TabularEnv(MDP.from_table(fork, start=[1, 0, 0]))
    agent = rltk.solve(env, gamma=0.9)
    with pytest.raises(CriterionError, match="state 1 or to state 2"):
        rltk.evaluate(agent, env, criterion=AVERAGE)

    class Veiled:
        acts_on_states, predict = True, agent.predict

    with pytest.raises(CriterionError, match="exactly or not at all"):
        rltk.evaluate(Veiled(), env, criterion=AVERAGE)


def test_frozen_lake_in_the_long_run():
    """Gymnasium's FrozenLake, game after game: the gain is the best return over its length, which `evaluate` finds for
    the planner's policy from the chain alone; the discounted optimum's policy can't beat it."""
    env = gym.make("FrozenLake-v1")
    solution = rltk.solve(env, criterion=AVERAGE, tolerance=1e-9)
    mdp = solution.mdp
    chain = mdp.chain(solution.policy)
    ratio = mdp.over_start(chain.value(1.0)) / mdp.over_start(chain.length())

    assert solution.converged
    assert solution.gain == pytest.approx(ratio, abs=1e-8)
    assert rltk.evaluate(solution, env).value == pytest.approx(ratio, abs=1e-12)
    other = rltk.evaluate(rltk.solve(env, gamma=0.99), env, criterion=AVERAGE)
    assert other.value < other.optimum
    assert other.suboptimality > 0


def test_too_few_sweeps_and_a_warm_start():
    """Stopped early: sound, and told to raise max_sweeps; begun from an earlier bias it is done at once."""
    mdp = MDP.from_table(TAXICAB)
    stopped = RelativeValueIteration(tolerance=1e-9, max_sweeps=2).solve(mdp)
    assert not stopped.converged
    assert "max_sweeps" in stopped.note
    assert_sound(stopped, stored(mdp))
    first = RelativeValueIteration(tolerance=1e-6).solve(mdp)
    for begun in (first, first.bias):
        assert RelativeValueIteration(tolerance=1e-6).solve(mdp, warm_start=begun).sweeps == 1


def test_both_storage_forms_agree():
    """Compact moves and their rows have the same gain and the same policy."""
    compact = gym.make("rltk/FrozenLake-v0").unwrapped.mdp()
    first, second = (RelativeValueIteration().solve(m) for m in (compact, MDP(compact.rows, compact.start)))
    assert first.gain == pytest.approx(second.gain, abs=1e-12)
    np.testing.assert_array_equal(first.policy, second.policy)


def test_what_it_does_not_take():
    """Discounting, a horizon."""
    with pytest.raises(CriterionError, match="average"):
        RelativeValueIteration(0.9)
    with pytest.raises(CriterionError, match="average"):
        RelativeValueIteration(criterion=Criterion(1.0))
    with pytest.raises(CriterionError, match="without a horizon"):
        RelativeValueIteration(criterion=Criterion(1.0, 10, "average"))
    assert RelativeValueIteration().criterion == RelativeValueIteration(1).criterion == AVERAGE
