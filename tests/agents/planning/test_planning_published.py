"""Published optimal values, inside the bounds that the planners print."""

import gymnasium as gym
import numpy as np
import pytest
from planning_reference import PLAIN as PLANNERS
from planning_reference import TOTAL

import rltk
from rltk.mdp import MDP, Criterion

methods = pytest.mark.parametrize("method", PLANNERS)
total_methods = pytest.mark.parametrize("method", TOTAL)
TAXI = next(name for name in ("Taxi-v4", "Taxi-v3") if name in gym.registry)
CLIFF = next(name for name in ("CliffWalking-v1", "CliffWalking-v0") if name in gym.registry)


def inside(solution, value, printed):
    """Whether `value`, known to within `printed`, lies in the printed bounds on the start's optimum."""
    low, high = solution.start_bounds
    return solution.converged and low <= value + printed and value - printed <= high


@methods
def test_frozen_lake(method):
    """FrozenLake 4x4 from Gymnasium's P: 0.5420259320 at gamma 0.99, 14/17 undiscounted."""
    env = gym.make("FrozenLake-v1")

    discounted = rltk.solve(env, gamma=0.99, tolerance=1e-9, method=method)
    assert inside(discounted, 0.5420259320, 5e-11)
    assert f"{discounted.start_value:.6f}" == "0.542026"
    if method in TOTAL:
        assert inside(rltk.solve(env, gamma=1.0, tolerance=1e-9, method=method), 14 / 17, 0)


def test_frozen_lake_within_its_time_limit():
    """0.7442 within Gymnasium's 100 steps, against 14/17 without a limit: the optimum depends on the horizon."""
    env = gym.make("FrozenLake-v1")
    uniform = rltk.solve(env, gamma=1.0)
    result = rltk.evaluate(uniform, env, criterion=Criterion(1.0, horizon=100))

    assert result.optimum == pytest.approx(0.7442, abs=5e-5)
    assert rltk.evaluate(uniform, env).limited_optimum == pytest.approx(0.7442, abs=5e-5)


@methods
def test_frozen_lake_8x8(method):
    """FrozenLake 8x8: undiscounted, the goal can surely be reached, so the optimum is 1; at 0.99, 0.4146403 (an exact
    value by policy iteration on Gymnasium's own table, computed apart below)."""
    env = (
        gym.make("FrozenLake8x8-v1")
        if "FrozenLake8x8-v1" in gym.registry
        else gym.make("FrozenLake-v1", map_name="8x8")
    )

    if method in TOTAL:
        assert inside(rltk.solve(env, gamma=1.0, tolerance=1e-7, method=method), 1.0, 0)
    assert inside(rltk.solve(env, gamma=0.99, tolerance=1e-8, method=method), dense_optimum(env, 0.99)[0], 1e-10)


def dense_optimum(env, gamma):
    """V* by plain value iteration over Gymnasium's dictionary: no line of rltk in it."""
    P = env.unwrapped.P
    T = np.zeros((len(P), len(P[0]), len(P)))
    R = np.zeros(T.shape[:2])
    for s, actions in P.items():
        for a, outcomes in actions.items():
            for p, t, r, done in outcomes:
                R[s, a] += p * r
                T[s, a, t] += 0 if done else p
    value = np.zeros(len(P))
    while True:
        value, before = (R + gamma * T @ value).max(axis=1), value
        if np.abs(value - before).max() < 1e-14:
            return value


@total_methods
def test_cliff_walking(method):
    """The cliff's optimum is -13, thirteen steps along the edge (Sutton and Barto 2018, Example 6.6)."""
    solution = rltk.solve(gym.make(CLIFF), gamma=1.0, method=method)

    assert inside(solution, -13, 0)
    value = MDP.from_env(gym.make(CLIFF)).chain(solution.policy).value(1.0)
    assert value[36] == pytest.approx(-13, abs=1e-9)


@total_methods
def test_taxi(method):
    """Taxi's mean optimum over its starts is 7.93, undiscounted (Dietterich 2000; Gymnasium's table)."""
    solution = rltk.solve(gym.make(TAXI), gamma=1.0, method=method)

    assert inside(solution, 7.93, 0.005)
    assert solution.start_value == pytest.approx(7.93, abs=1e-6)


@total_methods
def test_russell_and_norvig(method):
    """The utilities of the 4x3 world's non-terminal cells, read from the picture's top left (Russell and Norvig, third
    edition, Figure 17.3: -0.04 a step, gamma 1)."""
    solution = rltk.solve(gym.make("rltk/RussellNorvig4x3-v0"), gamma=1.0, method=method)
    printed = {0.812, 0.868, 0.918, 0.762, 0.660, 0.705, 0.655, 0.611, 0.388}

    assert solution.converged
    assert printed <= set(np.round(solution.value, 3).tolist())


@methods
def test_sutton_and_barto_5x5(method):
    """Figure 3.5's optimal values of the 5x5 grid of Example 3.5, gamma 0.9, to the printed decimal."""
    printed = [
        [22.0, 24.4, 22.0, 19.4, 17.5],
        [19.8, 22.0, 19.8, 17.8, 16.0],
        [17.8, 19.8, 17.8, 16.0, 14.4],
        [16.0, 17.8, 16.0, 14.4, 13.0],
        [14.4, 16.0, 14.4, 13.0, 11.7],
    ]
    solution = rltk.solve(gym.make("rltk/SuttonBarto5x5-v0"), gamma=0.9, method=method)

    assert solution.converged
    np.testing.assert_array_equal(np.round(solution.value, 1).reshape(5, 5), printed)


@total_methods
def test_sutton_and_barto_4x4(method):
    """Example 4.1: the shortest way to a corner; and Figure 4.1's values of the uniform random policy."""
    env = gym.make("rltk/SuttonBarto4x4-v0")
    solution = rltk.solve(env, gamma=1.0, method=method)
    rows, columns = np.divmod(np.arange(16), 4)

    assert solution.converged
    np.testing.assert_allclose(solution.value, -np.minimum(rows + columns, 6 - rows - columns), atol=1e-6)
    uniform = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]
    mdp = MDP.from_env(env)
    np.testing.assert_allclose(mdp.chain(mdp.uniform_policy()).value(1.0), uniform, atol=1e-9)


def test_rltk_s_own_classics_have_gymnasium_s_optimum():
    """The maps of rltk's FrozenLake, cliff and Taxi describe Gymnasium's environments: the same value at the start."""
    for own, theirs in (("FrozenLake-v0", "FrozenLake-v1"), ("CliffWalking-v0", CLIFF), ("Taxi-v0", TAXI)):
        for gamma in (0.95, 1.0):
            first, second = (rltk.solve(gym.make(name), gamma=gamma) for name in (f"rltk/{own}", theirs))

            assert first.start_value == pytest.approx(second.start_value, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rltk/FourRooms-v0", {}),
        ("rltk/FourRooms-v0", {"slip": 0.1}),
        ("rltk/Maze-v0", {"slip": 0.2}),
        ("rltk/FrozenLake8x8-v0", {}),
    ],
)
@pytest.mark.parametrize("method", ["value-iteration", "policy-iteration"])
def test_where_lingering_is_free_the_policy_still_takes_the_short_way(name, options, method):
    """At gamma 1 with no step cost every detour is optimal; the policy returned takes about as long as the one for
    gamma 0.999, and the best ending is its certified value (found in review: 10^10 steps, bounds wide open)."""
    env = gym.make(name, **options)
    solution = rltk.solve(env, gamma=1.0, method=method)
    nearly = rltk.solve(env, gamma=0.999)
    assert solution.converged
    assert solution.start_value == pytest.approx(1.0, abs=1e-6)
    length, usual = (s.mdp.over_start(s.mdp.chain(s.policy).length()) for s in (solution, nearly))
    assert length <= 1.1 * usual
