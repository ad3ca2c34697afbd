"""Whole episodes: what Monte Carlo methods keep until the end, and what they do where there is none.

    G_t = r_t+1 + gamma G_t+1,    G_T = 0 where the episode terminates

A truncated episode has no return: `truncated="discard"` forgets it, "bootstrap" takes the value of the state that it
was cut at for what is missing.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.tabular.memory import lengthened
from rltk.mdp import jit
from rltk.runs.checks import checked_choice

TRUNCATED = ("discard", "bootstrap")
_BY_STEP = ("states", "actions", "rewards", "chances", "next_states", "ends")


class Steps(NamedTuple):
    """The steps of the episode under way, `size[0]` of them, and what to do with them."""

    states: np.ndarray  # (room,) int64
    actions: np.ndarray  # (room,) int64
    rewards: np.ndarray  # (room,) float64
    size: np.ndarray  # (1,) int64
    first: np.ndarray  # (rows of the table,) int64: where in the episode a row is met first; -1 between episodes
    visits: np.ndarray  # (rows of the table,) float64: the returns, or their weights, averaged so far
    flags: np.ndarray  # (3,) bool: only first visits, bootstrap truncated ones, average (alpha is None)


def steps_of(rows: int, *, first_visit: bool, truncated: str, average: bool) -> Steps:
    """No episode, for a table of so many rows."""
    flags = np.array([first_visit, checked_truncated(truncated) == "bootstrap", average])
    counters = np.zeros(1, dtype=np.int64), np.full(rows, -1), np.zeros(rows)
    return Steps(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0), *counters, flags)


def checked_truncated(truncated: Any) -> str:
    """`truncated`, or an ArgumentError where it is no way to treat a truncated episode."""
    return checked_choice("truncated", truncated, TRUNCATED)


def with_room(memory: Any, count: int) -> Any:
    """`memory`, a NamedTuple whose `size[0]` steps lie in (room,) arrays, with room for `count` more."""
    kept = [name for name in memory._fields if name in _BY_STEP]
    return lengthened(memory, kept, int(memory.size[0]) + count)


@jit(_nrt=False)
def note(memory, state, action, reward, row):
    """Add a step to the episode; `row` is the table's."""
    states, actions, rewards, size, first, visits, flags = memory
    at = size[0]
    states[at], actions[at], rewards[at] = state, action, reward
    if first[row] < 0:
        first[row] = at
    size[0] += 1


@jit(_nrt=False)
def size_of_step(memory, row, alpha):
    """alpha, or what makes the table an average of the returns seen: one over their number, this one included."""
    states, actions, rewards, size, first, visits, flags = memory
    visits[row] += 1.0
    return 1.0 / visits[row] if flags[2] else alpha
