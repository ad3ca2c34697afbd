"""What every planner keeps, which each in `PLANNERS` enters by itself; and what wrong arguments are told."""

import json
from math import nan

import gymnasium as gym
import numpy as np
import pytest
from planning_reference import PLAIN as PLANNERS
from planning_reference import cases

import rltk
from rltk.agents.planning import PLANNERS as EVERY
from rltk.agents.planning import Planner, PolicyIteration, Solution, ValueIteration
from rltk.errors import ArgumentError, CriterionError, ModelError, RltkError, UnknownNameError
from rltk.mdp import MDP, Criterion

every_planner = pytest.mark.parametrize("name", PLANNERS)


@pytest.fixture(scope="module")
def lake():
    return gym.make("FrozenLake-v1")


@every_planner
def test_contract(name, lake):
    """The planner is named, documented, keyword-only past gamma, reports its progress and repeats itself."""
    planner_class = PLANNERS[name]
    mdp = MDP.from_env(lake)
    seen = []

    first = planner_class(0.99).solve(mdp, lambda sweeps, width: seen.append((sweeps, width)))
    again = planner_class(0.99).solve(mdp)

    assert issubclass(planner_class, Planner)
    assert planner_class.name == name.replace("-", " ")
    assert planner_class.__doc__
    assert isinstance(first, Solution)
    assert first.method == planner_class.name
    assert first.converged
    assert first.criterion == Criterion(0.99)
    assert first.sweeps >= 1
    assert first.seconds > 0
    assert [n for n, _ in seen] == sorted(n for n, _ in seen)
    for field in ("lower", "upper", "policy", "value", "q"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert first.lower.shape == first.upper.shape == first.policy.shape == first.value.shape == (16,)
    assert first.q.shape == (16, 4)
    assert (first.lower <= first.value).all()
    assert (first.value <= first.upper).all()
    with pytest.raises(TypeError):
        planner_class(0.99, Criterion(0.99))


@pytest.mark.parametrize("name", EVERY)
def test_every_planner_keeps_the_interface(name, lake):
    """Those of a horizon, the average and a regularised objective too: named, documented, reporting in order, the same
    answer twice, by name as by planner; a tolerance kept."""
    planner_class = EVERY[name]
    kind = planner_class.kinds[0]
    criterion = Criterion(0.9 if kind == "discounted" else 1.0, 100 if planner_class.takes_horizon else None, kind)
    seen = []
    first = planner_class(criterion=criterion).solve(MDP.from_env(lake), lambda sweeps, width: seen.append(sweeps))
    again = rltk.solve(lake, criterion=criterion, method=name)

    assert planner_class.name == name.replace("-", " ") == first.method
    assert planner_class.__doc__
    assert isinstance(first, planner_class.solution)
    assert first.criterion == criterion
    assert first.converged
    assert 0 <= first.policy_loss < 1e-4
    assert seen == sorted(seen)
    for field in ("lower", "upper", "policy", "value", "q"):
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    assert first.q.shape == (16, 4)
    assert rltk.evaluate(first, lake).exact
    with pytest.raises(TypeError):
        planner_class(0.9, criterion)


@every_planner
def test_solve_takes_a_name_or_a_planner(name, lake):
    """`rltk.solve(env, method=...)` by name and by planner give the same bounds; known ends are worth exactly 0."""
    by_name = rltk.solve(lake, gamma=0.9, method=name)
    by_planner = rltk.solve(lake, method=PLANNERS[name](0.9))

    np.testing.assert_array_equal(by_name.lower, by_planner.lower)
    assert by_name.value[15] == by_name.lower[15] == by_name.upper[15] == 0


@every_planner
def test_a_solution_is_an_agent(name, lake):
    """It acts on state indices as SB3's agents act on observations, and is worth what it says."""
    solution = rltk.solve(lake, gamma=0.99, method=name, tolerance=1e-10)

    assert solution.predict(0) == (int(solution.policy[0]), None)
    actions, state = solution.predict(np.arange(16), state="memory")
    np.testing.assert_array_equal(actions, solution.policy)
    assert state == "memory"
    assert solution.action_probabilities(np.arange(16)).sum() == 16
    result = rltk.evaluate(solution, lake)
    assert result.exact
    assert result.value == pytest.approx(0.5420259320, abs=1e-9)
    assert result.suboptimality <= solution.policy_loss + 1e-9
    for wrong in (16, -1, 0.5, np.array([0, 99])):
        with pytest.raises(ArgumentError, match="0 to 15"):
            solution.predict(wrong)


@pytest.mark.parametrize(
    ("error", "says", "call"),
    [
        (ArgumentError, "1.2", lambda env: rltk.solve(env, gamma=1.2)),
        (ArgumentError, "nan", lambda env: rltk.solve(env, gamma=nan)),
        (ArgumentError, "gamma", lambda env: rltk.solve(env, gamma="high")),
        (UnknownNameError, "value-iteration", lambda env: rltk.solve(env, method="value_iteration")),
        (UnknownNameError, "3", lambda env: rltk.solve(env, method=3)),
        (UnknownNameError, "ValueIteration", lambda env: rltk.solve(env, method=ValueIteration)),
        (UnknownNameError, "auto", lambda env: rltk.solve(env, method=["auto"])),
        (ArgumentError, r"gym\.make\('FrozenLake-v1'\)", lambda env: rltk.solve("FrozenLake-v1")),
        (ArgumentError, "dict", lambda env: rltk.solve({})),
        (ModelError, "P table", lambda env: rltk.solve(gym.make("CartPole-v1"))),
        (CriterionError, "average", lambda env: ValueIteration(criterion=Criterion(1.0, kind="average"))),
        (CriterionError, "10 steps", lambda env: ValueIteration(criterion=Criterion(1.0, horizon=10))),
        (CriterionError, "10 steps", lambda env: rltk.solve(env, criterion=Criterion(1.0, 10, "average"))),
        (CriterionError, "0.9", lambda env: rltk.solve(env, gamma=0.9, criterion=Criterion(0.99))),
        (CriterionError, "drop one", lambda env: rltk.solve(env, gamma=0.9, method=ValueIteration(0.99))),
        (
            CriterionError,
            "0.9",
            lambda env: rltk.solve(env, 0.9, criterion=Criterion(0.99), method=ValueIteration(0.99)),
        ),
        (ArgumentError, "criterion", lambda env: rltk.solve(env, criterion=0.99)),
        (ArgumentError, "tolerance", lambda env: rltk.solve(env, tolerance=0)),
        (ArgumentError, "tolerance", lambda env: rltk.solve(env, tolerance=nan)),
        (ArgumentError, "tolerance", lambda env: rltk.solve(env, tolerance=-1e-6)),
        (ArgumentError, "tolerance", lambda env: rltk.solve(env, tolerance="small")),
        (ArgumentError, "max_sweeps", lambda env: ValueIteration(max_sweeps=0)),
        (ArgumentError, "max_sweeps", lambda env: PolicyIteration(max_sweeps=2.5)),
        (ArgumentError, "max_sweeps", lambda env: PolicyIteration(max_sweeps=True)),
        (ArgumentError, r"rltk\.solve", lambda env: ValueIteration().solve(env)),
    ],
)
def test_wrong_arguments_are_told_what_and_how_to_mend(error, says, call, lake):
    """The project's own error types, naming the argument or what was found."""
    with pytest.raises(error, match=says) as caught:
        call(lake)
    assert isinstance(caught.value, RltkError)


def test_a_solution_of_another_tolerance_keeps_its_word(lake):
    """Smaller tolerances give nested bounds that are as narrow as was asked."""
    for name, gamma in cases(0.9, 1.0):
        for tolerance in (1e-2, 1e-5, 1e-8):
            solution = rltk.solve(lake, gamma=gamma, tolerance=tolerance, method=name)

            assert solution.converged
            assert solution.half_width <= tolerance
            assert json.loads(json.dumps(solution.start_bounds))[0] <= solution.start_value
