"""Matrix products for networks so small that a library's call costs as much as the product, on one core.

    C[i, j] = sum_k A[i, k] B[k, j]

A tile of C, a few rows by two vectors, stays in the processor's registers while k runs: each step loads two vectors of
B and one number of A a row, spreads the number over a vector and adds the product. A may be read as its transpose, B
and C have their rows in order in memory; so the caller, who knows which operand it uses again, keeps that one in B,
where a panel of two vectors' width stays in the first cache. What is left over at the edges is done by narrower
tiles, whose loads and stores are masked.

k runs in its order for each number of C, whatever the tile: the same bits on the same machine, and no other thread.
Written in LLVM's vectors, since numba would use half of AVX-512's width and puts its sums in memory.

Source: Goto and van de Geijn (2008), Anatomy of high-performance matrix multiplication, ACM Transactions on
Mathematical Software 34(3), section 4; without its packing, which small operands do not repay.
"""

from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from rltk.mdp.jit import jit

_FEATURES = binding.get_host_cpu_features()
# Bytes of a vector, and rows whose sums fit beside what is being multiplied: 32 registers, else 16.
_WIDTH, _ROWS = (64, 12) if _FEATURES.get("avx512f") else (32, 6) if _FEATURES.get("avx") else (16, 6)
_FEW, _PAIR = 4, 2

_I32, _I64 = ir.IntType(32), ir.IntType(64)


@jit(_nrt=False)
def multiply(out, a, turned, b, rows, inner, columns):
    """Write A B into `out[:rows, :columns]`, where A is `a[:rows, :inner]`, or `a[:inner, :rows].T` if `turned`.

    `out`, `a` and `b` are C-contiguous, of one type (float32 or float64), and may be larger than what is used of them.
    """
    lanes = _WIDTH // out.itemsize
    j = 0
    while j + _PAIR * lanes <= columns:
        i = 0
        while i + _ROWS <= rows:
            _many_wide(out, a, turned, b, i, j, inner, 0)
            i += _ROWS
        while i + _FEW <= rows:
            _few_wide(out, a, turned, b, i, j, inner, 0)
            i += _FEW
        while i < rows:
            _one_wide(out, a, turned, b, i, j, inner, 0)
            i += 1
        j += _PAIR * lanes
    while j < columns:
        i = 0
        while i + _ROWS <= rows:
            _many_edge(out, a, turned, b, i, j, inner, columns - j)
            i += _ROWS
        while i < rows:
            _one_edge(out, a, turned, b, i, j, inner, columns - j)
            i += 1
        j += lanes


def _tile(rows: int, vectors: int, masked: bool) -> Any:
    """A function of (out, a, turned, b, i, j, inner, left): C[i:i+rows, j:j+vectors*lanes]; `left` columns if masked."""

    @intrinsic
    def tile(_, out, a, turned, b, i, j, inner, left):
        intp = types.intp
        return types.void(out, a, types.boolean, b, intp, intp, intp, intp), generate

    def generate(context, builder, signature, arguments):
        out, a, b = (
            context.make_array(signature.args[place])(context, builder, arguments[place]) for place in (0, 1, 3)
        )
        turned, i, j, inner, left = arguments[2], *arguments[4:]
        vectors_of = _Vectors(builder, context.get_value_type(signature.args[0].dtype), left if masked else None)
        size = _I64(vectors_of.size)
        first = cgutils.unpack_tuple(builder, a.strides)[0]
        down = builder.select(turned, size, first)
        along = builder.select(turned, first, size)
        a_rows = [vectors_of.at(a.data, (builder.add(i, _I64(row)), down)) for row in range(rows)]
        b_top = vectors_of.at(b.data, (j, size))
        b_down = cgutils.unpack_tuple(builder, b.strides)[0]
        sums = [[vectors_of.variable() for _ in range(vectors)] for _ in range(rows)]
        with cgutils.for_range(builder, inner) as loop:
            line = vectors_of.at(b_top, (loop.index, b_down))
            factors = [vectors_of.load(line, vector) for vector in range(vectors)]
            for start, row in zip(a_rows, sums, strict=True):
                number = vectors_of.spread(vectors_of.at(start, (loop.index, along)))
                for factor, total in zip(factors, row, strict=True):
                    builder.store(vectors_of.multiply_add(number, factor, builder.load(total)), total)
        out_down = cgutils.unpack_tuple(builder, out.strides)[0]
        for offset, row in enumerate(sums):
            start = vectors_of.at(out.data, (builder.add(i, _I64(offset)), out_down), (j, size))
            for vector, total in enumerate(row):
                vectors_of.store(builder.load(total), start, vector)
        return context.get_dummy_value()

    return tile


class _Vectors:
    """Loads, stores and arithmetic of vectors of one type of number; with `left`, only the first `left` lanes exist."""

    def __init__(self, builder: Any, number: Any, left: Any) -> None:
        self.builder, self.number = builder, number
        self.size = 4 if isinstance(number, ir.FloatType) else 8
        self.lanes = _WIDTH // self.size
        self.type = ir.VectorType(number, self.lanes)
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)
        self.name = f"v{self.lanes}f{8 * self.size}"
        self.mask = None
        if left is not None:
            lanes = ir.Constant(ir.VectorType(_I64, self.lanes), list(range(self.lanes)))
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

    def _pointer(self, place: Any, vector: int) -> Any:
        return self.builder.bitcast(self.builder.gep(place, [_I64(vector * _WIDTH)]), self.type.as_pointer())

    def _spread(self, value: Any) -> Any:
        blank = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        single = self.builder.insert_element(blank, value, _I32(0))
        return self.builder.shuffle_vector(single, blank, ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes))

    def _function(self, name: str, result: Any, *arguments: Any) -> Any:
        suffix = ".p0" if name.startswith("masked") else ""
        kind = ir.FunctionType(result, arguments)
        return cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.{name}.{self.name}{suffix}")


_many_wide, _few_wide, _one_wide = (_tile(rows, _PAIR, False) for rows in (_ROWS, _FEW, 1))
_many_edge, _one_edge = (_tile(rows, 1, True) for rows in (_ROWS, 1))
