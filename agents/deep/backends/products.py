"""Matrix products for networks so small that a library's call costs as much as the product, on one core.

    C[i, j] = sum_k A[i, k] B[k, j]

A tile of C, a few rows by a few vectors, stays in the processor's registers while k runs: each step loads the vectors
of B and one number of A a row, spreads the number over a vector and adds the product. k runs in blocks, so that what a
tile reads of B and A is in the first cache when the next tile reads it again. A may be read as its transpose, B and C
have their rows in order in memory; the caller keeps the operand that is used again in B. What is left over at the edge
is done by a narrower tile, whose loads and stores are masked.

k runs in its order for each number of C, whatever the tile: the same bits on the same machine, and no other thread.
Written in LLVM's vectors, since numba would use half of AVX-512's width and put its sums in memory.

Source: Goto and van de Geijn (2008), Anatomy of high-performance matrix multiplication, ACM Transactions on
Mathematical Software 34(3), section 4; without its packing, which small operands do not repay.
"""

from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rltk.mdp.jit import jit

_FEATURES = binding.get_host_cpu_features()
WIDTH = 64 if _FEATURES.get("avx512f") else 32 if _FEATURES.get("avx") else 16  # bytes of a vector
_BLOCK = 128  # of k
_QUAD, _PAIR = 4, 2  # vectors
# Rows whose sums fit into 32 registers, or into 16, beside what is being multiplied.
_QUAD_ROWS, _PAIR_ROWS = (4, 8) if WIDTH == 64 else (2, 4)
_EDGE_ROWS = 8

# How A is read. NumPy's bools, since numba compiles a function for each of Python's anew.
AS_IT_IS, TURNED = np.bool_(False), np.bool_(True)

_I32, I64 = ir.IntType(32), ir.IntType(64)


@intrinsic
def keep_apart(_):
    """Called in a kernel: LLVM won't copy it into those that call it, and so compile it again for each of them."""

    def generate(context, builder, signature, arguments):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


@jit(_nrt=False)
def multiply(out, a, turned, b, rows, inner, columns):
    """Write A B into `out[:rows, :columns]`: A is `a[:rows, :inner]`, or `a[:inner, :rows].T` if `turned` is TURNED.

    `out`, `a` and `b` are C-contiguous, of one type (float32 or float64), and may be larger than what is used of them.
    """
    keep_apart()
    for k in range(0, max(inner, 1), _BLOCK):  # an empty sum is written too
        _add_block(out, a, turned, b, rows, k, min(inner - k, _BLOCK), columns)


@jit(_nrt=False)
def _add_block(out, a, turned, b, rows, k, count, columns):
    """Add the products of k, k + 1, ... k + count - 1 to `out`; where k is 0 they are written."""
    lanes = WIDTH // out.itemsize
    j = 0
    while j < columns:
        left = columns - j
        vectors = _QUAD if left >= _QUAD * lanes else _PAIR if left >= _PAIR * lanes else 1
        height = _QUAD_ROWS if vectors == _QUAD else _PAIR_ROWS if vectors == _PAIR else _EDGE_ROWS
        whole = rows - rows % height
        for i in range(0, whole, height):
            if vectors == _QUAD and turned:
                _quad_turned(out, a, turned, b, i, j, k, count, left)
            elif vectors == _QUAD:
                _quad_straight(out, a, turned, b, i, j, k, count, left)
            elif vectors == _PAIR:
                _pair(out, a, turned, b, i, j, k, count, left)
            else:
                _edge(out, a, turned, b, i, j, k, count, left)
        for i in range(whole, rows):
            if vectors == _QUAD:
                _row_quad(out, a, turned, b, i, j, k, count, left)
            elif vectors == _PAIR:
                _row_pair(out, a, turned, b, i, j, k, count, left)
            else:
                _row_edge(out, a, turned, b, i, j, k, count, left)
        j += vectors * lanes


@jit(_nrt=False)
def turn(out, a, rows, columns):
    """Write the transpose of `a[:rows, :columns]` into `out[:columns, :rows]`.

    Both are C-contiguous and have room for whole squares of `SQUARE` numbers a side, whose rest is overwritten.
    """
    side = WIDTH // out.itemsize
    for i in range(0, rows, side):
        for j in range(0, columns, side):
            _turn_square(out, a, i, j)


SQUARE = 16  # of float32; one of float64 is smaller


def tile_of(rows: int, vectors: int, *, masked: bool = False, turned: bool | None = None) -> Any:
    """A function that adds to C[i : i + rows, j : j + vectors * lanes], or to `left` columns of it if `masked`.

    It adds the products of `count` numbers from k on; if k is 0, it begins from nothing.
    turned: what its argument `turned` will be, if it is known: the addresses of A's numbers are then simpler.
    """

    @intrinsic
    def tile(_, out, a, turned, b, i, j, k, count, left):
        intp = types.intp
        return types.void(out, a, types.boolean, b, *[intp] * 5), generate

    def generate(context, builder, signature, arguments):
        out, a, b = (
            context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 1, 3)
        )
        i, j, k, count, left = arguments[4:]
        vector = Vectors(builder, context.get_value_type(signature.args[0].dtype), left if masked else None)
        size, row = I64(vector.size), line(builder, a)
        is_turned = arguments[2] if turned is None else ir.Constant(ir.IntType(1), turned)
        down, along = builder.select(is_turned, size, row), builder.select(is_turned, row, size)
        if turned is not None:
            down, along = (size, row) if turned else (row, size)
        a_start = vector.at(a.data, (i, down), (k, along))
        b_start = vector.at(b.data, (j, size), (k, line(builder, b)))
        outs = [vector.at(out.data, (builder.add(i, I64(row)), line(builder, out)), (j, size)) for row in range(rows)]
        sums = [[vector.variable() for _ in range(vectors)] for _ in range(rows)]
        with builder.if_then(builder.icmp_signed(">", k, I64(0))):
            for start, totals in zip(outs, sums, strict=True):
                for place, total in enumerate(totals):
                    builder.store(vector.load(start, place), total)

        def step(at):
            factors = vector.at(b_start, (at, line(builder, b)))
            factors = [vector.load(factors, place) for place in range(vectors)]
            numbers = vector.at(a_start, (at, along))
            for row, totals in enumerate(sums):
                number = vector.spread(vector.at(numbers, (I64(row), down)))
                for factor, total in zip(factors, totals, strict=True):
                    builder.store(vector.multiply_add(number, factor, builder.load(total)), total)

        pairs = builder.lshr(count, I64(1))
        with cgutils.for_range(builder, pairs) as loop:
            even = builder.shl(loop.index, I64(1))
            step(even)
            step(builder.add(even, I64(1)))
        with builder.if_then(builder.trunc(count, ir.IntType(1))):
            step(builder.shl(pairs, I64(1)))
        for start, totals in zip(outs, sums, strict=True):
            for place, total in enumerate(totals):
                vector.store(builder.load(total), start, place)
        return context.get_dummy_value()

    return tile


@intrinsic
def _turn_square(_, out, a, i, j):
    """Transpose one square of vectors, in halves, quarters and so on, each time across the diagonal."""

    def generate(context, builder, signature, arguments):
        out, a = (context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 1))
        i, j = arguments[2:]
        vector = Vectors(builder, context.get_value_type(signature.args[0].dtype), None)
        size = I64(vector.size)
        start = vector.at(a.data, (i, line(builder, a)), (j, size))
        rows = [vector.load(vector.at(start, (I64(row), line(builder, a))), 0) for row in range(vector.lanes)]
        half = vector.lanes // 2
        while half:
            for row in range(vector.lanes):
                if not row & half:
                    rows[row], rows[row + half] = vector.exchange(rows[row], rows[row + half], half)
            half //= 2
        start = vector.at(out.data, (j, line(builder, out)), (i, size))
        for row, value in enumerate(rows):
            vector.store(value, vector.at(start, (I64(row), line(builder, out))), 0)
        return context.get_dummy_value()

    return types.void(out, a, types.intp, types.intp), generate


def line(builder: Any, array: Any) -> Any:
    """Bytes from one row of a matrix to the next."""
    return cgutils.unpack_tuple(builder, array.strides)[0]


class Vectors:
    """Loads, stores and arithmetic of vectors of one type of number; with `left`, only the first `left` lanes exist."""

    def __init__(self, builder: Any, number: Any, left: Any) -> None:
        self.builder, self.number = builder, number
        self.size = 4 if isinstance(number, ir.FloatType) else 8
        self.lanes = WIDTH // self.size
        self.type = ir.VectorType(number, self.lanes)
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)
        self.name = f"v{self.lanes}f{8 * self.size}"
        self.mask = None
        if left is not None:
            lanes = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
            self.mask = builder.icmp_signed("<", lanes, self._spread(left))

    def at(self, pointer: Any, *steps: tuple[Any, Any]) -> Any:
        """The address `count * stride` bytes on, for each (count, stride) of `steps`."""
        place = self.builder.bitcast(pointer, ir.IntType(8).as_pointer())
        for count, stride in steps:
            place = self.builder.gep(place, [self.builder.mul(count, stride)])
        return place

    def variable(self) -> Any:
        """A vector of zeros that can be written to; LLVM keeps it in a register."""
        place = cgutils.alloca_once(self.builder, self.type)
        self.builder.store(self.zero, place)
        return place

    def spread(self, place: Any) -> Any:
        """The number at `place` in every lane."""
        pointer = self.builder.bitcast(place, self.number.as_pointer())
        return self._spread(self.builder.load(pointer, align=self.size))

    def load(self, place: Any, vector: int) -> Any:
        pointer = self._pointer(place, vector)
        if self.mask is None:
            return self.builder.load(pointer, align=self.size)
        load = self._function("masked.load", self.type, pointer.type, _I32, self.mask.type, self.type)
        return self.builder.call(load, [pointer, _I32(self.size), self.mask, self.zero])

    def store(self, value: Any, place: Any, vector: int) -> None:
        pointer = self._pointer(place, vector)
        if self.mask is None:
            self.builder.store(value, pointer, align=self.size)
            return
        store = self._function("masked.store", ir.VoidType(), self.type, pointer.type, _I32, self.mask.type)
        self.builder.call(store, [value, pointer, _I32(self.size), self.mask])

    def multiply_add(self, one: Any, other: Any, total: Any) -> Any:
        """one * other + total, rounded once where the processor can."""
        return self.builder.call(self._function("fmuladd", self.type, *[self.type] * 3), [one, other, total])

    def exchange(self, upper: Any, lower: Any, half: int) -> tuple[Any, Any]:
        """Squares of `half` a side: the right one of `upper` and the left one of `lower` change places."""
        lanes, right = range(self.lanes), [bool(lane & half) for lane in range(self.lanes)]
        first = [self.lanes + lane - half if right[lane] else lane for lane in lanes]
        second = [self.lanes + lane if right[lane] else lane + half for lane in lanes]
        order = ir.VectorType(_I32, self.lanes)
        return tuple(self.builder.shuffle_vector(upper, lower, ir.Constant(order, each)) for each in (first, second))

    def _pointer(self, place: Any, vector: int) -> Any:
        return self.builder.bitcast(self.builder.gep(place, [I64(vector * WIDTH)]), self.type.as_pointer())

    def _spread(self, value: Any) -> Any:
        blank = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        single = self.builder.insert_element(blank, value, _I32(0))
        return self.builder.shuffle_vector(
            single, blank, ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        )

    def _function(self, name: str, result: Any, *arguments: Any) -> Any:
        suffix = ".p0" if name.startswith("masked") else ""
        kind = ir.FunctionType(result, arguments)
        return cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{self.name}{suffix}")


_quad_straight, _quad_turned = (tile_of(_QUAD_ROWS, _QUAD, turned=turned) for turned in (False, True))
_pair, _edge = tile_of(_PAIR_ROWS, _PAIR), tile_of(_EDGE_ROWS, 1, masked=True)
_row_quad, _row_pair, _row_edge = tile_of(1, _QUAD), tile_of(1, _PAIR), tile_of(1, 1, masked=True)
