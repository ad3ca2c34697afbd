"""Weights that somebody sets while an agent learns are those that it acts and learns with, whatever the backend."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import nn

from rltk.agents.deep import DQN
from rltk.errors import LearningError

GREEDY = {"exploration_initial_eps": 0.0, "exploration_final_eps": 0.0, "learning_starts": 0, "gradient_steps": 0}


def made(backend, **options):
    """A greedy agent whose values say 0, for good: it makes no updates."""
    own = {"encoder_kwargs": {"hidden": (8,)}, "backend": backend, "seed": 0, **GREEDY, **options}
    agent = DQN(gym.make("rltk/FrozenLake-v0"), **own)
    with torch.no_grad():
        agent.network.head.out.weight.zero_()
        agent.network.head.out.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    return agent


THREE = torch.tensor([0.0, 0.0, 0.0, 1.0])


def copied(agent):
    agent.network.head.out.bias.data.copy_(THREE)


def loaded(agent):
    agent.network.load_state_dict({**agent.network.state_dict(), "head.out.bias": THREE})


def moved(agent):
    agent.network.head.out.bias.data = THREE.clone()


def moved_at_once(agent):
    copied(agent)
    for parameter in agent.network.parameters():
        parameter.data = parameter.data.clone()


def replaced_with_its_optimiser(agent):
    agent.network.head.out = nn.Linear(8, 4)
    with torch.no_grad():
        agent.network.head.out.weight.zero_()
        agent.network.head.out.bias.copy_(THREE)
    agent.optimiser = torch.optim.Adam(agent.network.parameters())


@pytest.mark.parametrize("backend", ["torch", "compiled"])
@pytest.mark.parametrize("change", [copied, loaded, moved, moved_at_once, replaced_with_its_optimiser])
def test_what_was_set_is_acted_on(backend, change):
    """From the next step on, though the kernel keeps all weights in an array of its own."""
    agent = made(backend)
    assert agent.updater.name == ("kernel" if backend == "compiled" else "torch")
    agent.learn(50, lambda progress: change(agent) if progress.timestep == 20 else None, callback_every=20)

    actions = agent.replay.arrays().actions[: len(agent.replay)]
    np.testing.assert_array_equal(actions, np.repeat([0, 3], [20, 30]))


def test_what_was_set_is_learnt_with():
    """The kernel goes on from moved weights, and from another target, as from those that were copied in place."""
    agents = [made("compiled", gradient_steps=1) for _ in range(2)]
    for agent in agents:
        agent.learn(40)
    copied(agents[0])
    moved(agents[1])
    agents[1].target = copy.deepcopy(agents[1].target)
    for agent in agents:
        agent.learn(40)

    for one, other in zip(agents[0].network.parameters(), agents[1].network.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("backend", ["torch", "compiled"])
def test_parameters_that_the_optimiser_does_not_know_are_refused(backend):
    """A layer that was put in place of another would never be trained; what there was can be gone on with."""
    agent = made(backend).learn(10)
    before = agent.network.head.out
    agent.network.head.out = nn.Linear(8, 4)
    with pytest.raises(LearningError, match=r"head\.out\.weight is another parameter"):
        agent.learn(10)
    agent.network.head.out = before

    assert agent.learn(10).timestep == 20
