"""Performance profiles and intervals on paper: lines, bands and bars where the numbers are, and nothing clipped."""

import numpy as np
import pytest

from rltk.drawing import interval_plot, profile_plot, save_figure
from rltk.errors import ArgumentError, SizeError

THRESHOLDS = np.linspace(0, 1, 11)
FALLING = (1 - THRESHOLDS, np.maximum(0.9 - THRESHOLDS, 0), np.minimum(1.1 - THRESHOLDS, 1))


def nothing_is_clipped(figure):
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    return all((edge == 255).all() for edge in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]))


def test_a_profile_is_a_line_in_its_band(tmp_path):
    """A line and a band for each name, from the lowest threshold to the highest, shares from 0 to 1."""
    figure = profile_plot(THRESHOLDS, {"a": FALLING, "b": FALLING}, title="T", caption="10 runs", xlabel="normalised")
    axes = figure.axes[0]
    assert [line.get_label() for line in axes.lines] == ["a", "b"]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), FALLING[0])
    assert len(axes.collections) == 2
    assert axes.get_xlim() == (0, 1)
    assert axes.get_ylim()[0] == 0
    assert nothing_is_clipped(figure)
    save_figure(figure, tmp_path / "profile.svg")
    assert (tmp_path / "profile.svg").read_text().startswith("<?xml")


def test_intervals_are_bars_with_a_mark():
    """The first name stands at the top; a bar reaches from low to high, the mark stands at the value."""
    figure = interval_plot({"first": (0.5, 0.4, 0.7), "a long name of an agent": (0.6, 0.6, 0.6)}, caption="95%")
    axes = figure.axes[0]
    bar = axes.patches[0]
    assert (bar.get_x(), bar.get_x() + bar.get_width()) == pytest.approx((0.4, 0.7))
    assert list(axes.lines[0].get_xdata()) == [0.5, 0.5]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.get_xlim()[0] < 0.4
    assert nothing_is_clipped(figure)


@pytest.mark.parametrize(
    ("draw", "kind"),
    [
        (lambda: profile_plot(THRESHOLDS, {}), ArgumentError),
        (lambda: interval_plot({}), ArgumentError),
        (lambda: profile_plot(THRESHOLDS[:5], {"a": FALLING}), SizeError),
        (lambda: profile_plot([0.5], {"a": ([1.0], [1.0], [1.0])}), SizeError),
        (lambda: interval_plot({"a": FALLING}), SizeError),
        (lambda: interval_plot({"a": (0.5, 0.7, 0.4)}), ArgumentError),
        (lambda: interval_plot({"a": (np.nan, 0.4, 0.7)}), ArgumentError),
    ],
)
def test_what_does_not_fit_is_refused(draw, kind):
    """Names with numbers that are no (value, low, high), or of the wrong shape."""
    with pytest.raises(kind, match=r"thresholds|'a'|at least one"):
        draw()
