"""The order in which values travel: breadth-first from where episodes end or pay, against the arrows of T.

In that order a state's best successors come before it, so a Gauss-Seidel sweep carries values far in one pass, and
neighbours in the world are neighbours in memory. Blocks of consecutive states know which blocks depend on them.
"""

from dataclasses import dataclass

import numpy as np

from rltk.agents.planning.structure.patterns import Patterns
from rltk.mdp import jit

BLOCK = 64


@dataclass(frozen=True, eq=False)
class Order:
    """A renumbering of S states, cut into B blocks and L breadth-first levels."""

    state: np.ndarray  # (S,) int32: the state at each place
    place: np.ndarray  # (S,) int32: the place of each state
    level_end: np.ndarray  # (B,) int32: for each block the last block of the window that begins with it
    dependants_start: np.ndarray  # (B + 1,) int64
    dependants: np.ndarray  # blocks that hold a predecessor of a state of the block


def goal_first(patterns: Patterns, levels_ahead: int) -> tuple[Order, np.ndarray]:
    """(the order, the successors (S, D) int32 as places in it)."""
    n_states = patterns.pattern.size
    start, predecessors = _predecessors(patterns.successors)
    state, place, level = _breadth_first(start, predecessors, _seeds(patterns))
    successors = _renumbered(patterns.successors, state, place)
    n_blocks = -(-n_states // BLOCK)
    blocks_start, blocks = _block_dependants(successors, n_blocks)
    return Order(state, place, _window_ends(level, n_blocks, levels_ahead), blocks_start, blocks), successors


def _seeds(patterns: Patterns) -> np.ndarray:
    """(n,) int32: states next to an end; where nothing ends, those that can pay nearly the most."""
    seed = patterns.ends
    if not seed[patterns.pattern].any():
        best = patterns.reward.max(axis=1)
        low, high = best.min(), best.max()
        seed = best >= high - 0.25 * (high - low)
    return np.flatnonzero(seed[patterns.pattern]).astype(np.int32)


@jit
def _predecessors(successors):
    """Who leads to a state: compressed rows, self-loops (padding) left out."""
    n_states, width = successors.shape
    start = np.zeros(n_states + 2, dtype=np.int64)
    for s in range(n_states):
        for d in range(width):
            if successors[s, d] != s:
                start[successors[s, d] + 2] += 1
    for s in range(2, n_states + 2):
        start[s] += start[s - 1]
    predecessors = np.empty(start[n_states + 1], dtype=np.int32)
    for s in range(n_states):
        for d in range(width):
            t = successors[s, d]
            if t != s:
                predecessors[start[t + 1]] = s
                start[t + 1] += 1
    return start[: n_states + 1], predecessors


@jit
def _breadth_first(start, predecessors, seeds):
    """(state at each place, place of each state, level of each place); what no seed can be reached from comes last."""
    n_states = start.size - 1
    state = np.empty(n_states, dtype=np.int32)
    place = np.full(n_states, -1, dtype=np.int32)
    level = np.zeros(n_states, dtype=np.int32)
    count = 0
    for s in seeds:
        place[s] = count
        state[count] = s
        count += 1
    head = 0
    while head < count:
        s = state[head]
        for j in range(start[s], start[s + 1]):
            t = predecessors[j]
            if place[t] < 0:
                place[t] = count
                state[count] = t
                level[count] = level[head] + 1
                count += 1
        head += 1
    last = level[count - 1] + 1 if count > 0 else 0
    for s in range(n_states):
        if place[s] < 0:
            place[s] = count
            state[count] = s
            level[count] = last
            count += 1
    return state, place, level


@jit
def _renumbered(successors, state, place):
    out = np.empty_like(successors)
    for i in range(state.size):
        for d in range(successors.shape[1]):
            out[i, d] = place[successors[state[i], d]]
    return out


@jit
def _window_ends(level, n_blocks, levels_ahead):
    """For each block the end (exclusive) of the blocks at most `levels_ahead` levels past its first state."""
    ends = np.empty(n_blocks, dtype=np.int32)
    i = 0
    for block in range(n_blocks):
        limit = level[block * BLOCK] + levels_ahead
        while i < level.size and level[i] <= limit:
            i += 1
        ends[block] = min(n_blocks, (i + BLOCK - 1) // BLOCK)
    return ends


@jit
def _block_dependants(successors, n_blocks):
    """Compressed rows: the blocks that hold a predecessor of some state of a block, itself included where it does."""
    n_states, width = successors.shape
    stamp = np.full(n_blocks, -1, dtype=np.int32)
    start = np.zeros(n_blocks + 2, dtype=np.int64)
    dependants = np.empty(0, dtype=np.int32)
    for turn in range(2):  # count, then fill
        stamp[:] = -1
        for block in range(n_blocks):
            for i in range(block * BLOCK, min(n_states, (block + 1) * BLOCK)):
                for d in range(width):
                    target = successors[i, d] // BLOCK
                    if successors[i, d] == i or stamp[target] == block:
                        continue
                    stamp[target] = block
                    if turn == 0:
                        start[target + 2] += 1
                    else:
                        dependants[start[target + 1]] = block
                        start[target + 1] += 1
        if turn == 0:
            for block in range(2, n_blocks + 2):
                start[block] += start[block - 1]
            dependants = np.empty(start[n_blocks + 1], dtype=np.int32)
    return start[: n_blocks + 1], dependants
