"""LRTDP and LAO*: sound bounds, the optimum, and little looked at, on T and on successor functions."""

from fractions import Fraction
from math import inf

import gymnasium as gym
import numpy as np
import planning_reference as reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_worlds import CountingEnv, counting_value, distance, grid

import rltk
from rltk.agents.search import LRTDP, LAOStar
from rltk.errors import CriterionError

both = pytest.mark.parametrize("searcher", [LRTDP, LAOStar])


class Listed:
    """An MDP as a successor function over states that are no numbers."""

    def __init__(self, outcomes):
        self.outcomes = outcomes
        self.n_actions = 1 + max(max(actions) for actions in outcomes)

    def successors(self, state, action):
        return [(p, ("state", t), r, done) for p, t, r, done in self.outcomes[state[1]].get(action, ())]


def faults(searcher, outcomes, gamma, **options):
    """Everything that a searcher says and that is not so, in exact numbers."""
    mdp = reference.as_mdp(outcomes)
    stored = reference.stored(mdp)
    optimum, _ = reference.optimum_of(stored, gamma)
    agents = [(searcher(mdp, gamma=gamma, **options), lambda s: s)]
    top = float(max([0, *(b for b in optimum if abs(b) < inf)]))
    agents.append(
        (searcher(Listed(stored), gamma=gamma, heuristic=np.nextafter(top, inf), **options), lambda s: ("state", s))
    )
    found = []
    for agent, name in agents:
        for s, best in enumerate(optimum):
            result = agent.search(name(s))
            if not result.lower <= best <= result.upper:
                found.append(f"state {s}: {best} is not in {result.interval}")
            if best > -inf and not result.converged:
                found.append(f"state {s}: {best}, stopped at {result.interval}: {result.note}")
            if result.converged and result.note:
                found.append(f"state {s}: converged, but {result.note}")
            if not result.converged and not result.note:
                found.append(f"state {s}: not converged and no note")
        policy = [agent.predict(name(s))[0] for s in range(mdp.n_states)]
        worth = reference.value_of(stored, policy, gamma)
        for s, best in enumerate(optimum):
            if best > -inf and (worth[s] is None or best - worth[s] > Fraction(3e-6)):
                found.append(f"state {s}: the policy {policy} is worth {worth[s]}, the optimum {best}")
    return found


@both
@pytest.mark.parametrize("style", reference.STYLES)
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), gamma=st.sampled_from([0.0, 0.5, 0.9, 1]))
def test_bounds_hold_the_exact_optimum(searcher, style, seed, gamma):
    """Random MDPs with ends, barred actions and closed classes, as arrays and as a function, in exact fractions."""
    outcomes, _ = reference.random_mdp(seed, style)
    try:
        found = faults(searcher, outcomes, gamma, max_backups=20_000)
    except CriterionError:
        assert gamma == 1  # where steps pay there is no heuristic by default
    else:
        assert not found


@both
def test_the_checker_finds_what_is_not_so(searcher, monkeypatch):
    """Bounds moved inside the truth are found."""
    outcomes, _ = reference.random_mdp(3, "losses")
    assert not faults(searcher, outcomes, 0.9)
    search = searcher.search

    def shifted(self, state=None):
        result = search(self, state)
        object.__setattr__(result, "upper", result.lower - 1e-3)
        return result

    monkeypatch.setattr(searcher, "search", shifted)
    assert faults(searcher, outcomes, 0.9)


@both
@pytest.mark.parametrize("gamma", [0.95, 1.0])
@pytest.mark.parametrize(
    "name", ["rltk/FrozenLake-v0", "rltk/CliffWalking-v0", "rltk/RussellNorvig4x3-v0", "rltk/FourRooms-v0"]
)
def test_known_worlds(searcher, gamma, name):
    """The optimum over the start distribution is what `rltk.solve` certifies; FrozenLake at gamma 1 is 14/17."""
    env = gym.make(name)
    low, high = rltk.solve(env, gamma=gamma, tolerance=1e-8).start_bounds
    result = searcher(env, gamma=gamma).search()

    assert result.converged
    assert result.lower <= high
    assert result.upper >= low
    assert result.half_width <= 1e-6
    if gamma == 1 and name == "rltk/FrozenLake-v0":
        assert result.lower <= 14 / 17 <= result.upper


@both
def test_many_starts_are_one_distribution(searcher):
    """Taxi starts in 300 states; the bounds are of the mean."""
    env = gym.make("rltk/Taxi-v0")
    result = searcher(env, gamma=0.99).search()

    assert result.lower <= rltk.solve(env, gamma=0.99).start_value <= result.upper
    assert result.converged
    assert result.action is None
    assert result.state is None


@both
def test_little_is_looked_at_under_a_good_heuristic(searcher):
    """On an open 100 x 100 grid the distance to the goal leads straight there; without it everything is met."""
    mdp = grid(100)
    straight = searcher(mdp, gamma=1.0, heuristic=-distance(100)).search()
    by_function = searcher(mdp, gamma=1.0, heuristic=lambda state: -distance(100)[state]).search()

    assert straight.converged
    assert straight.lower <= -198 <= straight.upper
    assert straight.expanded < 600  # of 10,000
    assert by_function.interval == straight.interval
    assert by_function.expanded == straight.expanded
    blind = searcher(grid(20), gamma=1.0).search()
    assert blind.lower <= -38 <= blind.upper
    assert blind.expanded > 390  # of 400


@both
def test_a_slippery_grid(searcher):
    """Slips lead off the way: more is met, but what is far from it never."""
    mdp = grid(12, slip=0.1)
    options = {"gamma": 0.95, "heuristic": -(1 - 0.95 ** distance(12)) / 0.05}
    result = searcher(mdp, **options).search()
    optimum = rltk.solve(mdp, gamma=0.95, tolerance=1e-9).start_value

    assert result.lower - 1e-9 <= optimum <= result.upper + 1e-9
    assert result.converged


@both
def test_a_world_without_bounds(searcher):
    """States are met as they are needed: a count without an end is solved from where it starts."""
    env = CountingEnv()
    env.reset(seed=0)
    agent = searcher(env, gamma=0.9, heuristic=1.0)
    result = agent.search(1)

    assert result.converged
    assert result.lower - 1e-9 <= counting_value(0.9) <= result.upper + 1e-9
    assert result.action == 0
    assert agent.predict(6)[0] == 1
    assert agent.predict(7)[0] == 0
    assert result.expanded < 300


@both
def test_growing_past_the_first_room(searcher):
    """More states than the arrays were made for: they grow, and nothing is lost."""

    class Corridor:
        n_actions = 2

        def successors(self, state, action):
            return [(1.0, state + 1, -1.0, state == 1_499)] if action else [(1.0, max(state - 1, 0), -1.0, False)]

    result = searcher(Corridor(), gamma=1.0, heuristic=lambda state: float(state - 1_500)).search(0)

    assert result.converged
    assert result.lower <= -1_500 <= result.upper
    assert result.expanded == 1_500


@both
def test_what_was_found_is_remembered(searcher):
    """Along the way of a solved start nothing is searched again; beside it, it is."""
    mdp = grid(10)
    agent = searcher(mdp, gamma=1.0, heuristic=-distance(10))
    assert agent.search().backups > 0

    state, steps, before = 0, 0, agent._backups
    while state != 99:
        action, _ = agent.predict(state)
        (state,), _, _ = mdp.sample([state], [action], np.zeros(6, dtype=np.uint64))
        steps += 1
    assert steps == 18
    assert agent._backups == before
    agent.search(90)
    agent.predict(9)
    assert agent._backups > before


@both
def test_ties_that_go_round_are_left(searcher):
    """At gamma 1, where nothing is paid on the way, every cell is as good as the next: the policy still arrives."""
    env = gym.make("rltk/FourRooms-v0")
    result = rltk.evaluate(searcher(env, gamma=1.0), env)

    assert result.value == pytest.approx(1.0, abs=1e-6)
    assert np.isfinite(result.expected_length)


@both
def test_dead_ends_are_told(searcher):
    """Where only losing for ever is left, the bound from below is missing, and the note says what may be the matter."""
    trap = [{0: [(1.0, 1, -1.0, False)]}, {0: [(1.0, 1, -1.0, False)]}]
    mdp = rltk.MDP.from_table(dict(enumerate(trap)))
    result = searcher(mdp, gamma=1.0, max_backups=2_000).search(0)

    assert not result.converged
    assert result.lower == -inf
    assert "no policy surely ends" in result.note
    assert searcher(mdp, gamma=0.9).search(0).converged
    way_round = rltk.MDP.from_table(
        {0: {0: trap[0][0], 1: [(1.0, 2, -5.0, True)]}, 1: trap[1], 2: {0: [(1.0, 2, 0.0, True)]}}
    )
    result = searcher(way_round, gamma=1.0).search(0)
    assert result.converged
    assert result.lower <= -5 <= result.upper
    assert result.action == 1


@both
def test_a_search_that_is_cut_short_says_so(searcher):
    """Too few backups: bounds that hold, `converged` False, and how to mend it. A coarse epsilon likewise."""
    env = gym.make("rltk/FrozenLake-v0")
    optimum = rltk.solve(env, gamma=0.99).start_value

    few = searcher(env, gamma=0.99, max_backups=50).search()
    assert not few.converged
    assert few.lower <= optimum <= few.upper
    assert "max_backups" in few.note
    coarse = searcher(env, gamma=0.99, epsilon=0.1).search()
    assert not coarse.converged
    assert coarse.lower <= optimum <= coarse.upper
    assert "epsilon" in coarse.note


@both
def test_a_heuristic_where_steps_pay(searcher):
    """At gamma 1 steps may pay where somebody says how much can be had."""
    chain = rltk.MDP.from_table({0: {0: [(0.5, 0, 1.0, False), (0.5, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}})
    with pytest.raises(CriterionError, match="heuristic"):
        searcher(chain, gamma=1.0)
    result = searcher(chain, gamma=1.0, heuristic=10.0).search(0)
    assert result.converged
    assert result.lower <= 2 <= result.upper
