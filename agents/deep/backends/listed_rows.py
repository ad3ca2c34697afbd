"""Sums of a few rows of a matrix: what its product with one-hot planes becomes, seen through 3x3 windows.

    out[i] = sum over u < 3, t < n of  e[p + u s + t] W[r[u n + t] + c[p + u s + t]]

Cells of a board lie in one line, row by row, and each has as many entries e, in columns c, as it shows symbols. A
window is three pieces of that line, n entries long and s apart; r says with which row of W a window's entry begins.
The sum stays in registers, one vector of filters at a time.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rltk.agents.deep.backends.products import I64, WIDTH, Vectors, line
from rltk.mdp.jit import jit

SIDE = 3  # of a window


@jit(_nrt=False)
def add_up_rows(out, start, count, weights, bases, columns, entries, place, step):
    """Write the sums above into `out[start : start + count]`; p = `place` for the first, s = `step`.

    out, weights: 2-D. bases: (3 n,) int32, the rows r. columns: (N,) int32. entries: (N,). All are C-contiguous.
    """
    filters, along = weights.shape[1], len(bases) // (SIDE * SIDE)
    for j in range(0, filters, WIDTH // out.itemsize):
        for i in range(count):
            _gather(out, start + i, weights, bases, columns, entries, place + i * along, step, j, filters - j)


@jit(_nrt=False)
def spread_rows(out, start, count, weights, bases, columns, entries, place, step):
    """The other way round: add e `out[i]` to each of the rows of `weights` that `add_up_rows` would read."""
    filters, along = weights.shape[1], len(bases) // (SIDE * SIDE)
    for j in range(0, filters, WIDTH // out.itemsize):
        for i in range(count):
            _scatter(out, start + i, weights, bases, columns, entries, place + i * along, step, j, filters - j)


def _windowed(*, spread: bool) -> Any:
    """A function that does this for a vector of columns, j and on, of which `left` exist."""

    @intrinsic
    def windowed(_, out, i, weights, bases, columns, entries, place, step, j, left):
        intp = types.intp
        return types.void(out, intp, weights, bases, columns, entries, *[intp] * 4), generate

    def generate(context, builder, signature, arguments):
        out, weights, bases, columns, entries = (
            context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 2, 3, 4, 5)
        )
        i, place, step, j, left = (arguments[at] for at in (1, 6, 7, 8, 9))
        vector = Vectors(builder, context.get_value_type(signature.args[0].dtype), left)
        own = vector.at(out.data, (i, line(builder, out)), (j, I64(vector.size)))
        corner = vector.at(weights.data, (j, I64(vector.size)))
        count = builder.udiv(bases.nitems, I64(SIDE))
        value = vector.load(own, 0) if spread else vector.variable()
        for piece in range(SIDE):
            with cgutils.for_range(builder, count) as loop:
                at = builder.add(builder.add(place, loop.index), builder.mul(step, I64(piece)))
                base = builder.load(builder.gep(bases.data, [builder.add(loop.index, builder.mul(count, I64(piece)))]))
                column = builder.add(base, builder.load(builder.gep(columns.data, [at])))
                row = vector.at(corner, (builder.sext(column, ir.IntType(64)), line(builder, weights)))
                entry = vector.spread(vector.at(entries.data, (at, I64(vector.size))))
                if spread:
                    vector.store(vector.multiply_add(entry, value, vector.load(row, 0)), row, 0)
                else:
                    builder.store(vector.multiply_add(entry, vector.load(row, 0), builder.load(value)), value)
        if not spread:
            vector.store(builder.load(value), own, 0)
        return context.get_dummy_value()

    return windowed


_gather, _scatter = _windowed(spread=False), _windowed(spread=True)
