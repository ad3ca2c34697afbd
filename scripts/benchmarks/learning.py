"""`rltk bench learn`: learning steps a second beside the loop that tutorials show."""

import time
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from rltk.scripts.benchmarks.table import Row, in_turns, rate_row


def bench_learn(rounds: int) -> list[Row]:
    """Q-learning on the compiled loop and on the plain one, beside the loop that tutorials show."""
    from rltk.agents import QLearning

    rows = []
    for ours_id, peer_id in (("rltk/FrozenLake-v0", "FrozenLake-v1"), ("rltk/Taxi-v0", "Taxi-v4")):
        peer = gym.make(peer_id)
        compiled = QLearning(gym.make(ours_id))
        plain = QLearning(gym.make(peer_id))
        for agent in (compiled, plain):
            agent.learn(2_000)
        rates = in_turns(rounds, partial(_learn_rate, compiled, 2_000_000), partial(_tutorial_rate, peer))
        rows.append(rate_row(f"{ours_id}, compiled; peer: tutorial loop", *rates))
        rates = in_turns(rounds, partial(_learn_rate, plain, 20_000), partial(_tutorial_rate, peer))
        rows.append(rate_row(f"{peer_id}, Gymnasium loop; peer: tutorial", *rates))
    return rows


def _learn_rate(agent: Any, steps: int) -> float:
    begin = time.process_time()
    agent.learn(steps)
    return steps / (time.process_time() - begin)


def _tutorial_rate(env: Any, steps: int = 20_000) -> float:
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
