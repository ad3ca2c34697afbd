"""The automatic choice: which planner for which shape, and what happens where the first makes no headway."""

import time

import numpy as np
import pytest
import scipy.sparse as sp
from planning_examples import random_graph, slippery_grid

from rltk import Criterion, solve
from rltk.agents.planning import choosing, solving
from rltk.agents.planning.choosing import Attempt, attempts
from rltk.agents.planning.structure.ordering import goal_first
from rltk.agents.planning.structure.patterns import find_patterns
from rltk.agents.planning.structure.shape import goes_round, shape_of
from rltk.errors import CriterionError, SizeError
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


def forest():
    """Wait, and it grows by a year or burns down; cut it, and it is young again: only the oldest pays much."""
    T, R = np.zeros((600, 2, 600)), np.zeros((600, 2))
    T[OWN, 0, np.minimum(OWN + 1, 599)] += 0.9
    T[:, 0, 0] += 0.1
    T[:, 1, 0] = 1.0
    R[1:, 1], R[599] = 1.0, [4.0, 2.0]
    return MDP.from_arrays(T, R)


def option(n=40):
    """An American put: the price goes up or down until the day comes, or the owner exercises. No cycle, and narrow."""
    end = n * n

    def row(s, a):
        day, ups = divmod(s, n)
        if a or day == n - 1:
            return [(1.0, end, max(1 - np.exp(0.02 * (2 * ups - day)), 0.0) * a, True)]
        return [(0.5, (day + 1) * n + min(ups + up, n - 1), 0.0, False) for up in (0, 1)]

    table = {s: {a: row(s, a) for a in range(2)} for s in range(end)}
    return MDP.from_table(table | {end: {a: [(1.0, end, 0.0, True)] for a in range(2)}})


def wheel(n=2000, furthest=30):
    """A ring along which one goes some way ahead, never back; every state pays something else."""
    draw = np.random.default_rng(3)

    def row(s):
        return [(1 / 3, int(t) % n, float(draw.random()), False) for t in s + draw.choice(np.arange(1, furthest), 3)]

    return MDP.from_table({s: {a: row(s) for a in range(4)} for s in range(n)})


def race(n=2000):
    """Speeds 0 to 7 on a ring of n / 8 places: faster pays more, but too fast for the place is an accident."""
    place, speed = np.divmod(np.arange(n), 8)
    limit = np.random.default_rng(4).integers(2, 8, n // 8)
    T, R = [], np.zeros((n, 3))
    for a in range(3):
        new = np.clip(speed + a - 1, 0, 7)
        crash = new > limit[place]
        there = (place + np.where(crash, 0, new)) % (n // 8)
        columns = np.concatenate([there * 8 + np.where(crash, 0, new), there * 8 + np.where(crash, 0, speed)])
        rows, weight = np.tile(np.arange(n), 2), np.repeat([0.9, 0.1], n)
        T.append(sp.csr_array((weight, (rows, columns)), shape=(n, n)))
        R[:, a] = np.where(crash, -10.0, new)
    return MDP.from_arrays(T, R)


def gamble(n=5000):
    """Stake squares up to 100; the ends of a long walk are far away and few states pay."""
    capital, stake = np.arange(n + 1), np.arange(1, 11) ** 2
    able = np.minimum(stake, np.minimum(capital, n - capital)[:, None])
    over = (capital == 0) | (capital == n)
    T = [
        sp.csr_array((np.repeat([0.45, 0.55], n + 1), (np.tile(capital, 2), np.concatenate([up, down]))))
        for up, down in zip((capital[:, None] + able).T, (capital[:, None] - able).T, strict=True)
    ]
    R = 0.45 * ((capital[:, None] + able == n) & ~over[:, None])
    return MDP.from_arrays(T, R, terminated=over)


TURNS = ["gauss-seidel", "modified-policy-iteration", "gauss-seidel"]

FIRST_CHOICES = {
    "goal grid": (goal_grid, ["gauss-seidel"]),
    "chain with a goal": (lambda: walk((OWN == 599) * 1.0, ends=True), ["gauss-seidel"]),
    "chain that pays": (lambda: walk(np.sin(OWN)), ["policy-iteration"]),
    "random graph": (lambda: random_graph(600), ["modified-policy-iteration"]),
    "cascade": (cascade, ["topological-value-iteration"]),
    "ageing machine": (ageing, [*TURNS, "policy-iteration"]),
    "forest": (forest, [*TURNS, "policy-iteration"]),
    "race": (race, [*TURNS, "inexact-policy-iteration"]),
    "option": (option, ["topological-value-iteration"]),
    "wheel": (
        wheel,
        ["topological-value-iteration", "modified-policy-iteration", "inexact-policy-iteration"],
    ),
    "gamble": (gamble, ["gauss-seidel", "modified-policy-iteration", "inexact-policy-iteration"]),
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


def test_what_is_known_stays_where_the_next_does_not_fit(monkeypatch):
    """A later planner that is refused for its size leaves the answer of the one before, and a note."""

    def refused(*_):
        raise SizeError("the rows would take 9 TiB")

    monkeypatch.setattr(solving, "attempts", lambda *_: [Attempt("gauss-seidel", 5), Attempt("linear-programming")])
    monkeypatch.setattr(solving.PLANNERS["linear-programming"], "_solve", refused)
    found = solve(goal_grid(), 0.99)
    assert found.method == "gauss seidel"
    assert not found.converged
    assert "9 TiB" in found.note
    assert "linear programming was to go on" in found.note
    sure = solve(goal_grid(), 0.99, method="policy-iteration")
    assert np.all(found.lower <= sure.upper)
    assert np.all(sure.lower <= found.upper)


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


def test_a_directed_world_is_swept_as_a_whole():
    """Its order has no neighbourhoods: a window on its lowest places would settle them again and again in vain."""
    mdp = race(8000)
    order, _ = goal_first(find_patterns(mdp), 32)
    assert order.level_end.size > 100  # many times what a window of 32 levels, a block each, would hold
    assert np.all(order.level_end == order.level_end.size)
    assert solve(mdp, 0.9, method="gauss-seidel").sweeps < 60


def test_looking_at_a_dense_graph_takes_no_time():
    """Of a state that leads everywhere a few arrows are followed, not all of them back and forth."""
    n = 700
    T = np.full((n, 4, n), 1 / n)
    mdp = MDP.from_arrays(T, np.random.default_rng(0).random((n, 4)))
    shape_of(mdp)
    begin = time.process_time()
    shape_of(mdp)
    looked = time.process_time() - begin
    begin = time.process_time()
    mdp.backup(np.zeros(n), 0.9)
    assert looked < 20 * (time.process_time() - begin) + 0.01


def test_the_long_run_average_of_a_horizon_is_refused():
    with pytest.raises(CriterionError, match="divide it"):
        attempts(goal_grid(), Criterion(1.0, horizon=5, kind="average"))
