"""The learning loops that tutorials show, in two styles: a NumPy table, and a dict of lists. Each tells its steps a
second of CPU time. Their updates are those of Sutton and Barto (2018), equations 6.7 to 6.9 and section 12.2.
"""

import time
from collections import defaultdict
from random import Random
from typing import Any

import numpy as np

STEPS = 20_000
ALPHA, GAMMA, EPSILON, LAMBDA = 0.1, 0.99, 0.1, 0.9


def numpy_control(method: str, env: Any) -> float:
    """Q-learning, SARSA or Expected SARSA on a NumPy table."""
    random, n_actions = np.random.default_rng(0), int(env.action_space.n)
    sarsa, q_learning = method == "sarsa", method == "q-learning"
    q = np.zeros((env.observation_space.n, n_actions))

    def choose(state: int) -> int:
        return env.action_space.sample() if random.random() < EPSILON else int(np.argmax(q[state]))

    state, _ = env.reset(seed=0)
    action = choose(state)
    begin = time.process_time()
    for _ in range(STEPS):
        after, reward, terminated, truncated, _ = env.step(action)
        following = choose(after) if sarsa else -1
        if sarsa:
            ahead = q[after, following]
        elif q_learning:
            ahead = np.max(q[after])
        else:
            ahead = (1 - EPSILON) * np.max(q[after]) + EPSILON * np.mean(q[after])
        q[state, action] += ALPHA * (reward + GAMMA * ahead * (not terminated) - q[state, action])
        if terminated or truncated:
            after, following = env.reset()[0], -1
        state, action = after, following if following >= 0 else choose(after)
    return STEPS / (time.process_time() - begin)


def dict_control(method: str, env: Any) -> float:
    """The same on a dict of lists."""
    draw, n_actions = Random(0).random, int(env.action_space.n)
    sarsa, q_learning = method == "sarsa", method == "q-learning"
    q: Any = defaultdict(lambda: [0.0] * n_actions)

    def choose(row: list[float]) -> int:
        return env.action_space.sample() if draw() < EPSILON else row.index(max(row))

    state, _ = env.reset(seed=0)
    row = q[state]
    action = choose(row)
    begin = time.process_time()
    for _ in range(STEPS):
        after, reward, terminated, truncated, _ = env.step(action)
        row_after, following = q[after], -1
        if sarsa:
            following = choose(row_after)
            ahead = row_after[following]
        elif q_learning:
            ahead = max(row_after)
        else:
            ahead = (1 - EPSILON) * max(row_after) + EPSILON * sum(row_after) / n_actions
        row[action] += ALPHA * (reward + GAMMA * ahead * (not terminated) - row[action])
        if terminated or truncated:
            row_after, following = q[env.reset()[0]], -1
        row, action = row_after, following if following >= 0 else choose(row_after)
    return STEPS / (time.process_time() - begin)


def numpy_td_lambda(env: Any) -> float:
    """TD(lambda) of the uniform policy with accumulating traces, all of which fade in one NumPy operation."""
    random, n_actions = np.random.default_rng(0), int(env.action_space.n)
    value, traces = np.zeros(env.observation_space.n), np.zeros(env.observation_space.n)
    state, _ = env.reset(seed=0)
    begin = time.process_time()
    for _ in range(STEPS):
        after, reward, terminated, truncated, _ = env.step(int(random.random() * n_actions))
        error = reward + GAMMA * value[after] * (not terminated) - value[state]
        traces[state] += 1
        value += ALPHA * error * traces
        traces *= GAMMA * LAMBDA
        if terminated or truncated:
            after = env.reset()[0]
            traces[:] = 0
        state = after
    return STEPS / (time.process_time() - begin)


def dict_td_lambda(env: Any) -> float:
    """The same with a dict of the states that have a trace; those below 1e-4 are dropped, as ours are."""
    n_actions = int(env.action_space.n)
    draw, decay = Random(0).random, GAMMA * LAMBDA
    value: Any = defaultdict(float)
    traces: dict[int, float] = {}
    state, _ = env.reset(seed=0)
    begin = time.process_time()
    for _ in range(STEPS):
        after, reward, terminated, truncated, _ = env.step(int(draw() * n_actions))
        error = reward + GAMMA * value[after] * (not terminated) - value[state]
        traces[state] = traces.get(state, 0.0) + 1
        step, kept = ALPHA * error, {}
        for seen, trace in traces.items():
            value[seen] += step * trace
            faded = decay * trace
            if faded > 1e-4:
                kept[seen] = faded
        traces = kept
        if terminated or truncated:
            after, traces = env.reset()[0], {}
        state = after
    return STEPS / (time.process_time() - begin)


def random_actions(env: Any) -> float:
    """The environment's own loop with random actions, which learns nothing."""
    env.reset(seed=0)
    begin = time.process_time()
    for _ in range(STEPS):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
    return STEPS / (time.process_time() - begin)
