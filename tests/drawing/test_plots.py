"""Learning curves and value maps: what stands on them, and the statistics behind the line and the band."""

import numpy as np
import pytest

from rltk.drawing import Scene, learning_curve, save_figure, value_map
from rltk.drawing.colours import CELLS, colour_map, luminance
from rltk.drawing.curves import band, interquartile_mean
from rltk.drawing.numbers import decimals_for, number
from rltk.drawing.scene import Cell, directions
from rltk.errors import ArgumentError, SizeError


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def texts(figure):
    import matplotlib.text

    return [found.get_text() for found in figure.findobj(matplotlib.text.Text) if found.get_text()]


def rooms():
    cells = np.array([[5, 0, 1], [0, 2, 0]], np.uint8)
    states = np.array([[0, 1, -1], [2, 3, 4]])
    return Scene(cells, states, directions(["up", "right", "down", "left"]))


def test_the_interquartile_mean_of_known_numbers():
    """Of eight values the middle four; of six, the middle two in full and their neighbours by half (Agarwal 2021)."""
    eight = np.array([100.0, 1, 2, 3, 4, 5, 6, -100])
    assert interquartile_mean(eight) == pytest.approx((2 + 3 + 4 + 5) / 4)
    six = np.array([0.0, 1, 2, 3, 4, 50])
    assert interquartile_mean(six) == pytest.approx((0.5 * 1 + 2 + 3 + 0.5 * 4) / 3)
    assert interquartile_mean(np.array([7.0])) == 7


def test_the_band_holds_the_line_and_narrows_with_seeds():
    stream = np.random.default_rng(1)
    few, many = stream.normal(size=(5, 20)), stream.normal(size=(80, 20))
    widths = []
    for values in (few, many):
        middle, low, high = band(values)
        assert (low <= middle).all()
        assert (middle <= high).all()
        widths.append((high - low).mean())
    assert widths[1] < widths[0] / 2
    assert all((one == two).all() for one, two in zip(band(few), band(few), strict=True))


def test_a_curve_has_line_band_optimum_and_says_its_seeds():
    steps = np.arange(0, 1000, 100)
    values = np.random.default_rng(0).normal(size=(6, 10)) * 0.01 + 0.3
    figure = learning_curve({"Q-learning": (steps, values)}, 0.542, ylabel="return (gamma 0.99)", caption="slip 1/3")
    axes = figure.axes[0]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 1
    assert list(dashed[0].get_ydata()) == [0.542, 0.542]
    assert axes.get_ylim()[1] > 0.542
    assert len(axes.collections) == 1  # the band
    np.testing.assert_allclose(axes.lines[0].get_ydata(), interquartile_mean(values))
    said = "\n".join(texts(figure))
    for words in ("optimum", "0.542", "6 seeds", "95%", "slip 1/3", "Q-learning", "return (gamma 0.99)", "steps"):
        assert words in said


def test_nothing_of_a_curve_is_clipped():
    figure = learning_curve({"a": ([0, 1e6], [0.0, 1.0])}, 1.0, optimum_name="optimum within the limit", title="T")
    picture = pixels(figure)
    for edge in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]):
        assert (edge == 255).all()


def test_one_seed_has_no_band_and_a_logarithm_leaves_gaps():
    figure = learning_curve({"a": ([0, 1, 2], [10.0, 0.1, 0.0])}, optimum=0.0, ylabel="suboptimality", log=True)
    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    assert not axes.collections
    assert np.isnan(axes.lines[0].get_ydata()[2])
    assert len(axes.lines) == 1  # zero has no place on this axis
    assert pixels(figure).min() < 50
    pixels(learning_curve({"a": ([0, 1], [0.0, 0.0])}, log=True))


def test_an_infinite_value_leaves_a_gap_and_the_steps_stay():
    figure = learning_curve({"a": ([0, 1, 2, 3], [-np.inf, 0.1, np.inf, -np.inf])}, optimum=0.5)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [np.nan, 0.1, np.nan, np.nan])
    assert axes.lines[0].get_marker() == "o"  # a line alone does not show a single point
    assert axes.get_xlim() == (0, 3)
    assert pixels(figure).min() < 50
    pixels(learning_curve({"a": ([0, 1], [-np.inf, -np.inf])}))
    pixels(learning_curve({"a": ([0, 1], [[-np.inf, 1], [np.inf, 2], [0, 3]])}))


@pytest.mark.parametrize(
    ("curves", "kind"),
    [
        ({}, ArgumentError),
        ({"a": ([0, 1], [1.0])}, SizeError),
        ({"a": ([], [])}, SizeError),
        ({"a": ([0, 1], [1.0, float("nan")])}, ArgumentError),
        ({"a": ([0], np.zeros((2, 2, 1)))}, SizeError),
    ],
)
def test_bad_curves_name_themselves(curves, kind):
    with pytest.raises(kind, match="curve"):
        learning_curve(curves)


def test_a_value_map_colours_cells_and_marks_the_rest():
    figure = value_map(rooms(), [0.0, 0.5, 0.25, 9.0, 1.0], title="V*", criterion="gamma 0.9", label="value")
    image = figure.axes[0].images[0].get_array()
    table = colour_map()
    assert tuple(image[0, 0]) == tuple(table[0])
    assert tuple(image[1, 2]) == tuple(table[255])  # the goal's 9 counts for no limit
    assert tuple(image[0, 2]) == CELLS[Cell.WALL]
    assert tuple(image[1, 1]) == CELLS[Cell.GOAL]
    said = "\n".join(texts(figure))
    assert "V*\ngamma 0.9" in said
    assert "value" in said
    assert "0.25" in said
    assert "9.00" not in said
    assert pixels(figure).std() > 20


def test_a_value_map_has_an_arrow_for_each_likely_action():
    policy = np.array([[0, 0.5, 0.5, 0], [0, 0, 1, 0], [0, 0.995, 0.005, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    figure = value_map(rooms(), np.arange(5.0), policy)
    quiver = next(found for found in figure.axes[0].collections if hasattr(found, "U"))
    assert len(quiver.U) == 2 + 1 + 1 + 1
    assert quiver.U[0] > 0  # right, on the picture
    assert quiver.V[1] > 0  # down: the axis grows downwards
    assert figure.axes[0].get_ylim() == (2.0, 0.0)
    assert np.hypot(quiver.U[2], quiver.V[2]) == pytest.approx(2 * np.hypot(quiver.U[0], quiver.V[0]))


def test_value_maps_refuse_arrays_of_other_states():
    with pytest.raises(SizeError, match="values"):
        value_map(rooms(), [1.0, 2.0])
    with pytest.raises(SizeError, match="policy"):
        value_map(rooms(), np.zeros(5), np.zeros((5, 9)))


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_figures_are_saved_whole_and_alike(tmp_path, ending):
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    for path in (first, second):
        save_figure(value_map(rooms(), np.full(5, -3.0)), path)  # one value: no colour range
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_bytes()) > 2000
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch):
    figure = value_map(rooms(), np.zeros(5))

    def fail(path, **_):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OSError, match="no space"):
        save_figure(figure, tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ArgumentError, match=r"\.png"):
        save_figure(figure, tmp_path / "a.docx")


def test_the_users_own_style_stays():
    import matplotlib

    with matplotlib.rc_context({"font.family": "serif", "font.size": 30}):
        figure = learning_curve({"a": ([0, 1], [0, 1])})
        assert matplotlib.rcParams["font.size"] == 30
    assert figure.axes[0].yaxis.label.get_fontname() == "DejaVu Sans"


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (-0.001, 2, "0.00"),
        (-0.25, 2, "−0.25"),
        (float("-inf"), 2, "−∞"),
        (1234567.0, None, "1.2e+06"),
        (float("nan"), 1, "?"),
    ],
)
def test_numbers_as_text(value, decimals, text):
    assert number(value, decimals) == text


def test_decimals_follow_the_spread():
    assert decimals_for(0, 1) == 2
    assert decimals_for(0.9, 1.0) == 3
    assert decimals_for(-13, 0) == 1
    assert decimals_for(0, 500) == 0
    assert decimals_for(0, 1e7) is None
    assert decimals_for(0, 0) == 0
    assert decimals_for(0.54, 0.54) == 3


def test_text_contrasts_by_4_5_to_1_on_every_colour_of_the_maps():
    from rltk.drawing.colours import ink

    for colour in np.concatenate([colour_map(), colour_map(True), np.array(list(CELLS.values()))]):
        lights = sorted([float(luminance(colour)), float(luminance(ink(colour)))])
        assert (lights[1] + 0.05) / (lights[0] + 0.05) >= 4.5
