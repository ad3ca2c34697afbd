"""Eligibility traces: every step teaches all the states that led to it, the more so the more recent they are.

    e(s) <- gamma lambda e(s) for all s;   for the state met   accumulating  e(s) <- e(s) + 1
                                                               replacing     e(s) <- 1
                                                               dutch         e(s) <- (1 - alpha) e(s) + 1
    delta = r + gamma V(s') - V(s),    V(s) <- V(s) + alpha delta e(s) for all s

Tables of action values have one trace for each state and action. A trace is dropped when it falls below `cut`: what is
forgotten by that is at most alpha cut |delta| a state and step, and traces stay as short as
log(cut) / log(gamma lambda). lambda = 0 is the one-step method. An episode's end, terminated or truncated, ends its
traces.

Source: Sutton (1988); Singh and Sutton (1996) for replacing traces; van Seijen and Sutton (2014) for dutch ones; Sutton
and Barto (2018), sections 12.2, 12.5 and 12.7.
"""

from typing import NamedTuple

import numpy as np

from rltk.mdp import jit
from rltk.runs.checks import checked_choice

KINDS = ("accumulating", "replacing", "dutch")


class Traces(NamedTuple):
    """The traces above `cut`: `rows[:size[0]]` are theirs."""

    trace: np.ndarray  # (rows of the table,) float64
    rows: np.ndarray  # (rows of the table,) int64
    size: np.ndarray  # (1,) int64
    settings: np.ndarray  # (2,) float64: lambda, cut
    kind: np.ndarray  # (1,) int64: a place in KINDS


def traces_of(size: int, lambda_: float, kind: str, cut: float) -> Traces:
    """No traces, for a table of `size` rows."""
    place = KINDS.index(checked_choice("traces", kind, KINDS))
    counters = np.zeros(size, dtype=np.int64), np.zeros(1, dtype=np.int64)
    return Traces(np.zeros(size), *counters, np.array([lambda_, cut]), np.array([place]))


@jit(_nrt=False)
def visit(memory, row, alpha):
    """Mark `row` as just met."""
    trace, rows, size, settings, kind = memory
    if trace[row] == 0.0:
        rows[size[0]] = row
        size[0] += 1
    if kind[0] == 0:
        trace[row] += 1.0
    elif kind[0] == 1:
        trace[row] = 1.0
    else:
        trace[row] = (1.0 - alpha) * trace[row] + 1.0


@jit(_nrt=False)
def teach(values, memory, step, factor):
    """Add `step` times its trace to each of `values` (rows,), and multiply all traces by `factor`, dropping what falls
    below the cut; with factor 0 all of them. Returns 0, or nan where a value is not finite any more."""
    trace, rows, size, settings, kind = memory
    cut, kept, check = settings[1], 0, 0.0
    large = abs(step) > 1e200  # nothing smaller moves a value as large as the largest
    for j in range(size[0]):
        row = np.uint64(rows[j])  # without a sign, an index needs no test
        values[row] += step * trace[row]
        if large:
            check += 0.0 * values[row]
        faded = factor * trace[row]
        if faded > cut:
            trace[row] = faded
            rows[kept] = row
            kept += 1
        else:
            trace[row] = 0.0
    size[0] = kept
    return check
