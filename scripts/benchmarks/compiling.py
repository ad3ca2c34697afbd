"""`rltk bench mdp`: from a map's text to validated arrays, beside Gymnasium's FrozenLake and its P table."""

import tempfile

import numpy as np

from rltk.scripts.benchmarks.table import Row, measured

_COMPILE = """
import json, resource, time
from rltk.agents.planning import solve
from rltk.envs.gridworld import compile_map, parse_map
from rltk.scripts.benchmarks.compiling import open_map
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


def bench_mdp(size: int, rounds: int) -> list[Row]:
    """A slippery map with a fifth of walls, compiled; Gymnasium's FrozenLake builds its P table beside it."""
    with tempfile.TemporaryDirectory() as empty:
        code = _COMPILE.format(size=size, rounds=rounds + 1)
        ours = measured(code, environment={"RLTK_CACHE_DIR": empty})
    peer = measured(_PEER.format(size=_PEER_SIZE))
    ours_each, peer_each = ours["warm"] / size**2, peer["seconds"] / _PEER_SIZE**2
    name = f"{size} x {size}"
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
            f"{ours['added'] * 2**20 / size**2:.0f}",
            f"{peer['added'] * 2**20 / _PEER_SIZE**2:.0f}",
            f"{peer['added'] / _PEER_SIZE**2 / max(ours['added'] / size**2, 1e-9):.1f}x",
        ),
    ]


def open_map(size: int, walls: float = 0.2, seed: int = 0) -> str:
    """The text of a `size` x `size` map with that share of walls, a start, a goal and slip 0.2."""
    cells = np.where(np.random.default_rng(seed).random((size, size)) < walls, "#", ".")
    cells[0, 0], cells[-1, -1] = "S", "G"
    return "\n".join("".join(row) for row in cells) + "\n---\nslip = 0.2\n"
