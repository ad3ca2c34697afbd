"""The whole update of a plain Q-network in compiled code: gather, targets, backward pass, clipping, Adam.

    y     = r + discount * max_a Q(s', a; theta-)              double: Q(s', argmax_a Q(s', a; theta); theta-)
    loss  = mean_i w_i l(Q(s_i, a_i; theta) - y_i)             l(e) = e^2, or Huber's: e^2/2 within 1, |e| - 1/2 beyond
    g     = gradient of the loss; g <- g * min(1, c / (|g| + 1e-6))
    theta <- theta - lr * m' / (sqrt(v') + eps)                m, v: running means of g and g^2, unbiased in m' and v'

theta- stands still during a call, so targets that do not need theta are all computed before the first update.

Sources: Mnih et al. (2015), Human-level control through deep reinforcement learning, Algorithm 1; van Hasselt, Guez
and Silver (2016) for double; Kingma and Ba (2015), Algorithm 1, for Adam.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.deep.backends import fused_board_network, fused_network
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
    """Adam's update number `taken`, with torch's formula in torch's order.

    Moments of weights that no gradient reaches any more fade by powers of beta, and among the subnormal numbers below
    1e-38 arithmetic takes many times as long. So what is fainter than 1e-35 becomes 0: a step of it, 1e-27 of the
    learning rate, changes no weight.
    """
    number = theta.dtype.type
    first, second = moments[0], moments[1]
    share, kept, rest = number(1 - rule.beta1), number(rule.beta2), number(1 - rule.beta2)
    step = number(rule.learning_rate / (1 - rule.beta1**taken))
    unbiased = number(1 / np.sqrt(1 - rule.beta2**taken))
    epsilon, clip = number(rule.epsilon), number(scale)
    faint, nothing = number(1e-35), number(0)
    for i in range(len(theta)):
        slope = gradient[i] * clip
        mean = first[i] + (slope - first[i]) * share
        mean = nothing if abs(mean) < faint else mean  # NaN stays
        square = second[i] * kept + rest * slope * slope
        square = nothing if square < faint else square
        first[i], second[i] = mean, square
        theta[i] -= step * mean / (np.sqrt(square) * unbiased + epsilon)


def _training(is_listed: Any, look: Any, forward: Any, backward: Any) -> Any:
    """The update of networks whose passes these are."""

    @jit(_nrt=False)
    def train(theta, target, moments, taken, shape, work, experience, rule, positions, weights, losses, errors):
        """Apply an update for each row of `positions` (K, B); returns the first that is not finite, or -1.

        theta, target: (P,) float32 or float64. moments: (2, P), Adam's m and v, after `taken` updates.
        shape: what `forward` and `backward` want to know. weights: (K, B), or (0, 0) for none. Writes losses (K,) and
        errors (K, B), y - Q(s, a).
        The update that is not finite and all after it leave theta and moments as they are. -2: a position out of range.
        """
        if not _within(positions, len(experience.origin)):
            return -2
        if not (_finite(theta) and _finite(target)):
            return 0
        if not len(positions):
            return -1
        size = positions.shape[1]
        listed = is_listed(experience, positions)
        if not rule.double:
            for k in range(len(positions)):
                look(work, experience, experience.last, positions[k], listed)
                forward(target, shape, work, size, listed)
                _choose(work, experience, size)
                _bootstrap(work, experience, positions[k], errors[k])
        for k in range(len(positions)):
            if rule.double:
                look(work, experience, experience.last, positions[k], listed)
                forward(theta, shape, work, size, listed)
                _choose(work, experience, size)
                forward(target, shape, work, size, listed)
                _bootstrap(work, experience, positions[k], errors[k])
            look(work, experience, experience.origin, positions[k], listed)
            forward(theta, shape, work, size, listed)
            losses[k] = _compare(work, experience, rule.huber, positions[k], weights[k : k + 1], errors[k])
            backward(theta, shape, work, size, listed)
            norm = np.sqrt(_square_sum(work.gradient))
            if not (np.isfinite(losses[k]) and np.isfinite(norm)):
                return k
            _adam(theta, moments, work.gradient, min(1.0, rule.max_norm / (norm + 1e-6)), taken + k + 1, rule)
        return -1

    return train


train = _training(fused_network.sparse, fused_network.look, fused_network.forward, fused_network.backward)
train_on_boards = _training(
    fused_board_network.listed, fused_board_network.look, fused_board_network.forward, fused_board_network.backward
)
