"""Plots of arrays, on paper and in reports: learning curves beside the optimum, and value maps.

Only matplotlib's objects are used, with the Agg canvas: no global state, no window, no display.
"""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rltk.drawing import curves as statistics
from rltk.drawing.colours import CELLS, OKABE_ITO, RING, TERMINAL_LOOKING, colour_limits, ink
from rltk.drawing.colours import colour_of as colours_of
from rltk.drawing.files import replacing
from rltk.drawing.layers import FAINTEST, REACH
from rltk.drawing.numbers import decimals_for, number
from rltk.drawing.scene import Cell, Scene, policy_table
from rltk.errors import ArgumentError, SizeError

# Dark colours first: yellow lines vanish on paper.
_LINES = tuple(OKABE_ITO[index] for index in (5, 6, 3, 7, 1, 2, 0, 4))
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
_MOST_ARROWS = 2_000
_MOST_NUMBERS = 400
FORMATS = (".png", ".svg", ".pdf")


@contextmanager
def _style() -> Iterator[None]:
    """rltk's look, whatever the user's own settings are, which stay as they were."""
    import matplotlib

    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 10, "axes.unicode_minus": True}):
        yield


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _unit(colour: ArrayLike) -> tuple[float, float, float]:
    red, green, blue = np.asarray(colour, float) / 255
    return float(red), float(green), float(blue)


def learning_curve(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike]],
    optimum: float | None = None,
    *,
    ylabel: str = "return",
    xlabel: str = "steps",
    title: str = "",
    caption: str = "",
    optimum_name: str = "optimum",
    log: bool = False,
) -> Any:
    """Return a matplotlib Figure: steps across, a line for each curve, the optimum dashed with its name on it.

    curves: name -> (steps (n,), values (n,)) or (steps (n,), values (seeds, n)). Several seeds are drawn as their
        interquartile mean, with its 95% bootstrap interval as a band.
    ylabel: what the values are, with their unit or criterion. caption: small words below; the seeds are added to it.
    log: a logarithmic axis, for suboptimality that falls by decades; values up to 0 leave a gap there.
    An infinite value leaves a gap; the points beside gaps are marked, since a line alone would not show a single one.
    Raises ArgumentError or SizeError where steps and values do not match.
    """
    if not curves:
        raise ArgumentError("curves: at least one, as name -> (steps, values); found none")
    checked = {name: statistics.checked(name, *pair) for name, pair in curves.items()}
    with _style():
        figure = _figure(7.2, 4.4)
        axes = figure.add_subplot()
        for index, (name, (steps, values)) in enumerate(checked.items()):
            colour = _unit(_LINES[index % len(_LINES)])
            with np.errstate(invalid="ignore"):  # infinite values of several seeds have no mean, which is a gap too
                middle, low, high = (np.where(np.isfinite(line), line, np.nan) for line in statistics.band(values))
            gaps = bool(np.isnan(middle).any())
            if log:
                middle, low, high = (np.where(line > 0, line, np.nan) for line in (middle, low, high))
            dashes = _DASHES[index // len(_LINES) % len(_DASHES)]
            marker = "o" if len(steps) == 1 or gaps else ""
            looks = {"linewidth": 1.6, "marker": marker, "markersize": 4 if gaps else 6, "label": name}
            axes.plot(steps, middle, color=colour, linestyle=dashes, **looks)
            if len(values) > 1:
                axes.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
        if log:
            axes.set_yscale("log")
        axes.margins(x=0)
        first = min(steps.min() for steps, _ in checked.values())
        last = max(steps.max() for steps, _ in checked.values())
        if first < last:
            axes.set_xlim(first, last)  # a gap at an end is part of the curve
        if optimum is not None and not (log and optimum <= 0):
            _draw_optimum(axes, optimum, optimum_name)
        _finish_curve(axes, ylabel, xlabel, title)
        words = "\n".join(filter(None, (caption, statistics.seeds_said([len(pair[1]) for pair in checked.values()]))))
        figure.supxlabel(words, x=0.01, ha="left", fontsize=8)
    return figure


def _draw_optimum(axes: Any, optimum: float, name: str) -> None:
    if not math.isfinite(optimum):
        raise ArgumentError(f"optimum: a finite number or None, found {optimum!r}")
    axes.axhline(optimum, color="black", linestyle="--", linewidth=1.1)
    low, high = axes.get_ylim()
    decimals = decimals_for(min(low, optimum), max(high, optimum))
    # At the line's end, outside: a curve that reaches the optimum never runs through its name.
    place = axes.get_yaxis_transform()
    words = f" {name}\n {number(optimum, decimals)}"
    axes.text(1.0, optimum, words, transform=place, ha="left", va="center", linespacing=1.3)


def _finish_curve(axes: Any, ylabel: str, xlabel: str, title: str) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 20k, 1M: steps are long numbers
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    handles, labels = axes.get_legend_handles_labels()
    columns = min(3, len(labels))
    axes.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, frameon=False, borderpad=0.2)
    if title:
        axes.figure.suptitle(title, x=0.01, ha="left", fontsize=12)


def value_map(
    scene: Scene,
    values: ArrayLike,
    policy: ArrayLike | None = None,
    *,
    title: str = "",
    criterion: str = "",
    label: str = "value",
    limits: tuple[float, float] | None = None,
    diverging: bool = False,
) -> Any:
    """Return a matplotlib Figure of a value for each cell of a scene, with the policy's arrows or the numbers.

    values: (S,), looked up through scene.states; goals, pits and lava keep their own colours.
    policy: (S, A) probabilities or (S,) actions; an arrow for each action above 1%, its length in proportion.
    criterion: such as "gamma 0.99", written under the title. label: the colour bar's.
    limits: (low, high) of the colours; diverging: for differences, centred on zero. Raises ArgumentError or SizeError.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or len(array) <= scene.states.max():
        raise SizeError(
            f"values of a map: (S,) with S above {scene.states.max()}, the scene's last state; found {array.shape}"
        )
    table = None if policy is None else policy_table(policy)
    if table is not None and (len(table) <= scene.states.max() or table.shape[1] > len(scene.actions)):
        raise SizeError(f"policy of a map: ({len(array)}, {len(scene.actions)}) expected, found {table.shape}")
    shown = (scene.states >= 0) & (scene.cells != Cell.WALL) & ~np.isin(scene.cells, TERMINAL_LOOKING)
    field = np.where(shown, array[np.maximum(scene.states, 0)], np.nan)  # (H, W)
    low, high = limits if limits is not None else colour_limits(field, diverging)
    if diverging:
        high = max(abs(low), abs(high))
        low = -high
    picture = np.array([CELLS[kind] for kind in Cell], np.uint8)[scene.cells]
    picture[shown] = colours_of(field[shown], (low, high), diverging)
    with _style():
        figure, axes = _map_axes(scene, picture)
        _draw_colour_bar(figure, axes, (low, high), diverging, label)
        _draw_map_marks(axes, scene, picture, shown)
        if table is not None:
            _draw_arrows(axes, scene, table, picture, shown)
        elif shown.sum() <= _MOST_NUMBERS:
            _draw_numbers(axes, field, picture, (low, high))
        lines = [line for line in (title, criterion) if line]
        if lines:
            axes.set_title("\n".join(lines), loc="left", fontsize=11)
        if bool((shown & ~np.isfinite(field)).any()):
            figure.supxlabel("grey: no finite value", x=0.01, ha="left", fontsize=8)
    return figure


def _map_axes(scene: Scene, picture: NDArray[np.uint8]) -> tuple[Any, Any]:
    height, width = scene.shape
    # 6 inches for the longer side, so that the colour bar keeps its room beside a narrow map.
    share = 6.0 / max(height, width, 4)
    figure = _figure(max(2.2, width * share) + 1.3, max(1.8, height * share) + 0.6)
    axes = figure.add_subplot()
    axes.imshow(picture, interpolation="nearest", extent=(0, width, height, 0))
    axes.set_axis_off()
    if max(height, width) <= 60:
        for row in range(height + 1):
            axes.axhline(row, color="white", linewidth=0.4, alpha=0.5)
        for column in range(width + 1):
            axes.axvline(column, color="white", linewidth=0.4, alpha=0.5)
    return figure, axes


def _draw_colour_bar(figure: Any, axes: Any, limits: tuple[float, float], diverging: bool, label: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    low, high = limits
    if high <= low:  # a bar needs some height; the only value stands at its middle
        low, high = low - 0.5, high + 0.5
    mapping = ScalarMappable(Normalize(low, high), "RdBu_r" if diverging else "cividis")
    figure.colorbar(mapping, ax=axes, label=label, shrink=0.9, aspect=24, pad=0.02)


def _draw_map_marks(axes: Any, scene: Scene, picture: NDArray[np.uint8], shown: NDArray[np.bool_]) -> None:
    from matplotlib.patches import Circle

    for row, column in np.argwhere(scene.cells == Cell.START):
        colour = _unit(ink(picture[row, column])) if shown[row, column] else _unit(RING)
        axes.add_patch(Circle((column + 0.5, row + 0.5), 0.44, fill=False, edgecolor=colour, linewidth=1.4))
    points = 72 * 6.0 / max(*scene.shape, 4)
    if points >= 20:  # room for a letter
        for row, column, text in scene.placed_labels:
            colour = _unit(ink(picture[row, column]))
            axes.text(column + 0.06, row + 0.05, text, va="top", ha="left", fontsize=min(9, points / 4), color=colour)
    for first, second in scene.walls:
        row, column = max(first[0], second[0]), max(first[1], second[1])
        beside = first[0] == second[0]
        ends = ([column, column], [row, row + 1]) if beside else ([column, column + 1], [row, row])
        axes.plot(*ends, color=_unit(CELLS[Cell.WALL]), linewidth=3, solid_capstyle="butt")


def _draw_arrows(
    axes: Any, scene: Scene, policy: NDArray[np.float64], picture: NDArray[np.uint8], shown: NDArray[np.bool_]
) -> None:
    if shown.sum() > _MOST_ARROWS:
        return
    tails, ways, inks, dots = [], [], [], []
    for row, column in np.argwhere(shown):
        colour = _unit(ink(picture[row, column]))
        chosen = [(a, p) for a, p in enumerate(policy[scene.states[row, column]]) if p > FAINTEST]
        for action, share in chosen:
            heading = scene.actions[action]
            if heading is None or heading == (0, 0):
                dots.append((column + 0.5, row + 0.5, 0.12 * math.sqrt(share), colour))
                continue
            way = np.array([heading[1], heading[0]]) / math.hypot(*heading) * share * REACH
            tails.append(np.array([column + 0.5, row + 0.5]) - (way / 2 if len(chosen) == 1 else 0))
            ways.append(way)
            inks.append(colour)
    if tails:
        (x, y), (u, v) = np.array(tails).T, np.array(ways).T
        style = {"width": 0.045, "headwidth": 3.2, "headlength": 3.2, "headaxislength": 3.2, "minlength": 0.1}
        axes.quiver(x, y, u, v, color=inks, units="xy", angles="xy", scale_units="xy", scale=1, **style)
    from matplotlib.patches import Circle

    for x_middle, y_middle, radius, colour in dots:
        axes.add_patch(Circle((x_middle, y_middle), radius, color=colour))


def _draw_numbers(
    axes: Any, field: NDArray[np.float64], picture: NDArray[np.uint8], limits: tuple[float, float]
) -> None:
    """Write each value where it fits 70% of its cell: digits of this font are 0.64 of their size wide."""
    decimals = decimals_for(*limits)
    texts = {
        (row, column): number(float(field[row, column]), decimals) for row, column in np.argwhere(~np.isnan(field))
    }
    if not texts:
        return
    points = 72 * 6.0 / max(*field.shape, 4) * 0.85  # the axes give some of their room to the colour bar
    size = min(11.0, 0.7 * points / (0.64 * max(map(len, texts.values()))))
    if size < 5:
        return
    for (row, column), text in texts.items():
        colour = _unit(ink(picture[row, column]))
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=size, color=colour)


def save_figure(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure as .png, .svg or .pdf, whole or not at all. Raises ArgumentError for another ending."""
    ending = os.path.splitext(os.fspath(path))[1].lower()
    if ending not in FORMATS:
        raise ArgumentError(f"path of a figure: a name that ends in {', '.join(FORMATS)}; found {os.fspath(path)!r}")
    # Without the date, so that the same arrays give the same file.
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending)
    import matplotlib

    with replacing(path) as partial, matplotlib.rc_context({"svg.hashsalt": "rltk"}):
        figure.savefig(partial, dpi=150, metadata=metadata)
