"""`rltk parity` and `rltk grades`: what they conclude from numbers, and that they go on where they were killed."""

import json
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from rltk.errors import ArgumentError
from rltk.scripts import grades, parity
from rltk.scripts.cli import main
from rltk.scripts.records import Records

EVALUATIONS = parity.STEPS // parity.EVERY


def curves(level, spread=30.0, runs=60, seed=0):
    """(runs, evaluations) returns about a level."""
    noise = np.random.default_rng(seed).normal(0, spread, (runs, 1))
    returns = np.clip(level + noise + np.zeros((1, EVALUATIONS)), 0, 500)
    return parity.Curves(returns, np.full(runs, 10.0))


def test_every_checkpoint_has_its_bound():
    """Five checkpoints, each a whole number of evaluations after the last, and a bound for each."""
    assert len(parity.CHECKPOINTS) == len(parity.BOUNDS) == 5
    assert parity.CHECKPOINTS[-1] == parity.STEPS
    assert set(np.diff((0, *parity.CHECKPOINTS))) == {parity.CHECKPOINTS[0]}
    assert parity.CHECKPOINTS[0] % parity.EVERY == 0


def test_a_score_is_the_mean_since_the_checkpoint_before():
    """Evaluations 1 to k belong to the first checkpoint, the next k to the second."""
    returns = np.arange(EVALUATIONS, dtype=float)[None]
    each = EVALUATIONS // 5
    np.testing.assert_allclose(parity.scores_of(returns)[0], [(each - 1) / 2 + each * i for i in range(5)])


@pytest.mark.parametrize(
    ("shift", "spread", "runs", "says"),
    [(0, 30, 60, "equivalent"), (15, 30, 60, "equivalent"), (150, 30, 60, "different"), (0, 150, 5, "open")],
)
def test_equivalence_is_shown_or_it_is_not(shift, spread, runs, says):
    """Small differences of many seeds are equivalent, large ones different, and few seeds leave it open."""
    ours, theirs = curves(250 + shift, spread, runs, seed=1), curves(250, spread, runs, seed=2)
    _, low, high = parity.difference(parity.scores_of(ours.returns), parity.scores_of(theirs.returns))

    assert parity.verdict(low[0], high[0], parity.BOUNDS[0]) == says


def test_two_learners_as_far_apart_as_the_bound_are_rarely_called_equivalent():
    """That is the error that the test is to keep at 5%; of 100 pairs of experiments a few, not many."""
    wrong = 0
    for seed in range(100):
        pair = (curves(200 + shift, 60, 30, seed=1000 * (shift > 0) + seed) for shift in (parity.BOUNDS[0], 0))
        scores = [parity.scores_of(one.returns)[:, :1] for one in pair]
        _, low, high = parity.difference(*scores)
        wrong += parity.verdict(low[0], high[0], parity.BOUNDS[0]) == "equivalent"
    assert wrong <= 12


def test_success_is_sustained_only_in_a_row():
    """Three evaluations above 475, one after the other; two and a gap don't count, nor does 475 itself."""
    returns = np.full((4, EVALUATIONS), 100.0)
    returns[0, [1, 2, 4, 5]] = 500
    returns[1, [3, 4, 5]] = 500
    returns[2, [3, 4, 5]] = 475
    returns[3, -3:] = 476

    inf = np.inf
    assert parity.sustained(returns).tolist() == [inf, 4 * parity.EVERY, inf, (EVALUATIONS - 2) * parity.EVERY]


class Balancing:
    """A policy that keeps the pole up, and one that pushes one way."""

    def __init__(self, push=False):
        self.push = push

    def predict(self, observations, state=None, episode_start=None, deterministic=False):
        right = observations[:, 2] + 0.5 * observations[:, 3] + 0.1 * observations[:, 1] > 0
        return np.where(self.push, 1, right).astype(int), None


def test_the_greedy_return_is_that_of_whole_episodes():
    """500 for who balances; who pushes one way falls after eight to eleven steps, as in any CartPole. The same starts,
    the same return."""
    env = gym.make_vec("CartPole-v1", num_envs=10, vectorization_mode="vector_entry_point")
    assert parity.greedy_return(Balancing(), env, seed=0) == 500
    pushed = parity.greedy_return(Balancing(push=True), env, seed=3)
    assert 8 <= pushed <= 11
    assert parity.greedy_return(Balancing(push=True), env, seed=3) == pushed


class Ending:
    """A batch of two: one episode ends with its first step, the other with its fourth; both go on being paid."""

    num_envs = 2

    def reset(self, seed):
        self.steps = 0
        return np.zeros((2, 4)), {}

    def step(self, actions):
        self.steps += 1
        return np.zeros((2, 4)), np.ones(2), np.array([True, self.steps == 4]), np.zeros(2, dtype=bool), {}


def test_what_comes_after_an_episode_is_not_counted():
    """A batch goes on with new episodes where the first are over: the mean of 1 and 4 steps is 2.5."""
    assert parity.greedy_return(Balancing(), Ending(), seed=0) == 2.5


def test_parity_goes_on_where_it_was_killed(tmp_path, monkeypatch, capsys):
    """Seeds that are there are not run again; more seeds are added; the table fits 80 columns."""
    ran = []

    def train(name):
        def fake(seed, *rest):
            ran.append((name, seed))
            for _ in range(EVALUATIONS):
                rest[-1].look(Balancing(push=True))

        return fake

    monkeypatch.setattr(parity, "train_rltk", train("rltk"))
    monkeypatch.setattr(parity, "train_sb3", train("sb3"))
    options = ["parity", "--out", str(tmp_path), "--progress", "False", "--seeds"]
    assert main([*options, "2"]) == 0
    assert sorted(ran) == [("rltk", 0), ("rltk", 1), ("sb3", 0), ("sb3", 1)]
    ran.clear()
    path = tmp_path / "sb3.jsonl"
    path.write_bytes(path.read_bytes() + b'{"seed": 2, "retu')
    assert main([*options, "3", "--agent", "sb3"]) == 0
    assert ran == [("sb3", 2)]
    assert main([*options, "3", "--agent", "sb3"]) == 0
    assert ran == [("sb3", 2)]
    text = capsys.readouterr().out
    assert "three evaluations in a row" in text
    assert max(map(len, text.splitlines())) <= 80


def test_results_of_other_settings_are_not_mixed(tmp_path):
    """A folder is of one experiment; damage is told."""
    first = Records(tmp_path / "a.jsonl", {"steps": 1})
    first.add(seed=4, value=0.5)
    assert Records(tmp_path / "a.jsonl", {"steps": 1}).missing(range(6)) == [0, 1, 2, 3, 5]
    with pytest.raises(ArgumentError, match="other settings"):
        Records(tmp_path / "a.jsonl", {"steps": 2})
    (tmp_path / "b.jsonl").write_text("no json\n")
    with pytest.raises(ArgumentError, match="another folder"):
        Records(tmp_path / "b.jsonl", {"steps": 1})


def test_grades_of_a_table(tmp_path, monkeypatch, capsys):
    """Q-learning on the cliff is optimal; its two seeds are two lines, and are not run again."""
    options = ["grades", "cliff", "--agents", "tabular", "--seeds", "2", "--out", str(tmp_path), "--progress", "False"]
    assert main(options) == 0
    lines = [json.loads(line) for line in (tmp_path / "cliff-tabular.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines] == [0, 1]
    assert all(line["exact"] and line["grade"] < 0.01 for line in lines)

    monkeypatch.setattr(grades, "graded", lambda *rest: pytest.fail("all seeds were there"))
    assert main(options) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert main(["grades", "clif"]) == 2
    assert "rooms-index" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(grades.TASKS))
def test_every_task_is_a_world_whose_optimum_is_known(name):
    """Learners with a table and those without get the same MDP; a partial view hides states."""
    task = grades.TASKS[name]
    env, table = grades.world_of(task), grades.tabular_world(task)
    assert grades.MDP.from_env(env).equals(grades.MDP.from_env(table))
    assert isinstance(table.observation_space, gym.spaces.Discrete)
    assert (table.observation_space.n < grades.MDP.from_env(table).n_states) == task.memory
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)


@pytest.mark.parametrize("name", sorted(name for name, task in grades.TASKS.items() if task.difference))
def test_what_differs_from_the_start_tells_as_much(name):
    """The start itself shows zeros, and states that look alike in a difference do so without it."""
    task = grades.TASKS[name]
    env, whole = grades.world_of(task), grades.world_of(replace(task, difference=0))
    mdp = grades.MDP.from_env(env)
    assert not env.reset(seed=1)[0].any()
    shown, plain = (grades.observation_classes(one, mdp).max() for one in (env, whole))
    assert shown == plain


def test_a_difference_takes_every_so_manieth_number():
    """Of 5 x 4 cells in steps of 2: the rows 1 and 3, the columns 1 and 3, less the start, by its largest number."""
    board = np.arange(20, dtype=np.uint8).reshape(5, 4, 1)
    env = gym.wrappers.TransformObservation(
        gym.make("CartPole-v1"), lambda _: board, gym.spaces.Box(0, 255, board.shape, np.uint8)
    )
    shown = grades.Difference(env, 2)
    np.testing.assert_allclose(shown.observation(board + 15), [1, 1, 1, 1])  # the start's 5, 7, 13 and 15
