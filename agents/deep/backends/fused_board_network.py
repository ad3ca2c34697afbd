"""The passes of a small convolutional network over boards: 3x3 windows with a border of zeros, then linear layers.

    u_1[p, f] = max(0, b_1[f] + sum over taps o, planes c of W_1[o, c, f] x[p + o, c])          x: the board's planes
    u_l[p, f] = max(0, b_l[f] + sum over o, c of W_l[o, c, f] u_{l-1}[p + o, c])
    dW_l[o, c, f] = sum over p of u_{l-1}[p + o, c] d_l[p, f]
    d_{l-1}[p, c] = sum over o, f of W_l[-o, c, f] d_l[p + o, f]  where u_{l-1}[p, c] > 0

Boards lie behind each other in one line of cells, row by row, with one cell of zeros after each row and one row of
zeros after each board: the border of one side is that of the other. A window is then three pieces of the line, and the
windows of all cells are a matrix whose rows overlap, so that a convolution is three products and nothing is copied.
What these write into the border is put out again. The planes of symbols are never made: the first layer adds up the
rows of W_1 that a window's symbols name.

theta is flat: for each convolution (o, c, f) and the biases, then the linear layers as in `fused_network`, which reads
the last activations as torch flattens them, filter by filter.

Source: Dumoulin and Visin (2016), A guide to convolution arithmetic for deep learning, sections 2.3 and 4.5.
"""

from typing import Any, NamedTuple

import numpy as np

from rltk.agents.deep.backends import fused_network
from rltk.agents.deep.backends.listed_rows import SIDE, add_up_rows, spread_rows
from rltk.agents.deep.backends.products import AS_IT_IS, TURNED, WIDTH, keep_apart, multiply, tile_of, turn
from rltk.mdp.jit import jit

_TAPS = SIDE * SIDE
CELLS = 8  # whose sums stay in registers together
_ROWS = 12  # of the slopes of weights, likewise
_BLOCK = 128  # cells whose windows and errors are read again while they are near

_some_cells = tile_of(CELLS, 1, masked=True, turned=False)
_some_weights, _one_weight = (tile_of(rows, 1, masked=True, turned=True) for rows in (_ROWS, 1))


class BoardExperience(NamedTuple):
    """What updates read: the replay's arrays, and how a board becomes planes. C channels."""

    observations: Any  # (slots, F)
    origin: Any  # (capacity,): the slot of s
    last: Any  # (capacity,): the slot of s'
    actions: Any  # (capacity,) int64
    rewards: Any  # (capacity,) float32
    discounts: Any  # (capacity,) float32, 0 where terminated
    masks: Any  # (slots, A): what is available; (0, 0) where everything is
    sources: Any  # (H, W, C) int64: where in an observation a cell's channels lie
    planes: Any  # (C,) int64: the channel's first plane
    low: Any  # (C,) int64: the symbol that it stands for
    high: Any  # (C,) int64: the last symbol that has a plane; below `low` where the channel is a number
    scales: Any  # (C,): what numbers are multiplied by, in theta's type


class Shape(NamedTuple):
    """A network's sizes."""

    height: int
    width: int
    inputs: int  # planes
    filters: int
    convolutions: int
    widths: Any  # (linear layers + 1,) int64


class BoardWork(NamedTuple):
    """What stands between the steps of an update, for B boards, L convolutions and F filters.

    N: cells with borders and margins. slots, rows, errors, q and choice are the tail's too, and are shared with it.
    """

    slots: Any
    rows: Any
    errors: Any
    q: Any
    choice: Any
    gradient: Any  # (P,)
    tail: Any  # fused_network.Work of the linear layers
    columns: Any  # (N C,) int32: the planes that a cell's entries belong to
    entries: Any  # (N C,): 1 for a symbol, a scaled number, 0 where there is nothing
    bases: Any  # (9 C,) int32: the first row of each tap, for each entry of a window
    cells: Any  # (2, L, N, F): activations, and errors
    windows: Any  # (2, L, 3, N, 9 F): the same memory; row i of [.., u] has row u of cell i's window from 3 F u on
    flipped: Any  # (9 F, F): a convolution's weights as the errors below it see them
    features: Any  # (F H W, B+): errors of what the linear layers read
    turned: Any  # (B+, F H W +): the same, board by board


@jit(_nrt=False)
def listed(experience, positions):
    """Boards are always lists."""
    return True


@jit(_nrt=False)
def look(work, experience, ends, positions, listed):
    """Gather the boards whose slots `ends` names: those at the transitions' origin, or at their last step."""
    for i in range(len(positions)):
        work.slots[i] = ends[positions[i]]
    _gather(work, experience, len(positions))


@jit(_nrt=False)
def _gather(work, experience, size):
    """The planes that the boards of work.slots show."""
    observations, planes, low, high = experience.observations, experience.planes, experience.low, experience.high
    height, width, channels = experience.sources.shape
    number = work.entries.dtype.type
    for i in range(size):
        row = observations[work.slots[i]]
        for y in range(height):
            place = _cell(i, y, height, width) * channels
            for x in range(width):
                for channel in range(channels):
                    shown = row[experience.sources[y, x, channel]]
                    column, entry = planes[channel], number(1)
                    if high[channel] < low[channel]:
                        entry = number(shown) * experience.scales[channel]
                    else:
                        symbol = np.int64(shown)
                        if low[channel] <= symbol <= high[channel]:
                            column += symbol - low[channel]
                        else:
                            entry = number(0)
                    work.columns[place] = column
                    work.entries[place] = entry
                    place += 1


@jit(_nrt=False)
def _cell(board, y, height, width):
    """Where row `y` of a board begins in the line of cells, after a margin that the first window reaches back to."""
    return width + 2 + (board * (height + 1) + y) * (width + 1)


@jit(_nrt=False)
def forward(theta, shape, work, size, listed):
    """The activations, and work.q, from what was gathered."""
    keep_apart()
    filters, place = shape.filters, _TAPS * shape.inputs * shape.filters
    _first(theta[:place].reshape(_TAPS * shape.inputs, filters), theta[place : place + filters], shape, work, size)
    place += filters
    for layer in range(1, shape.convolutions):
        end = place + _TAPS * filters * filters
        out = work.cells[0, layer]
        _convolve(out, work.windows[0, layer - 1], theta[place:end].reshape(_TAPS * filters, filters), shape, size)
        _rectify(out, theta[end : end + filters], shape, size)
        place = end + filters
    _flatten(work.tail.inputs, work.cells[0, shape.convolutions - 1], shape, size)
    fused_network.forward(theta[place:], shape.widths, work.tail, size, False)


@jit(_nrt=False)
def backward(theta, shape, work, size, listed):
    """work.gradient, from the head's errors in work.rows and work.errors[0] down."""
    keep_apart()
    filters, widths, layers = shape.filters, shape.widths, shape.convolutions
    weights = _TAPS * filters * filters
    place = _TAPS * shape.inputs * filters + filters + (layers - 1) * (weights + filters)
    fused_network.backward(theta[place:], widths, work.tail, size, False)
    n, m = widths[0], widths[1]
    # The passes through the linear layers took turns between two places for their errors.
    errors = work.errors[len(widths) % 2]
    multiply(work.features, theta[place : place + n * m].reshape(n, m), AS_IT_IS, errors, n, m, size)
    turn(work.turned, work.features, n, size)
    _unflatten(work.cells[1, layers - 1], work.cells[0, layers - 1], work.turned, shape, size)
    for layer in range(layers - 1, 0, -1):
        errors, below = work.cells[1, layer], work.cells[1, layer - 1]
        start = place - weights - filters
        slopes = work.gradient[start : start + weights].reshape(_TAPS * filters, filters)
        _weigh(slopes, work.windows[0, layer - 1], errors, shape, size)
        _add_up(errors, work.gradient[place - filters : place], shape, size)
        _flip(work.flipped, theta[start : start + weights].reshape(_TAPS * filters, filters), filters)
        _convolve(below, work.windows[1, layer], work.flipped, shape, size)
        _stop_where_zero(below, work.cells[0, layer - 1], shape, size)
        place = start
    _add_up(work.cells[1, 0], work.gradient[place - filters : place], shape, size)
    slopes = work.gradient[: place - filters].reshape(_TAPS * shape.inputs, filters)
    slopes[:] = 0
    _first_slopes(slopes, shape, work, size)


@jit(_nrt=False)
def values(theta, shape, work, experience, out):
    """Write Q(s, .; theta) of all `experience.observations` (n, F) into `out` (n, A)."""
    size = len(work.slots)
    for start in range(0, len(out), size):
        count = min(size, len(out) - start)
        for i in range(count):
            work.slots[i] = start + i
        _gather(work, experience, count)
        forward(theta, shape, work, count, True)
        for i in range(count):
            for action in range(out.shape[1]):
                out[start + i, action] = work.q[action, i]


@jit(_nrt=False)
def _first(weights, biases, shape, work, size):
    """The first convolution, from lists, and its rectifier."""
    out = work.cells[0, 0]
    channels = len(work.bases) // _TAPS
    step = (shape.width + 1) * channels
    for i in range(size):
        for y in range(shape.height):
            start = _cell(i, y, shape.height, shape.width)
            corner = (start - shape.width - 2) * channels
            add_up_rows(out, start, shape.width, weights, work.bases, work.columns, work.entries, corner, step)
    _rectify(out, biases, shape, size)


@jit(_nrt=False)
def _first_slopes(slopes, shape, work, size):
    """slopes += the planes' windows, turned, times the errors of the first convolution."""
    errors, channels = work.cells[1, 0], len(work.bases) // _TAPS
    step = (shape.width + 1) * channels
    for i in range(size):
        for y in range(shape.height):
            start = _cell(i, y, shape.height, shape.width)
            corner = (start - shape.width - 2) * channels
            spread_rows(errors, start, shape.width, slopes, work.bases, work.columns, work.entries, corner, step)


@jit(_nrt=False)
def _used(shape, size):
    """The cells from the first of the first board to the last of the last."""
    return size * (shape.height + 1) * (shape.width + 1) - shape.width - 2


@jit(_nrt=False)
def _convolve(out, windows, weights, shape, size):
    """The windows' products with the weights, board by board, and into a few cells behind each."""
    inner, filters, cells = SIDE * shape.filters, shape.filters, shape.height * (shape.width + 1)
    out = out[shape.width + 2 :]
    for board in range(size):
        start = board * (cells + shape.width + 1)
        for j in range(0, filters, WIDTH // out.itemsize):
            for i in range(start, start + cells, CELLS):
                for u in range(SIDE):
                    _some_cells(out, windows[u], AS_IT_IS, weights, i, j, u * inner, inner, filters - j)


@jit(_nrt=False)
def _weigh(slopes, windows, errors, shape, size):
    """slopes = the windows, turned, times the errors."""
    inner, count, filters = SIDE * shape.filters, _used(shape, size), shape.filters
    errors = errors[shape.width + 2 :]
    whole = inner - inner % _ROWS
    for u in range(SIDE):
        for k in range(0, count, _BLOCK):
            cells = min(_BLOCK, count - k)
            for j in range(0, filters, WIDTH // slopes.itemsize):
                for i in range(u * inner, u * inner + whole, _ROWS):
                    _some_weights(slopes, windows[u], TURNED, errors, i, j, k, cells, filters - j)
                for i in range(u * inner + whole, (u + 1) * inner):
                    _one_weight(slopes, windows[u], TURNED, errors, i, j, k, cells, filters - j)


@jit(_nrt=False)
def _flip(flipped, weights, filters):
    for tap in range(_TAPS):
        for f in range(filters):
            for c in range(filters):
                flipped[(_TAPS - 1 - tap) * filters + f, c] = weights[tap * filters + c, f]


@jit(_nrt=False)
def _rectify(cells, biases, shape, size):
    """Biases and rectifier inside the boards; nothing on the borders."""
    for i in range(size):
        for y in range(shape.height):
            start = _cell(i, y, shape.height, shape.width)
            for cell in range(start, start + shape.width):
                numbers = cells[cell]
                for f in range(len(biases)):
                    x = numbers[f] + biases[f]
                    numbers[f] = 0 if x < 0 else x
        _clear_border(cells, i, shape)


@jit(_nrt=False)
def _stop_where_zero(errors, cells, shape, size):
    """The rectifier's slope: errors pass where its output is above zero."""
    for i in range(size):
        for y in range(shape.height):
            start = _cell(i, y, shape.height, shape.width)
            for cell in range(start, start + shape.width):
                passing, numbers = errors[cell], cells[cell]
                for f in range(len(numbers)):
                    passing[f] = passing[f] if numbers[f] > 0 else 0
        _clear_border(errors, i, shape)


@jit(_nrt=False)
def _clear_border(cells, board, shape):
    for y in range(shape.height):
        cells[_cell(board, y, shape.height, shape.width) + shape.width] = 0
    start = _cell(board, shape.height, shape.height, shape.width)
    cells[start : start + shape.width + 1] = 0


@jit(_nrt=False)
def _add_up(cells, totals, shape, size):
    """The sums of all cells' errors; borders hold zeros."""
    totals[:] = 0
    for cell in range(shape.width + 2, shape.width + 2 + _used(shape, size)):
        for f in range(len(totals)):
            totals[f] += cells[cell, f]


@jit(_nrt=False)
def _flatten(rows, cells, shape, size):
    """(boards, F H W), filter by filter."""
    side = shape.height * shape.width
    for i in range(size):
        row = rows[i]
        for y in range(shape.height):
            start = _cell(i, y, shape.height, shape.width)
            for x in range(shape.width):
                for f in range(shape.filters):
                    row[f * side + y * shape.width + x] = cells[start + x, f]


@jit(_nrt=False)
def _unflatten(errors, cells, rows, shape, size):
    """The errors of the linear layers' input, cell by cell, where the rectifier let anything pass."""
    side = shape.height * shape.width
    for i in range(size):
        row = rows[i]
        for y in range(shape.height):
            start = _cell(i, y, shape.height, shape.width)
            for x in range(shape.width):
                for f in range(shape.filters):
                    error = row[f * side + y * shape.width + x]
                    errors[start + x, f] = error if cells[start + x, f] > 0 else 0
        _clear_border(errors, i, shape)
