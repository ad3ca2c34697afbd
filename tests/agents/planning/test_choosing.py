"""The automatic choice: which planner for which shape, and what happens where the first makes no headway."""

import numpy as np
import pytest
from planning_examples import random_graph, slippery_grid

from rltk import Criterion, solve
from rltk.agents.planning import choosing, solving
from rltk.agents.planning.choosing import Attempt, attempts
from rltk.agents.planning.structure.ordering import goal_first
from rltk.agents.planning.structure.patterns import find_patterns
from rltk.agents.planning.structure.shape import goes_round, shape_of
from rltk.errors import CriterionError
from rltk.mdp import MDP

OWN = np.arange(600)


def walk(reward, ends=False):
    """A chain of 600 states, numbered as they stand; its last state ends where `ends`."""
    moves = np.stack([np.maximum(OWN - 1, 0), np.minimum(OWN + 1, 599)], axis=1)
    return MDP.from_moves(moves, [[0.9, 0.1], [0.1, 0.9]], reward, OWN == 599 if ends else False)


def ageing():
    """A machine of 600 ages: keep it, and it ages by one or two, or replace it."""
    T, R = np.zeros((600, 2, 600)), np.stack([-OWN / 60, np.full(600, -50.0)], axis=1)
    T[OWN, 0, np.minimum(OWN + 1, 599)] += 0.7
    T[OWN, 0, np.minimum(OWN + 2, 599)] += 0.3
    T[:, 1, 0] = 1.0
    return MDP.from_arrays(T, R)


def cascade():
    """Ten layers of 60 states, each of which leads to three of the next, where the last ends."""
    draw = np.random.default_rng(2)

    def row(s, a):
        layer = s // 60
        targets = (layer + 1) * 60 + draw.integers(0, 60, 3)
        return [(1 / 3, int(t) if layer < 9 else 0, float(draw.random()), layer == 9) for t in targets]

    return MDP.from_table({s: {a: row(s, a) for a in range(4)} for s in range(600)})


def paying_grid(n=40):
    """An open grid in which every cell pays something else and nothing ends."""
    form = slippery_grid(n).form
    return MDP.from_moves(form.moves, form.noise, form.reward, False)


def goal_grid(n=25):
    form = slippery_grid(n).form
    goal = np.arange(n * n) == 3 * n + 7
    return MDP.from_moves(form.moves, form.noise, goal.astype(float), goal)


FIRST_CHOICES = {
    "goal grid": (goal_grid, ["gauss-seidel"]),
    "chain with a goal": (lambda: walk((OWN == 599) * 1.0, ends=True), ["gauss-seidel"]),
    "chain that pays": (lambda: walk(np.sin(OWN)), ["policy-iteration"]),
    "random graph": (lambda: random_graph(600), ["modified-policy-iteration"]),
    "cascade": (cascade, ["topological-value-iteration"]),
    "ageing machine": (ageing, ["gauss-seidel", "policy-iteration"]),
    "paying grid": (paying_grid, ["gauss-seidel", "inexact-policy-iteration"]),
}


@pytest.mark.parametrize("name", FIRST_CHOICES)
def test_the_shape_decides(name):
    make, methods = FIRST_CHOICES[name]
    assert [turn.method for turn in attempts(make(), Criterion(0.99))] == methods


@pytest.mark.parametrize("name", ["goal grid", "chain with a goal", "chain that pays", "paying grid"])
def test_both_storage_forms_have_the_same_shape(name):
    """The compact form holds every move of a cell, the rows only what is left when equal outcomes are merged."""
    mdp = FIRST_CHOICES[name][0]()
    compact, general = shape_of(mdp), shape_of(MDP(mdp.rows))
    assert compact._replace(successors=0) == general._replace(successors=0)


@pytest.mark.parametrize("name", FIRST_CHOICES)
def test_the_choice_gives_the_certified_optimum(name):
    """Within the bounds of policy iteration, whoever was chosen."""
    mdp = FIRST_CHOICES[name][0]()
    found, sure = solve(mdp, 0.99), solve(mdp, 0.99, method="policy-iteration", tolerance=1e-8)
    assert found.converged
    assert np.all(found.lower <= sure.upper)
    assert np.all(sure.lower <= found.upper)


def test_the_next_goes_on_where_the_first_makes_no_headway():
    """At gamma 0.999 values of a paying grid travel too far for two hundred sweeps: the answer is that of both."""
    seen = []
    found = solve(paying_grid(), 0.999, report=lambda sweeps, width: seen.append(sweeps))
    assert found.method == "gauss seidel, inexact policy iteration"
    assert found.converged
    assert found.sweeps > choosing.HEADWAY
    assert seen == sorted(seen)
    assert found.note == ""


def test_what_the_first_found_is_handed_on(monkeypatch):
    """From the values of a goal grid that Gauss-Seidel all but settled, plain sweeps need fewer than from nothing."""
    alone = solve(goal_grid(), 0.99, method="value-iteration")
    turns = [Attempt("gauss-seidel", 5), Attempt("value-iteration")]
    monkeypatch.setattr(solving, "attempts", lambda mdp, criterion: turns)
    both = solve(goal_grid(), 0.99)
    assert both.method == "gauss seidel, value iteration"
    assert both.converged
    assert both.sweeps < alone.sweeps


def test_a_world_without_cycles_is_told_from_one_with():
    assert not goes_round(cascade())
    assert goes_round(random_graph(600))
    assert goes_round(random_graph(600, ending=0.0))


def test_states_that_lead_to_themselves_end_a_walk_too():
    """A cascade whose last layer stays for ever, as in tables that know no endings."""
    mdp = cascade()
    T = np.zeros((601, 4, 601))
    for s in range(600):
        for a in range(4):
            for i in range(mdp.row_start[4 * s + a], mdp.row_start[4 * s + a + 1]):
                T[s, a, 600 if mdp.terminated[i] else mdp.next_state[i]] += mdp.probability[i]
    T[600, :, 600] = 1.0
    assert not goes_round(MDP.from_arrays(T, np.ones((601, 4))))


def test_where_arrows_have_a_direction_successors_come_first():
    """A machine that ages: older states stand before younger ones, but for the replacement, and few sweeps are left."""
    mdp = ageing()
    order, successors = goal_first(find_patterns(mdp), 32)
    place = order.place
    assert np.array_equal(np.sort(order.state), OWN)
    assert np.array_equal(order.state[place], OWN)
    assert (place[1:599] > place[2:600]).mean() > 0.95
    assert set(successors[place[5]]) == {place[6], place[7], place[0]}
    assert solve(mdp, 0.9, method="gauss-seidel").sweeps < 10


def test_the_long_run_average_of_a_horizon_is_refused():
    with pytest.raises(CriterionError, match="divide it"):
        attempts(goal_grid(), Criterion(1.0, horizon=5, kind="average"))
