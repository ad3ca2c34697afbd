"""Callbacks that evaluate, save, film and stop, on learners of a table and on agents made up for the purpose."""

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

import rltk
from rltk.agents.deep import DQN
from rltk.agents.tabular import QLearning
from rltk.errors import ArgumentError, CheckpointError, ModelError
from rltk.experiments import Checkpoints, Due, Evaluate, Film, StopAtSuboptimality
from rltk.runs import Progress, Run, call_all, latest_checkpoint

CLIFF = "rltk/CliffWalking-v0"


def learner(seed=0, env=CLIFF):
    return QLearning(gym.make(env), gamma=0.99, alpha=0.5, seed=seed)


class Count(Due):
    """Remembers when it fired."""

    fired = None

    def fire(self, progress):
        self.fired = [*(self.fired or []), progress.timestep]


def told(callback, *timesteps):
    """What a callback remembers of a learner that tells these timesteps."""
    for timestep in timesteps:
        callback(Progress(None, timestep))
    return callback.fired


def test_a_callback_is_due_when_a_multiple_is_reached_or_passed():
    """Once for each time; a batched learner that steps over several multiples at once fires once."""
    assert told(Count(100), 64, 128, 192, 256, 300, 620, 699, 700) == [128, 256, 300, 620, 700]
    assert told(Count(100), 99) is None
    assert told(Count(100, start=512), 576, 640) == [640]


def test_a_resumed_callback_keeps_the_beat():
    """Its state says where it stood; one with another beat is refused."""
    first = Count(100)
    told(first, 150, 250)
    assert told(Count(100).restore(first.state()), 299, 301) == [301]
    with pytest.raises(CheckpointError, match="every=100"):
        Count(50).restore(first.state())


def test_evaluations_while_learning_are_exact_and_the_same_as_afterwards():
    """The history ends with what `rltk.evaluate` says of the agent, and learning is not touched by being watched."""
    watch = Evaluate(gym.make(CLIFF), every=2_000)
    watched = learner().learn(10_000, [watch])
    alone = learner().learn(10_000)

    assert [one["timestep"] for one in watch.history] == [2_000, 4_000, 6_000, 8_000, 10_000]
    final = rltk.evaluate(alone, gym.make(CLIFF))
    assert watch.history[-1]["value"] == final.value
    assert watch.history[-1]["normalised_suboptimality"] == final.normalised_suboptimality
    assert watch.latest.exact
    assert (watched.q == alone.q).all()


def small_dqn():
    return DQN(gym.make(CLIFF), learning_starts=50, train_freq=10, encoder_kwargs={"hidden": (8,)}, seed=0)


@pytest.mark.parametrize("make", [learner, small_dqn])
def test_a_callback_is_served_on_its_own_beat(make):
    """Whatever `callback_every` says, which is for those that have no beat of their own; each is told the end."""
    own, other, told_plain = Count(250), Count(600), []
    make().learn(1_500, [own, other, lambda progress: told_plain.append(progress.timestep)], callback_every=400)

    assert own.fired == [250, 500, 750, 1_000, 1_250, 1_500]
    assert other.fired == [600, 1_200]
    assert told_plain == [400, 800, 1_200, 1_500]


def test_the_log_gets_the_figures_beside_the_learners_metrics(tmp_path):
    """One line an evaluation, under the names that `rltk train` uses."""
    with Run.start(tmp_path, env=CLIFF, algorithm="q", seed=0, tensorboard=False) as run:
        learner().learn(4_000, Evaluate(gym.make(CLIFF), every=2_000, log=run))
        lines = run.metrics()

    assert [line["timestep"] for line in lines] == [2_000, 4_000]
    assert {"value", "optimum", "suboptimality", "normalised_suboptimality", "rollout/ep_rew_mean"} <= set(lines[0])


class Fixed:
    """An agent that goes one way, saves itself as a word, and is as good as it is told to be."""

    def __init__(self, action=0):
        self.action, self.saved, self.gamma = action, [], 0.99

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return self.action, state

    def action_probabilities(self, observations, mask=None, deterministic=True):
        return np.eye(4)[np.full(len(observations), self.action)]

    def save(self, folder):
        self.saved.append(self.action)
        return folder


def test_the_best_agent_is_kept(tmp_path):
    """It is saved when it is better than ever, and not when it is worse or as good; also after a resumption."""
    agent, watch = Fixed(), Evaluate(gym.make(CLIFF), every=10, folder=tmp_path)
    values = []
    for number, action in enumerate([1, 0, 1, 0, 2], 1):  # into the cliff, or against a wall
        agent.action = action
        watch(Progress(agent, 10 * number))
        values.append(watch.history[-1]["value"])

    assert values[0] < values[1]
    assert agent.saved == [1, 0]
    again = Evaluate(gym.make(CLIFF), every=10, folder=tmp_path).restore(watch.state())
    again(Progress(agent, 60))
    assert agent.saved == [1, 0]
    assert len(again.history) == 6


def test_levels_and_the_gap_to_unseen_ones():
    """Figures are means over the levels; those of unseen ones and the gap stand beside them."""
    env = gym.make("rltk/MiniGrid-Empty-Random-5x5-v0", form="image")
    watch = Evaluate(env, every=5, levels=range(2), unseen=[7, 8], criterion=0.9)
    agent = Fixed()
    agent.action_probabilities = lambda observations, mask=None, deterministic=True: np.full(
        (len(observations), env.action_space.n), 1 / env.action_space.n
    )
    watch(Progress(agent, 5))

    figures = watch.history[0]
    assert {"value", "unseen/value", "gap/suboptimality"} <= set(figures)
    assert figures["gap/suboptimality"] == pytest.approx(figures["unseen/suboptimality"] - figures["suboptimality"])
    assert watch.best == figures["unseen/value"]


def test_checkpoints_in_a_folder_go_on_bit_for_bit(tmp_path):
    """What is loaded from the newest learns on as the one that was never stopped; the agent knows where it lies."""
    saving = Checkpoints(tmp_path / "saved", every=3_000)
    agent = learner().learn(6_500, saving)

    assert agent.last_checkpoint == saving.path == latest_checkpoint(tmp_path / "saved").path
    again = QLearning.load(tmp_path / "saved", gym.make(CLIFF))
    assert again.timestep == 6_000
    assert (again.learn(500).q == agent.q).all()


def test_checkpoints_in_a_run_are_taken_up_by_it(tmp_path):
    """A resumed run's callbacks start at its timestep, so they keep the beat without more."""
    with Run.start(tmp_path, env=CLIFF, algorithm="q", seed=0, tensorboard=False) as run:
        watch = Evaluate(gym.make(CLIFF), 2_000, log=run)
        learner().learn(5_000, [watch, Checkpoints(run, every=2_000)])
        folder = run.folder
    with Run.resume(folder) as run:
        assert run.timestep == 4_000
        agent = learner().restore(run.state["agent"])
        watch = Evaluate(gym.make(CLIFF), 2_000, log=run)
        agent.learn(3_000, watch)
        assert [one["timestep"] for one in watch.history] == [6_000]
        assert [line["timestep"] for line in run.metrics()] == [2_000, 4_000, 6_000]


@pytest.mark.parametrize("made", [(CLIFF, {}), ("CartPole-v1", {"render_mode": "rgb_array"})])
def test_films_need_no_display(tmp_path, made):
    """A GIF at each time it is due, of rltk's worlds and of any that draw themselves."""
    env = gym.make(made[0], **made[1])
    film = Film(env, tmp_path / "films", every=100, longest=5)
    agent = Fixed(1)
    for timestep in (100, 150, 200):
        film(Progress(agent, timestep))
    env.close()  # Gymnasium's pictures hold a display, which is one for the whole process

    names = sorted(path.name for path in (tmp_path / "films").iterdir())
    assert names == ["step-000000100.gif", "step-000000200.gif"]
    with Image.open(film.path) as picture:
        assert picture.n_frames > 1


def test_learning_stops_at_a_suboptimality():
    """Long before the steps are over, and with an agent that is as good as asked for."""
    stop = StopAtSuboptimality(gym.make(CLIFF), 0.01, every=500)
    agent = learner().learn(200_000, [None, stop])

    assert agent.timestep < 200_000
    assert stop.suboptimality <= 0.01
    assert rltk.evaluate(agent, gym.make(CLIFF)).normalised_suboptimality == stop.suboptimality


def test_patience_counts_successes_in_a_row(monkeypatch):
    """One failure in between starts the count anew; a resumption does not."""
    found = iter([0.5, 0.0, 0.5, 0.0, 0.0])
    stop = StopAtSuboptimality(gym.make(CLIFF), 0.1, every=10, patience=2)
    monkeypatch.setattr("rltk.experiments.stopping.evaluated", lambda settings, agent: None)
    monkeypatch.setattr(
        "rltk.experiments.stopping.figures_of", lambda found_: {"normalised_suboptimality": next(found)}
    )
    answers = [stop(Progress(Fixed(), 10 * number)) for number in range(1, 5)]
    assert answers == [True, True, True, True]
    again = StopAtSuboptimality(gym.make(CLIFF), 0.1, every=10, patience=2).restore(stop.state())
    assert again(Progress(Fixed(), 49)) is None
    assert again(Progress(Fixed(), 50)) is False


def test_all_of_them_compose(tmp_path):
    """In a list each is served, whichever of them stops the learner."""
    env, calls = gym.make(CLIFF), []
    watch, saving = Evaluate(env, 1_000), Checkpoints(tmp_path / "saved", 1_000)
    stop, film = StopAtSuboptimality(env, 0.5, 1_000), Film(env, tmp_path / "films", 1_000, longest=3)
    learner().learn(100_000, [stop, watch, [saving, film], lambda progress: calls.append(1)], callback_every=1_000)

    assert len(watch.history) == len(calls) == len(list((tmp_path / "films").iterdir()))
    assert saving.path is not None
    assert call_all([Count(1), Count(1)], Progress(None, 1))


def test_mistakes_are_told_where_they_are_made(tmp_path):
    """At once where that can be, and in words that say what to do."""
    env = gym.make(CLIFF)
    with pytest.raises(ArgumentError, match="every"):
        Evaluate(env, every=0)
    with pytest.raises(ArgumentError, match="single Gymnasium environment"):
        Evaluate(gym.make_vec(CLIFF, num_envs=2), every=10)
    with pytest.raises(ArgumentError, match="Run"):
        Evaluate(env, every=10, log=str(tmp_path))
    with pytest.raises(ArgumentError, match="levels="):
        Evaluate(env, every=10, unseen=[1])
    with pytest.raises(ArgumentError, match="folder or a Run"):
        Checkpoints(7, every=10)
    with pytest.raises(ArgumentError, match="rgb_array"):
        Film(gym.make("CartPole-v1"), tmp_path, every=10)
    for threshold in (-0.1, "1%", float("nan")):
        with pytest.raises(ArgumentError, match="threshold"):
            StopAtSuboptimality(env, threshold, every=10)
    agent = learner()
    with pytest.raises(ArgumentError, match="make another one like it"):
        agent.learn(100, Evaluate(agent.env, every=50), callback_every=50)
    with pytest.raises(ModelError, match="want of an optimum"):
        StopAtSuboptimality(gym.make("CartPole-v1"), 0.1, every=1, criterion=0.9, episodes=2)(Progress(Fixed(1), 1))
    with Run.start(tmp_path, env=CLIFF, algorithm="q", seed=0, tensorboard=False) as run:
        saving = Checkpoints(run, every=1)
        with pytest.raises(ArgumentError, match="no state"):
            saving(Progress(Fixed(), 1))
    with pytest.raises(AttributeError, match="StopAtSuboptimality"):
        rltk.experiments.nothing  # noqa: B018
