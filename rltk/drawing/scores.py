"""Plots of scores of many runs: performance profiles with their bands, and figures with their intervals.

The numbers come from elsewhere (`rltk.evaluation.statistics`), as (value, low, high).

Source: Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical precipice", figures 4 and 7.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rltk.drawing.plots import _DASHES, _LINES, _figure, _style, _unit
from rltk.errors import ArgumentError, SizeError

Triple = tuple[ArrayLike, ArrayLike, ArrayLike]


def profile_plot(
    thresholds: ArrayLike, profiles: Mapping[str, Triple], *, xlabel: str = "score", title: str = "", caption: str = ""
) -> Any:
    """Return a matplotlib Figure: thresholds across, the share of runs above each as a line, its interval as a band.

    thresholds: (K,). profiles: name -> (share, low, high), (K,) each, as `performance_profile` gives them.
    Raises ArgumentError or SizeError where they do not match.
    """
    taus = np.asarray(thresholds, dtype=float)
    checked = _checked(profiles, taus.shape)
    if taus.ndim != 1 or taus.size < 2:
        raise SizeError(f"thresholds: (K,) with K of at least 2; found the shape {taus.shape}")
    with _style():
        figure = _figure(7.2, 4.4)
        axes = figure.add_subplot()
        for index, (name, (share, low, high)) in enumerate(checked.items()):
            colour = _unit(_LINES[index % len(_LINES)])
            dashes = _DASHES[index // len(_LINES) % len(_DASHES)]
            axes.plot(taus, share, color=colour, linestyle=dashes, linewidth=1.6, label=name)
            axes.fill_between(taus, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.set(xlim=(taus.min(), taus.max()), ylim=(0, 1.02), xlabel=xlabel, ylabel="share of runs above")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.grid(axis="y", color="0.9", linewidth=0.8)
        columns = min(3, len(checked))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, borderpad=0.2)
        _finish(figure, axes, title, caption)
    return figure


def interval_plot(figures: Mapping[str, Triple], *, xlabel: str = "score", title: str = "", caption: str = "") -> Any:
    """Return a matplotlib Figure: a row for each name, its value as a mark on the bar from low to high.

    figures: name -> (value, low, high), numbers. Raises ArgumentError or SizeError.
    """
    checked = _checked(figures, ())
    with _style():
        figure = _figure(7.2, 1.1 + 0.42 * len(checked))
        axes = figure.add_subplot()
        rows = np.arange(len(checked))
        for row, (value, low, high) in zip(rows, checked.values(), strict=True):
            colour = _unit(_LINES[row % len(_LINES)])
            axes.barh(row, high - low, left=low, height=0.56, color=colour, alpha=0.3, linewidth=0)
            axes.plot([value, value], [row - 0.28, row + 0.28], color=colour, linewidth=2.4, solid_capstyle="butt")
        axes.use_sticky_edges = False  # bars would keep the margin of the axis to themselves
        axes.set_yticks(rows, list(checked))
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(checked) - 0.5, -0.5)
        axes.margins(x=0.05)
        axes.set_xlabel(xlabel)
        axes.grid(axis="x", color="0.9", linewidth=0.8)
        _finish(figure, axes, title, caption)
    return figure


def _finish(figure: Any, axes: Any, title: str, caption: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    if caption:
        figure.supxlabel(caption, x=0.01, ha="left", fontsize=8)


def _checked(triples: Mapping[str, Triple], shape: tuple[int, ...]) -> dict[str, tuple[Any, Any, Any]]:
    if not triples:
        raise ArgumentError("nothing to plot: at least one, as name -> (value, low, high)")
    checked = {}
    for name, triple in triples.items():
        value, low, high = (np.asarray(part, dtype=float) for part in triple)
        if not value.shape == low.shape == high.shape == shape:
            raise SizeError(
                f"{name!r}: (value, low, high), each of the shape {shape}, were expected; found "
                f"{value.shape}, {low.shape}, {high.shape}"
            )
        if not (np.isfinite(value).all() and (low <= high).all()):
            raise ArgumentError(f"{name!r}: finite values with low <= high were expected")
        checked[name] = (value, low, high)
    return checked
