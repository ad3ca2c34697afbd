"""Many seeds at once: bit for bit the tables of single learners; and the exact curves that are made of them."""

import re

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.agents.tabular import (
    LSPI,
    TD,
    UCB,
    DoubleQLearning,
    LinearSARSA,
    MonteCarloControl,
    PrioritisedDynaQ,
    QLearning,
    Softmax,
    learn_many,
)
from rltk.envs.tabular import TabularEnv
from rltk.errors import ArgumentError, LearningError, ModelError, SizeError
from rltk.evaluation import regret_curves, suboptimality_curves
from rltk.evaluation.statistics import curve_interval
from rltk.mdp import MDP
from rltk.runs import linear

WORLD = "rltk/RussellNorvig4x3-v0"  # whose steps all cost something

CASES = {
    "q-learning, schedules": (QLearning, WORLD, {"alpha": linear(0.5, 0.1, 500), "epsilon": linear(1.0, 0.1, 400)}),
    "two tables": (DoubleQLearning, WORLD, {}),
    "counts": (QLearning, WORLD, {"exploration": UCB(1.0)}),
    "state values": (TD, "rltk/RandomWalk-v0", {"gamma": 1.0}),
    "whole episodes": (MonteCarloControl, WORLD, {"truncated": "bootstrap"}),
    "weights that look ahead": (
        LinearSARSA,
        "rltk/CliffWalking-v0",
        {"features": np.random.default_rng(0).normal(size=(48, 3))},
    ),
    "a queue": (PrioritisedDynaQ, WORLD, {"n": 3}),
    "no kernel of its own": (LSPI, WORLD, {"every": 200}),
    "in the stepping loop": (QLearning, WORLD, {"backend": "gymnasium"}),
}


@pytest.mark.parametrize("name", CASES)
def test_each_table_is_that_of_a_single_learner(name):
    """At every checkpoint, 0 included, for seeds that need not follow each other, and by several threads: the same
    bits, and the same number of episodes, that one learner with that seed has at that timestep."""
    learner, env_id, options = CASES[name]
    seeds, checkpoints = (7, 0, 123456789012345, 3), (0, 1, 257, 500, 900)
    many = learn_many(learner, gym.make(env_id), 900, seeds=seeds, checkpoints=checkpoints, threads=3, **options)

    assert many.timesteps.tolist() == list(checkpoints)
    assert many.tables.dtype == np.float64
    for i, seed in enumerate(seeds):
        agent = learner(gym.make(env_id), seed=seed, **options)
        for k, timestep in enumerate(checkpoints):
            if timestep:
                agent.learn(timestep - agent.timestep)
            assert many.tables[i, k].tobytes() == agent.table.tobytes(), (seed, timestep)
            assert many.episodes[i, k] == agent.episodes
    assert many.tables[0, -1].tobytes() != many.tables[1, -1].tobytes()


def test_noise_on_rewards_and_barred_actions():
    """The same where rewards are drawn, too, and some actions are barred."""
    options = {"alpha": 0.2, "epsilon": 0.5}
    many = learn_many(QLearning, gym.make("rltk/MaximizationBias-v0"), 600, seeds=3, checkpoints=2, **options)
    for seed in range(3):
        agent = QLearning(gym.make("rltk/MaximizationBias-v0"), seed=seed, **options).learn(600)
        assert many.tables[seed, -1].tobytes() == agent.table.tobytes()


def test_threads_change_no_bit():
    """Nor does the number of seeds beside one."""
    runs = [
        learn_many(QLearning, gym.make(WORLD), 300, seeds=n, checkpoints=3, threads=t) for n, t in ((70, 1), (130, 4))
    ]
    assert runs[0].tables.tobytes() == runs[1].tables[:70].tobytes()
    assert runs[0].timesteps.tolist() == [100, 200, 300]


def test_the_environment_is_left_alone():
    """Whoever plays in it finds the episode where it was."""
    env = gym.make(WORLD)
    env.reset(seed=4)
    env.step(1)
    before = env.unwrapped.get_state()
    learn_many(QLearning, env, 100, seeds=3, checkpoints=2)

    after = env.unwrapped.get_state()
    assert all((before[name] == after[name]).all() for name in before)


def test_policies_are_those_of_the_learner():
    """`greedy` and `behaviour` are what the single learner's `action_probabilities` say, at the rate of the time."""
    options = {"epsilon": linear(1.0, 0.0, 500), "gamma": 0.9}
    many = learn_many(QLearning, gym.make(WORLD), 500, seeds=2, checkpoints=(0, 250, 500), **options)
    greedy, behaviour = many.greedy(), many.behaviour()
    agent = QLearning(gym.make(WORLD), seed=1, **options)
    for k, timestep in enumerate(many.timesteps.tolist()):
        if timestep:
            agent.learn(timestep - agent.timestep)
        assert (greedy[1, k] == agent.action_probabilities(np.arange(11)).argmax(axis=1)).all()
        assert (behaviour[1, k] == agent.action_probabilities(np.arange(11), deterministic=False)).all()
    assert (behaviour[:, 0] == 0.25).all()
    assert many.agent.timestep == 0
    assert not many.agent.table.any()


def test_behaviour_by_counts_is_not_in_the_table():
    """UCB's behaviour depends on how often actions were tried; it is refused, the greedy policy is not."""
    many = learn_many(QLearning, gym.make(WORLD), 100, seeds=2, checkpoints=1, exploration=UCB(1.0))
    assert many.greedy().shape == (2, 1, 11)
    with pytest.raises(ArgumentError, match="ucb behaves by its counts"):
        many.behaviour()


def test_a_fault_names_seed_and_step():
    """A reward of 1e308 for ever, undiscounted, overflows in the second update of every seed."""
    env = TabularEnv(MDP.from_table({0: {0: [(1.0, 0, 1e308, False)]}}))
    for backend in ("compiled", "gymnasium"):
        with pytest.raises(LearningError, match=r"seed 5: .*update of step 2 is not finite"):
            learn_many(QLearning, env, 10, seeds=[5], checkpoints=2, gamma=1.0, alpha=1.0, backend=backend)


def test_what_does_not_fit_is_refused_beforehand():
    """A million seeds with a thousand tables of 352 bytes are a third of a terabyte: the message says so, at once."""
    with pytest.raises(
        SizeError, match=r"the 1,000,000,000 tables of 1,000,000 seeds at 1,000 checkpoints would take 33"
    ):
        learn_many(QLearning, gym.make(WORLD), 1000, seeds=1_000_000, checkpoints=1000)


def test_a_progress_bar_can_be_shown():
    """It changes nothing."""
    shown = learn_many(QLearning, gym.make(WORLD), 100, seeds=3, checkpoints=1, progress_bar=True)
    assert (
        shown.tables.tobytes() == learn_many(QLearning, gym.make(WORLD), 100, seeds=3, checkpoints=1).tables.tobytes()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learner": "q-learning"}, "learner: a class of learners, such as QLearning"),
        ({"seed": 3}, "seed: learn_many takes seeds=, one or several; found seed=3"),
        ({"seeds": 0}, "seeds is a whole number, at least 1; it is 0"),
        ({"seeds": [1, 1]}, "seeds: at least one, each of them once"),
        ({"seeds": []}, "seeds: at least one"),
        ({"seeds": [-1]}, "one of seeds is a whole number, at least 0; it is -1"),
        ({"seeds": "many"}, "seeds: how many, or which, were expected; found 'many'"),
        ({"checkpoints": 101}, "checkpoints: at most one a step, 100; found 101"),
        ({"checkpoints": [3, 3]}, "checkpoints: rising timesteps of at most 100; found [3, 3]"),
        ({"checkpoints": [50, 101]}, "checkpoints: rising timesteps of at most 100"),
        ({"checkpoints": None}, "checkpoints: how many, or at which timesteps, were expected; found None"),
        ({"total_timesteps": 0}, "total_timesteps is a whole number, at least 1; it is 0"),
        ({"threads": 0}, "threads is a positive whole number"),
        ({"beta": 0.1}, "QLearning has no option 'beta'"),
    ],
)
def test_arguments_that_can_not_be_used(options, message):
    """Each says what was expected."""
    arguments = {"learner": QLearning, "env": gym.make(WORLD), "total_timesteps": 100, "seeds": 2, "checkpoints": 2}
    with pytest.raises(ArgumentError, match=re.escape(message)):
        learn_many(**{**arguments, **options})


# Curves


def test_suboptimality_is_what_evaluate_says():
    """Of actions and of probabilities, seed by seed and checkpoint by checkpoint."""
    env = gym.make(WORLD)
    many = learn_many(QLearning, env, 3000, seeds=3, checkpoints=4, gamma=0.9, alpha=0.3, exploration=Softmax(0.1))
    losses = suboptimality_curves(many.greedy(), env, many.agent.criterion)
    behaved = suboptimality_curves(many.behaviour(), env.unwrapped.mdp(), 0.9)
    assert losses.shape == behaved.shape == (3, 4)
    agent = QLearning(env, gamma=0.9, alpha=0.3, exploration=Softmax(0.1), seed=2)
    for k, timestep in enumerate(many.timesteps.tolist()):
        agent.learn(timestep - agent.timestep)
        assert losses[2, k] == pytest.approx(rltk.evaluate(agent, env).suboptimality, abs=1e-13)
        assert behaved[2, k] == pytest.approx(rltk.evaluate(agent, env, deterministic=False).suboptimality, abs=1e-13)
    estimate = curve_interval(losses)
    assert estimate.value.shape == (4,)


def test_the_regret_of_behaviour_is_what_episodes_lose():
    """Behaviour that never changes loses V* - V^behaviour with each of its episodes."""
    table = {
        0: {0: [(0.5, 1, 1.0, False), (0.5, 0, -1.0, True)], 1: [(1.0, 1, 0.25, False)]},
        1: {0: [(1.0, 0, 0.5, True)], 1: [(0.75, 0, 1.0, True), (0.25, 1, 0.0, True)]},
    }
    env = TabularEnv(MDP.from_table(table, start=[1.0, 0.0]))
    many = learn_many(QLearning, env, 200, seeds=4, checkpoints=(0, 50, 200), gamma=1.0, epsilon=1.0)
    losses = suboptimality_curves(many.behaviour(), env, 1.0)
    regret = regret_curves(losses, many.episodes)
    mdp = env.mdp()
    loss = rltk.solve(mdp, gamma=1.0).value[0] - mdp.chain(mdp.uniform_policy()).value(1.0)[0]

    np.testing.assert_allclose(losses, loss, rtol=1e-7)
    np.testing.assert_allclose(regret, loss * many.episodes, rtol=1e-7)


def test_regret_is_the_area_under_the_curve():
    """By hand: trapezia between checkpoints, and a rectangle before the first; counts of each run or of all."""
    losses = np.array([[4.0, 2.0, 0.0], [1.0, 1.0, 3.0]])
    expected = [[40.0, 100.0, 110.0], [10.0, 30.0, 50.0]]

    assert regret_curves(losses, [10, 30, 40]).tolist() == expected
    assert regret_curves(losses, [[10, 30, 40], [10, 30, 40]]).tolist() == expected
    assert regret_curves(losses, [0, 20, 30])[0].tolist() == [0.0, 60.0, 70.0]
    assert regret_curves([[np.inf, 1.0]], [0, 0]).tolist() == [[0.0, 0.0]]  # no episode has lost anything yet


def test_policies_that_never_end_lose_infinitely_much():
    """At gamma = 1, where each step costs, the policy that walks against the wall never ends."""
    env = gym.make("rltk/SuttonBarto4x4-v0")
    mdp = env.unwrapped.mdp()
    still = np.zeros(mdp.n_states, dtype=int)
    losses = suboptimality_curves(np.stack([still, rltk.solve(mdp, gamma=1.0).policy]), env, 1.0)

    assert losses[0] == np.inf
    assert losses[1] == pytest.approx(0.0, abs=1e-6)


def test_curves_that_can_not_be_made():
    """No T and R, policies of another world, counts that fall."""
    with pytest.raises(ModelError, match="exact curves need T and R"):
        suboptimality_curves(np.zeros((1, 1, 4), dtype=int), gym.make("CartPole-v1"), 0.9)
    with pytest.raises(SizeError, match=re.escape("(..., 11) actions or (..., 11, 4) probabilities")):
        suboptimality_curves(np.zeros((2, 3, 15), dtype=int), gym.make(WORLD), 0.9)
    with pytest.raises(ArgumentError, match="never falls"):
        regret_curves(np.ones((1, 2)), [5, 4])
    with pytest.raises(SizeError, match="counts: one for each loss"):
        regret_curves(np.ones((1, 2)), [5, 6, 7])


def test_curves_of_what_is_no_numbers():
    """Words, rows of different lengths, a single loss, counts without an end."""
    env = gym.make("rltk/FrozenLake-v0")
    with pytest.raises(ArgumentError, match="policies: an array of actions or probabilities"):
        suboptimality_curves([[1], [2, 3]], env, 0.9)
    with pytest.raises(ArgumentError, match="losses: an array of numbers"):
        regret_curves(["a"], [1])
    with pytest.raises(ArgumentError, match="counts: an array of numbers"):
        regret_curves([1.0], ["a"])
    with pytest.raises(SizeError, match="losses: "):
        regret_curves(1.0, 2)
    with pytest.raises(ArgumentError, match="counts: how many"):
        regret_curves([1.0, 2.0], [np.inf, np.inf])
