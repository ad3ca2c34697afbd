"""What every searcher keeps, which each in `SEARCHERS` enters by itself; and what wrong arguments are told."""

import copy
import inspect
import warnings

import gymnasium as gym
import numpy as np
import pytest
from search_worlds import CountingEnv, coins, grid

import rltk
from rltk.agents.search import LRTDP, MCTS, SEARCHERS, LAOStar, SearchResult, SuccessorModel
from rltk.envs.tabular import TabularEnv
from rltk.errors import ArgumentError, CriterionError, MDPError, ModelError, RltkError, SpaceError

every_searcher = pytest.mark.parametrize("name", SEARCHERS)
heuristic_searchers = pytest.mark.parametrize("searcher", [LRTDP, LAOStar])


@pytest.fixture
def lake():
    env = gym.make("rltk/FrozenLake-v0")
    env.reset(seed=0)
    return env


@every_searcher
def test_contract(name, lake):
    """The searcher is named, documented, found under `rltk.agents`, keyword-only past its env, and acts as SB3's do."""
    searcher = SEARCHERS[name]
    agent = searcher(lake, gamma=0.9)

    assert searcher.name == name.replace("-", " ")
    assert searcher.__doc__
    assert getattr(rltk.agents, searcher.__name__) is searcher
    assert list(inspect.signature(searcher.predict).parameters)[1:] == [
        "observation",
        "state",
        "episode_start",
        "deterministic",
    ]
    action, memory = agent.predict(0, state="memory", episode_start=np.array([True]), deterministic=True)
    assert type(action) is int
    assert lake.action_space.contains(action)
    assert memory == "memory"
    assert agent.env is lake
    assert agent.criterion == rltk.Criterion(0.9)
    result = agent.search()
    assert isinstance(result, SearchResult)
    assert result.method == searcher.name
    assert result.lower <= result.value <= result.upper
    assert result.interval == (result.lower, result.upper)
    assert result.action_values.shape == (4,)
    assert result.state == 0
    assert result.seconds > 0
    assert result.expanded > 1
    assert "gamma 0.9" in str(result)
    with pytest.raises(TypeError):
        searcher(lake, 0.9)


@every_searcher
def test_the_same_seed_gives_the_same_bits(name, lake):
    """Two agents of one seed find the same numbers and take the same actions; their own draws don't touch NumPy's."""
    first, again = (SEARCHERS[name](lake, gamma=0.95) for _ in range(2))
    np.random.seed(0)  # noqa: NPY002 (the global state is what must not be touched)
    before = np.random.get_state()[1].copy()  # noqa: NPY002

    one, two = first.search(), again.search()

    assert (one.value, one.lower, one.upper, one.action) == (two.value, two.lower, two.upper, two.action)
    np.testing.assert_array_equal(one.action_values, two.action_values)
    assert [first.predict(0)[0] for _ in range(5)] == [again.predict(0)[0] for _ in range(5)]
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize(("name", "backend"), [*((name, "auto") for name in SEARCHERS), ("mcts", "gymnasium")])
def test_the_environment_is_not_disturbed(name, backend, lake):
    """An episode goes bit for bit as it would have gone had nobody searched between its steps."""
    options = {"simulations": 20, "max_depth": 10, "backend": backend} if name == "mcts" else {}
    agent = SEARCHERS[name](lake, gamma=0.9, **options)
    twin = copy.deepcopy(lake)

    for _ in range(20):
        state = lake.unwrapped.get_state()
        agent.predict(int(state["state"]))
        agent.search()
        for key, value in lake.unwrapped.get_state().items():
            np.testing.assert_array_equal(value, state[key])
        step, other = lake.step(2), twin.step(2)
        assert step[:4] == other[:4]
        if step[2] or step[3]:
            assert lake.reset()[0] == twin.reset()[0]


@every_searcher
def test_agents_are_evaluated_exactly(name):
    """`rltk.evaluate` grades a searcher exactly: no better than the optimum, and by the policy that it follows."""
    env = gym.make("rltk/RussellNorvig4x3-v0")
    env.reset(seed=0)
    agent = SEARCHERS[name](env, gamma=0.99)

    result = rltk.evaluate(agent, env)

    assert result.exact
    assert result.value <= result.optimum_bounds[1] + 1e-12
    for state in range(env.unwrapped.mdp().n_states):
        env.unwrapped.set_state({**env.unwrapped.get_state(), "state": np.array(state)})
        assert result.policy[state, agent.predict(state, deterministic=True)[0]] == 1
    if name != "mcts":
        assert result.suboptimality < 1e-5


@every_searcher
def test_observations_other_than_the_index_are_followed(name):
    """Where coordinates are observed, the environment's own state is searched from; others are refused."""
    env = gym.make("rltk/FourRooms-v0", observation="coords")
    observation, info = env.reset(seed=0)
    agent = SEARCHERS[name](env, gamma=0.9, **({"simulations": 10} if name == "mcts" else {}))

    assert agent.predict(observation, deterministic=True) == agent.predict(info["state"], deterministic=True)
    with pytest.raises(ArgumentError, match="follows the environment"):
        agent.predict(observation + 1)


def test_evaluation_by_sampling(lake):
    """What draws afresh, and what is too large to be asked in every state, is sampled and says so."""
    agent = MCTS(lake, gamma=0.9, simulations=5, max_depth=5)
    assert "afresh" in rltk.evaluate(agent, lake, deterministic=False, episodes=3).reason
    many = MCTS(lake, gamma=0.9, simulations=1_000_000, max_depth=5)
    with pytest.raises(ModelError, match="16 states"):
        many.action_probabilities(np.arange(16))
    counting = CountingEnv()
    result = rltk.evaluate(MCTS(counting, gamma=0.9, simulations=30, max_depth=30), counting, episodes=5)
    assert not result.exact
    assert result.value > 0
    for searcher in (LRTDP, LAOStar):
        result = rltk.evaluate(searcher(counting, gamma=0.9, heuristic=1.0), counting, episodes=5)
        assert not result.exact
        assert result.value > 0


class Bare:
    """A successor model that is no environment."""

    n_actions = 1

    def __init__(self, outcomes):
        self.outcomes = outcomes

    def successors(self, state, action):
        return self.outcomes


class Gaining(gym.RewardWrapper):
    def reward(self, reward):
        return 2 * reward


class Deaf(CountingEnv):
    def set_state(self, state):
        self.count = state["count"]


CASES = [
    (ArgumentError, "simulations", lambda env: MCTS(env, simulations=0)),
    (ArgumentError, "simulations", lambda env: MCTS(env, simulations=2.5)),
    (ArgumentError, "max_depth", lambda env: MCTS(env, max_depth=True)),
    (ArgumentError, "exploration", lambda env: MCTS(env, exploration=-1)),
    (ArgumentError, "exploration", lambda env: MCTS(env, exploration=np.inf)),
    (ArgumentError, "gamma", lambda env: MCTS(env, gamma=1.5)),
    (ArgumentError, "seed", lambda env: MCTS(env, seed=-1)),
    (ArgumentError, "backend", lambda env: MCTS(env, backend="fast")),
    (ArgumentError, "callable", lambda env: MCTS(env, value=lambda seen: 0.0, backend="compiled")),
    (ArgumentError, "value", lambda env: MCTS(env, value=np.zeros(3))),
    (ArgumentError, "value", lambda env: MCTS(env, value="high")),
    (ArgumentError, "policy", lambda env: MCTS(env, rollout=np.zeros((16, 4)))),
    (ArgumentError, "MDP is not known", lambda env: MCTS(CountingEnv(), value=np.zeros(3))),
    (ArgumentError, "MDP is not known", lambda env: MCTS(CountingEnv(), backend="compiled")),
    (ArgumentError, "0 to 15", lambda env: MCTS(env).search(16)),
    (ArgumentError, "follows the environment", lambda env: MCTS(env).predict(3)),
    (ArgumentError, "never reset", lambda env: MCTS(gym.make("rltk/FrozenLake-v0")).predict(0)),
    (ArgumentError, "never reset", lambda env: MCTS(gym.make("FrozenLake-v1")).search()),
    (ArgumentError, "reset", lambda env: MCTS(TabularEnv(coins(2))).search()),
    (ArgumentError, "leave out state", lambda env: MCTS(env, backend="gymnasium").search(0)),
    (ModelError, "restore_rng", lambda env: MCTS(Deaf())),
    (ModelError, "get_state", lambda env: MCTS(gym.make("CartPole-v1"))),
    (ModelError, "Gaining", lambda env: MCTS(Gaining(env))),
    (ModelError, "Gaining", lambda env: LRTDP(Gaining(env))),
    (SpaceError, "vector", lambda env: MCTS(gym.make_vec("rltk/FrozenLake-v0", num_envs=2))),
    (SpaceError, "Discrete", lambda env: MCTS(gym.make("Pendulum-v1"))),
    (SpaceError, "not str", lambda env: MCTS("FrozenLake-v1")),
    (ModelError, "successors", lambda env: LRTDP("FrozenLake-v1")),
    (ModelError, "successors", lambda env: LRTDP(gym.make("CartPole-v1"))),
    (ArgumentError, "tolerance", lambda env: LRTDP(env, tolerance=0)),
    (ArgumentError, "epsilon", lambda env: LAOStar(env, epsilon=-1)),
    (ArgumentError, "max_backups", lambda env: LRTDP(env, max_backups=0)),
    (ArgumentError, "seed", lambda env: LRTDP(env, seed="one")),
    (TypeError, "simulations", lambda env: LRTDP(env, simulations=3)),
    (ArgumentError, "heuristic", lambda env: LRTDP(env, heuristic="high")),
    (ArgumentError, "heuristic", lambda env: LRTDP(env, heuristic=np.zeros(3))),
    (ArgumentError, "heuristic", lambda env: LRTDP(env, heuristic=np.inf)),
    (ArgumentError, "heuristic", lambda env: LRTDP(env, heuristic=lambda state: np.nan).search()),
    (ArgumentError, "heuristic", lambda env: LAOStar(CountingEnv())),
    (ArgumentError, "state=", lambda env: LAOStar(CountingEnv(), heuristic=1.0).search()),
    (ArgumentError, "hashable", lambda env: LAOStar(CountingEnv(), heuristic=1.0).search([1])),
    (ArgumentError, "0 to 15", lambda env: LRTDP(env).search(16)),
    (ArgumentError, "0 to 15", lambda env: LRTDP(env).predict(-1)),
    (ArgumentError, "0 to 15", lambda env: LAOStar(env.unwrapped.mdp()).predict(0.5)),
    (CriterionError, "a step pays 1", lambda env: LRTDP(grid(3, step=1.0), gamma=1.0)),
    (MDPError, "sum to 0.5", lambda env: LRTDP(Bare([(0.5, 0, 0.0, True)]), heuristic=0).search(0)),
    (MDPError, "expected", lambda env: LRTDP(Bare([(1.0, 0, 0.0)]), heuristic=0).search(0)),
    (MDPError, "finite", lambda env: LRTDP(Bare([(1.0, 0, np.nan, True)]), heuristic=0).search(0)),
    (MDPError, "no action", lambda env: LRTDP(Bare([]), heuristic=0).search(0)),
]


@pytest.mark.parametrize(("error", "says", "call"), CASES)
def test_wrong_arguments_are_told_what_and_how_to_mend(error, says, call, lake):
    """The project's own error types, naming the argument or what was found."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium warns of some of these environments first
        with pytest.raises(error, match=says) as caught:
            call(lake)
    assert isinstance(caught.value, RltkError) or error is TypeError


def test_a_successor_model_is_a_small_protocol():
    """An environment or any object with `n_actions` and `successors` is one."""
    assert isinstance(CountingEnv(), SuccessorModel)
    assert isinstance(Bare([]), SuccessorModel)
    assert not isinstance(coins(2), SuccessorModel)


@heuristic_searchers
def test_an_action_space_may_begin_anywhere(searcher):
    """Actions are handed out as the environment numbers them."""
    env = TabularEnv(coins(2))
    env.action_space = gym.spaces.Discrete(2, start=5)
    env.reset(seed=0)
    assert searcher(env, gamma=0.9).predict(0)[0] in (5, 6)
