"""What an evaluation on many levels says, in numbers, as text and as JSON."""

import textwrap
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rltk.evaluation.levels import Levels, as_text
from rltk.evaluation.result import interval_words, number, plain, write_json
from rltk.evaluation.statistics import Estimate
from rltk.mdp import Criterion

# What is known of each level: fields of an Evaluation.
FIGURES = (
    "value",
    "optimum",
    "suboptimality",
    "normalised_suboptimality",
    "success_probability",
    "expected_length",
    "paid_value",
    "paid_optimum",
)
# The rows of the table: what it is called, the agent's figure, and the optimum beside it.
_ROWS = (
    ("return", "value", "optimum"),
    ("suboptimality", "suboptimality", None),
    ("of uniform policy's", "normalised_suboptimality", None),
    ("success probability", "success_probability", None),
    ("expected length", "expected_length", None),
    ("return as step pays", "paid_value", "paid_optimum"),
)
_SHARES = ("normalised_suboptimality",)


@dataclass(frozen=True, eq=False)
class LevelsEvaluation:
    """How good an agent is under `criterion` on each of N levels, beside their optima; figures as in `Evaluation`.

    Arrays are (N,) float64, nan where a figure is not known. `exact` (N,) bool: the others were sampled in `episodes`
    episodes each, and `reason` says why of the first of them. With levels the agent has not seen, `unseen` is the same
    of those, and `gaps` says of the suboptimality, its normalised form and the success probability by how much the mean
    over them exceeds the mean over these.
    """

    criterion: Criterion
    levels: Levels = field(repr=False)  # (N,) int64 seeds, or N layouts
    exact: np.ndarray = field(repr=False)
    reason: str
    value: np.ndarray = field(repr=False)
    optimum: np.ndarray = field(repr=False)
    suboptimality: np.ndarray = field(repr=False)
    normalised_suboptimality: np.ndarray = field(repr=False)
    success_probability: np.ndarray = field(repr=False)
    expected_length: np.ndarray = field(repr=False)
    paid_value: np.ndarray = field(repr=False)
    paid_optimum: np.ndarray = field(repr=False)
    episodes: int | None = None
    unseen: "LevelsEvaluation | None" = None
    gaps: dict[str, Estimate] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.levels)

    @cached_property
    def means(self) -> dict[str, float]:
        """Each figure's mean over the levels in which it is known; nan where it is in none."""
        return {name: _mean(getattr(self, name)) for name in FIGURES}

    @property
    def generalisation_gap(self) -> Estimate | None:
        """Mean suboptimality on unseen levels less that on these, with its interval; None without unseen levels."""
        return self.gaps.get("suboptimality")

    def to_dict(self) -> dict[str, Any]:
        """Every figure as plain JSON; infinities and nan become the strings "inf", "-inf" and "nan"."""
        data = {name: plain(value) for name, value in vars(self).items() if name not in ("unseen", "gaps", "levels")}
        data["levels"] = [as_text(level) for level in self.levels]
        data["means"] = plain(self.means)
        data["unseen"] = None if self.unseen is None else self.unseen.to_dict()
        data["gaps"] = {name: plain(gap._asdict()) for name, gap in self.gaps.items()}
        return data

    def save(self, path: str | Path) -> Path:
        """Write `to_dict` to `path` as JSON; the file appears whole or not at all."""
        return write_json(path, self.to_dict())

    def __str__(self) -> str:
        sets = [self] if self.unseen is None else [self, self.unseen]
        names = [f"{len(one):,} {kind}" for one, kind in zip(sets, ("levels", "unseen"), strict=False)]
        sampled = [one for one in sets if not one.exact.all()]
        lines = [f"{'' if sampled else 'exact, '}{self.criterion}"]
        if sampled:
            lines += textwrap.wrap(_how(sets), 80, initial_indent="  ", subsequent_indent="  ")
        lines.append(" " * 22 + "".join(f"{name:>14}{'optimum':>14}" for name in names))
        for name, figure, optimum in _ROWS:
            cells = "".join(_cell(one, figure) + _cell(one, optimum) for one in sets)
            if cells.strip():
                lines.append(f"  {name:<20}{cells}".rstrip())
        if self.gaps:
            lines.append("  generalisation gap, unseen less levels:")
        lines += [_gap_line(figure, gap) for figure, gap in self.gaps.items()]
        return "\n".join(lines)


def _how(sets: list[LevelsEvaluation]) -> str:
    count, all_levels = sum(int((~one.exact).sum()) for one in sets), sum(map(len, sets))
    first = next(one for one in sets if not one.exact.all())
    each = "an episode each" if first.episodes == 1 else f"{first.episodes} episodes each"
    return f"{count:,} of {all_levels:,} levels sampled, {each}. {first.reason}"


def _gap_line(figure: str, gap: Estimate) -> str:
    row = next(name for name, shown, _ in _ROWS if shown == figure)
    value, low, high = (round(float(part), 12) + 0.0 for part in gap)  # what is less is rounding
    percent = figure in _SHARES
    words = f"{value:.2%}" if percent else number(value)
    if np.isnan(low):
        return f"  {row:<20}{words:>14}"
    interval = f"95% in [{low:.2%}, {high:.2%}]" if percent else interval_words((low, high))
    return f"  {row:<20}{words:>14}  {interval}"


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    with np.errstate(invalid="ignore"):  # infinities of both signs
        return float(known.mean()) if known.size else float("nan")


def _cell(one: LevelsEvaluation, figure: str | None) -> str:
    mean = float("nan") if figure is None else one.means[figure]
    if np.isnan(mean):
        return " " * 14
    return f"{mean:>14.2%}" if figure in _SHARES else f"{number(mean):>14}"
