"""Points in two dimensions, coloured by a number: what a representation looks like from afar."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rltk.drawing.colours import colour_limits, colour_of
from rltk.drawing.plots import _draw_colour_bar, _figure, _style
from rltk.errors import ArgumentError, SizeError

_MOST_POINTS = 200_000


def points_plot(
    panels: Mapping[str, tuple[ArrayLike, ArrayLike]], *, label: str = "", title: str = "", caption: str = ""
) -> Any:
    """Return a matplotlib Figure of points beside each other: name -> (places (n, 2), numbers (n,)).

    All panels have the same axes and the same colours, from the least number to the largest. label: of the colours.
    Raises ArgumentError for other shapes, no points at all, or places that are not finite; SizeError for too many.
    """
    checked = {name: _checked(name, *given) for name, given in panels.items()}
    total = sum(len(numbers) for _, numbers in checked.values())
    if not total:
        raise ArgumentError("points: none were given")
    if total > _MOST_POINTS:
        raise SizeError(f"{total:,} points are more than can be drawn, {_MOST_POINTS:,}; draw a share of them")
    limits = colour_limits(np.concatenate([numbers for _, numbers in checked.values()]))
    places = np.concatenate([places for places, _ in checked.values()])
    low, high = places.min(axis=0), places.max(axis=0)
    margin = np.where(high > low, 0.05 * (high - low), 1.0)
    with _style():
        figure = _figure(4.6 * len(checked) + 1.0, 4.6)
        axes = figure.subplots(1, len(checked), squeeze=False, sharex=True, sharey=True)[0]
        for one, (name, (where, numbers)) in zip(axes, checked.items(), strict=True):
            colours = colour_of(numbers, limits) / 255
            one.scatter(where[:, 0], where[:, 1], s=9, c=colours, linewidths=0, alpha=0.8, rasterized=True)
            one.set_title(f"{name} ({len(numbers):,})", fontsize=10)
            one.set_xlim(low[0] - margin[0], high[0] + margin[0])
            one.set_ylim(low[1] - margin[1], high[1] + margin[1])
            one.tick_params(labelsize=8)
            one.spines[["top", "right"]].set_visible(False)
        _draw_colour_bar(figure, list(axes), limits, False, label)
        if title:
            figure.suptitle(title, fontsize=11)
        if caption:
            figure.supxlabel(caption, fontsize=9)
    return figure


def _checked(name: str, places: ArrayLike, numbers: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    where, values = np.asarray(places, float), np.asarray(numbers, float)
    if where.ndim != 2 or where.shape[1] != 2 or values.shape != where.shape[:1]:
        raise ArgumentError(f"points {name!r}: (n, 2) and (n,) were expected; found {where.shape} and {values.shape}")
    if not np.isfinite(where).all():
        raise ArgumentError(f"points {name!r}: places have to be finite")
    return where, values
