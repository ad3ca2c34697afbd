"""An explanation as it is told and drawn: the table, the sentence at its end, the map, the program that prints them."""

import gymnasium as gym
import numpy as np
import pytest

import rltk
from rltk.agents import QLearning
from rltk.drawing.colours import colour_map
from rltk.envs import TabularEnv
from rltk.errors import ArgumentError, ModelError
from rltk.mdp import MDP, Criterion
from rltk.scripts.cli import main


class Policy:
    """The smallest exact agent: a policy (S, A) over what it observes."""

    def __init__(self, policy, criterion):
        self.policy, self.criterion = np.asarray(policy, dtype=float), criterion

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return int(self.policy[observation].argmax()), state

    def action_probabilities(self, observations, mask=None, deterministic=True):
        return self.policy[observations]


@pytest.fixture(scope="module")
def half_trained():
    """Q-learning after a few episodes on four rooms."""
    env = gym.make("rltk/FourRooms-v0")
    return QLearning(env, gamma=0.99, seed=0).learn(12_000), env


def test_the_table_fits_and_ends_with_the_sentence(half_trained):
    """Ten rows at most, largest first, within 80 columns; the sentence counts the fewest states with half the loss."""
    explanation = rltk.explain(*half_trained)
    lines = str(explanation).splitlines()
    rows = explanation.worst()

    assert max(map(len, lines)) <= 80
    assert lines[-1] == explanation.summary
    few = int(np.searchsorted(np.cumsum(np.sort(explanation.share)[::-1]), 0.5)) + 1
    assert f"in {few} of 104 states." in lines[-1]
    assert len(rows) == 10
    assert [lost.loss for lost in rows] == sorted((lost.loss for lost in rows), reverse=True)
    assert rows[0].label == explanation.mdp.label(rows[0].state)
    assert {lost.action for lost in rows} | {lost.best for lost in rows} <= {"up", "right", "down", "left"}
    assert all(lost.action != lost.best for lost in rows)
    assert f"{rows[0].share:.1%}" in lines[2]
    assert str(rows[0].label) in lines[2]
    assert [lost.state for lost in explanation.worst(3)] == [lost.state for lost in rows[:3]]
    for n in (0, 2.5, True):
        with pytest.raises(ArgumentError, match="n is a number of states"):
            explanation.worst(n)


def test_long_labels_and_large_numbers_keep_the_table_in_place():
    """Labels of any length and a loss of a billion still fit 80 columns."""

    def transition(s, a):
        return [(1.0, "x" * 90, -1e9 * a, True)] if s != "x" * 90 else []

    mdp = MDP.from_function(transition, "a\nstate " * 9, ["an action with a long name", "another one, longer still"])
    text = str(rltk.explain(Policy(np.full((mdp.n_states, 2), 0.5), Criterion(0.9)), TabularEnv(mdp)))

    assert max(map(len, text.splitlines())) <= 80
    assert "another" in text
    assert "100% of the loss is in 1 of" in text


def test_aliased_states_are_named_as_a_reason():
    """Through a small window many cells look alike; the optimum that is held against the agent tells them apart."""

    class Still(Policy):
        def action_probabilities(self, observations, mask=None, deterministic=True):
            return np.tile(self.policy, (len(observations), 1))

    env = gym.make("rltk/FourRooms-v0", observation="egocentric", view_size=3)
    explanation = rltk.explain(Still([0.25] * 4, Criterion(0.99)), env)
    assert f"{explanation.evaluation.aliased_states} states share their observation" in str(explanation)
    assert explanation.loss.sum() == pytest.approx(explanation.suboptimality)


def test_the_map_shows_the_share_of_each_cell(half_trained, tmp_path):
    """The brightest colour stands where most is lost, and nowhere else; the file is written whole or not at all."""
    explanation = rltk.explain(*half_trained)
    image = np.asarray(explanation.figure().axes[0].images[0].get_array())
    brightest = np.argwhere((image == colour_map()[255]).all(axis=-1))
    assert [tuple(place) for place in brightest] == [explanation.worst(1)[0].label]
    assert explanation.draw(tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match=r"\.png"):
        explanation.draw(tmp_path / "loss.docx")


def test_a_cell_of_many_states_has_their_sum():
    """In the taxi's world 20 states stand in each of 25 cells: the numbers on the map are sums, in percent."""
    env = gym.make("rltk/Taxi-v0")
    explanation = rltk.explain(Policy(env.unwrapped.mdp().uniform_policy(), Criterion(0.9)), env)
    places = env.unwrapped.layout.places
    figure = explanation.figure()
    written = [text.get_text() for text in figure.axes[0].texts]
    sums = 100 * np.bincount(places, weights=explanation.share)

    assert sums.sum() == pytest.approx(100)
    numbers = [float(text) for text in written if text.replace(".", "").isdigit()]
    np.testing.assert_allclose(sorted(numbers), np.sort(sums), atol=0.006)


def test_without_a_map_there_is_the_table():
    """A foreign environment with a P table is explained in words; drawing says why it can't."""
    env = gym.make("FrozenLake-v1")
    explanation = rltk.explain(Policy(np.full((16, 4), 0.25), Criterion(0.99)), env)
    assert explanation.loss.sum() == pytest.approx(explanation.suboptimality, abs=1e-9)
    assert "of 16 states." in str(explanation)
    with pytest.raises(ModelError, match="no map"):
        explanation.draw("nowhere.png")


def test_a_batched_environment_is_explained_like_a_single_one():
    """`gym.make_vec` holds the same MDP and the same map."""
    uniform = Policy(np.full((16, 4), 0.25), Criterion(0.99))
    single = rltk.explain(uniform, gym.make("rltk/FrozenLake-v0"))
    batch = rltk.explain(uniform, gym.make_vec("rltk/FrozenLake-v0", num_envs=4))
    np.testing.assert_array_equal(single.loss, batch.loss)
    assert batch.figure() is not None


def test_the_evaluate_program_explains(tmp_path, capsys):
    """`--explain True` prints the table below, `--picture` writes the map; wrong names are refused first."""
    train = ["train", "--root", str(tmp_path / "runs"), "--n-timesteps", "3000", "--progress", "False"]
    assert main(train) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    capsys.readouterr()

    picture = str(tmp_path / "loss.png")
    assert main(["evaluate", "--run", str(folder), "--explain", "True", "--picture", picture]) == 0
    told = capsys.readouterr().out
    assert (
        told.index("success probability") < told.index("  share") < told.index("of 104 states.") < told.index("wrote")
    )
    assert (tmp_path / "loss.png").stat().st_size > 1000
    assert main(["evaluate", "--run", str(folder), "--picture", "loss.docx"]) == 2
    refused = capsys.readouterr()
    assert ".png" in refused.err
    assert not refused.out
