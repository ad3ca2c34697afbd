"""Saved, killed, disturbed and taken up again: DQN goes on with the same bits."""

import random
import signal
import time

import gymnasium as gym
import numpy as np
import pytest
import runs_to_kill
import torch
from deep_worlds import Clock
from gymnasium.vector import AutoresetMode
from killed import Working, kill_soon

import rltk
from rltk.agents.deep import DQN
from rltk.errors import CheckpointError
from rltk.runs.pace import MOMENT

SMALL = {
    "learning_starts": 40,
    "buffer_size": 300,
    "batch_size": 16,
    "train_freq": 3,
    "gradient_steps": 2,
    "target_update_interval": 20,
    "encoder": "mlp",
    "encoder_kwargs": {"hidden": (16,)},
    "exploration_fraction": 0.5,
}


def tabular():
    return gym.make("rltk/FrozenLake-v0")


def cart_pole():
    return gym.make("CartPole-v1")


def batch():
    return gym.make_vec("rltk/FrozenLake-v0", num_envs=4, autoreset_mode=AutoresetMode.SAME_STEP)


def board():
    return gym.make("rltk/MiniGrid-Empty-5x5-v0", form="image")


ROADS = {
    "the kernel": (tabular, {}),
    "the kernel of boards": (board, {"encoder": "cnn", "encoder_kwargs": {"features_dim": 8}}),
    "torch": (tabular, {"backend": "torch"}),
    "replayed": (cart_pole, {"backend": "torch"}),
    "a stack of frames, replayed": (lambda: gym.wrappers.FrameStackObservation(cart_pole(), 3), {}),
    "a batch": (batch, {}),
    "a batch of minigrid": (lambda: gym.make_vec("rltk/MiniGrid-Empty-5x5-v0", num_envs=3, form="flat"), {}),
    "three steps, prioritised": (tabular, {"n_step": 3, "prioritised": True}),
    "double, averaged": (tabular, {"double": True, "tau": 0.01, "target_update_interval": 1}),
    "noisy, dueling, C51": (tabular, {"noisy": True, "dueling": True, "values": "categorical", "atoms": 5}),
    "bootstrapped": (tabular, {"bootstrapped": 3}),
    "lstm, prioritised": (
        cart_pole,
        {"memory": "lstm", "memory_size": 8, "sequence_length": 4, "burn_in": 2, "prioritised": True},
    ),
    "rmsprop, a schedule": (tabular, {"optimizer": "rmsprop", "learning_rate": rltk.runs.linear(1e-3, 1e-4, 300)}),
}
every_road = pytest.mark.parametrize("road", ROADS)


def made(road, seed=4):
    make, options = ROADS[road]
    return DQN(make(), seed=seed, **{**SMALL, **options})


def bits(agent):
    """All weights, and what the optimiser keeps."""
    weights = [tensor.detach().numpy().tobytes() for tensor in agent.network.state_dict().values()]
    weights += [tensor.detach().numpy().tobytes() for tensor in agent.target.state_dict().values()]
    kept = agent.state()["optimiser"]
    return weights + [np.asarray(value).tobytes() for own in kept.values() for value in own.values()]


@pytest.mark.parametrize("road", ["the kernel", "the kernel of boards"])
def test_the_road_by_a_kernel_goes_by_it(road):
    """Or the tests below would hold torch only."""
    assert made(road).updater.name == "kernel"


@every_road
def test_learning_in_two_parts_learns_the_same(road):
    """n steps and n again are 2 n, within an episode or not."""
    whole, parts = made(road), made(road)
    whole.exploration_steps = parts.exploration_steps = 100
    whole.learn(240)
    for count in (101, 39, 100) if whole.n_envs == 1 else (120, 120):
        parts.learn(count)

    assert parts.timestep == whole.timestep
    assert bits(parts) == bits(whole)


@every_road
def test_saved_and_loaded_it_goes_on_with_the_same_bits(road, tmp_path):
    """`save`, `load` on a fresh environment, learn on: as if nothing had happened."""
    whole = made(road)
    whole.exploration_steps = 100
    first = made(road)
    first.exploration_steps = 100
    whole.learn(120)
    first.learn(120)
    first.save(tmp_path / "agent")
    torch.rand(7)  # whoever else draws torch's numbers changes nothing
    second = DQN.load(tmp_path / "agent", ROADS[road][0](), backend=ROADS[road][1].get("backend", "auto"))
    whole.learn(120)
    second.learn(120)

    assert second.timestep == whole.timestep >= 240
    assert bits(second) == bits(whole)
    assert second.episodes == whole.episodes
    assert second.config() == whole.config()


@pytest.mark.parametrize("road", ["the kernel", "torch", "replayed", "a batch"])
def test_whoever_used_the_environment_meanwhile_changes_nothing(road):
    """Resetting and stepping the learner's own environment in a callback leaves the same weights."""

    def meddle(progress):
        env = progress.agent.env
        for _ in range(2):
            env.reset(seed=99)
            env.step(env.action_space.sample())

    whole, disturbed = made(road).learn(200), made(road).learn(200, meddle, callback_every=50)

    assert bits(disturbed) == bits(whole)


class Interrupting:
    """Presses Ctrl-C at the third call of a method that it stands in for, and lets the moment of a piece pass."""

    def __init__(self, method):
        self.method, self.calls = method, 0

    def __call__(self, *given):
        self.calls += 1
        if self.calls == 3:
            signal.raise_signal(signal.SIGINT)
            time.sleep(2 * MOMENT)
        return self.method(*given)


LONG_TURNS = {"train_freq": 60, "gradient_steps": 150, "learning_starts": 20, "exploration_fraction": 1.0}


@pytest.mark.parametrize("road", ["the kernel", "torch", "three steps, prioritised", "noisy, dueling, C51"])
def test_an_interrupt_does_not_wait_for_all_updates_of_a_turn(road, tmp_path):
    """It comes between some of them; whoever goes on, the learner itself or one that was saved, makes the rest."""
    make, options = ROADS[road]
    given = {**SMALL, **options, **LONG_TURNS, "seed": 4}
    whole, cut = DQN(make(), **given).learn(100), DQN(make(), **given)
    cut.updater.train = Interrupting(cut.updater.train)
    with pytest.raises(KeyboardInterrupt):
        cut.learn(100)
    cut.save(tmp_path / "agent")
    loaded = DQN.load(tmp_path / "agent", make(), backend=options.get("backend", "auto"))

    assert cut.timestep == 60
    assert 0 < cut.updates < 150
    assert cut.updates + cut.owed == 150
    for agent in (cut, loaded):
        agent.learn(40)
        assert agent.updates == whole.updates == 150
        assert bits(agent) == bits(whole)


@pytest.mark.parametrize("road", ["the kernel", "replayed", "a batch"])
def test_an_interrupt_does_not_wait_for_all_steps_of_a_turn(road):
    """It comes between some of them, and what is gone on with is what was never cut."""
    make, options = ROADS[road]
    given = {**SMALL, **options, "train_freq": 400, "gradient_steps": 3, "seed": 4, "target_update_interval": 50}
    whole, cut = DQN(make(), **given).learn(900), DQN(make(), **given)
    cut.players.step = Interrupting(cut.players.step)
    with pytest.raises(KeyboardInterrupt):
        cut.learn(900)

    assert 0 < cut.timestep < 400
    cut.learn(900 - cut.timestep)
    assert cut.timestep == whole.timestep
    assert bits(cut) == bits(whole)


def test_callbacks_see_a_turn_when_it_is_over():
    """However its updates are cut, a callback at its last step finds them made."""
    told = []
    agent = DQN(tabular(), seed=4, **{**SMALL, **LONG_TURNS})
    agent.learn(120, lambda progress: told.append((progress.timestep, progress.agent.updates)), callback_every=60)

    assert told == [(60, 150), (120, 300)]


def test_the_backends_go_on_from_each_other(tmp_path):
    """What the kernel saved, torch loads, optimiser and all, and the other way round: equal to rounding."""
    first = made("the kernel").learn(150)
    first.save(tmp_path / "agent")
    by_torch = DQN.load(tmp_path / "agent", tabular(), backend="torch").learn(30)
    by_kernel = DQN.load(tmp_path / "agent", tabular(), backend="compiled").learn(30)

    assert by_torch.updater.name == "torch"
    assert by_kernel.updater.name == "kernel"
    for one, other in zip(by_torch.network.parameters(), by_kernel.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_an_environment_that_does_not_repeat_itself_is_refused():
    """Replaying the open episode must lead where it led (`Clock` counts its episodes whatever the seed)."""
    state = DQN(Clock(longest=50), **SMALL).learn(30).state()
    with pytest.raises(CheckpointError, match="does not repeat itself"):
        DQN(Clock(longest=50, first=7), **SMALL).restore(state)


def test_another_learner_s_state_is_refused(tmp_path):
    """Another gamma, another environment: named."""
    made("the kernel").learn(60).save(tmp_path / "agent")
    state = made("the kernel").learn(60).state()
    with pytest.raises(CheckpointError, match="gamma"):
        DQN(tabular(), **{**SMALL, "gamma": 0.5}).restore(state)
    with pytest.raises(CheckpointError):
        DQN.load(tmp_path / "agent", gym.make("rltk/CliffWalking-v0"))
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        DQN.load(tmp_path / "nothing", tabular())


KILLED = {**SMALL, "buffer_size": 400, "train_freq": 2, "n_step": 2}


@pytest.mark.parametrize("name", ["rltk/FrozenLake-v0", "CartPole-v1"])
def test_killed_at_random_moments_it_ends_with_the_same_bits(name, tmp_path):
    """SIGKILL, three times, wherever it is: the run that was never killed has the same weights, replay and all."""
    target = 700
    whole = DQN(gym.make(name), seed=5, **KILLED)
    whole.exploration_steps = 500
    whole.learn(target)
    with rltk.runs.Run.start(tmp_path, env=name, algorithm="dqn", seed=5, name="run") as run:
        place = run.folder
    arguments, moments = (runs_to_kill.network, place, name, KILLED, target, 37), random.Random(3)
    begun = []
    for _ in range(3):
        working = Working(*arguments)
        begun.append(working.heard())
        assert kill_soon(working, moments, reports=5, seconds=0.1)
    assert begun == sorted(begun)  # each went on from what the one before had reached
    assert Working(*arguments).end() == 0
    killed = rltk.runs.latest_checkpoint(place / "checkpoints").state["agent"]

    assert killed["timestep"] == target
    assert _flat(killed) == _flat(whole.state())


def _flat(tree, path=""):
    """A state as {path: bytes or value}, but for what only time decides."""
    if isinstance(tree, dict):
        return {key: value for name, own in tree.items() for key, value in _flat(own, f"{path}/{name}").items()}
    if isinstance(tree, list):
        return {key: value for i, own in enumerate(tree) for key, value in _flat(own, f"{path}/{i}").items()}
    if hasattr(tree, "arrays"):  # a ring
        return _flat({**tree.arrays, "written": tree.written}, path)
    return {path: tree.tobytes() if isinstance(tree, np.ndarray) else tree}
