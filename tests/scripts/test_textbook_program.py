"""`rltk textbook`, as a person calls it: what it prints and writes; and how it judges a claim."""

import json
import math

import numpy as np
import pytest

from rltk.drawing import Line, Panel, panels_plot
from rltk.errors import ArgumentError, SizeError, UnknownNameError
from rltk.scripts.cli import main
from rltk.scripts.figures import FIGURES, experiment, named
from rltk.scripts.figures.experiment import Claim, Estimate, about, below, best, weakest


def test_it_writes_pictures_and_numbers_and_prints_one_table(tmp_path, capsys):
    """A number names the example and the figure; numbers have means and standard errors; 80 columns are enough."""
    assert main(["textbook", "8.2", "Example 6.6", "--runs", "0.02", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert max(len(line) for line in told.splitlines() if str(tmp_path) not in line) <= 80
    assert "Figure 8.2" in told
    assert "Example 6.6" in told
    assert "868.7" in told
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"example-6.6.json", "example-6.6.png", "figure-8.2.json", "figure-8.2.png"}
    assert (tmp_path / "figure-8.2.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((tmp_path / "figure-8.2.json").read_text())
    (panel,) = numbers["panels"]
    assert [line["name"] for line in panel["lines"]] == [f"{n} planning steps" for n in (0, 5, 50)]
    assert all(len(line[k]) == 49 for line in panel["lines"] for k in ("x", "mean", "error"))
    assert {claim["holds"] for claim in numbers["claims"]} <= {True, False, None}
    assert numbers["runs"] == [2]


def test_the_numbers_are_those_of_the_runs(tmp_path):
    """Mean and standard error of the third episode's steps, computed by hand."""
    one = experiment("figure-8.2")
    values = one.measure(0.2)
    one.write(values, tmp_path)
    line = json.loads((tmp_path / "figure-8.2.json").read_text())["panels"][0]["lines"][1]
    steps = values[5][:, 2]
    assert len(steps) == 6
    assert line["x"][1] == 3
    assert line["mean"][1] == pytest.approx(steps.mean())
    assert line["error"][1] == pytest.approx(np.sqrt(((steps - steps.mean()) ** 2).sum() / 5 / 6))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["6.9"], "no figure is called '6.9'; there are example-6.2"),
        (["--runs", "0"], "runs is a multiple"),
        (["--runs", "nan"], "runs is a multiple"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_learnt(tmp_path, capsys, arguments, says):
    """A wrong name lists the right ones; no folder is made."""
    out = tmp_path / "out"
    assert main(["textbook", *arguments, "--out", str(out)]) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path, capsys):
    """Without a traceback."""
    (tmp_path / "taken").write_text("")
    assert main(["textbook", "8.2", "--out", str(tmp_path / "taken")]) == 2
    assert "choose another" in " ".join(capsys.readouterr().err.split())


def test_figures_go_by_number_name_and_the_book_s_other_name():
    """6.3 is Example 6.3 and Figure 6.3; Figure 6.2 is Example 6.3's; nothing is everything, in the book's order."""
    assert named(("6.3",)) == ["example-6.3", "figure-6.3"]
    assert named(("figure-6.2",)) == ["example-6.3"]
    assert named(("Figure 12.8", "7.2")) == ["figure-7.2", "figure-12.8"]
    assert named(()) == list(FIGURES)
    with pytest.raises(UnknownNameError, match="A number will do"):
        named(("6.2", "12"))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_what_it_is(name):
    """Its name, its source in the book, its settings; and its cells learn nothing before they are called."""
    one = experiment(name)
    assert one.name == name
    assert one.source.startswith("Sutton and Barto (2018), ")
    assert "runs" in one.settings
    assert len(one.cells(0.01)) >= 1


def test_a_claim_holds_fails_or_is_open():
    """By three standard errors; what is exact has none; not a number is open."""
    for difference, error, verdict in (
        (3.1, 1.0, "yes"),
        (2.9, 1.0, "open"),
        (-2.9, 1.0, "open"),
        (-3.1, 1.0, "no"),
        (1e-9, 0.0, "yes"),
        (-1e-9, 0.0, "no"),
        (0.0, 0.0, "open"),
        (math.nan, 0.0, "open"),
        (1.0, math.nan, "open"),
    ):
        assert Claim("", difference, error, "").verdict == verdict


def test_claims_are_made_of_numbers():
    """Runs of equal number are compared one by one; the weakest part speaks for all."""
    low, shared = np.array([1.0, 5.0, 9.0]), np.array([2.0, 6.0, 10.0])
    paired = below("", ("a", low), ("b", shared))
    assert (paired.difference, paired.error) == (1.0, 0.0)
    assert paired.measured == "a 5.0 ± 2.3, b 6.0 ± 2.3"
    apart = below("", ("a", low), ("b", Estimate(6.0, 1.0)))
    assert apart.error == pytest.approx(math.hypot(4 / math.sqrt(3), 1.0))
    assert about("", "x", Estimate(16.0, 0.1), 15, 2).difference == 1.0
    parts = [Claim("", 5.0, 1.0, "five"), Claim("", 1.0, 1.0, "one"), Claim("", 3.0, 0.0, "sure")]
    assert weakest("", parts).measured == "one"
    assert weakest("", [*parts, Claim("", math.nan, 0.0, "unknown")]).verdict == "open"
    assert best({1: np.array([2.0, 2.0]), 2: np.array([1.0, 2.0]), 3: np.array([0.0, np.inf])}, [1, 2, 3]) == 2


def test_panels_are_checked():
    """Lines whose arrays do not match and panels without lines are refused; what is not finite is a gap."""
    line = Line("a", [0, 1, 2], [1.0, np.inf, 3.0], [0.1, np.nan, 0.1])
    figure = panels_plot(
        [Panel([line], "x", "y", family=True, ylim=(0, 4), marks={"two": 2.0})], title="t", caption="c"
    )
    drawn = figure.axes[0].lines[0].get_ydata()
    assert np.isnan(drawn[1])
    assert drawn[2] == 3.0
    with pytest.raises(SizeError, match="line 'b'"):
        panels_plot([Panel([Line("b", [0, 1], [1.0], [1.0])], "x", "y")])
    with pytest.raises(ArgumentError, match="at least one"):
        panels_plot([Panel([], "x", "y")])
