"""Saved, killed, disturbed and taken up again: learning goes on with the same bits. And the kernel cache of a copy."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import runs_to_kill
from killed import Working, kill_soon
from runs_to_kill import RATES

import rltk
from rltk.agents.tabular import LEARNERS, NStepSARSA, QLearning, TDLambda
from rltk.agents.tabular import template as template_module
from rltk.errors import CheckpointError
from rltk.mdp.jit import cache_root
from rltk.runs import Run

ROADS = {
    "compiled": ("rltk/FrozenLake-v0", "compiled"),
    "gymnasium": ("rltk/FrozenLake-v0", "gymnasium"),
    "foreign, replayed": ("FrozenLake-v1", "auto"),
}
every_road = pytest.mark.parametrize("road", ROADS)


def made(road, learner=QLearning, **options):
    name, backend = ROADS[road]
    rates = {name: rate for name, rate in RATES.items() if name in learner.options()}
    return learner(gym.make(name), seed=4, backend=backend, **{**rates, **options})


@every_road
@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
def test_saved_in_the_middle_of_an_episode_it_goes_on_with_the_same_bits(road, learner, tmp_path):
    """`save`, `load` on a fresh environment, learn on: as if nothing had happened, schedules and counters included."""
    if learner.begin is not None and road.startswith("foreign"):
        pytest.skip("it begins episodes in states of its own choice")
    whole = made(road, learner).learn(1777)
    first = made(road, learner).learn(734)
    steps = first.state()["episode"]["steps"]
    while steps == 0:  # stand within an episode
        first.learn(1)
        steps = first.state()["episode"]["steps"]
    first.save(tmp_path / "agent")
    second = learner.load(tmp_path / "agent", gym.make(ROADS[road][0]), backend=ROADS[road][1])

    assert second.timestep == first.timestep
    second.learn(1777 - first.timestep)
    assert second.table.tobytes() == whole.table.tobytes()
    assert second.config() == whole.config()
    assert second.episodes == whole.episodes
    assert second.state()["recent_returns"].tolist() == whole.state()["recent_returns"].tolist()


@pytest.mark.parametrize("learner", LEARNERS.values(), ids=LEARNERS)
@pytest.mark.parametrize(("road", "other"), [("compiled", "gymnasium"), ("gymnasium", "compiled")])
def test_restored_on_the_other_loop_it_goes_on_with_the_same_bits(learner, road, other):
    """What the compiled loop saved, the plain loop goes on with, and the other way round. Unstopped both learn the same
    (test_tabular_learning.py), so that the compiled one tells what."""
    state = made(road, learner).learn(1000).state()
    second = made(other, learner).restore(state).learn(1000)

    assert second.table.tobytes() == made("compiled", learner).learn(2000).table.tobytes()


@every_road
@pytest.mark.parametrize("learner", [QLearning, NStepSARSA, TDLambda])
def test_whoever_used_the_environment_meanwhile_changes_nothing(road, learner):
    """Sampling, resetting and stepping the learner's own environment between two calls, or in a callback, leaves the
    same table (found in review for environments that can't be captured: the open episode went astray)."""
    whole = made(road, learner).learn(2000)

    def meddle(agent):
        agent.env.reset(seed=99)
        for _ in range(5):
            agent.env.step(agent.env.action_space.sample())
            agent.env.reset()

    between, within = made(road, learner), made(road, learner)
    between.learn(700)
    meddle(between)
    between.learn(1300)
    within.learn(2000, lambda progress: meddle(progress.agent), callback_every=300)

    assert between.table.tobytes() == whole.table.tobytes()
    assert within.table.tobytes() == whole.table.tobytes()


def test_sampling_the_learner_s_environment_in_a_callback_changes_nothing():
    """`evaluate` by sampling, on the very environment that it learns on, behind a wrapper that hides the model."""

    def make():
        return QLearning(gym.wrappers.TransformReward(gym.make("FrozenLake-v1"), lambda r: 2 * r), seed=4, **RATES)

    graded = []
    agent = make().learn(
        2000,
        lambda progress: graded.append(rltk.evaluate(progress.agent, progress.agent.env, episodes=5).exact),
        callback_every=500,
    )

    assert graded == [False] * 4
    assert agent.q.tobytes() == make().learn(2000).q.tobytes()


def test_an_environment_that_does_not_repeat_itself_is_refused():
    """Replaying the open episode must lead where it led: an environment with randomness of its own is told apart."""

    class Moody(gym.Env):
        observation_space, action_space = gym.spaces.Discrete(10_000), gym.spaces.Discrete(2)
        own = np.random.default_rng(0)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return 0, {}

        def step(self, action):
            return int(self.own.integers(10_000)), 0.0, False, False, {}

    state = QLearning(Moody()).learn(50).state()
    with pytest.raises(CheckpointError, match="does not repeat itself"):
        QLearning(Moody()).restore(state)


@pytest.mark.parametrize("algorithm", ["q-learning", "dyna-q", "monte-carlo-control"])
@pytest.mark.parametrize("road", ["compiled", "foreign, replayed"])
def test_killed_at_random_moments_and_resumed_it_ends_with_the_same_bits(road, algorithm, tmp_path):
    """SIGKILL, three times, wherever it strikes (in learning, in a checkpoint), then `Run.resume`: table, counters and
    logged metrics of the run that nobody killed. It strikes a few pieces after the start, by the child's own count, so
    that a short run does."""
    name, backend = ROADS[road]
    target, every = 7_000, 317
    moments = random.Random(road + algorithm)
    # First, so that kernels are on disk and no kill is lost on a compiler.
    whole = LEARNERS[algorithm](gym.make(name), seed=4, backend=backend, **RATES).learn(target)
    run = Run.start(tmp_path, env=name, algorithm=algorithm, seed=4, name="killed", tensorboard=False)
    run.finish()
    arguments = runs_to_kill.table, run.folder, name, backend, target, every
    kills, begun = 0, []
    for _ in range(3):
        working = Working(*arguments)
        begun.append(working.heard())
        kills += kill_soon(working, moments, reports=3, seconds=0.03)  # a piece takes about a hundredth of a second
    assert kills >= 1
    assert begun == sorted(begun)  # each went on from what the one before had reached
    assert Working(*arguments).end() == 0
    with Run.resume(run.folder) as ended:
        state = ended.state["agent"]
        logged = [line["rollout/ep_rew_mean"] for line in ended.metrics() if "rollout/ep_rew_mean" in line]

    assert np.asarray(state["table"]).tobytes() == whole.q.tobytes()
    assert (state["timestep"], state["episodes"]) == (whole.timestep, whole.episodes)
    assert len(logged) == -(-target // every)  # each step once
    assert state["recent_returns"].tolist() == whole.state()["recent_returns"].tolist()


USER = """
import sys
import gymnasium as gym
import rltk
from rltk.agents.tabular.loop import compiled_loop, sizes_of
from my_learner import Softened

env = gym.make("rltk/FourRooms-v0")
agent = Softened(env, gamma=0.99, alpha=0.5, epsilon=0.3, seed=0).learn(200_000)
stats = compiled_loop(agent.kernels(), sizes_of(agent.mdp.tables, agent.table)).stats
print(agent.backend, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
print(rltk.evaluate(agent, env).normalised_suboptimality, agent.q.sum())
"""


def test_a_copied_template_trains_and_is_compiled_once(tmp_path):
    """The template, copied to a folder of one's own, learns four rooms in the compiled loop; the next process finds its
    kernel on disk; and an edit of a constant in it is not answered with the old machine code (found in review: it was,
    since the loop closes over the kernel, and the constant was no part of its key)."""
    copy = tmp_path / "my_learner.py"
    copy.write_text(Path(template_module.__file__).read_text())
    # A cache of its own, which begins with what is compiled already: only the copy's kernels are new in it.
    shutil.copytree(cache_root(), tmp_path / "cache", copy_function=os.symlink)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "RLTK_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": path}

    def train():
        done = subprocess.run(
            [sys.executable, "-c", USER], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        loop, grade = (line.split() for line in done.stdout.splitlines())
        return loop[0], int(loop[1]), int(loop[2]), float(grade[0]), float(grade[1])

    backend, hits, misses, lost, total = train()
    assert backend == "compiled"
    assert (hits, misses) == (0, 1)
    assert lost < 0.2
    assert train() == (backend, 1, 0, lost, total)
    text = copy.read_text()
    assert text.count("WEIGHT = 0.05") == 1
    copy.write_text(text.replace("WEIGHT = 0.05", "WEIGHT = 0.5"))
    assert train()[4] != total


def test_the_state_of_other_options_is_refused():
    """Arrays of another n would be taken for this one's: the option is named."""
    state = NStepSARSA(gym.make("rltk/FrozenLake-v0"), n=3).learn(100).state()
    with pytest.raises(CheckpointError, match="n=3, this one has 4"):
        NStepSARSA(gym.make("rltk/FrozenLake-v0")).restore(state)
