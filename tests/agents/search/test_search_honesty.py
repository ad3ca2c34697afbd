"""What a search promises of what it does not know: no draw to come, no lucky mean, no false heuristic, no old level."""

import random

import gymnasium as gym
import numpy as np
import pytest
from search_worlds import CountingEnv, coins, grid

import rltk
from rltk.agents.search import LRTDP, MCTS, LAOStar
from rltk.envs.tabular import TabularEnv
from rltk.errors import ArgumentError, MDPError, ModelError, SizeError

both = pytest.mark.parametrize("searcher", [LRTDP, LAOStar])


def lottery(actions, high=1.0, low=0.0):
    """One step; every action pays `high` or `low`, by a fair coin."""
    return rltk.MDP.from_function(lambda state, action: [(0.5, 0, high, True), (0.5, 0, low, True)], 0, actions)


def searches(mdp, gamma, seeds, **options):
    env = TabularEnv(mdp)
    env.reset(seed=0)
    return [MCTS(env, gamma=gamma, seed=seed, **options).search() for seed in range(seeds)]


@pytest.mark.parametrize("simulations", [5, 20, 100, 400])
@pytest.mark.parametrize(
    ("mdp", "optimum"), [(lottery(20), 0.5), (lottery(2, 1e9 + 1, 1e9), 1e9 + 0.5), (coins(6), 3.0)]
)
def test_the_value_is_no_lucky_mean(mdp, optimum, simulations):
    """Of 20 actions that are alike one looks best: its mean is too high, the value and its interval are not."""
    results = searches(mdp, 1.0, 200, simulations=simulations, max_depth=6)
    values = np.array([result.value for result in results])

    assert values.mean() - optimum <= 4 * values.std() / np.sqrt(200)
    assert np.mean([result.lower > optimum for result in results]) <= 0.06  # 0.025, and the luck of 200
    assert all(result.lower <= result.value <= result.upper for result in results)


@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_what_lies_beyond_the_depth_is_allowed_for(backend):
    """Losing 1 a step for ever is worth -100 at gamma 0.99, of which 99 is seen. At gamma 1 nothing bounds it."""
    mdp = rltk.MDP.from_function(lambda state, action: [(1.0, 0, -1.0, False)], 0, 1)

    (result,) = searches(mdp, 0.99, 1, simulations=20, backend=backend)
    assert -100.001 < result.lower <= -100 < result.value < -99
    (result,) = searches(mdp, 1.0, 1, simulations=20, max_depth=50, backend=backend)
    assert (result.lower, result.value) == (-np.inf, -50)
    assert "20 of 20 simulations were cut short" in result.note
    (result,) = searches(mdp, 1.0, 1, simulations=20, max_depth=50, value=np.array([-7.0]), backend=backend)
    assert -58 < result.lower <= -2
    assert not result.note


class Hoarder(CountingEnv):
    """Keeps random numbers of every kind of its own, deep down, seeded when it was built; a guess of the next pays."""

    def __init__(self, kind):
        super().__init__()
        made = {"new": np.random.default_rng(3), "old": np.random.RandomState(3), "plain": random.Random(3)}
        self.deep = {"down": [made[kind]]}
        self.board = np.zeros(1)

    def step(self, action):
        self.board += 1  # in place: what get_state handed out changes with it
        won = (self.deep["down"][0].random() < 0.5) == bool(action)
        return self._seen(), float(won), self.board[0] >= 6, False, {"state": int(self.board[0])}

    def reset(self, *, seed=None, options=None):
        seen = super().reset(seed=seed)
        self.board = np.zeros(1)
        return seen

    def get_state(self):
        return {"board": self.board}

    def set_state(self, state, restore_rng=False):
        self.board = state["board"]


@pytest.mark.parametrize("kind", ["new", "old", "plain"])
def test_hidden_random_numbers_are_not_foreseen(kind):
    """Whatever generator an environment holds, wherever: half of the guesses are right. And nothing in it changes."""
    env, wins = Hoarder(kind), 0.0
    for _ in range(40):
        observation, _ = env.reset()
        agent, over = MCTS(env, gamma=1.0, simulations=4, max_depth=6), False
        while not over:
            board = env.board.copy()
            action, _ = agent.predict(observation)
            np.testing.assert_array_equal(env.board, board)
            observation, reward, over, _, _ = env.step(action)
            wins += reward
    assert 95 <= wins <= 145  # of 240


class Restoring(CountingEnv):
    """Brings its random numbers back, asked or not."""

    def set_state(self, state, restore_rng=False):
        super().set_state(state, restore_rng=True)


def test_a_set_state_that_brings_back_the_draws_is_refused():
    """It would let the search see what is to come."""
    env = Restoring()
    env.reset(seed=0)
    with pytest.raises(ModelError, match="draws to come"):
        MCTS(env, simulations=10).search()


@both
def test_a_heuristic_that_is_too_low_is_told(searcher):
    """A policy worth more than the heuristic allows shows that it is not admissible."""
    env = gym.make("rltk/FrozenLake-v0")
    with pytest.raises(ArgumentError, match="not admissible"):
        searcher(env, gamma=0.9, heuristic=-5.0).search()
    with pytest.raises(ArgumentError, match="not admissible"):
        searcher(CountingEnv(), gamma=0.9, heuristic=-1.0).search(6)


@both
def test_successors_that_are_none_at_all(searcher):
    """Any iterable of outcomes will do, arrays too; anything else is told with its state and action."""

    class Given:
        n_actions = 1

        def __init__(self, outcomes):
            self.outcomes = outcomes

        def successors(self, state, action):
            return self.outcomes

    with pytest.raises(MDPError, match="state 0, action 0: successors gave 5"):
        searcher(Given(5), heuristic=1.0).search(0)
    assert searcher(Given(np.array([[1.0, 1.0, 0.5, 1.0]])), heuristic=1.0).search(0).converged


class Levels(TabularEnv):
    """Another level at each reset with a size in its options."""

    def reset(self, *, seed=None, options=None):
        if options:
            self.__init__(grid(options["size"]))
        return super().reset(seed=seed)


@both
def test_another_level_is_noticed(searcher):
    """Action probabilities are asked of the present level, as `predict` is."""
    env = Levels(grid(2))
    env.reset(seed=0)
    agent = searcher(env, gamma=0.9)
    assert agent.search().value == pytest.approx(-1.9)
    env.reset(options={"size": 4})

    assert agent.action_probabilities(np.arange(16)).shape == (16, 4)
    assert agent.search().value == pytest.approx(-(1 - 0.9**6) / 0.1)


@pytest.mark.parametrize("backend", ["compiled", "gymnasium"])
def test_arrays_for_another_level_are_refused(backend):
    """A value for 4 states says nothing of 16, and would be read past its end."""
    env = Levels(grid(2))
    env.reset(seed=0)
    agent = MCTS(env, simulations=10, value=np.zeros(4), backend=backend)
    agent.search()
    env.reset(options={"size": 4})
    with pytest.raises(ArgumentError, match="an array for 4 states"):
        agent.search()


def test_searches_that_do_not_fit_are_refused():
    """Before memory is taken, with the number."""
    env = gym.make("rltk/FrozenLake-v0")
    with pytest.raises(SizeError, match="GiB"):
        MCTS(env, simulations=10**12)
    with pytest.raises(SizeError, match="GiB"):
        MCTS(env, max_depth=10**12)
