"""`rltk bench tabular`: learning steps a second beside the loops that tutorials show, and what a step costs elsewhere.

Ours learn on rltk's own worlds in the compiled loop, the tutorials' (`tutorials.py`) on Gymnasium's; of the two styles
of tutorial the faster one counts.
"""

import tempfile
import time
from functools import partial
from typing import Any

import gymnasium as gym

from rltk.scripts.benchmarks.table import Row, in_turns, measured, rate_row
from rltk.scripts.benchmarks.tutorials import (
    ALPHA,
    EPSILON,
    GAMMA,
    LAMBDA,
    STEPS,
    dict_control,
    dict_td_lambda,
    numpy_control,
    numpy_td_lambda,
    random_actions,
)

_WORLDS = (
    ("FrozenLake", "FrozenLake-v1"),
    ("FrozenLake8x8", "FrozenLake8x8-v1"),
    ("Taxi", "Taxi-v4"),
    ("CliffWalking", "CliffWalking-v1"),
)
_COMPILED_STEPS = 4_000_000
_SEEDS, _SINGLE, _STEPS_A_SEED = 1_000, 30, 100_000
_EACH = {"gamma": GAMMA, "alpha": ALPHA}

_COLD = """
import json, time
import gymnasium as gym, rltk
env = gym.make("rltk/FrozenLake-v0")
begin = time.perf_counter()
rltk.agents.QLearning(env).learn(10)
print(json.dumps({"s": time.perf_counter() - begin}))
"""


def bench_tabular(rounds: int) -> list[Row]:
    """Q-learning, SARSA, Expected SARSA and TD(lambda), compiled and by stepping; many seeds; the first call."""
    from rltk.agents import SARSA, ExpectedSARSA, QLearning, TDLambda

    rows = []
    for ours_id, peer_id in _WORLDS:
        env, peer = gym.make(f"rltk/{ours_id}-v0"), gym.make(peer_id)
        for learner in (QLearning, SARSA, ExpectedSARSA):
            agent = learner(env, epsilon=EPSILON, **_EACH).learn(100_000)
            tutorials = partial(numpy_control, agent.name), partial(dict_control, agent.name)
            rows.append(_beside(ours_id, agent, tutorials, peer, rounds))
        prediction = TDLambda(env, lambda_=LAMBDA, **_EACH).learn(100_000)
        rows.append(_beside(ours_id, prediction, (numpy_td_lambda, dict_td_lambda), peer, rounds))
    rows += _many_seeds(rounds)
    for peer_id in ("FrozenLake-v1", "Taxi-v4"):
        peer = gym.make(peer_id)
        for learner in (QLearning, SARSA, TDLambda):
            rows += _stepping(peer_id, learner(peer, **_EACH), rounds)
    with tempfile.TemporaryDirectory() as empty:
        cold, warm = (measured(_COLD, environment={"RLTK_CACHE_DIR": empty}) for _ in range(2))
    rows.append(Row("first call, cold; peer: kernels on disk", f"{cold['s']:.1f} s", f"{warm['s']:.1f} s"))
    return rows


def _beside(world: str, agent: Any, tutorials: tuple[Any, Any], env: Any, rounds: int) -> Row:
    ours, loop = in_turns(
        rounds, lambda: _learn_rate(agent, _COMPILED_STEPS), lambda: max(tutorial(env) for tutorial in tutorials)
    )
    return rate_row(f"{world}, {agent.name}; peer: tutorial loop", ours, loop)


def _many_seeds(rounds: int) -> list[Row]:
    """A step of a thousand seeds in one call beside a step of single learners, which begin as they do."""
    from rltk.agents import QLearning, learn_many

    env = gym.make("rltk/FrozenLake8x8-v0")
    options = {"epsilon": EPSILON, **_EACH}

    def together() -> float:
        begin = time.process_time()
        learn_many(QLearning, env, _STEPS_A_SEED, seeds=_SEEDS, checkpoints=1, threads=1, **options)
        return _SEEDS * _STEPS_A_SEED / (time.process_time() - begin)

    def alone() -> float:
        agents = [QLearning(env, seed=seed, **options) for seed in range(_SINGLE)]
        begin = time.process_time()
        for agent in agents:
            agent.learn(_STEPS_A_SEED)
        return _SINGLE * _STEPS_A_SEED / (time.process_time() - begin)

    together()
    return [rate_row("FrozenLake8x8, 1,000 seeds at once; peer: one", *in_turns(rounds, together, alone))]


def _stepping(world: str, agent: Any, rounds: int) -> list[Row]:
    """The plain loop on an environment that rltk knows nothing of, beside the same with random actions."""
    agent.learn(2_000)
    learning, alone = in_turns(rounds, lambda: _learn_rate(agent, STEPS), lambda: random_actions(agent.env))
    extra = 1e6 * (1 / learning - 1 / alone)
    what = f"{world}, {agent.name}, a step; peer: random"
    return [Row(what, f"{1e6 / learning:.1f} us", f"{1e6 / alone:.1f} us", f"{extra:+.1f} us")]


def _learn_rate(agent: Any, steps: int) -> float:
    begin = time.process_time()
    agent.learn(steps)
    return steps / (time.process_time() - begin)
