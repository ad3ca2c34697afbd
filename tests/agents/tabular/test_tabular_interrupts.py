"""What breaks learning off: Ctrl-C, an environment's own error, a clock that says that everything is slow."""

import signal

import gymnasium as gym
import numpy as np
import pytest

from rltk.agents import SARSA, TD, BatchTD, QLearning
from rltk.agents.tabular import learner as learner_module
from rltk.errors import LearningError


class Breaking(gym.Wrapper):
    """At one of its steps something happens."""

    def __init__(self, env, step, happens):
        super().__init__(env)
        self.left, self.happens = step, happens

    def step(self, action):
        self.left -= 1
        if self.left == 0:
            self.happens()
        return self.env.step(action)


def lake():
    return gym.make("FrozenLake-v1")


@pytest.mark.parametrize("learner", [QLearning, SARSA, TD, BatchTD], ids=lambda cls: cls.name)
@pytest.mark.parametrize("step", [1, 37, 250])
def test_ctrl_c_leaves_whole_pieces(learner, step):
    """KeyboardInterrupt is raised, and learning goes on from there to the very table of a run without it."""
    agent = learner(Breaking(lake(), step, lambda: signal.raise_signal(signal.SIGINT)), seed=3)
    with pytest.raises(KeyboardInterrupt):
        agent.learn(1000)
    done = agent.timestep
    assert step <= done < 1000
    half = learner(lake(), seed=3).learn(done)
    assert (agent.table == half.table).all()
    assert (agent.learn(1000 - done).table == half.learn(1000 - done).table).all()


def test_an_error_of_the_environment_is_told_for_good(tmp_path):
    """The table is ahead of its counters then: neither learning nor saving goes on from there; loading does."""

    def breaks():
        raise OSError("the robot fell over")

    agent = QLearning(Breaking(lake(), 50, breaks), seed=0)
    agent.save(tmp_path / "before")
    with pytest.raises(OSError, match="fell over"):
        agent.learn(1000)
    for again in (lambda: agent.learn(1), agent.state, lambda: agent.save(tmp_path / "after")):
        with pytest.raises(LearningError, match=r"broke off in the steps after 0 \(OSError\)(.|\n)*earlier checkpoint"):
            again()
    assert (QLearning.load(tmp_path / "before", lake()).learn(500).q == QLearning(lake(), seed=0).learn(500).q).all()


def test_a_reset_that_is_broken_off_begins_nothing():
    """The next call resets."""

    class Stuck(gym.Wrapper):
        tries = 0

        def reset(self, **options):
            Stuck.tries += 1
            if Stuck.tries == 1:
                raise OSError("not yet")
            return self.env.reset(**options)

    agent = QLearning(Stuck(lake()), seed=1)
    with pytest.raises(OSError, match="not yet"):
        agent.learn(100)
    agent.learn(100)
    assert agent.timestep == 100


@pytest.mark.parametrize("learner", [BatchTD, QLearning], ids=lambda cls: cls.name)
@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_the_clock_cuts_learning_but_changes_nothing(monkeypatch, learner, seconds):
    """However slow or quick pieces seem, down to one step each, the table is the same; a method settles once."""
    settled, clock = [], iter(np.arange(1e6) * seconds)
    expected = learner(gym.make("rltk/FrozenLake-v0"), seed=2).learn(28_000).table
    monkeypatch.setattr(learner_module.time, "perf_counter", lambda: float(next(clock)))
    original = learner._settle
    monkeypatch.setattr(learner, "_settle", lambda agent: settled.append(agent.timestep) or original(agent))

    agent = learner(gym.make("rltk/FrozenLake-v0"), seed=2).learn(28_000)

    assert (agent.table == expected).all()
    assert settled == [28_000]
