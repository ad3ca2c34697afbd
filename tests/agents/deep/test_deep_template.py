"""The template, copied to a folder of one's own: it trains, goes on from where it was saved, and is graded."""

import importlib.util
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from deep_worlds import Clock

import rltk
from rltk.agents.deep import DQN
from rltk.agents.deep import template as template_module
from rltk.agents.deep.template import WEIGHT, softened
from rltk.errors import CheckpointError

SMALL = {
    "encoder": "mlp",
    "encoder_kwargs": {"hidden": (16,)},
    "learning_starts": 32,
    "batch_size": 16,
    "buffer_size": 400,
    "n_step": 2,
    "prioritised": True,
}
LAKE = "rltk/FrozenLake-v0"


@pytest.fixture
def own(tmp_path):
    """The learner of a copy of the template."""
    copy = tmp_path / "my_dqn.py"
    copy.write_text(Path(template_module.__file__).read_text())
    spec = importlib.util.spec_from_file_location("my_dqn", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SoftenedDQN


def test_a_copy_trains_goes_on_and_is_graded(own, tmp_path):
    """Saved and loaded it ends with the same bits as one that was not; another learner's checkpoint is refused."""
    whole = own(gym.make(LAKE), **SMALL)
    whole.plan_for(300)
    first = own(gym.make(LAKE), **SMALL)
    first.plan_for(300)
    whole.learn(150).learn(150)
    first.learn(150).save(tmp_path / "saved")
    second = own.load(tmp_path / "saved", gym.make(LAKE)).learn(150)

    for one, other in zip(whole.network.parameters(), second.network.parameters(), strict=True):
        assert torch.equal(one, other)
    found = rltk.evaluate(second, gym.make(LAKE))
    assert found.exact
    assert found.value <= found.optimum + 1e-9
    with pytest.raises(CheckpointError, match="softened_dqn"):
        DQN.load(tmp_path / "saved", gym.make(LAKE))


def test_its_loss_is_the_equation_on_top():
    """One transition after the other, by hand; actions that are masked are in neither maximum nor mean."""
    agent = template_module.SoftenedDQN(Clock(masked=True), **{**SMALL, "prioritised": False}).learn(40)
    batch = agent.sample()
    loss, errors = agent.loss(batch)
    with torch.no_grad():
        values = agent.network(batch.observations)[:, 0, :, 0].numpy()
        later = agent.target(batch.next_observations)[:, 0, :, 0].numpy()
    expected = []
    for i, allowed in enumerate(batch.next_masks.numpy()):
        best, mean = later[i][allowed].max(), later[i][allowed].mean()
        target = batch.rewards[i] + batch.discounts[i] * ((1 - WEIGHT) * best + WEIGHT * mean)
        expected.append(float(values[i, batch.actions[i]] - target))
    size = np.abs(expected)

    np.testing.assert_allclose(errors, expected, atol=1e-5)
    huber = np.where(size < 1, size**2 / 2, size - 0.5).mean()
    assert loss.item() == pytest.approx(huber, rel=1e-5)


def test_the_softened_maximum():
    """Of two that are there and one that is not."""
    values, masks = torch.tensor([[1.0, 3.0, 9.0]]), torch.tensor([[True, True, False]])
    assert softened(values, masks).item() == pytest.approx((1 - WEIGHT) * 3 + WEIGHT * 2)
    assert softened(values, None).item() == pytest.approx((1 - WEIGHT) * 9 + WEIGHT * 13 / 3)
