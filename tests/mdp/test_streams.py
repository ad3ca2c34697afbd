"""Random streams in kernels: NumPy's PCG64 Generator bit for bit, and the inverse normal distribution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm

from rltk.errors import ArgumentError
from rltk.mdp import restore_stream, stream_of
from rltk.mdp.streams import (
    integer_below,
    integer_between,
    inverse_normal,
    next_word,
    normal,
    random,
    shuffle,
    uniform,
)

seeds = st.integers(0, 2**64 - 1)
bounds = st.one_of(
    st.integers(1, 10), st.integers(1, 2**32 - 1), st.sampled_from([2**31, 2**31 + 1, 3 * 2**30, 2**32 - 1])
)
calls = st.one_of(
    st.tuples(st.just("random")),
    st.tuples(st.just("word")),
    st.tuples(st.just("below"), bounds),
    st.tuples(st.just("between"), st.integers(-(2**31), 2**31), bounds),
    st.tuples(st.just("choice"), st.integers(1, 40)),
    st.tuples(st.just("uniform"), st.floats(-1e3, 1e3), st.floats(0, 1e3)),
    st.tuples(st.just("shuffle"), st.integers(0, 40)),
    st.tuples(st.just("jump")),
)


@settings(deadline=None, max_examples=150)
@given(seed=seeds, sequence=st.lists(calls, min_size=1, max_size=40))
def test_any_interleaving_equals_numpys_generator(seed, sequence):
    """Words, floats, bounded integers and hand-overs in any order give the bits of NumPy's Generator, which spends the
    buffered upper half of a word later (`numpy/random/src/pcg64`, Lemire's bounded integers).
    """
    generator = np.random.default_rng(seed)
    stream = stream_of(generator)

    for name, *arguments in sequence:
        if name == "random":
            assert random(stream) == generator.random()
        elif name == "word":
            assert int(next_word(stream)) == int(generator.bit_generator.random_raw())
        elif name == "below":
            assert integer_below(stream, *arguments) == generator.integers(*arguments)
        elif name == "between":
            low, width = arguments
            assert integer_between(stream, low, low + width) == generator.integers(low, low + width)
        elif name == "choice":
            assert 3 + integer_below(stream, *arguments) == generator.choice(range(3, 3 + arguments[0]))
        elif name == "uniform":
            low, width = arguments
            assert uniform(stream, low, low + width) == generator.uniform(low, low + width)
        elif name == "shuffle":
            items, theirs = np.arange(arguments[0] + 1), list(range(arguments[0]))
            shuffle(stream, items, arguments[0])
            generator.shuffle(theirs)
            assert items.tolist() == [*theirs, arguments[0]]
        else:  # the stream goes into another generator and comes back, the buffered half included
            other = np.random.default_rng(0)
            restore_stream(other, stream)
            assert other.bit_generator.state == generator.bit_generator.state
            stream = stream_of(other)


def test_the_buffered_half_travels_with_the_stream():
    """After an odd number of 32-bit draws half a word is left; a stream made then goes on with it."""
    generator = np.random.default_rng(5)
    generator.integers(10)
    stream = stream_of(generator)

    assert stream[4] == 1
    assert [integer_below(stream, 1000) for _ in range(3)] == generator.integers(1000, size=3).tolist()


def test_long_runs_of_one_kind_equal_numpys():
    """Carries and rotations that a short run may miss: 20,000 words, and integers with many rejections."""
    generator = np.random.default_rng(2**63)
    stream = stream_of(generator)

    assert [int(next_word(stream)) for _ in range(20_000)] == generator.bit_generator.random_raw(20_000).tolist()
    bound = 2**31 + 1  # nearly half of all draws are rejected
    assert [integer_below(stream, bound) for _ in range(2_000)] == [generator.integers(bound) for _ in range(2_000)]


@pytest.mark.parametrize("make", [np.random.MT19937, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64])
def test_another_bit_generator_is_refused(make):
    """Only PCG64 can be continued in a kernel; the message names the one that came."""
    with pytest.raises(ArgumentError, match=make.__name__):
        stream_of(np.random.Generator(make(0)))


def test_inverse_normal_equals_scipys():
    """AS 241 (Wichura 1988) has a relative error of about 1e-16; centre, flanks and both far tails."""
    p = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 4001), np.logspace(-300, -1, 400), 1 - np.logspace(-16, -1, 50)])
    p = p[p < 1]

    found = np.array([inverse_normal(x) for x in p])

    np.testing.assert_allclose(found, norm.ppf(p), rtol=1e-13, atol=1e-15)


def test_a_normal_number_spends_exactly_one_word():
    """NumPy's own `normal` spends a varying number of words; here one, so that the draw law stays countable."""
    generator = np.random.default_rng(3)
    stream = stream_of(generator)

    for _ in range(100):
        word = int(generator.bit_generator.random_raw())
        assert normal(stream) == pytest.approx(norm.ppf(((word >> 12) + 0.5) / 2**52), rel=1e-12, abs=1e-15)
    assert np.array_equal(stream, stream_of(generator))


def test_normal_numbers_are_normal():
    """20,000 draws against the normal distribution, Kolmogorov and Smirnov: the seed is fixed, p is far from 0."""
    stream = stream_of(np.random.default_rng(11))

    assert kstest([normal(stream) for _ in range(20_000)], "norm").pvalue > 0.01


def test_the_ends_of_the_unit_interval_give_finite_normal_numbers():
    """The smallest and the largest word, from the state of PCG64 before it: symmetric, about 8.2 from the middle."""
    found = []
    for word in (0, 2**64 - 1):
        # high = 0 turns nothing, so the next word is the lower half of the next state; the increment is 1.
        state = (word - 1) * pow(47026247687942121848144207491837523525, -1, 2**128) % 2**128
        found.append(normal(np.array([state >> 64, state & (2**64 - 1), 0, 1, 0, 0], dtype=np.uint64)))

    assert found[0] == pytest.approx(norm.ppf(2.0**-53), rel=1e-12)
    assert found[1] == pytest.approx(-found[0], rel=1e-6)
