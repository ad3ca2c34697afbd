"""Pretraining: it learns, goes on with the same bits, shares work between processes, refuses what can't be."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rltk.encoders import Encoder
from rltk.errors import ArgumentError, CheckpointError, LearningError, SpaceError
from rltk.experiments import Transitions, every_transition, pretrain

SPACE = spaces.Dict({"board": spaces.Box(0, 3, (3, 3, 1), np.uint8), "index": spaces.Discrete(4)})


def data_of(levels=5, each=12, seed=0):
    """Boards and indices; the action is the difference of two indices."""
    rng = np.random.default_rng(seed)
    count = levels * each
    index = rng.integers(0, 4, count)
    board = np.broadcast_to(index[:, None, None, None], (count, 3, 3, 1)).astype(np.uint8).copy()
    board[:, 0, 0, 0] = rng.integers(0, 4, count)
    origin = np.arange(count)[np.arange(count) % each < each - 1]
    return Transitions(
        observation_space=SPACE,
        observations={"board": board, "index": index},
        level=np.arange(count) // each,
        origin=origin,
        action=(index[origin + 1] - index[origin]) % 4,
        reward=np.zeros(len(origin), np.float32),
        next=origin + 1,
        terminated=np.zeros(len(origin), bool),
        n_actions=4,
        weight=rng.random(len(origin)) + 0.1,
        targets={"value": index.astype(np.float32), "q": np.repeat(index[:, None], 4, 1).astype(np.float32)},
    )


def encoder_of(seed=0, dropout=False):
    torch.manual_seed(seed)
    trunk = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.2)) if dropout else "mlp"
    options = {"token_width": 8} if dropout else {"hidden": (16,)}
    return Encoder(SPACE, trunk, features_dim=8, **options)


def weights(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def run(steps=20, seed=0, encoder=None, objectives=None, data=None, **options):
    encoder = encoder_of(dropout=True) if encoder is None else encoder
    given = {"batch_size": 16, "device": "cpu", "seed": seed, "report_every": 5, **options}
    wanted = {"vae": 1.0, "inverse": 0.5} if objectives is None else objectives
    return pretrain(encoder, data_of() if data is None else data, wanted, steps, **given)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(weights(one).values(), weights(other).values(), strict=True))


def test_it_learns_and_says_how_well():
    """The loss falls, on what is held out too; features tell the next action."""
    encoder, reports = encoder_of(), []
    done = pretrain(
        encoder, data_of(levels=60), "inverse", 300, learning_rate=5e-3, report_every=50, callback=reports.append
    )

    assert done.encoder is encoder
    assert not encoder.training
    assert [row["step"] for row in done.history] == [50, 100, 150, 200, 250, 300]
    assert reports == done.history
    assert done.history[-1]["loss"] < 0.3 * done.history[0]["loss"]
    assert done.history[-1]["held_out"] < 0.5 * done.history[0]["held_out"]
    assert "300" in str(done)
    assert max(map(len, str(done).splitlines())) <= 80


def test_the_same_seed_gives_the_same_bits_and_leaves_random_numbers_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one = run()
    torch.rand(7)
    other = run()
    assert same(one.encoder, other.encoder)
    assert one.history == other.history
    torch.manual_seed(11)
    assert torch.equal(torch.get_rng_state(), before)
    assert not same(one.encoder, run(seed=1).encoder)
    different = weights(run(held_out=None).encoder)
    assert any(not torch.equal(tensor, different[name]) for name, tensor in weights(one.encoder).items())


def test_stopped_and_resumed_it_ends_with_the_same_bits(tmp_path):
    """By a callback in the middle, then anew from the folder; the history is one."""
    whole = run(20)

    def stop(row):
        return row["step"] < 10

    first = run(20, folder=tmp_path / "run", save_every=2, callback=stop)
    assert first.history[-1]["step"] == 10
    second = run(20, folder=tmp_path / "run", save_every=2, encoder=encoder_of(seed=5, dropout=True))
    assert same(second.encoder, whole.encoder)
    assert same(second.objective, whole.objective)
    assert second.history == whole.history
    assert run(20, folder=tmp_path / "run").history == whole.history  # nothing left to do


def test_a_folder_of_another_run_is_refused(tmp_path):
    run(5, folder=tmp_path / "run")
    for changes, named in (
        ({"objectives": "forward"}, "objectives was"),
        ({"objectives": {"vae": 2.0, "inverse": 0.5}}, "objectives was"),
        ({"encoder": encoder_of()}, "encoder was"),
        ({"seed": 3}, "seed was 0 there and is 3 here"),
        ({"learning_rate": 0.1}, "learning_rate"),
        ({"data": data_of(seed=1)}, "data was"),
    ):
        with pytest.raises(CheckpointError, match=named):
            run(5, folder=tmp_path / "run", **changes)


def test_a_loss_that_is_not_finite_stops_before_it_is_learnt():
    encoder = encoder_of(dropout=True)
    with torch.no_grad():
        encoder.readout.layers[0].weight[0, 0] = torch.inf
    before = weights(encoder)
    with pytest.raises(LearningError, match="update 1"):
        run(encoder=encoder)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(encoder).items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"batch_size": 0}, "batch_size"),
        ({"held_out": 0.01}, "held_out"),
        ({"objectives": "bisimulation"}, "distance"),
        ({"objectives": {}}, "objectives"),
        ({"learning_rate": -1.0}, "optimizer"),
        ({"max_grad_norm": -1.0}, "max_grad_norm"),
        ({"encoder": "cnn"}, "Encoder was expected"),
        ({"data": "CartPole-v1"}, "Transitions were expected"),
    ],
)
def test_what_cannot_be_pretrained(changes, message):
    with pytest.raises(ArgumentError, match=message):
        run(**changes)


def test_observations_alone_serve_what_needs_no_transitions():
    data = data_of()
    alone = Transitions(
        observation_space=SPACE,
        observations=data.observations,
        level=data.level,
        n_actions=0,
        **{name: getattr(data, name)[:0] for name in ("origin", "action", "reward", "next", "terminated")},
    )
    options = {"batch_size": 16, "device": "cpu"}
    assert len(pretrain(encoder_of(), alone, "vae", 4, **options).history) == 4
    with pytest.raises(ArgumentError, match="no transition"):
        pretrain(encoder_of(), alone, "inverse", 4, **options)
    with pytest.raises(ArgumentError, match="'value'"):
        pretrain(encoder_of(), alone, "supervised", 4, **options)


def test_an_encoder_for_other_observations_is_refused():
    """By its space's form, and by the symbols that it knows."""
    with pytest.raises(SpaceError, match="made for"):
        run(encoder=Encoder(spaces.Box(0, 1, (3,), np.float32)))
    fewer = spaces.Dict({"board": spaces.Box(0, 2, (3, 3, 1), np.uint8), "index": spaces.Discrete(4)})
    with pytest.raises(SpaceError, match="symbols from 0 to 2"):
        run(encoder=Encoder(fewer))


def test_distances_are_learnt():
    """Pairs of a batch get the distances between their own states."""
    data = every_transition("rltk/FrozenLake-v0", distances=True)
    encoder = Encoder(data.observation_space, "mlp", hidden=(32,))
    options = {"held_out": None, "device": "cpu", "batch_size": 32, "learning_rate": 1e-2}
    done = pretrain(encoder, data, "bisimulation", 200, **options)
    assert done.history[-1]["loss"] < 0.3 * done.history[0]["loss"]


def test_observations_that_are_all_the_same_are_refused():
    data = data_of()
    same = {name: np.repeat(part[:1], len(part), 0) for name, part in data.observations.items()}
    with pytest.raises(ArgumentError, match="nothing to tell apart"):
        run(data=replace(data, observations=same), held_out=None)


def test_rows_are_drawn_as_their_weights_say():
    """10,000 draws: each row's share is its weight's, to four standard deviations."""
    from rltk.experiments.tables import Tables
    from rltk.objectives import objectives_of

    data = data_of(levels=2, each=4)
    tables = Tables(data, objectives_of("vae", encoder_of()), torch.device("cpu"))
    counts = np.bincount(tables.draw(np.random.default_rng(0), 10_000), minlength=len(data))
    expected = 10_000 * data.weight / data.weight.sum()
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()
    batch = tables.batch(np.array([3, 0]))
    assert batch.actions.tolist() == data.action[[3, 0]].tolist()
    assert batch.next_observations["index"].tolist() == data.observations["index"][data.next[[3, 0]]].tolist()
    assert batch.targets["value"].tolist() == data.targets["value"][data.origin[[3, 0]]].tolist()


SHARED = """
import json, sys, torch
sys.path.insert(0, sys.argv[1])
from test_pretraining import data_of, encoder_of
from rltk.experiments import pretrain
done = pretrain(encoder_of().double(), data_of(), "inverse", 6, batch_size=16, device="cpu", held_out=None)
numbers = torch.cat([tensor.flatten() for tensor in done.encoder.state_dict().values()]).tolist()
print(json.dumps([numbers, [row["loss"] for row in done.history]]))
"""


def test_two_processes_learn_what_one_learns():
    """Started as torchrun starts them: each takes half of every batch; the weights are those of one, to rounding."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    alone = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    shared = {**alone, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SHARED, os.path.dirname(__file__)]
    workers = [
        subprocess.Popen(command, env={**shared, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    found = [json.loads(worker.communicate(timeout=120)[0].splitlines()[-1]) for worker in workers]

    assert found[0] == found[1]
    done = pretrain(encoder_of().double(), data_of(), "inverse", 6, batch_size=16, device="cpu", held_out=None)
    one = torch.cat([tensor.flatten() for tensor in done.encoder.state_dict().values()]).tolist()
    np.testing.assert_allclose(found[0][0], one, atol=1e-6)
    np.testing.assert_allclose(found[0][1], [row["loss"] for row in done.history], rtol=1e-6)  # not its share's alone
    start = torch.cat([tensor.flatten() for tensor in encoder_of().double().state_dict().values()])
    assert np.abs(np.array(one) - start.numpy()).max() > 1e-3


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ArgumentError, match="multiple"):
        run()
