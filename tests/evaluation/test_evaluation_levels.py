"""Grading on many levels: each figure is that of its level alone; the gap is that of an agent that learnt by heart."""

import json

import gymnasium as gym
import numpy as np
import pytest
from level_agents import ByHeart, Onwards, Plans, Rules, Spelt, Walk

import rltk
from rltk.agents import QLearning
from rltk.envs.minigrid.env import MiniGridEnv
from rltk.errors import ArgumentError, CriterionError, SizeError
from rltk.evaluation.levels_result import FIGURES
from rltk.mdp import Criterion

NAME = "rltk/MiniGrid-DoorKey-5x5-v0"


@pytest.fixture
def door():
    return gym.make(NAME)


def test_each_level_s_figures_are_those_of_evaluating_it_alone(door):
    """Every figure, for seeds in any order, and their means."""
    seeds = [4, 0, 7, 2]
    result = rltk.evaluate(Rules(), door, levels=seeds, unseen=[1, 3])

    for part, own in ((result, seeds), (result.unseen, [1, 3])):
        assert part.levels.tolist() == own
        assert part.exact.all()
        for i, seed in enumerate(own):
            door.reset(seed=seed)
            alone = rltk.evaluate(Rules(), door)
            for name in FIGURES:
                assert getattr(part, name)[i] == getattr(alone, name), name
        for name in FIGURES:
            assert part.means[name] == pytest.approx(getattr(part, name).mean())
    assert result.criterion == Criterion(0.95)
    assert len(result) == 4
    assert rltk.evaluate(Rules(), door, 0.9, levels=2).criterion == Criterion(0.9)


def test_the_optimum_is_the_answer_key_s(door):
    """The same levels, asked for both ways."""
    key = rltk.answer_key(NAME, 5, gamma=0.95)
    result = rltk.evaluate(Rules(), door, levels=5)

    np.testing.assert_allclose(result.optimum, key.optimum, rtol=1e-12)
    assert (result.paid_optimum == key.optimal_return).all()
    assert (result.levels == key.levels).all()


def test_learning_by_heart_shows_as_a_gap():
    """Nearly optimal where it was trained, where one step in ten is at random; lost in the lava elsewhere."""
    env, train, test = gym.make("rltk/MiniGrid-LavaCrossingS9N3-v0"), range(10), range(100, 110)
    result = rltk.evaluate(ByHeart(env, train), env, levels=train, unseen=test)
    gap = result.generalisation_gap

    assert gap == result.gaps["suboptimality"]
    assert gap.value == pytest.approx(result.unseen.suboptimality.mean() - result.suboptimality.mean())
    assert 0.3 < gap.low < gap.value < gap.high < 0.6
    shares = result.gaps["normalised_suboptimality"]
    assert 0.5 < shares.low < shares.value < shares.high < 1
    success = result.gaps["success_probability"]
    assert success.value == pytest.approx(result.unseen.success_probability.mean() - result.success_probability.mean())
    assert success.high < -0.8
    again = rltk.evaluate(ByHeart(env, train), env, levels=train, unseen=test)
    assert again.gaps == result.gaps


def test_an_agent_that_does_the_same_everywhere_has_no_gap(door):
    """The interval holds 0."""
    gap = rltk.evaluate(Rules(), door, levels=range(25), unseen=range(50, 75)).generalisation_gap
    assert gap.low < 0 < gap.high


def test_the_callers_environment_stays_as_it_was(door):
    """State, random stream and level."""
    door.reset(seed=3)
    door.step(2)
    before, stream = door.unwrapped.get_state(), door.unwrapped.np_random.bit_generator.state
    rltk.evaluate(Rules(), door, levels=2)
    rltk.evaluate(Plans(gym.make(NAME), range(2)), door, levels=2)
    after = door.unwrapped.get_state()

    assert all((before[name] == after[name]).all() for name in before)
    assert door.unwrapped.np_random.bit_generator.state == stream


def test_wrappers_that_observe_from_the_state_alone_are_kept(door):
    """An agent that sees a flat image: what it is shown in every state passes the wrapper; so do parts in a dict."""

    class Flat(gym.ObservationWrapper):
        stateless_observation = True

        def observation(self, observation):
            return observation["image"].reshape(-1)

    class Negative(gym.ObservationWrapper):
        stateless_observation = True

        def observation(self, observation):
            return {**observation, "image": 255 - observation["image"], "twice": (observation["direction"],) * 2}

    class OfFlat(Rules):
        def action_probabilities(self, observations, mask=None, deterministic=True):
            return super().action_probabilities({"image": observations.reshape(-1, 7, 7, 3)})

    class OfNegative(Rules):
        def action_probabilities(self, observations, mask=None, deterministic=True):
            assert (observations["twice"][0] == observations["direction"]).all()
            return super().action_probabilities({"image": 255 - observations["image"]})

    plain = rltk.evaluate(Rules(), door, levels=3)
    for agent, env in ((OfFlat(), Flat(door)), (OfNegative(), Negative(door))):
        wrapped = rltk.evaluate(agent, env, levels=3)
        assert wrapped.exact.all()
        assert (wrapped.value == plain.value).all()


def test_what_can_not_be_graded_exactly_is_played_on_its_own_level(door):
    """An agent without probabilities: each level's plan, one step wasted twice, is worth gamma^(d + 1), in any number
    of episodes, beside the exact optimum; success and what step pays as well."""
    result = rltk.evaluate(Plans(door, range(3), wasted=4), door, levels=3, episodes=7)
    key = rltk.answer_key(NAME, 3, gamma=0.95)

    assert not result.exact.any()
    assert result.episodes == 2
    assert "seed 0" in result.reason
    np.testing.assert_allclose(result.value, key.optimum * 0.95**4, rtol=1e-12)
    np.testing.assert_allclose(result.optimum, key.optimum, rtol=1e-12)
    np.testing.assert_allclose(result.suboptimality, key.optimum * (1 - 0.95**4), rtol=1e-9)
    assert (result.success_probability == 1).all()
    assert (result.expected_length == key.plan_length + 4).all()
    np.testing.assert_allclose(result.paid_value, key.optimal_return - 0.9 * 4 / door.unwrapped.max_steps, rtol=1e-12)
    assert (result.paid_optimum == key.optimal_return).all()
    assert "3 of 3 levels sampled" in str(result)


def test_a_level_that_is_too_large_is_played(door, monkeypatch):
    """Its optimum follows from a shortest plan; the others stay exact, the same as without it."""
    alone = rltk.evaluate(Rules(), door, levels=[0, 2])
    exact = MiniGridEnv.mdp

    def refusing(self):
        if self.np_random_seed in (1, -1):  # -1: a generator was put in for the episode
            raise SizeError("too many states")
        return exact(self)

    monkeypatch.setattr(MiniGridEnv, "mdp", refusing)
    result = rltk.evaluate(Rules(), door, levels=3, unseen=[5])

    assert result.exact.tolist() == [True, False, True]
    assert (result.value[[0, 2]] == alone.value).all()
    assert result.optimum[1] == rltk.answer_key(NAME, [1], gamma=0.95).optimum[0]
    assert result.suboptimality[1] == result.optimum[1] - result.value[1]
    assert np.isnan(result.normalised_suboptimality[1])
    assert not np.isnan(result.means["normalised_suboptimality"])
    assert result.reason.startswith("seed 1: too many states")
    assert "1 of 4 levels sampled" in str(result)
    assert np.isnan(result.generalisation_gap.low)  # one unseen level says nothing of others


def test_episodes_of_a_level_differ_by_their_draws_alone():
    """Obstacles that move at random: each episode begins alike and goes on otherwise; the same seed, the same bits."""
    env = gym.make("rltk/MiniGrid-Dynamic-Obstacles-6x6-v0", n_obstacles=4)  # too many to be enumerated

    class Forward(Rules):
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            if episode_start[0]:
                firsts.append(observation["image"].tobytes())
            return len(firsts) % 3, state

    firsts = []
    first = rltk.evaluate(Forward(), env, levels=[3], episodes=30)
    assert len(firsts) == 30
    assert len(set(firsts)) == 1
    firsts.clear()
    second = rltk.evaluate(Forward(), env, levels=[3], episodes=30)
    firsts.clear()
    other = rltk.evaluate(Forward(), env, levels=[3], episodes=30, seed=1)

    assert (first.value == second.value).all()
    assert first.value[0] != int(first.value[0])
    assert (first.value != other.value).any()
    assert np.isnan(first.optimum).all()


def test_layouts_are_levels_and_may_be_the_same():
    """They are handed to reset; a figure a layout, in their order; by hand: one step costs 1."""
    result = rltk.evaluate(Onwards(), Walk(), levels=["three", "one", "three"], unseen=["two"])

    assert result.levels == ("three", "one", "three")
    assert result.value.tolist() == [-3, -1, -3]
    assert result.unseen.value.tolist() == [-2]
    assert result.expected_length.tolist() == [3, 1, 3]
    np.testing.assert_allclose(result.suboptimality, 0, atol=1e-6)
    assert np.isnan(result.paid_value).all()
    idle = rltk.evaluate(Onwards(0.5), Walk(), levels=["one", "two"], deterministic=False)
    np.testing.assert_allclose(idle.suboptimality, [1, 2], atol=1e-6)
    with pytest.raises(ArgumentError, match="layout 1: no such layout: four"):
        rltk.evaluate(Onwards(), Walk(), levels=["one", "four"])


def test_agents_that_never_end_are_reported():
    """At gamma 1 they lose infinitely much; the gap is infinite or no number, and has no interval."""
    result = rltk.evaluate(Onwards(1.0), Walk(), levels=[0, 1], unseen=[2, 3])

    assert result.means["value"] == -np.inf
    assert result.means["suboptimality"] == np.inf
    assert np.isnan(result.generalisation_gap.low)
    assert "inf" in str(result)


def test_the_table_and_the_file(door, tmp_path):
    """80 columns, the optimum beside the agent; JSON holds every figure."""
    sampled = rltk.evaluate(Plans(door, range(2)), door, levels=2)
    both = rltk.evaluate(Rules(), door, levels=3, unseen=[5, 6], progress_bar=True)
    for result in (both, sampled, rltk.evaluate(Onwards(1.0), Walk(), levels=["one"], unseen=["two"])):
        assert max(map(len, str(result).splitlines())) <= 80
    text = str(both)
    for words in ("3 levels", "2 unseen", "exact, gamma 0.95", "return as step pays", "generalisation gap", "95% in ["):
        assert words in text
    assert f"{both.means['value']:.6g}" in text
    assert f"{both.means['optimum']:.6g}" in text
    assert f"{both.generalisation_gap.value:.6g}" in text
    saved = json.loads(both.save(tmp_path / "levels.json").read_text())
    assert saved["levels"] == [0, 1, 2]
    assert saved["value"] == both.value.tolist()
    assert saved["criterion"]["gamma"] == 0.95
    assert saved["means"]["optimum"] == both.means["optimum"]
    assert saved["unseen"]["levels"] == [5, 6]
    assert saved["gaps"]["suboptimality"]["value"] == both.generalisation_gap.value
    plain = json.loads(rltk.evaluate(Onwards(), Walk(), levels=["one"]).save(tmp_path / "words.json").read_text())
    assert (plain["levels"], plain["paid_value"], plain["unseen"]) == (["one"], ["nan"], None)

    class Word(str):
        def to_text(self):
            return f"the word {self}"

    assert rltk.evaluate(Onwards(), Walk(), levels=[Word("two")]).to_dict()["levels"] == ["the word two"]
    unhashable = rltk.evaluate(Onwards(), Walk(), levels=["one"], unseen=[Spelt("two")])
    assert unhashable.unseen.value.tolist() == [-2]


class Mute:
    predict = None


@pytest.mark.parametrize(
    ("agent", "options", "error", "says"),
    [
        (Rules(), {"levels": 0}, ArgumentError, "levels: at least one"),
        (Rules(), {"levels": [1, 1]}, ArgumentError, "levels: each seed once"),
        (Rules(), {"levels": [-1]}, ArgumentError, "below 0"),
        (Rules(), {"levels": 2, "unseen": [2.5]}, ArgumentError, "unseen: .*whole"),
        (Rules(), {"levels": 2, "unseen": [1, 2]}, ArgumentError, "unseen: 1 of them .* such as 1"),
        (Rules(), {"levels": ["a"], "unseen": ["a"]}, ArgumentError, "such as a"),
        (Rules(), {"levels": [(1, 2)], "unseen": [(0, 0), (1, 2)]}, ArgumentError, "such as .1, 2"),
        (Rules(), {"unseen": 2}, ArgumentError, "levels= as well"),
        (Rules(), {"levels": 2, "episodes": 1}, ArgumentError, "episodes"),
        (Rules(), {"levels": 2, "criterion": Criterion(1.0, 5, "average")}, CriterionError, "long run"),
        (Onwards(), {"levels": 2}, ArgumentError, "seed 0: .*shape"),
        (Mute(), {"levels": 2}, ArgumentError, "^an agent has predict"),
    ],
)
def test_what_can_not_be_graded_is_told(door, agent, options, error, says):
    """By name, with the level where it is a level's."""
    with pytest.raises(error, match=says):
        rltk.evaluate(agent, door, **options)


def test_what_has_no_levels_is_told(door):
    """A batch, a world that is the same whatever the seed, one level's answer key, a criterion that no play fits."""
    with pytest.raises(ArgumentError, match="single"):
        rltk.evaluate(Rules(), gym.make_vec(NAME, num_envs=2), levels=2)
    maze = gym.make("rltk/Maze-v0")
    with pytest.raises(ArgumentError, match="same level"):
        rltk.evaluate(QLearning(maze), maze, levels=[0], unseen=[1])
    door.reset(seed=0)
    with pytest.raises(ArgumentError, match="solution"):
        rltk.evaluate(Rules(), door, 0.99, levels=2, solution=rltk.solve(door, gamma=0.99))
    with pytest.raises(ArgumentError, match=r"seed 1: .*another MDP"):
        rltk.evaluate(rltk.solve(door, gamma=0.99), door, levels=2)
    with pytest.raises(CriterionError, match="seed 0: the average"):
        rltk.evaluate(Plans(door, [0]), door, Criterion(1.0, None, "average"), levels=1)


def test_sampling_one_environment_compares_only_with_its_own_optimum(door):
    """Episodes that are each of a new level say nothing about this level's optimum; where there is one level, they do,
    success counting as declared: a plan is optimal."""
    door.reset(seed=0)
    agent = Plans(door, range(10, 14))
    mixed = rltk.evaluate(agent, door, episodes=4, seed=10)
    assert not mixed.exact
    assert mixed.optimum is None
    assert "levels=" in mixed.reason
    assert mixed.success_probability == 1

    empty = gym.make("rltk/MiniGrid-Empty-5x5-v0")
    alone = rltk.evaluate(Plans(empty, [0]), empty, episodes=3)
    assert alone.value == pytest.approx(alone.optimum)
    assert alone.suboptimality == pytest.approx(0, abs=1e-9)
    assert alone.paid_value == pytest.approx(empty.unwrapped.success_reward(5))
    assert "as step pays" in str(alone)
