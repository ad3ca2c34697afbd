"""What the figures of the textbook share: an experiment, the claims that the book makes of it, and numbers on disk.

An experiment is a table of cells; each is learnt by itself and gives values of shape (runs, ...). From these come the
picture and the claims. A claim is a difference that the book says is positive, with its standard error:

    holds         difference > 3 standard errors
    fails         difference < -3 standard errors
    open          otherwise: there were too few runs to tell
"""

import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rltk.drawing import Line, Panel, panels_plot, save_figure

_SURE = 3.0  # standard errors

Cells = Mapping[Any, Callable[[], np.ndarray]]
Values = Mapping[Any, np.ndarray]


@dataclass(frozen=True)
class Claim:
    """What the book says, and by how much it is so.

    text: the book's statement. difference: positive where it is so. error: the standard error of that, 0 where it is
    exact. measured: what was found, in words and numbers.
    """

    text: str
    difference: float
    error: float
    measured: str

    @property
    def holds(self) -> bool | None:
        """True or False where the difference is beyond its error, else None."""
        if math.isnan(self.difference) or math.isnan(self.error) or abs(self.difference) <= _SURE * self.error:
            return None
        return bool(self.difference > 0)

    @property
    def verdict(self) -> str:
        """yes, no or open."""
        return {True: "yes", False: "no", None: "open"}[self.holds]


@dataclass(frozen=True)
class Estimate:
    """A mean over runs with its standard error."""

    mean: float
    error: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray) -> "Estimate":
        """From (runs,) values."""
        mean, error = mean_and_error(np.asarray(values, dtype=float))
        return cls(float(mean), float(error))

    def __str__(self) -> str:
        if not math.isfinite(self.error) or self.error <= 0:
            return f"{self.mean:.4g}"
        decimals = max(0, 1 - math.floor(math.log10(self.error)))
        return f"{self.mean:.{decimals}f} ± {self.error:.{decimals}f}"


@dataclass(frozen=True)
class Experiment:
    """One figure.

    name: as the book numbers it, "figure-6.3". shows: a line about it. source: where in the book. settings: all that
    is needed to repeat it. cells: from a scale of the book's number of runs. panels, claims: from the cells' values.
    """

    name: str
    shows: str
    source: str
    settings: str
    cells: Callable[[float], Cells]
    panels: Callable[[Values], Sequence[Panel]]
    claims: Callable[[Values], Sequence[Claim]]

    def measure(self, scale: float = 1.0, done: Callable[[], None] = lambda: None) -> Values:
        """Learn all cells with `scale` times the usual runs; `done` is called after each."""
        values = {}
        for key, learn in self.cells(scale).items():
            values[key] = learn()
            done()
        return values

    def write(self, values: Values, folder: Path) -> list[Path]:
        """The picture and the numbers of this experiment, in `folder`; returns both files."""
        panels = self.panels(values)
        caption = f"{self.settings}. Band: two standard errors either side."
        picture, numbers = folder / f"{self.name}.png", folder / f"{self.name}.json"
        save_figure(
            panels_plot(panels, title=f"{title_of(self.name)}: {self.shows}", caption=wrapped(caption)), picture
        )
        numbers.write_text(json.dumps(self._numbers(panels, values), indent=1) + "\n")
        return [picture, numbers]

    def _numbers(self, panels: Sequence[Panel], values: Values) -> dict[str, Any]:
        return {
            "name": self.name,
            "shows": self.shows,
            "source": self.source,
            "settings": self.settings,
            "runs": sorted({len(array) for array in values.values()}),
            "panels": [
                {
                    "title": panel.title,
                    "x": panel.xlabel,
                    "y": panel.ylabel,
                    "lines": [
                        {"name": line.name, **{k: _plain(getattr(line, k)) for k in ("x", "mean", "error")}}
                        for line in panel.lines
                    ],
                }
                for panel in panels
            ],
            "claims": [
                {
                    "text": claim.text,
                    "measured": claim.measured,
                    "difference": _plain(claim.difference),
                    "error": _plain(claim.error),
                    "holds": claim.holds,
                }
                for claim in self.claims(values)
            ],
        }


def _plain(values: Any) -> Any:
    """As JSON has it: null for what is not finite."""
    listed = np.asarray(values, dtype=float).tolist()
    if isinstance(listed, list):
        return [number if math.isfinite(number) else None for number in listed]
    return listed if math.isfinite(listed) else None


def title_of(name: str) -> str:
    """ "Figure 6.3" for "figure-6.3"."""
    return name.replace("-", " ").capitalize()


def wrapped(text: str, width: int = 118) -> str:
    """`text` in lines of `width` characters."""
    import textwrap

    return "\n".join(textwrap.wrap(text, width, break_on_hyphens=False))


def scaled(runs: int, scale: float) -> int:
    """So many runs, at least two, which a standard error needs."""
    return max(2, round(runs * scale))


def mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(...) the mean over the first axis of (runs, ...), and its standard error; infinite where a value is."""
    with np.errstate(invalid="ignore", over="ignore"):
        return values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(len(values))


def line_of(name: str, x: Any, values: np.ndarray, **looks: Any) -> Line:
    """The line of (runs, n) values at x (n,)."""
    return Line(name, x, *mean_and_error(values), **looks)


def below(text: str, less: tuple[str, Any], more: tuple[str, Any]) -> Claim:
    """The claim that the first of two named things is below the second; each an `Estimate` or (runs,) values.

    Values of equal length are compared run by run: the same seed meets the same chances in both.
    """
    (low_name, low), (high_name, high) = less, more
    ends = [part if isinstance(part, Estimate) else Estimate.of(part) for part in (low, high)]
    measured = f"{low_name} {ends[0]}, {high_name} {ends[1]}"
    if not isinstance(low, Estimate) and not isinstance(high, Estimate) and np.shape(low) == np.shape(high):
        with np.errstate(invalid="ignore"):
            apart = Estimate.of(np.subtract(high, low, dtype=float))
        return Claim(text, apart.mean, apart.error, measured)
    return Claim(text, ends[1].mean - ends[0].mean, math.hypot(ends[0].error, ends[1].error), measured)


def about(text: str, what: str, found: Estimate, expected: float, within: float) -> Claim:
    """The claim that `found` is `expected`, give or take `within`."""
    return Claim(text, within - abs(found.mean - expected), found.error, f"{what} {found}")


def weakest(text: str, parts: Sequence[Claim], measured: str = "") -> Claim:
    """The claim that all parts hold: as sure as the least sure of them."""

    def sureness(claim: Claim) -> float:
        if math.isnan(claim.difference):
            return -math.inf
        return claim.difference / claim.error if claim.error > 0 else math.copysign(math.inf, claim.difference)

    least = min(parts, key=sureness)
    return Claim(text, least.difference, least.error, measured or least.measured)


def best(values: Values, keys: Sequence[Hashable]) -> Any:
    """The key of the cell with the least mean, (runs,) values each; what is not finite never is."""
    return min(keys, key=lambda key: np.nan_to_num(mean_and_error(values[key])[0], nan=np.inf))
