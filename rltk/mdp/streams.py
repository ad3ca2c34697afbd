"""Random numbers inside kernels: NumPy's PCG64, bit for bit, as six words that a kernel can own.

    state <- state * 47026247687942121848144207491837523525 + increment      (mod 2^128)
    word  <- rotate_right_64(high(state) xor low(state), high(state) >> 58)

A stream is a uint64[6] array: state high, state low, increment high, increment low, whether a 32-bit half is buffered,
and that half. A NumPy Generator passed into a kernel costs microseconds a call and races between threads; six words in
an array do neither.

Source: O'Neill (2014), "PCG: a family of simple fast space-efficient statistically good algorithms for random number
generation" (PCG XSL RR 128/64); NumPy's Generator for the order in which words become numbers; Lemire (2019), "Fast
random integer generation in an interval"; Wichura (1988), algorithm AS 241, for the inverse normal distribution.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rltk.errors import ArgumentError
from rltk.mdp.jit import jit

_MULTIPLIER_HIGH = np.uint64(2549297995355413924)
_MULTIPLIER_LOW = np.uint64(4865540595714422341)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_32, _58, _63, _64 = np.uint64(32), np.uint64(58), np.uint64(63), np.uint64(64)
_11, _12 = np.uint64(11), np.uint64(12)
_0, _1 = np.uint64(0), np.uint64(1)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53
_TO_OPEN_UNIT = 1.0 / 4503599627370496.0  # 2^-52


def stream_of(generator: np.random.Generator) -> np.ndarray:
    """The (6,) uint64 stream that goes on where `generator` (PCG64) stands."""
    state: Any = generator.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise ArgumentError(
            f"a stream continues a PCG64 generator, but this one is {state['bit_generator']}; "
            "make it with numpy.random.default_rng(seed)"
        )
    word, increment = state["state"]["state"], state["state"]["inc"]
    low = (1 << 64) - 1
    return np.array(
        [word >> 64, word & low, increment >> 64, increment & low, state["has_uint32"], state["uinteger"]],
        dtype=np.uint64,
    )


def restore_stream(generator: np.random.Generator, stream: np.ndarray) -> None:
    """Let `generator` (PCG64) go on where `stream` (6,) uint64 stands."""
    words = [int(word) for word in stream]
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": words[0] << 64 | words[1], "inc": words[2] << 64 | words[3]},
        "has_uint32": words[4],
        "uinteger": words[5],
    }


@intrinsic
def _multiply_high(typingctx: Any, a: Any, b: Any) -> Any:
    """The upper 64 bits of the 128-bit product of two uint64: one machine instruction that numba does not expose."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), code


@jit
def next_word(stream):
    """The stream's next 64 random bits, as `bit_generator.random_raw()` gives them."""
    high, low = stream[0], stream[1]
    product_low = low * _MULTIPLIER_LOW
    product_high = _multiply_high(low, _MULTIPLIER_LOW) + high * _MULTIPLIER_LOW + low * _MULTIPLIER_HIGH
    low = product_low + stream[3]
    carry = _1 if low < product_low else _0
    high = product_high + stream[2] + carry
    stream[0], stream[1] = high, low
    turn = high >> _58
    mixed = high ^ low
    return (mixed >> turn) | (mixed << ((_64 - turn) & _63))


@jit
def unit(word):
    """A word as a float in [0, 1), as NumPy makes it: the upper 53 bits."""
    return np.float64(word >> _11) * _TO_UNIT


@jit
def random(stream):
    """The next float in [0, 1), as `Generator.random()` gives it; spends one word."""
    return unit(next_word(stream))


@jit
def next_half(stream):
    """The next 32 bits: the lower half of a word first, then its buffered upper half."""
    if stream[4] != _0:
        stream[4] = _0
        return stream[5]
    word = next_word(stream)
    stream[4] = _1
    stream[5] = word >> _32
    return word & _LOW_HALF


@jit
def integer_below(stream, bound):
    """The next integer in [0, bound), 1 <= bound < 2^32, as `Generator.integers(bound)` gives it."""
    n = np.uint64(bound)
    if n == _1:
        return np.int64(0)
    product = next_half(stream) * n
    if (product & _LOW_HALF) < n:
        threshold = (np.uint64(4294967296) - n) % n
        while (product & _LOW_HALF) < threshold:
            product = next_half(stream) * n
    return np.int64(product >> _32)


@jit
def integer_between(stream, low, high):
    """The next integer in [low, high), as `Generator.integers(low, high)` gives it; high - low from 1 to 2^32 - 1.

    `Generator.choice` of a list takes its index from the same draw.
    """
    return low + integer_below(stream, high - low)


@jit
def uniform(stream, low, high):
    """The next float in [low, high), as `Generator.uniform(low, high)` gives it; spends one word."""
    return low + (high - low) * random(stream)


@jit
def integer_up_to(stream, top):
    """The next integer in [0, top], 0 <= top < 2^32, as NumPy draws it to shuffle a list: masked, then rejected.

    Not the integers of `integer_below`: bits above the largest one of `top` are cut off, and what is too large is drawn
    anew.
    """
    most = np.uint64(top)
    if most == _0:
        return np.int64(0)
    mask = most
    for shift in (1, 2, 4, 8, 16):
        mask |= mask >> np.uint64(shift)
    number = next_half(stream) & mask
    while number > most:
        number = next_half(stream) & mask
    return np.int64(number)


@jit
def shuffle(stream, items, count):
    """Shuffle the first `count` of `items` in place, as `Generator.shuffle` does a list of that length."""
    for last in range(count - 1, 0, -1):
        other = integer_up_to(stream, last)
        items[last], items[other] = items[other], items[last]


# Coefficients of AS 241's PPND16, numerator and denominator, highest power first.
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457)
    + (13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852545925, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867)
    + (5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)
_FLANK = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258)
    + (3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459)
    + (0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)
_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093)
    + (0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4)
    + (0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)


@jit
def _ratio(coefficients, x):
    above, below = 0.0, 0.0
    for i in range(8):
        above = above * x + coefficients[0][i]
        below = below * x + coefficients[1][i]
    return above / below


@jit
def inverse_normal(p):
    """The z with P(Z <= z) = p for a standard normal Z, to about 1e-16 relative; p in (0, 1)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return q * _ratio(_CENTRE, 0.180625 - q * q)
    r = np.sqrt(-np.log(p if q < 0 else 1.0 - p))
    z = _ratio(_FLANK, r - 1.6) if r <= 5.0 else _ratio(_TAIL, r - 5.0)
    return -z if q < 0 else z


@jit
def normal(stream):
    """A standard normal number from one word (NumPy's own `normal` spends a varying number of words)."""
    # Half a unit is added so that neither end of the open interval is met; 52 bits leave room for the half.
    return inverse_normal((np.float64(next_word(stream) >> _12) + 0.5) * _TO_OPEN_UNIT)
