"""MCTS: both backends leave the same tree, its value finds the optimum, and it never beats it, for it sees no draws."""

import gymnasium as gym
import numpy as np
import pytest
from search_worlds import CountingEnv, coins, counting_value

import rltk
from rltk.agents.search import MCTS
from rltk.agents.search.tree import BY_WAY
from rltk.envs.tabular import TabularEnv


class Cheating(MCTS):
    """Sees the coming draws: every simulation meets what the environment will do, in a tree that tells ways apart."""

    def __init__(self, env, **options):
        super().__init__(env, **options)
        self.settings = self.settings._replace(sharing=BY_WAY)

    def _place(self, twin, origin):
        twin.set_state(origin, restore_rng=True)


def played(agent, env, episodes, gamma):
    """(episodes,) discounted returns of following `agent`."""
    returns = np.zeros(episodes)
    for episode in range(episodes):
        observation, _ = env.reset(seed=episode)
        discount, over = 1.0, False
        while not over:
            action, _ = agent.predict(observation)
            observation, reward, terminated, truncated, _ = env.step(action)
            returns[episode] += discount * reward
            discount *= gamma
            over = terminated or truncated
    return returns


def mean_and_error(returns):
    return returns.mean(), returns.std(ddof=1) / np.sqrt(returns.size)


@pytest.mark.parametrize("name", ["rltk/FrozenLake-v0", "rltk/Taxi-v0", "rltk/RussellNorvig4x3-v0"])
def test_both_backends_leave_the_same_tree(name):
    """On environments that obey the draw law the compiled and the stepping search agree to the last bit."""
    env = gym.make(name)
    env.reset(seed=1)
    value = np.linspace(-1, 1, env.unwrapped.mdp().n_states)
    policy = env.unwrapped.mdp().uniform_policy()
    for options in ({}, {"value": value}, {"rollout": policy}, {"max_depth": 3, "value": value}):
        settings = {"gamma": 0.9, "simulations": 100, "max_depth": 30, **options}
        agents = [MCTS(env, backend=backend, **settings) for backend in ("compiled", "gymnasium")]

        for deterministic in (True, False, False):
            arrays, stepped = (agent.search(deterministic=deterministic) for agent in agents)

            np.testing.assert_array_equal(arrays.visits, stepped.visits)
            np.testing.assert_array_equal(arrays.action_values, stepped.action_values)
            assert arrays.interval == stepped.interval
            assert (arrays.action, arrays.expanded) == (stepped.action, stepped.expanded)


def test_barred_actions_are_never_tried():
    """Only actions that the MDP has are counted, in the tree and in rollouts, by either backend."""

    def transition(state, action):
        return [] if action == state % 3 else [(1.0, state + 1, float(action), state == 5)]

    env = TabularEnv(rltk.MDP.from_function(transition, 0, 3))
    env.reset(seed=0)
    results = [MCTS(env, gamma=0.9, simulations=200, backend=name).search() for name in ("compiled", "gymnasium")]

    for result in results:
        assert result.visits[0] == 0
        assert result.action_values[0] == -np.inf
        assert result.action == 2
    np.testing.assert_array_equal(results[0].visits, results[1].visits)


def test_a_callable_value_and_rollout():
    """What a callable says of observations is what an array says of states."""
    env = gym.make("rltk/FrozenLake-v0")
    env.reset(seed=0)
    value = np.arange(16) / 16
    policy = np.zeros((16, 4))
    policy[:, 2] = 1.0
    common = {"gamma": 0.9, "simulations": 60, "max_depth": 20}
    pairs = [
        ({"value": value}, {"value": lambda seen: value[seen]}),
        ({"rollout": policy}, {"rollout": lambda seen: 2}),
    ]
    for array, function in pairs:
        one, two = MCTS(env, **common, **array), MCTS(env, **common, **function)
        assert (one.backend, two.backend) == ("compiled", "gymnasium")
        np.testing.assert_array_equal(one.search().action_values, two.search().action_values)


def test_the_value_at_the_root_finds_the_optimum():
    """Kocsis and Szepesvari (2006), theorem 6: the bias of the root's value vanishes as simulations grow."""
    env = gym.make("rltk/RussellNorvig4x3-v0")
    env.reset(seed=0)
    mdp = env.unwrapped.mdp()
    optimum = rltk.solve(mdp, gamma=0.8).value
    state = int(np.argmax(optimum))  # beside the goal
    errors = []
    for simulations in (30, 300, 3_000, 30_000):
        options = {"gamma": 0.8, "exploration": 0.5, "simulations": simulations}
        agents = (MCTS(env, seed=seed, **options) for seed in range(8))
        errors.append(np.mean([abs(agent.search(state).value - optimum[state]) for agent in agents]))

    assert errors[0] > errors[1] > errors[2] > errors[3]
    assert errors[3] < 0.015  # 0.009; from 0.2 at 30 simulations
    result = MCTS(env, **options).search(state)
    assert result.action == rltk.solve(mdp, gamma=0.8).policy[state]
    assert result.action_values.max() == pytest.approx(optimum[state], abs=0.01)


def test_the_interval_is_about_the_optimum_where_nothing_is_to_choose():
    """With one action, the returns are independent: 95% of the intervals hold the truth."""

    def transition(state, action):
        return [(0.5, state + 1, 1.0, state == 4), (0.5, state + 1, 0.0, state == 4)]

    env = TabularEnv(rltk.MDP.from_function(transition, 0, 1))
    env.reset(seed=0)
    held = 0
    for seed in range(400):
        result = MCTS(env, gamma=1.0, simulations=100, seed=seed).search()
        held += result.lower <= 2.5 <= result.upper

    assert 0.91 * 400 <= held <= 0.98 * 400


@pytest.mark.parametrize(("backend", "episodes"), [("compiled", 300), ("gymnasium", 150)])
def test_search_never_beats_the_optimum_at_guessing_coins(backend, episodes):
    """Nobody guesses more than half of the coins, unless the draws to come are seen."""
    env = TabularEnv(coins(6))
    agent = MCTS(env, gamma=1.0, simulations=16, max_depth=6, backend=backend)
    mean, error = mean_and_error(played(agent, env, episodes, 1.0))

    assert mean <= 3 + 3 * error
    assert mean >= 3 - 3 * error


def test_one_that_sees_the_draws_does_beat_it():
    """The test above can fail: restoring the random stream is cheating, and shows."""
    env = TabularEnv(coins(6))
    cheat = Cheating(env, gamma=1.0, simulations=16, max_depth=6, backend="gymnasium")
    mean, error = mean_and_error(played(cheat, env, 40, 1.0))

    assert mean > 3 + 5 * error
    assert mean > 5


def test_search_never_beats_the_optimum_on_the_lake():
    """FrozenLake, with the optimum itself to value leaves: good, and never better than it; a cheat is better."""
    env = gym.make("rltk/FrozenLake-v0", max_episode_steps=1_000)
    solution = rltk.solve(env, gamma=0.99)
    options = {"gamma": 0.99, "exploration": 0.3, "max_depth": 30, "value": solution.value}
    mean, error = mean_and_error(played(MCTS(env, simulations=300, **options), env, 100, 0.99))

    assert mean <= solution.start_value + 3 * error
    assert mean >= 0.4  # 0.53; acting at random is worth 0.015
    cheat = Cheating(env, simulations=150, backend="gymnasium", **options)
    mean, error = mean_and_error(played(cheat, env, 4, 0.99))
    assert mean > solution.start_value + 3 * error


def test_the_root_value_is_not_above_the_optimum():
    """What simulations earn is earned without foresight, so on average it is no more than the optimum."""
    env = gym.make("rltk/FrozenLake-v0")
    env.reset(seed=0)
    solution = rltk.solve(env, gamma=0.9)
    for state in (6, 10, 14):
        values = [MCTS(env, gamma=0.9, simulations=500, seed=seed).search(state) for seed in range(60)]
        mean, error = mean_and_error(np.array([result.value for result in values]))
        assert mean <= solution.value[state] + 3 * error


def test_a_world_without_bounds():
    """An environment that can't be enumerated is searched by stepping copies; it waits for the first good count."""
    env = CountingEnv()
    env.reset(seed=0)
    agent = MCTS(env, gamma=0.9, simulations=2_000, max_depth=60, exploration=0.3)

    assert agent.backend == "gymnasium"
    assert not agent.acts_on_states
    result = agent.search()
    assert result.action == 0
    assert 0.25 < result.value < counting_value(0.9) + 0.02  # what exploring loses on the way is counted
    agent = MCTS(env, gamma=0.9, simulations=300, max_depth=60, exploration=0.3)
    observation, info = env.reset(seed=1)
    before = env.get_state()
    for _ in range(100):
        action, _ = agent.predict(observation)
        assert env.get_state() == before
        observation, reward, terminated, _, info = env.step(action)
        before = env.get_state()
        if terminated:
            break
    assert reward == 1
    assert info["state"] % 3 == 0


def test_deterministic_prediction_follows_from_the_state_alone():
    """However often, and whatever came before, the same state gets the same action; without it the draws go on."""
    env = gym.make("rltk/FrozenLake-v0")
    env.reset(seed=0)
    agent = MCTS(env, gamma=0.9, simulations=8, max_depth=10)

    first = [agent.predict(0, deterministic=True)[0] for _ in range(10)]
    afresh = [agent.predict(0)[0] for _ in range(40)]

    assert first + [agent.predict(0, deterministic=True)[0]] == [first[0]] * 11
    assert len(set(afresh)) > 1


def test_gymnasiums_own_frozen_lake_is_followed():
    """An environment with a P table has no state to set, but its arrays are searched."""
    env = gym.make("FrozenLake-v1")
    observation, _ = env.reset(seed=0)
    agent = MCTS(env, gamma=0.99, simulations=20)
    for _ in range(5):
        observation, _, terminated, _, _ = env.step(agent.predict(observation)[0])
        if terminated:
            break
    assert agent.backend == "compiled"
    assert rltk.evaluate(agent, env).exact


@pytest.mark.parametrize(
    ("name", "limit", "episodes", "share"), [("FrozenLake-v1", 100, 25, 0.7), ("rltk/FourRooms-v0", 60, 2, 0.9)]
)
def test_a_thousand_simulations_play_near_the_optimum(name, limit, episodes, share):
    """With nothing set but the environment. With nodes told apart by way, FrozenLake came to 0.13 of its optimum."""
    env = gym.make(name, max_episode_steps=limit)
    returns = played(MCTS(env), env, episodes, 0.99)

    assert returns.mean() >= share * rltk.solve(env, gamma=0.99).start_value


def test_along_the_cliff():
    """Falling costs 100, and rollouts fall: the shortest way is found all the same, 13 steps of -1."""
    env = gym.make("CliffWalking-v1", max_episode_steps=40)

    assert played(MCTS(env, simulations=300), env, 1, 0.99) == pytest.approx(-(1 - 0.99**13) / 0.01)


def test_ways_to_a_state_are_one_node():
    """With a discount there are no more nodes than states that go on; at gamma 1 a node has its step as well."""
    env = gym.make("rltk/FrozenLake-v0")
    env.reset(seed=0)

    assert MCTS(env, gamma=0.99, simulations=2_000).search().expanded == 11
    assert MCTS(env, gamma=1.0, simulations=2_000).search().expanded > 11


def test_no_value_holds_itself_up_round_a_cycle():
    """One may wait for ever, for nothing, or gamble: a rollout that was lucky is not believed for ever."""

    def transition(state, action):
        if state == 0 or action == 0:
            return [(1.0, 1, 0.0, False)]
        return [(0.1, 1, 1.0, True), (0.9, 1, 0.0, True)]

    env = TabularEnv(rltk.MDP.from_function(transition, 0, 2))
    env.reset(seed=0)
    found = [MCTS(env, gamma=1.0, simulations=400, max_depth=50, seed=seed).search() for seed in range(60)]

    assert max(result.action_values.max() for result in found) < 0.6


def test_many_outcomes_make_room():
    """A walk over 400 states meets more links than there is room for at first, and goes on as if there had been."""
    rows = np.random.default_rng(0).integers(400, size=(400, 2, 30))

    def transition(state, action):
        return [(1 / 30, int(after), float(after == 7), False) for after in rows[state, action]]

    env = TabularEnv(rltk.MDP.from_function(transition, 0, 2))
    env.reset(seed=0)
    options = {"gamma": 0.99, "simulations": 500, "max_depth": 200, "exploration": 0.2}
    arrays, stepped = (MCTS(env, backend=backend, **options).search() for backend in ("compiled", "gymnasium"))

    assert arrays.visits.sum() >= 500  # the root is passed again
    np.testing.assert_array_equal(arrays.action_values, stepped.action_values)
    assert arrays.value == stepped.value
