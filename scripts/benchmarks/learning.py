"""`rltk bench learn`: learning steps a second beside the loops that tutorials show, and what a step costs elsewhere."""

import tempfile
import time
from collections import defaultdict
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.scripts.benchmarks.table import Row, in_turns, measured, rate_row

_WORLDS = (
    ("FrozenLake", "FrozenLake-v1"),
    ("FrozenLake8x8", "FrozenLake8x8-v1"),
    ("Taxi", "Taxi-v4"),
    ("CliffWalking", "CliffWalking-v1"),
)
_STEPS, _LOOP_STEPS = 4_000_000, 20_000

_COLD = """
import json, time
import gymnasium as gym, rltk
env = gym.make("rltk/FrozenLake-v0")
begin = time.perf_counter()
rltk.agents.QLearning(env).learn(10)
print(json.dumps({"s": time.perf_counter() - begin}))
"""


def bench_learn(rounds: int) -> list[Row]:
    """Q-learning, SARSA and Expected SARSA compiled beside the faster of two tutorial loops on Gymnasium's own
    environment, and the stepping loop on that environment beside mere random actions."""
    from rltk.agents import SARSA, ExpectedSARSA, QLearning

    rows = []
    for ours_id, peer_id in _WORLDS:
        peer = gym.make(peer_id)
        for learner in (QLearning, SARSA, ExpectedSARSA):
            agent = learner(gym.make(f"rltk/{ours_id}-v0"), gamma=0.99, alpha=0.1, epsilon=0.1).learn(100_000)
            ours, loop = in_turns(rounds, partial(_learn_rate, agent, _STEPS), partial(_faster_tutorial, peer))
            rows.append(rate_row(f"{ours_id}, {agent.name}; peer: tutorial loop", ours, loop))
        plain = QLearning(peer).learn(2_000)
        alone, learning = in_turns(rounds, partial(_random_rate, peer), partial(_learn_rate, plain, _LOOP_STEPS))
        extra = 1e6 * (1 / learning - 1 / alone)
        rows.append(
            Row(f"{peer_id}, a step of learning; peer: random", f"{1e6 / learning:.1f} us", f"{1e6 / alone:.1f} us")
        )
        rows.append(Row("  more than the random loop", f"{extra:+.1f} us"))
    with tempfile.TemporaryDirectory() as empty:
        cold, warm = (measured(_COLD, environment={"RLTK_CACHE_DIR": empty}) for _ in range(2))
    rows.append(Row("first call, cold; peer: kernels on disk", f"{cold['s']:.1f} s", f"{warm['s']:.1f} s"))
    return rows


def _learn_rate(agent: Any, steps: int) -> float:
    begin = time.process_time()
    agent.learn(steps)
    return steps / (time.process_time() - begin)


def _random_rate(env: Any, steps: int = _LOOP_STEPS) -> float:
    """The environment's own loop with random actions."""
    env.reset(seed=0)
    begin = time.process_time()
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
    return steps / (time.process_time() - begin)


def _faster_tutorial(env: Any) -> float:
    return max(_numpy_tutorial(env), _dict_tutorial(env))


def _numpy_tutorial(env: Any, steps: int = _LOOP_STEPS) -> float:
    """The loop that tutorials show: a NumPy table, Gymnasium's step, epsilon-greedy."""
    random = np.random.default_rng(0)
    q = np.zeros((env.observation_space.n, env.action_space.n))
    state, _ = env.reset(seed=0)
    begin = time.process_time()
    for _ in range(steps):
        action = env.action_space.sample() if random.random() < 0.1 else int(np.argmax(q[state]))
        after, reward, terminated, truncated, _ = env.step(action)
        q[state, action] += 0.1 * (reward + 0.99 * np.max(q[after]) * (not terminated) - q[state, action])
        state = env.reset()[0] if terminated or truncated else after
    return steps / (time.process_time() - begin)


def _dict_tutorial(env: Any, steps: int = _LOOP_STEPS) -> float:
    """The other one: a dict of lists."""
    random = np.random.default_rng(0)
    n_actions = int(env.action_space.n)
    q: Any = defaultdict(lambda: [0.0] * n_actions)
    state, _ = env.reset(seed=0)
    begin = time.process_time()
    for _ in range(steps):
        row = q[state]
        action = env.action_space.sample() if random.random() < 0.1 else row.index(max(row))
        after, reward, terminated, truncated, _ = env.step(action)
        row[action] += 0.1 * (reward + 0.99 * max(q[after]) * (not terminated) - row[action])
        state = env.reset()[0] if terminated or truncated else after
    return steps / (time.process_time() - begin)
