"""`rltk bench dqn` in small: every row is measured, beside peers that do the same work."""

import importlib.util
from typing import Any

import numpy as np
import pytest

import rltk.agents
from rltk.scripts.benchmarks import dqn, dqn_peers
from rltk.scripts.benchmarks.table import print_rows


@pytest.fixture
def small(monkeypatch):
    """A few updates and steps, one case."""
    sizes = {"_UPDATES": 3, "_PEER_UPDATES": 3, "_FILLED": 80, "_STEPS": 120, "_SAMPLES": 130, "_ENVS": 2, "_RUNS": 1}
    for name, value in sizes.items():
        monkeypatch.setattr(dqn, name, value)
    monkeypatch.setattr(dqn, "_CASES", dqn._CASES[1:2])
    monkeypatch.setitem(dqn_peers.CARTPOLE, "learning_starts", 50)
    monkeypatch.setitem(dqn_peers.CARTPOLE, "train_freq", 60)
    monkeypatch.setitem(dqn_peers.CARTPOLE, "gradient_steps", 2)
    monkeypatch.setattr(dqn, "measured", lambda code, environment: {"s": 1.0})


class _Agent:
    """Has the verbs that are measured, and remembers that they were called."""

    device = "cpu"
    trained = 0

    def __init__(self, env: Any, **settings: Any) -> None:
        self.env = env

    def learn(self, steps: int) -> "_Agent":
        self.env.reset()
        return self

    def train(self, updates: int) -> None:
        _Agent.trained += updates


def test_every_row_is_measured(small, monkeypatch, capsys):
    """The kernel beside both peers, agents, whole runs and the cold compile, within 80 columns."""
    pytest.importorskip("minigrid")
    monkeypatch.setattr(rltk.agents, "DQN", _Agent, raising=False)
    if importlib.util.find_spec("rltk.encoders") is None:
        monkeypatch.setattr(dqn, "_PICTURES", {})

    rows = list(dqn.bench_dqn(1))

    text = "\n".join(row.what for row in rows)
    for what in ("peer: CleanRL", "peer: SB3", "update, 4-64-64-2", "CartPole", "DoorKey", "cold"):
        assert what in text
    assert _Agent.trained >= 3
    assert all(float(row.ratio.rstrip("x").replace(",", "")) > 0 for row in rows if row.ratio)
    print_rows(rows)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_peers_train_on_what_they_are_shown():
    """SB3's replay is full and its network untouched; CleanRL's update lowers its own loss on a bandit."""
    env = dqn_peers.Shown(dqn._VIEW, 7, zeros=0.6)
    assert 0.5 < np.mean(env.rows == 0) < 0.7
    sb3 = dqn_peers.sb3_filled(env, (16,), 80)
    assert sb3.replay_buffer.size() == 80
    assert sb3._n_updates == 0

    dqn_peers.cleanrl_update(env, (16,), sb3.replay_buffer)(2)
    sb3.train(2, batch_size=64)
    assert sb3._n_updates == 2
