"""The best memoryless policy: known answers, every policy tried on small worlds, and real levels."""

from itertools import product

import gymnasium as gym
import mdp_reference as reference
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rltk
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError, CriterionError, ModelError
from rltk.evaluation import best_memoryless
from rltk.evaluation.alikeness import observation_classes
from rltk.evaluation.class_policies import ClassProblem
from rltk.evaluation.memoryless import WHOLE, settled
from rltk.mdp import MDP, Criterion


def world(T, R, start=None, terminated=None):
    return TabularEnv(MDP.from_arrays(np.array(T, float), np.array(R, float), start=start, terminated=terminated))


@pytest.fixture
def corridor():
    """Three squares that look alike; in the middle one left and right are exchanged (the short corridor)."""
    T = np.zeros((4, 2, 4))  # actions: left, right
    T[0, 0, 0] = T[0, 1, 1] = T[1, 0, 2] = T[1, 1, 0] = T[2, 0, 1] = T[2, 1, 3] = T[3, :, 3] = 1
    return world(T, -np.ones((4, 2)), [1, 0, 0, 0], [False, False, False, True])


def test_the_short_corridor_needs_chance(corridor):
    """Right with probability about 0.59 is best, at about -11.6 (Sutton and Barto 2018, Example 13.1)."""
    found = best_memoryless(corridor, 0.999999, classes=np.array([0, 0, 0, 1]))

    assert found.policy[0, 1] == pytest.approx(2 - np.sqrt(2), abs=0.01)
    assert found.value == pytest.approx(-(6 + 4 * np.sqrt(2)), abs=1e-2)  # -11.66
    assert found.deterministic_value < -1e5
    assert found.optimum == pytest.approx(-3, abs=1e-4)
    assert (found.policy[:3] == found.policy[0]).all()
    assert "chance" in str(found)


def test_two_states_that_look_alike(corridor):
    """Whoever is to alternate and can't tell where it stands gets -gamma/(1 - gamma) by fixed choices and 0 by chance,
    where the informed optimum is 1/(1 - gamma) (Singh, Jaakkola and Jordan 1994)."""
    T, gamma = np.zeros((2, 2, 2)), 0.9
    T[0, 0, 1] = T[0, 1, 0] = T[1, 0, 1] = T[1, 1, 0] = 1
    found = best_memoryless(world(T, [[1, -1], [-1, 1]]), gamma, classes=np.zeros(2, int))

    assert found.deterministic_value == pytest.approx(-gamma / (1 - gamma))
    assert found.value == pytest.approx(0, abs=1e-6)
    assert found.optimum == pytest.approx(1 / (1 - gamma))


@st.composite
def problems(draw, most_states=5):
    """(mdp, classes): a small random MDP with chance and ends, its states in classes drawn at random."""
    stream = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_states, n_actions = draw(st.integers(2, most_states)), draw(st.integers(2, 3))
    T = stream.dirichlet(np.full(n_states, 0.3), size=(n_states, n_actions))
    R = stream.normal(size=(n_states, n_actions))
    mdp = MDP.from_arrays(T, R, terminated=stream.random(n_states) < 0.2, start=stream.dirichlet(np.ones(n_states)))
    return mdp, np.unique(stream.integers(0, draw(st.integers(1, n_states)), n_states), return_inverse=True)[1]


def best_of_all(mdp, classes, gamma):
    """The best value from the start of all choices of an action for each class, by one equation a choice."""
    shape = mdp.n_states, mdp.n_actions, mdp.n_states
    going, row = np.zeros(shape), np.repeat(np.arange(mdp.available.size), np.diff(mdp.row_start))
    np.add.at(going.reshape(-1, mdp.n_states), (row, mdp.next_state), mdp.probability * ~mdp.terminated)
    choices = np.array(list(product(range(mdp.n_actions), repeat=classes.max() + 1)))[:, classes]  # (N, S)
    states = np.arange(mdp.n_states)
    equations = np.eye(mdp.n_states) - gamma * going[states, choices]  # (N, S, S)
    values = np.linalg.solve(equations, mdp.expected_reward()[states, choices][..., None])[..., 0]
    return (values @ mdp.start).max()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(problems(), st.sampled_from([0.0, 0.5, 0.95]))
def test_fixed_choices_against_every_one_there_is(problem, gamma):
    """On small worlds the best of all deterministic memoryless policies is found, and chance never does worse."""
    mdp, classes = problem
    found = best_memoryless(TabularEnv(mdp), gamma, classes=classes, restarts=8)

    assert found.deterministic_value == pytest.approx(best_of_all(mdp, classes, gamma), abs=1e-9)
    assert found.deterministic_value - 1e-9 <= found.value <= found.optimum + 1e-6
    assert found.value == pytest.approx(mdp.over_start(mdp.chain(found.policy).value(gamma)), abs=1e-9)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_no_class_alone_does_better(seed):
    """What single changes end with is a local optimum, from wherever they began."""
    stream = np.random.default_rng(seed)
    T, R = stream.dirichlet(np.full(12, 0.1), size=(12, 3)), stream.normal(size=(12, 3))
    problem = ClassProblem(MDP.from_arrays(T, R), np.arange(12) % 6, 0.95)
    begun = problem.evaluate(np.eye(3)[stream.integers(0, 3, 6)])
    end = settled(begun, WHOLE, stream)

    assert end.value >= begun.value
    assert sorted(np.unique(end.x)) == [0, 1]
    for c, a in product(range(6), range(3)):
        moved = end.x.copy()
        moved[c] = np.eye(3)[a]
        assert problem.evaluate(moved).value <= end.value + 1e-9


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from([0.0, 0.5, 0.95]), st.sampled_from([1.0, 0.5, 0.125]))
def test_the_gain_of_a_change_is_exact(problem, gamma, share):
    """What a class gains by moving alone equals the difference of two full evaluations, and what is passed over as
    unpromising gains nothing."""
    mdp, classes = problem
    seen = ClassProblem(mdp, classes, gamma)
    x = np.random.default_rng(0).dirichlet(np.ones(mdp.n_actions), size=seen.n_classes)
    point = seen.evaluate(x)
    assert point.value == pytest.approx(mdp.over_start(mdp.chain(x[classes]).value(gamma)), abs=1e-12)

    for c, a in product(range(seen.n_classes), range(mdp.n_actions)):
        moved = x.copy()
        moved[c] = (1 - share) * x[c] + share * np.eye(mdp.n_actions)[a]
        gain = seen.evaluate(moved).value - point.value
        assert point.gains(c, np.array([a]), np.array([share]))[0, 0] == pytest.approx(gain, abs=1e-11)
        if a not in point.promising(c):
            assert gain <= 1e-10


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_where_nothing_looks_alike_the_optimum_is_found(data):
    """Then a memoryless policy is any policy; actions that are not available are left alone."""
    outcomes, _ = data.draw(reference.mdps(max_states=4))
    env = TabularEnv(MDP.from_table(reference.as_table(outcomes)))
    found = best_memoryless(env, 0.875, restarts=3)

    assert found.n_classes == len(outcomes)
    assert found.value == pytest.approx(found.optimum, abs=1e-6)
    assert found.deterministic_value == found.value
    assert (found.policy[~env.mdp().available] == 0).all()


def test_a_level_seen_through_the_agents_window():
    """DoorKey-5x5, 260 states in 157 views: the policy is one for each view, and evaluates to what is said."""
    env = gym.make("rltk/MiniGrid-DoorKey-5x5-v0")
    env.reset(seed=0)
    found = best_memoryless(env, 0.99, restarts=4)

    assert (len(found.classes), found.n_classes) == (260, 157)
    for c in range(found.n_classes):
        assert (np.ptp(found.policy[found.classes == c], axis=0) == 0).all()
    graded = rltk.evaluate(found, env)
    assert graded.exact
    assert graded.value == pytest.approx(found.value, abs=1e-12)
    assert found.value <= graded.optimum + 1e-9


def test_a_world_where_the_sum_of_neighbours_is_all_that_is_seen():
    """The cheese maze (McCallum 1993): three corridors alike, their mouths alike. A memoryless mouse loses its way,
    and one that tosses no coins loses more of it."""
    T = np.zeros((11, 4, 11))  # north, east, south, west; 0-4 the upper row, 5-7 the middle of legs, 8-10 their ends
    north = {5: 0, 6: 2, 7: 4, 8: 5, 9: 6, 10: 7}
    ways = [north, {s: s + 1 for s in range(4)}, {v: k for k, v in north.items()}, {s + 1: s for s in range(4)}]
    for a, way in enumerate(ways):
        for s in range(11):
            T[s, a, way.get(s, s)] = 1
    looks = np.array([0, 1, 2, 1, 3, 4, 4, 4, 5, 6, 5])  # seven looks of eleven places
    start = np.array([1] * 9 + [0, 1]) / 10
    ends = np.arange(11) == 9
    env = world(T, -np.ones((11, 4)), start, ends)
    found = best_memoryless(env, 0.95, classes=looks, restarts=2)

    assert found.deterministic_value == pytest.approx(best_of_all(env.mdp(), looks, 0.95))
    assert found.deterministic_value < found.value < found.optimum - 0.1


def test_the_same_seed_gives_the_same_policy(corridor):
    """All that is drawn comes from one stream."""
    one, other = (best_memoryless(corridor, 0.9, restarts=5, seed=3, classes=np.zeros(4, int)) for _ in range(2))
    assert (one.policy == other.policy).all()
    assert one.value == other.value


class Blurred(gym.ObservationWrapper):
    """Shows half of the state's number."""

    stateless_observation = True

    def observation(self, observation):
        return {"half": np.array(observation // 2), "word": "wall"}


def test_what_looks_alike_is_read_from_what_is_shown():
    """Wrappers that observe from the state are heeded, text too; actions that are not available tell states apart."""
    outcomes = [{0: [(1.0, 1, 0.0, False)], 1: [(1.0, 2, 0.0, False)]} for _ in range(4)]
    del outcomes[3][1]
    env = Blurred(TabularEnv(MDP.from_table(reference.as_table(outcomes))))

    classes = observation_classes(env, env.unwrapped.mdp())
    assert len(set(classes)) == 3
    assert classes[0] == classes[1]
    plain = observation_classes(env.env, env.unwrapped.mdp())
    assert len(set(plain)) == 4


def test_a_level_in_its_own_words():
    """MiniGrid tells what looks alike by itself; read from the observations it is the same."""
    env = gym.make("rltk/MiniGrid-DoorKey-5x5-v0")
    env.reset(seed=1)

    class Same(gym.ObservationWrapper):
        stateless_observation = True

        def observation(self, observation):
            return observation

    mdp = env.unwrapped.mdp()
    told, read = observation_classes(env, mdp), observation_classes(Same(env), mdp)
    assert len(set(told)) == len(set(read)) == len(set(zip(told.tolist(), read.tolist(), strict=True)))


def test_bad_input_is_refused_in_words(corridor):
    """Criteria without a discount, worlds without a model, classes that fit no states."""
    with pytest.raises(CriterionError, match="gamma < 1"):
        best_memoryless(corridor, 1.0)
    with pytest.raises(CriterionError, match="horizon"):
        best_memoryless(corridor, Criterion(0.9, horizon=3))
    with pytest.raises(ModelError, match="valued by T and R"):
        best_memoryless(gym.make("CartPole-v1"), 0.9)
    with pytest.raises(ArgumentError, match="4 states"):
        best_memoryless(corridor, 0.9, classes=[0, 1])
    with pytest.raises(ArgumentError, match="restarts"):
        best_memoryless(corridor, 0.9, restarts=0)
    found = best_memoryless(corridor, 0.9, restarts=1)
    assert found.predict(0)[0] in (0, 1)
    with pytest.raises(ArgumentError, match="0 to 3"):
        found.predict(7)
