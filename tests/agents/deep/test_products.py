"""The tiled products against NumPy's, at every kind of edge."""

import numpy as np
import pytest

from rltk.agents.deep.backends.products import AS_IT_IS, SQUARE, TURNED, multiply, turn

SHAPES = [(1, 1, 1), (8, 3, 32), (9, 64, 33), (64, 147, 64), (7, 1, 2), (23, 6, 79), (256, 2, 16), (5, 0, 5)]
SHAPES += [(13, 300, 115), (4, 128, 64)]  # more than a block of k, and just one


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("turned", [AS_IT_IS, TURNED])
@pytest.mark.parametrize(("rows", "inner", "columns"), SHAPES)
def test_products_are_numpys_and_nothing_else_is_written(dtype, turned, rows, inner, columns):
    """C = A B for tiles, left-over rows and columns, odd and empty sums; what lies beyond C keeps its value."""
    rng = np.random.default_rng(rows)
    a = rng.standard_normal((inner + 1, rows + 5) if turned else (rows + 5, inner + 1)).astype(dtype)
    b = rng.standard_normal((inner + 1, columns + 3)).astype(dtype)
    out = np.full((rows + 2, columns + 3), 7.0, dtype)

    multiply(out, a, turned, b, rows, inner, columns)

    used = (a[:inner, :rows].T if turned else a[:rows, :inner]).astype(np.float64)
    tolerance = {np.float32: 1e-5, np.float64: 1e-13}[dtype]
    np.testing.assert_allclose(out[:rows, :columns], used @ b[:inner, :columns], rtol=tolerance, atol=20 * tolerance)
    assert np.all(out[rows:] == 7)
    assert np.all(out[:, columns:] == 7)


def test_a_nan_is_not_lost_in_a_product():
    """0 times NaN is NaN: nothing is skipped."""
    a, b, out = np.zeros((9, 3), np.float32), np.ones((3, 40), np.float32), np.zeros((9, 40), np.float32)
    b[1, 39] = np.nan

    multiply(out, a, AS_IT_IS, b, 9, 3, 40)

    assert np.all(np.isnan(out[:, 39]))
    assert np.all(out[:, :39] == 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_matrix_is_turned(dtype):
    """The transpose, for sizes that are no whole squares too."""
    a = np.random.default_rng(0).standard_normal((4 * SQUARE, 3 * SQUARE)).astype(dtype)
    out = np.zeros((3 * SQUARE, 4 * SQUARE), dtype)

    turn(out, a, 3 * SQUARE + 5, 2 * SQUARE + 1)

    np.testing.assert_array_equal(out[: 2 * SQUARE + 1, : 3 * SQUARE + 5], a[: 3 * SQUARE + 5, : 2 * SQUARE + 1].T)
