"""`rltk bench env`: steps a second beside Gymnasium's own environments."""

import time
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.scripts.benchmarks.table import Row, in_turns, rate_row

_STEPS = 50_000
_BATCH, _BATCH_STEPS = 1024, 300


def bench_env(rounds: int) -> list[Row]:
    """Random actions on each classic beside Gymnasium's own, single and batched."""
    rows = []
    for ours_id, peer_id in (
        ("rltk/FrozenLake-v0", "FrozenLake-v1"),
        ("rltk/Taxi-v0", "Taxi-v4"),
        ("rltk/CliffWalking-v0", "CliffWalking-v1"),
    ):
        ours, peer = gym.make(ours_id), gym.make(peer_id)
        rates = in_turns(rounds, partial(_step_rate, ours), partial(_step_rate, peer))
        rows.append(rate_row(f"{ours_id}, one, through gym.make", *rates))
        batch = gym.make_vec(ours_id, num_envs=_BATCH)
        one, many = in_turns(rounds, partial(_step_rate, peer), partial(_batch_rate, batch))
        rows.append(rate_row(f"{ours_id}, batch of {_BATCH}; peer: one", many, one))
    return rows


def _step_rate(env: Any) -> float:
    actions = np.random.default_rng(0).integers(int(env.action_space.n), size=_STEPS).tolist()
    env.reset(seed=0)
    begin = time.process_time()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return _STEPS / (time.process_time() - begin)


def _batch_rate(batch: Any) -> float:
    actions = np.random.default_rng(0).integers(int(batch.single_action_space.n), size=(_BATCH_STEPS, _BATCH))
    batch.reset(seed=0)
    batch.step(actions[0])
    begin = time.process_time()
    for action in actions:
        batch.step(action)
    return _BATCH_STEPS * _BATCH / (time.process_time() - begin)
