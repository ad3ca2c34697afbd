"""Panels of lines with their standard errors, side by side: how a textbook draws an experiment.

Lines that belong to a family, such as one for each lambda, are coloured in order, dark to light; others have the
colours of categories. What is not finite leaves a gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rltk.drawing.colours import colour_map
from rltk.drawing.plots import _DASHES, _LINES, _figure, _style, _unit
from rltk.errors import ArgumentError, SizeError

_BAND = 2.0  # standard errors to either side
_LIGHTEST = 225  # of 255: what is lighter vanishes on paper


@dataclass(frozen=True, eq=False)
class Line:
    """Means with their standard errors, (n,) each, at x (n,).

    colour, dashes: places among the colours of categories and the ways to dash; as the line's place if None. marker:
    matplotlib's, on every point.
    """

    name: str
    x: ArrayLike
    mean: ArrayLike
    error: ArrayLike
    colour: int | None = None
    dashes: int | None = None
    marker: str = ""


@dataclass(frozen=True, eq=False)
class Panel:
    """Lines on one pair of axes.

    family: whether the lines are ordered. xlim, ylim: what is shown; all if None. marks: name -> height of a dashed
    horizontal line. ticks: (places, their names) across.
    """

    lines: Sequence[Line]
    xlabel: str
    ylabel: str
    title: str = ""
    family: bool = False
    xlim: tuple[float, float] | None = None
    ylim: tuple[float, float] | None = None
    marks: Mapping[str, float] = field(default_factory=dict)
    ticks: tuple[ArrayLike, Sequence[str]] | None = None


def panels_plot(panels: Sequence[Panel], *, title: str = "", caption: str = "") -> Any:
    """Return a matplotlib Figure of the panels, beside each other, bands two standard errors to either side.

    Raises ArgumentError where there is no panel or line, SizeError where a line's arrays do not match.
    """
    if not panels or not all(panel.lines for panel in panels):
        raise ArgumentError("panels: at least one, each with at least one line")
    for panel in panels:
        for line in panel.lines:
            shapes = [np.shape(array) for array in (line.x, line.mean, line.error)]
            if len(set(shapes)) > 1 or len(shapes[0]) != 1:
                raise SizeError(f"line {line.name!r}: x, mean and error as (n,) were expected; found {shapes}")
    with _style():
        width = 7.2 if len(panels) == 1 else 5.2
        figure = _figure(width * len(panels), 4.8)
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(axes, panel)
            _name_lines(axes, panel, width)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12)
        if caption:
            figure.supxlabel(caption, x=0.01, ha="left", fontsize=8)
    return figure


def _draw(axes: Any, panel: Panel) -> None:
    for place, line in enumerate(panel.lines):
        x, mean, error = (np.asarray(array, dtype=float) for array in (line.x, line.mean, line.error))
        known = np.isfinite(mean) & np.isfinite(error)
        mean, error = np.where(known, mean, np.nan), np.where(known, error, np.nan)
        colour, dashes = _look(panel, line, place)
        looks = {"linewidth": 1.6, "marker": line.marker, "markersize": 4.5}
        axes.plot(x, mean, color=colour, linestyle=dashes, label=line.name, **looks)
        low, high = panel.ylim or (-np.inf, np.inf)
        shown = (mean >= low) & (mean <= high)  # a band that is wider than the panel says nothing
        band = mean - _BAND * error, mean + _BAND * error
        axes.fill_between(x, *band, where=shown, color=colour, alpha=0.2, linewidth=0)
    for name, height in panel.marks.items():
        axes.axhline(height, color="black", linestyle="--", linewidth=1.1)
        axes.text(1.0, height, f" {name}", transform=axes.get_yaxis_transform(), ha="left", va="center")
    axes.margins(x=0.02)
    axes.set(xlabel=panel.xlabel, ylabel=panel.ylabel)
    if panel.xlim is not None:
        axes.set_xlim(panel.xlim)
    if panel.ylim is not None:
        axes.set_ylim(panel.ylim)
    if panel.ticks is not None:
        axes.set_xticks(*panel.ticks)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)


def _look(panel: Panel, line: Line, place: int) -> tuple[tuple[float, float, float], Any]:
    """The colour of a line and how it is dashed."""
    if panel.family:
        steps = max(len(panel.lines) - 1, 1)
        colour = _unit(colour_map()[round(_LIGHTEST * place / steps)])
        return colour, _DASHES[0 if place % 2 == 0 else 1]  # neighbours differ in more than a shade
    chosen = place if line.colour is None else line.colour
    dashes = place // len(_LINES) if line.dashes is None else line.dashes
    return _unit(_LINES[chosen % len(_LINES)]), _DASHES[dashes % len(_DASHES)]


def _name_lines(axes: Any, panel: Panel, width: float) -> None:
    """The legend above the axes, which are `width` inches wide with their labels; the panel's title above that."""
    letters = max(len(line.name) for line in panel.lines) + 6
    columns = max(1, min(len(panel.lines), 5, int(11 * width) // letters))
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "alignment": "left"}
    spacing = {"frameon": False, "borderpad": 0.2, "columnspacing": 1.2, "handlelength": 2.4, "fontsize": 9}
    axes.legend(ncols=columns, title=panel.title or None, **place, **spacing)
