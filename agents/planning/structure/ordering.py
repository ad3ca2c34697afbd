"""The order in which values travel: against the arrows of T.

Where episodes end, states stand breadth-first from there: a state's best successors come before it, so a Gauss-Seidel
sweep carries values far in one pass, and neighbours in the world are neighbours in memory. Where nothing ends and one
can step back, as in a world one walks about in, the search begins at what pays most. Where nothing ends and the arrows
have a direction, as in a machine that ages until it is replaced, successors come first: depth-first, as they are left.

Blocks of consecutive states know which blocks depend on them.

Source: Wingate and Seppi (2005), "Prioritization methods for accelerating MDP solvers", for orders and blocks; Tarjan
(1972) for the order in which a depth-first search leaves its nodes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rltk.agents.planning.structure.patterns import Patterns
from rltk.agents.planning.structure.predecessors import find_predecessors
from rltk.mdp import jit
from rltk.mdp.rows import Rows

BLOCK = 64


@dataclass(frozen=True, eq=False)
class Order:
    """A renumbering of S states, cut into B blocks and L breadth-first levels."""

    state: np.ndarray  # (S,) int32: the state at each place
    place: np.ndarray  # (S,) int32: the place of each state
    level_end: np.ndarray  # (B,) int32: for each block the end (exclusive) of the window that begins with it
    dependants_start: np.ndarray  # (B + 1,) int64
    dependants: np.ndarray  # blocks that hold a predecessor of a state of the block


class Links(NamedTuple):
    """Whom a search may go on to from each state: those from `start[s]` to `start[s + 1]`, or, where `start` is empty,
    `width` each."""

    other: np.ndarray  # (n,) int32
    start: np.ndarray  # (S + 1,) int64, or (0,)
    width: int = 0


def goal_first(patterns: Patterns, levels_ahead: int) -> tuple[Order, np.ndarray]:
    """(the order, the successors (S, D) int32 as places in it)."""
    n_blocks = -(-patterns.pattern.size // BLOCK)
    mutual = _mutual(patterns.successors)
    if not mutual and not patterns.table.ends.any():
        state, place = _depth_first(_ahead(patterns), patterns.pattern.size)
        level_start = np.array([0, state.size])  # one window: what a place depends on may stand anywhere
    elif mutual:
        state, place, level_start = _breadth_first(_ahead(patterns), patterns.pattern.size, _seeds(patterns))
    else:
        back = Links(*_predecessors(patterns.successors))
        state, place, level_start = _breadth_first(back, patterns.pattern.size, _seeds(patterns))
        del back
    successors = _renumbered(patterns.successors, state, place)
    blocks_start, blocks = _block_dependants(successors, n_blocks)
    return Order(state, place, _window_ends(level_start, n_blocks, levels_ahead), blocks_start, blocks), successors


def goal_first_of_rows(rows: Rows) -> np.ndarray:
    """(S,) int32: the states breadth-first in the same way, found from the rows of T."""
    end = np.zeros(rows.n_states, dtype=bool)
    end[np.repeat(np.arange(rows.n_states), np.diff(rows.row_start[:: rows.n_actions]))[rows.terminated]] = True
    best = np.where(rows.available, rows.expected_reward, -np.inf).max(axis=1)
    against = find_predecessors(rows)
    seeds = np.flatnonzero(end if end.any() else _pays_most(best)).astype(np.int32)
    return _breadth_first(Links(against.state, against.start), rows.n_states, seeds)[0]


def _ahead(patterns: Patterns) -> Links:
    return Links(patterns.successors.reshape(-1), np.zeros(0, dtype=np.int64), patterns.successors.shape[1])


def _pays_most(best: np.ndarray) -> np.ndarray:
    """Which of the best mean rewards are in the upper quarter of their range."""
    low, high = best.min(), best.max()
    return best >= high - 0.25 * (high - low)


def _seeds(patterns: Patterns) -> np.ndarray:
    """(n,) int32: states next to an end; where nothing ends, those that can pay nearly the most."""
    seed = patterns.table.ends
    if not seed.any():
        seed = _pays_most(patterns.table.reward.max(axis=1))
    return np.flatnonzero(seed[patterns.pattern]).astype(np.int32)


@jit
def _predecessors(successors):
    """Who leads to a state: compressed rows, staying left out."""
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
    return predecessors, start[: n_states + 1]


@jit
def _mutual(successors, looked_at=4096):
    """Whether, as in most worlds that one walks about in, a state can be left to where one came from.

    Then its successors serve as its predecessors, which need not be listed. A sample of states will do: the order is
    only a matter of speed.
    """
    n_states, width = successors.shape
    for s in range(0, n_states, max(1, n_states // looked_at)):
        for d in range(width):
            t = successors[s, d]
            back, leaves = False, False
            for e in range(width):
                back |= successors[t, e] == s
                leaves |= successors[t, e] != t
            if leaves and not back:
                return False
    return True


@jit(inline="always")
def _span(links, s):
    if links.start.size == 0:
        return np.int64(s) * links.width, (np.int64(s) + 1) * links.width
    return links.start[s], links.start[s + 1]


@jit
def _breadth_first(links, n_states, seeds):
    """(state at each place, place of each state, first place of each level and S). What no seed leads to comes last."""
    state, place = np.empty(n_states, dtype=np.int32), np.full(n_states, -1, dtype=np.int32)
    for i in range(seeds.size):
        state[i], place[seeds[i]] = seeds[i], i
    levels, count, head = [0], seeds.size, 0
    while head < count:
        if head == levels[-1]:
            levels.append(count)
        begin, stop = _span(links, state[head])
        for j in range(begin, stop):
            t = links.other[j]
            if place[t] < 0:
                place[t] = count
                state[count] = t
                count += 1
        head += 1
    if count < n_states:
        for s in range(n_states):
            if place[s] < 0:
                place[s] = count
                state[count] = s
                count += 1
        levels.append(n_states)
    return state, place, np.array(levels)


@jit
def _depth_first(links, n_states):
    """(state at each place, place of each state) in the order in which a search leaves the states: successors first."""
    state, place = np.empty(n_states, dtype=np.int32), np.full(n_states, -1, dtype=np.int32)
    stack, tried = np.empty(n_states, dtype=np.int32), np.full(n_states, -1, dtype=np.int32)  # -1: was not met
    count = 0
    for root in range(n_states):
        if tried[root] >= 0:
            continue
        stack[0], tried[root], size = root, 0, 1
        while size > 0:
            s = stack[size - 1]
            begin, stop = _span(links, s)
            if begin + tried[s] < stop:
                t = links.other[begin + tried[s]]
                tried[s] += 1
                if tried[t] < 0:
                    stack[size], tried[t] = t, 0
                    size += 1
            else:
                state[count], place[s] = s, count
                count, size = count + 1, size - 1
    return state, place


@jit
def _renumbered(successors, state, place):
    out = np.empty_like(successors)
    for i in range(state.size):
        s = state[i]
        for d in range(successors.shape[1]):
            out[i, d] = place[successors[s, d]]
    return out


@jit
def _window_ends(level_start, n_blocks, levels_ahead):
    """For each block the end (exclusive) of the blocks at most `levels_ahead` levels past its first state."""
    ends = np.empty(n_blocks, dtype=np.int32)
    last = level_start.size - 1  # level_start[last] is S
    level = 0
    for block in range(n_blocks):
        while level_start[level + 1] <= block * BLOCK:
            level += 1
        limit = level_start[min(level + 1 + levels_ahead, last)]
        ends[block] = min(n_blocks, (limit + BLOCK - 1) // BLOCK)
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
                    if stamp[target] == block or successors[i, d] == i:
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
