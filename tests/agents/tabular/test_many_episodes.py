"""Many seeds, episode by episode: bit for bit the returns, lengths and tables of single learners."""

import gymnasium as gym
import numpy as np
import pytest

from rltk.agents.tabular import (
    LSPI,
    SARSA,
    TD,
    DoubleQLearning,
    LambdaReturn,
    MonteCarlo,
    MonteCarloExploringStarts,
    NStepTD,
    QLearning,
    learn_episodes,
)
from rltk.errors import ArgumentError, LearningError, SizeError
from rltk.runs import linear

WALK, CLIFF = "rltk/RandomWalk-v0", "rltk/CliffWalking-v0"

CASES = {
    "one step": (TD, WALK, {"gamma": 1.0}),
    "what waits in a window": (NStepTD, WALK, {"gamma": 1.0, "n": 8}),
    "whole episodes": (MonteCarlo, WALK, {"gamma": 1.0, "alpha": 0.05}),
    "returns of whole episodes": (LambdaReturn, WALK, {"gamma": 1.0, "lambda_": 0.9}),
    "an action chosen ahead": (SARSA, CLIFF, {"gamma": 1.0}),
    "two tables, truncated episodes": (DoubleQLearning, "rltk/RussellNorvig4x3-v0", {"epsilon": 1.0}),
    "episodes begun elsewhere": (MonteCarloExploringStarts, "rltk/RussellNorvig4x3-v0", {}),
}


@pytest.mark.parametrize("name", CASES)
def test_episodes_are_those_of_a_single_learner(name):
    """Every return and length, and the table at every checkpoint, 0 included, by several threads."""
    learner, env_id, options = CASES[name]
    seeds, ends = (7, 0, 123456789012345), (0, 1, 4, 9)
    many = learn_episodes(learner, gym.make(env_id), 12, seeds=seeds, checkpoints=ends, threads=2, **options)

    assert many.returns.shape == many.lengths.shape == (3, 12)
    assert many.checkpoints.tolist() == list(ends)
    for i, seed in enumerate(seeds):
        agent = learner(gym.make(env_id), seed=seed, **options)
        assert many.tables[i, 0].tobytes() == agent.table.tobytes()
        for e in range(12):
            agent.learn(int(many.lengths[i, e]))
            assert agent.episodes == e + 1
            assert agent._recent[-1] == (many.returns[i, e], many.lengths[i, e])
            if e + 1 in ends:
                assert many.tables[i, ends.index(e + 1)].tobytes() == agent.table.tobytes(), (seed, e)
    assert many.lengths[0].tolist() != many.lengths[1].tolist()


def test_the_last_table_is_kept_unless_asked_otherwise():
    """Checkpoints may stop before the episodes do; they are evenly spaced where only their number is given."""
    env = gym.make(WALK)
    whole = learn_episodes(TD, env, 6, seeds=70, threads=1)
    assert whole.checkpoints.tolist() == [6]
    half = learn_episodes(TD, env, 6, seeds=2, checkpoints=(3,))
    assert half.returns.tobytes() == whole.returns[:2].tobytes()
    assert learn_episodes(TD, env, 6, seeds=2, checkpoints=3).checkpoints.tolist() == [2, 4, 6]
    assert learn_episodes(TD, env, 3, seeds=2).tables.tobytes() == half.tables.tobytes()


def test_what_cannot_be_used_is_refused_by_name():
    """No time limit, schedules, methods without a kernel, seeds given twice; and what would not fit."""
    walk = gym.make(WALK)
    for found, learner, env, options in (
        ("no time limit", QLearning, gym.make(CLIFF, max_episode_steps=-1), {}),
        ("constant rates", TD, walk, {"alpha": linear(0.5, 0.1, 100)}),
        ("constant rates", QLearning, gym.make(CLIFF), {"epsilon": linear(0.5, 0.1, 100)}),
        ("LSPI does not run", LSPI, gym.make(CLIFF), {}),
        ("a class of learners", TD(walk), walk, {}),
        ("learn_episodes takes seeds=", TD, walk, {"seed": 3}),
        ("checkpoints", TD, walk, {"checkpoints": 7}),
        ("no option 'lamda'", TD, walk, {"lamda": 3}),
    ):
        with pytest.raises(ArgumentError, match=found):
            learn_episodes(learner, env, 5, **options)
    with pytest.raises(ArgumentError, match="episodes"):
        learn_episodes(TD, walk, 0)
    with pytest.raises(SizeError, match="Take fewer seeds"):
        learn_episodes(TD, walk, 10**7, seeds=10**6)


def test_what_overflows_stops_and_names_seed_and_episode():
    """An infinite reward in the walk's right end stops at the first episode that ends there."""
    env = gym.make(WALK, length=1, left_reward=0.0, right_reward=1e308)
    with pytest.raises(LearningError, match=r"seed \d+: TD: an update in episode \d+ is not finite"):
        learn_episodes(TD, env, 20, seeds=3, initial_value=-1e308, alpha=1.0)


def test_returns_are_not_discounted():
    """A walk's return is what its end pays, whatever gamma is."""
    many = learn_episodes(TD, gym.make(WALK, length=5, left_reward=0), 30, seeds=4, gamma=0.5)
    assert set(np.unique(many.returns)) == {0.0, 1.0}
