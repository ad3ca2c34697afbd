"""Measure rltk beside its peers, in one run: `rltk bench mdp`, `rltk bench env`, `rltk bench learn`.

Absolute times mean little on a shared machine; the ratio to the peer measured in the same run is what to quote. Times
are the median of several rounds in which ours and the peer's take turns. Cold is the first call in a new process with
an empty kernel cache: it contains all compilation.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Annotated, Any, Literal

import gymnasium as gym
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from rltk.scripts.program import start


@dataclass
class Bench:
    """Measure one part of rltk beside its peers and print a table.

    Example: rltk bench mdp
    """

    part: Annotated[Literal["mdp", "env", "learn"], tyro.conf.Positional] = "mdp"
    """mdp: maps compiled to MDPs. env: steps a second. learn: learning steps a second."""
    size: int = 1000
    """Side of the square map of `mdp`."""
    rounds: int = 5
    """How often each measurement is repeated."""


@dataclass(frozen=True)
class Row:
    """One line of the table: ours and, where there is one, the peer's figure."""

    what: str
    ours: str
    peer: str = ""
    ratio: str = ""


def main(argv: list[str] | None = None) -> int:
    """The program; returns the exit status."""
    return start(Bench, run, argv, "bench")


def run(config: Bench) -> None:
    """Measure as `config` says and print the rows."""
    rows = {"mdp": bench_mdp, "env": bench_env, "learn": bench_learn}[config.part](config)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    table = Table(box=None, pad_edge=False)
    for name in ("what", "ours", "peer", "ratio"):
        table.add_column(name, justify="left" if name == "what" else "right", overflow="fold")
    for row in rows:
        table.add_row(row.what, row.ours, row.peer, row.ratio)
    Console(width=80).print(table)


# mdp: from a map's text to validated arrays

_COMPILE = """
import json, resource, time
from rltk.agents.planning import solve
from rltk.envs.gridworld import compile_map, parse_map
from rltk.scripts.bench import open_map
text = open_map({size})
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
seconds = []
for _ in range({rounds}):
    begin = time.perf_counter()
    mdp, layout = compile_map(parse_map(text))
    seconds.append(time.perf_counter() - begin)
    if len(seconds) == 1: added = peak() - before
solving = []
for _ in range(2):
    begin = time.perf_counter()
    solution = solve(compile_map(parse_map(text))[0], 0.99)
    solving.append(time.perf_counter() - begin)
assert solution.converged
print(json.dumps(dict(first=seconds[0], warm=sorted(seconds[1:])[len(seconds[1:]) // 2], added=added,
                      states=mdp.n_states, held=mdp.nbytes / 2**20, optimum=solving)))
"""

_PEER = """
import json, resource, time
import gymnasium as gym
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv
rows = ["S" + "F" * ({size} - 1)] + ["F" * {size}] * ({size} - 2) + ["F" * ({size} - 1) + "G"]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
begin = time.perf_counter()
FrozenLakeEnv(desc=rows)
print(json.dumps(dict(seconds=time.perf_counter() - begin,
                      added=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before)))
"""
_PEER_SIZE = 300


def bench_mdp(config: Bench) -> list[Row]:
    """A slippery map with a fifth of walls, compiled; Gymnasium's FrozenLake builds its P table beside it."""
    with tempfile.TemporaryDirectory() as empty:
        code = _COMPILE.format(size=config.size, rounds=config.rounds + 1)
        ours = _measured(code, {"RLTK_CACHE_DIR": empty})
    peer = _measured(_PEER.format(size=_PEER_SIZE), {})
    ours_each, peer_each = ours["warm"] / config.size**2, peer["seconds"] / _PEER_SIZE**2
    name = f"{config.size} x {config.size}"
    return [
        Row(f"{name}: map to MDP, first in a process", f"{ours['first']:.2f} s"),
        Row(f"{name}: map to MDP, warm", f"{ours['warm']:.2f} s"),
        Row(f"{name}: certified optimum, gamma .99, cold", f"{ours['optimum'][0]:.2f} s"),
        Row(f"{name}: certified optimum, gamma .99, warm", f"{ours['optimum'][1]:.2f} s"),
        Row(f"{name}: memory added at the peak", f"{ours['added']:.0f} MB"),
        Row(f"{name}: memory held ({ours['states']:,} states)", f"{ours['held']:.0f} MB"),
        Row(
            f"a cell; peer: Gymnasium FrozenLake {_PEER_SIZE} x {_PEER_SIZE}",
            f"{ours_each * 1e9:.0f} ns",
            f"{peer_each * 1e9:.0f} ns",
            f"{peer_each / ours_each:.0f}x",
        ),
        Row(
            "bytes a cell; same peer",
            f"{ours['added'] * 2**20 / config.size**2:.0f}",
            f"{peer['added'] * 2**20 / _PEER_SIZE**2:.0f}",
            f"{peer['added'] / _PEER_SIZE**2 / max(ours['added'] / config.size**2, 1e-9):.1f}x",
        ),
    ]


def open_map(size: int, walls: float = 0.2, seed: int = 0) -> str:
    """The text of a `size` x `size` map with that share of walls, a start, a goal and slip 0.2."""
    cells = np.where(np.random.default_rng(seed).random((size, size)) < walls, "#", ".")
    cells[0, 0], cells[-1, -1] = "S", "G"
    return "\n".join("".join(row) for row in cells) + "\n---\nslip = 0.2\n"


def _measured(code: str, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


# env: steps a second

_STEPS = 50_000
_BATCH, _BATCH_STEPS = 1024, 300


def bench_env(config: Bench) -> list[Row]:
    """Random actions on each classic beside Gymnasium's own, single and batched."""
    rows = []
    for ours_id, peer_id in (
        ("rltk/FrozenLake-v0", "FrozenLake-v1"),
        ("rltk/Taxi-v0", "Taxi-v4"),
        ("rltk/CliffWalking-v0", "CliffWalking-v1"),
    ):
        ours, peer = gym.make(ours_id), gym.make(peer_id)
        rates = _in_turns(config.rounds, partial(_step_rate, ours), partial(_step_rate, peer))
        rows.append(_rate_row(f"{ours_id}, one, through gym.make", *rates))
        batch = gym.make_vec(ours_id, num_envs=_BATCH)
        one, many = _in_turns(config.rounds, partial(_step_rate, peer), partial(_batch_rate, batch))
        rows.append(_rate_row(f"{ours_id}, batch of {_BATCH}; peer: one", many, one))
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


# learn: learning steps a second


def bench_learn(config: Bench) -> list[Row]:
    """Q-learning on the compiled loop and on the plain one, beside the loop that tutorials show."""
    from rltk.agents import QLearning

    rows = []
    for ours_id, peer_id in (("rltk/FrozenLake-v0", "FrozenLake-v1"), ("rltk/Taxi-v0", "Taxi-v4")):
        peer = gym.make(peer_id)
        compiled = QLearning(gym.make(ours_id))
        plain = QLearning(gym.make(peer_id))
        for agent in (compiled, plain):
            agent.learn(2_000)
        rates = _in_turns(config.rounds, partial(_learn_rate, compiled, 2_000_000), partial(_tutorial_rate, peer))
        rows.append(_rate_row(f"{ours_id}, compiled; peer: tutorial loop", *rates))
        rates = _in_turns(config.rounds, partial(_learn_rate, plain, 20_000), partial(_tutorial_rate, peer))
        rows.append(_rate_row(f"{peer_id}, Gymnasium loop; peer: tutorial", *rates))
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


def _in_turns(rounds: int, ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    pairs = [(ours(), peer()) for _ in range(rounds)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def _rate_row(what: str, ours: float, peer: float) -> Row:
    return Row(what, f"{_rate(ours)}/s", f"{_rate(peer)}/s", f"{ours / peer:.3g}x")


def _rate(rate: float) -> str:
    return f"{rate / 1e6:.1f}M" if rate >= 1e6 else f"{rate / 1e3:.0f}k"


if __name__ == "__main__":
    sys.exit(main())
