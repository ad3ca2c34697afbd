"""Report cards: what they say is what the parts say, on seen and unseen levels; files; refusals."""

import json

import gymnasium as gym
import numpy as np
import pytest
import torch

import rltk
from rltk.encoders import Encoder, feature_table
from rltk.errors import ArgumentError, ModelError
from rltk.evaluation.representation import Targets, value_r2
from rltk.experiments import report_card
from rltk.experiments.reporting import labels_of

DOOR = "rltk/MiniGrid-Empty-5x5-v0"


def encoder_of(env, trunk="mlp", **options):
    torch.manual_seed(0)
    return Encoder(env.observation_space, trunk, **options)


@pytest.fixture(scope="module")
def lake():
    return gym.make("rltk/FrozenLake-v0", observation="onehot")


def test_a_one_hot_of_the_state_holds_everything(lake):
    """Its linear Q* is Q* where lines are fitted: whatever is fitted on all but a few states is exact there."""
    card = report_card(encoder_of(lake, hidden=()), lake, share=0.9)

    assert card.grades.value_r2["train"] == pytest.approx(1, abs=1e-3)
    assert card.grades.dead_dimensions == 0
    optimum = pytest.approx(rltk.solve(lake, gamma=0.99).start_value, abs=1e-5)
    assert card.bounds == {"seen": {"optimum": optimum, "memoryless": None}}
    assert card.grades.distance is not None


def test_the_figures_are_those_of_the_parts(lake):
    """V*'s R^2 by the functions themselves, on the same states."""
    encoder = encoder_of(lake, hidden=(3,))
    card = report_card(encoder, lake, gamma=0.9, seed=4, distances=False)

    mdp = rltk.MDP.from_env(lake)
    drawn = rltk.runs.Streams(4).generator("report card").permutation(mdp.n_states)
    cut = round(0.8 * mdp.n_states)
    table, targets = feature_table(encoder, lake), Targets.of(mdp, 0.9)
    expected = value_r2(table, targets, np.sort(drawn[:cut]), np.sort(drawn[cut:]))
    assert card.grades.value_r2["held_out"] == pytest.approx(expected)
    assert card.grades.distance is None
    np.testing.assert_allclose(card.value, rltk.solve(mdp, gamma=0.9).value, atol=1e-5)


def test_seen_and_unseen_levels_stand_side_by_side():
    """Every level's states are there, the caller's environment stays where it was, views that alias have a bound."""
    env = gym.make(DOOR)
    env.reset(seed=3)
    before = env.unwrapped.mdp()
    card = report_card(encoder_of(env, "cnn", features_dim=16), env, [0, 1], [7], progress_bar=True)

    assert env.unwrapped.mdp().equals(before)
    assert (card.levels, card.unseen_levels) == (2, 1)
    assert card.grades.states["unseen"] == card.unseen.sum() == before.n_states
    assert set(card.grades.accuracy) == {"position", "heading"}
    assert card.places.shape == (len(card.value), 2)
    assert set(card.bounds) == {"seen", "unseen"}
    for bound in card.bounds.values():
        assert bound["memoryless"] is None or bound["memoryless"] <= bound["optimum"] + 1e-9
    assert max(map(len, str(card).splitlines())) <= 80


def test_it_is_written_as_json_and_as_one_page(lake, tmp_path):
    """Both whole; the page holds its picture, and nothing in it loads or runs."""
    card = report_card(encoder_of(lake), lake)
    plain = json.loads(card.save(tmp_path / "card.json").read_text())
    assert plain["encoder"]["encoder"] == "mlp"
    assert plain["grades"]["n_states"] == len(card.value)
    page = card.save_page(tmp_path / "card.html").read_text()
    assert "data:image/png;base64," in page
    assert "effective rank" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_positions_are_where_the_labels_say():
    mdp = rltk.MDP.from_env(gym.make("rltk/FourRooms-v0"))
    position = labels_of(mdp)["position"]
    for one, other in ((0, 1), (5, 50), (7, 7)):
        assert (position[one] == position[other]) == (mdp.label(one) == mdp.label(other))
    assert labels_of(rltk.MDP.from_env(gym.make("FrozenLake-v1"))) == {}


def test_what_has_no_report_card(lake):
    encoder = encoder_of(lake)
    for given, message in (
        ({"share": 1.0}, "share"),
        ({"share": 0.001}, "share"),
        ({"unseen": 2}, "unseen"),
        ({"levels": 0}, "levels"),
        ({"levels": 3, "unseen": [5, 2]}, "seed 2 is among the levels"),
    ):
        with pytest.raises(ArgumentError, match=message):
            report_card(encoder, lake, **given)
    cart = gym.make("CartPole-v1")
    with pytest.raises(ModelError, match="T and R"):
        report_card(encoder_of(cart), cart)
    with pytest.raises(ArgumentError, match="single"):
        report_card(encoder, gym.make_vec("CartPole-v1", num_envs=2))
