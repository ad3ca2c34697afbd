"""A small network's passes, forward and backward, over the observations of a replay, and one observation's best action.

    u_0 = the observation      u_l = max(0, W_l' u_{l-1} + b_l)      Q = W_L' u_{L-1} + b_L
    d_L = dloss/dQ             d_{l-1} = (W_l d_l) where u_{l-1} > 0   dW_l = u_{l-1} d_l'     db_l = d_l summed up

theta is flat: a layer's weights (in, out) row by row, then its biases (out,). Past the first layer activations lie
feature by feature, (width, batch): the operand that each product uses again is then small and near, and the weights
are read once. The first layer reads rows, (batch, in): numbers, or a list of the few columns that are not zero, which
is all that an index (Discrete, MultiDiscrete) ever becomes. Lists and products give the same bits.

Source: Rumelhart, Hinton and Williams (1986), Learning representations by back-propagating errors, Nature 323.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.deep.backends.products import AS_IT_IS, TURNED, keep_apart, multiply, turn
from rltk.mdp.jit import jit

# A product and the sum that it enters may be rounded once, as `multiply` does; all else stays IEEE, NaNs included.
_CONTRACT = {"contract"}
# Lists are quicker than products where fewer than one number in so many is not zero.
_SPARSE = 16


class Experience(NamedTuple):
    """What updates read: the replay's arrays, and how an observation becomes numbers."""

    observations: Any  # (slots, F)
    origin: Any  # (capacity,): the slot of s
    last: Any  # (capacity,): the slot of s'
    actions: Any  # (capacity,) int64
    rewards: Any  # (capacity,) float32
    discounts: Any  # (capacity,) float32, 0 where terminated
    masks: Any  # (slots, A): what is available; (0, 0) where everything is
    offsets: Any  # (F,) int64: index x is column offsets[j] + x; (0,) where observations are numbers
    scale: Any  # what numbers are multiplied by, in theta's type


class Work(NamedTuple):
    """What stands between the steps of an update, kept across calls, for B transitions and a widest layer of `wide`.

    All floating-point arrays are of theta's type. B+ is B padded so that columns do not meet in one set of the cache.
    """

    slots: Any  # (B,) int64: whose observations are looked at
    inputs: Any  # (B, F): their numbers
    columns: Any  # (B, F) int32: of a row, the first `counts` are the columns that are not zero
    entries: Any  # (B, F): what stands in those columns
    counts: Any  # (B,) int32
    rows: Any  # (B, wide): a layer's activations or errors, sample by sample
    hidden: Any  # (hidden layers, wide, B+): activations
    errors: Any  # (2, wide, B+): the errors of a layer, and of the one below it
    q: Any  # (A, B+)
    choice: Any  # (B,) int64: the actions that theta prefers at s'
    gradient: Any  # (P,)


@jit(_nrt=False)
def sparse(experience, positions):
    """Whether observations are indices, or the first batch is so full of zeros that lists are quicker."""
    if len(experience.offsets):
        return True
    observations = experience.observations
    filled = 0
    for i in range(positions.shape[1]):
        row = observations[experience.origin[positions[0, i]]]
        for f in range(len(row)):
            filled += row[f] != 0
    return filled * _SPARSE < positions.shape[1] * observations.shape[1]


@jit(_nrt=False)
def look(work, experience, ends, positions, listed):
    """Gather the observations whose slots `ends` names: those at the transitions' origin, or at their last step."""
    for i in range(len(positions)):
        work.slots[i] = ends[positions[i]]
    _gather(work, experience, len(positions), listed)


@jit(_nrt=False)
def _gather(work, experience, size, listed):
    """The observations of work.slots as numbers, or as lists of the columns that are not zero."""
    observations, offsets, scale = experience.observations, experience.offsets, experience.scale
    features = observations.shape[1]
    for i in range(size):
        row = observations[work.slots[i]]
        if len(offsets):
            for f in range(features):
                work.columns[i, f] = offsets[f] + np.int64(row[f])
                work.entries[i, f] = 1
            work.counts[i] = features
        elif listed:
            count = 0
            for f in range(features):
                work.columns[i, count] = f
                work.entries[i, count] = row[f]
                work.entries[i, count] *= scale
                count += row[f] != 0
            work.counts[i] = count
        else:
            for f in range(features):
                work.inputs[i, f] = row[f]
            for f in range(features):
                work.inputs[i, f] *= scale


@jit(_nrt=False)
def forward(theta, widths, work, size, listed):
    """work.hidden and work.q from what was gathered."""
    keep_apart()
    n, m = widths[0], widths[1]
    place = n * m
    weights = theta[:place].reshape(n, m)
    if listed:
        _add_columns(work, weights, size)
    else:
        multiply(work.rows, work.inputs, AS_IT_IS, weights, size, n, m)
    turn(work.hidden[0], work.rows, size, m)
    _add_biases(work.hidden[0], theta[place : place + m], size, True)
    place += m
    for layer in range(1, len(widths) - 1):
        n, m = m, widths[layer + 1]
        weights = theta[place : place + n * m].reshape(n, m)
        place += n * m
        last = layer == len(widths) - 2
        out = work.q if last else work.hidden[layer]
        multiply(out, weights, TURNED, work.hidden[layer - 1], m, n, size)
        _add_biases(out, theta[place : place + m], size, not last)
        place += m


@jit(_nrt=False)
def backward(theta, widths, work, size, listed):
    """work.gradient, from the head's errors in work.rows and work.errors[0] down."""
    keep_apart()
    end, side = len(theta), 0
    for layer in range(len(widths) - 2, 0, -1):
        n, m = widths[layer], widths[layer + 1]
        bias = end - m
        end = bias - n * m
        below = work.hidden[layer - 1]
        multiply(work.gradient[end:bias].reshape(n, m), below, AS_IT_IS, work.rows, n, size, m)
        _add_up(work.rows, work.gradient[bias : bias + m], size)
        multiply(work.errors[1 - side], theta[end:bias].reshape(n, m), AS_IT_IS, work.errors[side], n, m, size)
        side = 1 - side
        _stop_where_zero(work.errors[side], below, n, size)
        turn(work.rows, work.errors[side], n, size)
    n, m = widths[0], widths[1]
    slopes = work.gradient[: n * m].reshape(n, m)
    _add_up(work.rows, work.gradient[n * m : end], size)
    if listed:
        _spread_columns(work, slopes, size)
    else:
        multiply(slopes, work.inputs, TURNED, work.rows, n, size, m)


@jit(_nrt=False)
def values(theta, widths, work, experience, out):
    """Write Q(s, .; theta) of all `experience.observations` (n, F) into `out` (n, A)."""
    size = len(work.slots)
    listed = len(experience.offsets) > 0
    for start in range(0, len(out), size):
        count = min(size, len(out) - start)
        for i in range(count):
            work.slots[i] = start + i
        _gather(work, experience, count, listed)
        forward(theta, widths, work, count, listed)
        for i in range(count):
            for action in range(out.shape[1]):
                out[start + i, action] = work.q[action, i]


@jit(_nrt=False, fastmath=_CONTRACT)
def best_action(theta, widths, lines, offsets, scale, observation):
    """The first action of the largest Q(s, .; theta) for one `observation` (F,), to the bit what `values` gives.

    lines: (2, wide), to write to. Features that are zero cost nothing, which a rectifier's often are.
    """
    layers = len(widths) - 1
    n, m, place = len(observation), widths[1], 0
    now = lines[0]
    now[:m] = 0
    for f in range(n):
        if len(offsets):
            column = offsets[f] + np.int64(observation[f])
            if column < 0 or column >= widths[0]:
                return -1
            _add_row(now, scale, theta, column * m, m)
        elif observation[f] != 0:
            _add_row(now, theta.dtype.type(observation[f]) * scale, theta, f * m, m)
    for layer in range(1, layers):
        place += widths[layer - 1] * m
        before, now = now, lines[layer % 2]
        n, m = m, widths[layer + 1]
        bias, place = place, place + n
        now[:m] = 0
        for f in range(n):
            x = before[f] + theta[bias + f]
            if not x <= 0:
                _add_row(now, x, theta, place + f * m, m)
    place += n * m
    best = 0
    for action in range(1, m):
        if now[action] + theta[place + action] > now[best] + theta[place + best]:
            best = action
    return best


@jit(_nrt=False, fastmath=_CONTRACT)
def _add_row(line, factor, theta, place, width):
    row = theta[place : place + width]
    for j in range(width):
        line[j] += factor * row[j]


@jit(_nrt=False, fastmath=_CONTRACT)
def _add_columns(work, weights, size):
    """work.rows = inputs @ weights, from the lists. A column that there is not makes a NaN, which stops the update."""
    for i in range(size):
        line = work.rows[i, : weights.shape[1]]
        line[:] = 0
        for place in range(work.counts[i]):
            column, entry = work.columns[i, place], work.entries[i, place]
            if 0 <= column < len(weights):
                row = weights[column]
                for j in range(len(row)):
                    line[j] += entry * row[j]
            else:
                line[:] = np.nan


@jit(_nrt=False)
def _add_biases(out, biases, size, rectified):
    for j in range(len(biases)):
        line, bias = out[j], biases[j]
        if rectified:
            for i in range(size):
                x = line[i] + bias
                line[i] = 0 if x < 0 else x
        else:
            for i in range(size):
                line[i] += bias


@jit(_nrt=False)
def _add_up(rows, totals, size):
    totals[:] = 0
    for i in range(size):
        for j in range(len(totals)):
            totals[j] += rows[i, j]


@jit(_nrt=False)
def _stop_where_zero(errors, hidden, width, size):
    """The rectifier's slope: errors pass where its output is above zero."""
    for j in range(width):
        for i in range(size):
            errors[j, i] = errors[j, i] if hidden[j, i] > 0 else 0


@jit(_nrt=False, fastmath=_CONTRACT)
def _spread_columns(work, slopes, size):
    """slopes = inputs.T @ work.rows, from the lists."""
    slopes[:] = 0
    for i in range(size):
        line = work.rows[i]
        for place in range(work.counts[i]):
            row, entry = slopes[work.columns[i, place]], work.entries[i, place]
            for j in range(len(row)):
                row[j] += entry * line[j]
