"""The whole update of a plain Q-network in compiled code: gather, targets, backward pass, clipping, Adam.

    y     = r + discount * max_a Q(s', a; theta-)              double: Q(s', argmax_a Q(s', a; theta); theta-)
    loss  = mean_i w_i l(Q(s_i, a_i; theta) - y_i)             l(e) = e^2, or Huber's: e^2/2 within 1, |e| - 1/2 beyond
    g     = gradient of the loss; g <- g * min(1, c / (|g| + 1e-6))
    theta <- theta - lr * m' / (sqrt(v') + eps)                m, v: running means of g and g^2, unbiased in m' and v'

theta- stands still during a call, so targets that do not need theta are all computed before the first update.

Sources: Mnih et al. (2015), Human-level control through deep reinforcement learning, Algorithm 1; van Hasselt, Guez
and Silver (2016) for double; Kingma and Ba (2015), Algorithm 1, for Adam.
"""

from typing import NamedTuple

import numpy as np

from rltk.agents.deep.products import keep_apart, multiply, turn
from rltk.mdp.jit import jit

# A product and the sum that it enters may be rounded once; all else stays IEEE, NaNs included.
_CONTRACT = {"contract"}
# Sums that nothing else must match to the bit may be taken in any order, the same one each time.
_REORDER = {"contract", "reassoc"}


class Rule(NamedTuple):
    """What an update is, and how large."""

    learning_rate: float
    beta1: float
    beta2: float
    epsilon: float
    max_norm: float  # infinity: not clipped
    double: bool
    huber: bool


@jit(_nrt=False)
def train(theta, target, moments, taken, widths, work, experience, rule, positions, weights, losses, errors):
    """Apply an update for each row of `positions` (K, B); returns the first that is not finite, or -1.

    theta, target: (P,) float32 or float64. moments: (2, P), Adam's m and v, which have seen `taken` updates.
    widths: (layers + 1,) int64. weights: (K, B), or (0, 0) for none. Writes losses (K,) and errors (K, B), y - Q(s, a).
    The update that is not finite and all after it leave theta and moments as they are. -2: a position out of range.
    """
    if not _within(positions, len(experience.origin)):
        return -2
    if not (_finite(theta) and _finite(target)):
        return 0
    if not len(positions):
        return -1
    size = positions.shape[1]
    listed = len(experience.offsets) > 0 or sparse(experience, positions)
    if not rule.double:
        for k in range(len(positions)):
            _look(work, experience, experience.last, positions[k], listed)
            _forward(target, widths, work, size, listed)
            _choose(work, experience, size)
            _bootstrap(work, experience, positions[k], errors[k])
    for k in range(len(positions)):
        if rule.double:
            _look(work, experience, experience.last, positions[k], listed)
            _forward(theta, widths, work, size, listed)
            _choose(work, experience, size)
            forward(target, widths, work, size, listed)
            _bootstrap(work, experience, positions[k], errors[k])
        _look(work, experience, experience.origin, positions[k], listed)
        _forward(theta, widths, work, size, listed)
        losses[k] = _compare(work, experience, rule.huber, positions[k], weights[k : k + 1], errors[k])
        backward(theta, widths, work, size, listed)
        norm = np.sqrt(_square_sum(work.gradient))
        if not (np.isfinite(losses[k]) and np.isfinite(norm)):
            return k
        _adam(theta, moments, work.gradient, min(1.0, rule.max_norm / (norm + 1e-6)), taken + k + 1, rule)
    return -1


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
        _forward(theta, widths, work, count, listed)
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


@jit(_nrt=False)
def _within(positions, capacity):
    inside = True
    for k in range(positions.shape[0]):
        for i in range(positions.shape[1]):
            inside &= 0 <= positions[k, i] < capacity
    return inside


@jit(_nrt=False, fastmath=_REORDER)
def _finite(numbers):
    total = numbers.dtype.type(0)
    for i in range(len(numbers)):
        total += numbers[i] - numbers[i]  # NaN for a NaN and for an infinity
    return total == 0


@jit(_nrt=False)
def _sparse(experience, positions):
    """Whether the first batch is so full of zeros that lists are quicker."""
    observations = experience.observations
    filled = 0
    for i in range(positions.shape[1]):
        row = observations[experience.origin[positions[0, i]]]
        for f in range(len(row)):
            filled += row[f] != 0
    return filled * _SPARSE < positions.shape[1] * observations.shape[1]


@jit(_nrt=False)
def _look(work, experience, ends, positions, listed):
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
def _forward(theta, widths, work, size, listed):
    """work.hidden and work.q from what was gathered."""
    keep_apart()
    n, m = widths[0], widths[1]
    place = n * m
    weights = theta[:place].reshape(n, m)
    if listed:
        _add_columns(work, weights, size)
    else:
        multiply(work.rows, work.inputs, False, weights, size, n, m)
    turn(work.hidden[0], work.rows, size, m)
    _add_biases(work.hidden[0], theta[place : place + m], size, True)
    place += m
    for layer in range(1, len(widths) - 1):
        n, m = m, widths[layer + 1]
        weights = theta[place : place + n * m].reshape(n, m)
        place += n * m
        last = layer == len(widths) - 2
        out = work.q if last else work.hidden[layer]
        multiply(out, weights, True, work.hidden[layer - 1], m, n, size)
        _add_biases(out, theta[place : place + m], size, not last)
        place += m


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
def _choose(work, experience, size):
    """The available action of the largest value at s', the first if several; a NaN is the largest. -1: none is."""
    masks = experience.masks
    for i in range(size):
        best = -1
        for action in range(len(work.q)):
            if len(masks) and not masks[work.slots[i], action]:
                continue
            if best < 0 or not work.q[action, i] <= work.q[best, i]:
                best = action
        work.choice[i] = best


@jit(_nrt=False)
def _bootstrap(work, experience, positions, targets):
    """targets = r + discount * Q(s', choice), or r where no action is available at s'."""
    for i in range(len(positions)):
        targets[i] = experience.rewards[positions[i]]
        if work.choice[i] >= 0:
            targets[i] += experience.discounts[positions[i]] * work.q[work.choice[i], i]


@jit(_nrt=False)
def _compare(work, experience, huber, positions, weights, errors):
    """Turn targets into TD errors and put the loss's slopes into work.rows and work.errors; returns the loss."""
    size, actions = len(positions), len(work.q)
    work.rows[:size, :actions] = 0
    work.errors[0, :actions] = 0
    total = 0.0
    for i in range(size):
        action = experience.actions[positions[i]]
        if action < 0 or action >= actions:
            return np.nan
        error = work.q[action, i] - errors[i]
        errors[i] = -error
        weight = weights[0, i] if len(weights) else 1.0
        slope = 2.0 * error
        loss = 1.0 * error * error
        if huber:
            size_of = abs(error)
            loss = 0.5 * loss if size_of < 1 else size_of - 0.5
            slope = 1.0 * error if size_of < 1 else np.sign(error)
        total += weight * loss
        slope *= weight / size
        work.rows[i, action] = slope
        work.errors[0, action, i] = slope
    return total / size


@jit(_nrt=False)
def _backward(theta, widths, work, size, listed):
    """work.gradient, from the head's errors in work.rows and work.errors[0] down."""
    keep_apart()
    end, side = len(theta), 0
    for layer in range(len(widths) - 2, 0, -1):
        n, m = widths[layer], widths[layer + 1]
        bias = end - m
        end = bias - n * m
        below = work.hidden[layer - 1]
        multiply(work.gradient[end:bias].reshape(n, m), below, False, work.rows, n, size, m)
        _add_up(work.rows, work.gradient[bias : bias + m], size)
        multiply(work.errors[1 - side], theta[end:bias].reshape(n, m), False, work.errors[side], n, m, size)
        side = 1 - side
        _stop_where_zero(work.errors[side], below, n, size)
        turn(work.rows, work.errors[side], n, size)
    n, m = widths[0], widths[1]
    slopes = work.gradient[: n * m].reshape(n, m)
    _add_up(work.rows, work.gradient[n * m : end], size)
    if listed:
        _spread_columns(work, slopes, size)
    else:
        multiply(slopes, work.inputs, True, work.rows, n, size, m)


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


@jit(_nrt=False, fastmath=_REORDER)
def _square_sum(numbers):
    """The sum of squares, added up in float64 piece by piece."""
    total = 0.0
    for start in range(0, len(numbers), 1024):
        piece = numbers[start : start + 1024]
        part = numbers.dtype.type(0)
        for i in range(len(piece)):
            part += piece[i] * piece[i]
        total += part
    return total


@jit(_nrt=False, fastmath=_CONTRACT)
def _adam(theta, moments, gradient, scale, taken, rule):
    """Adam's update number `taken`, with torch's formula in torch's order."""
    number = theta.dtype.type
    first, second = moments[0], moments[1]
    share, kept, rest = number(1 - rule.beta1), number(rule.beta2), number(1 - rule.beta2)
    step = number(rule.learning_rate / (1 - rule.beta1**taken))
    unbiased = number(1 / np.sqrt(1 - rule.beta2**taken))
    epsilon, clip = number(rule.epsilon), number(scale)
    for i in range(len(theta)):
        slope = gradient[i] * clip
        first[i] += (slope - first[i]) * share
        second[i] = second[i] * kept + rest * slope * slope
        theta[i] -= step * first[i] / (np.sqrt(second[i]) * unbiased + epsilon)
