"""What the grades of a representation say, in numbers, as text and as JSON."""

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from rltk.evaluation.representation.control import Control
from rltk.evaluation.representation.geometry import DistanceAgreement
from rltk.evaluation.result import number, plain, write_json
from rltk.mdp import Criterion

BySplit = dict[str, float]
"""A figure by the states it is of: "train", "held_out" and, where there are any, "unseen"."""


@dataclass(frozen=True, eq=False)
class RepresentationGrades:
    """Every figure of `rltk.evaluation.representation` for one representation; the functions there say what each is.

    Figures that were not asked for are None or empty; those that mean nothing here (nothing varies) are nan.
    """

    criterion: Criterion
    n_states: int
    n_features: int
    states: dict[str, int]  # how many, by split
    value_r2: BySplit
    advantage_r2: BySplit
    advantage_error: BySplit  # in mean action gaps
    closedness_error: BySplit
    reward_error: BySplit
    accuracy: dict[str, BySplit]  # by label
    control: dict[str, dict[str, Control]]  # by the distribution of states, by the policy made of linear Q*
    epsilon: float  # of the softened policy
    temperature: float  # of the other
    effective_rank: float
    dormant_fraction: float
    dead_dimensions: int
    n_classes: int | None = None  # of the coarsest bisimulation
    rand_index: float | None = None  # adjusted, against it
    distance: DistanceAgreement | None = None  # with the bisimulation metric
    conflict_rate: float | None = None  # of what is observed
    explainable_r2: float | None = None  # the largest R^2 of V* on what is observed

    def to_dict(self) -> dict[str, Any]:
        """Every figure as plain JSON; infinities and nan become the strings "inf", "-inf" and "nan"."""
        return {field.name: plain(_as_dict(getattr(self, field.name))) for field in fields(self)}

    def save(self, path: str | Path) -> Path:
        """Write `to_dict` to `path` as JSON; the file appears whole or not at all."""
        return write_json(path, self.to_dict())

    def __str__(self) -> str:
        lines = [f"{self.n_features} features of {self.n_states:,} states, {self.criterion}"]
        lines += [_line("", [name.replace("_", " ") for name in self.states])]
        lines += [_line("states", [f"{count:,}" for count in self.states.values()])]
        rows = {
            "V*, R^2": self.value_r2,
            "advantage, R^2": self.advantage_r2,
            "advantage error / action gap": self.advantage_error,
            **{f"{name} accuracy": figures for name, figures in self.accuracy.items()},
            "closedness error": self.closedness_error,
            "reward error": self.reward_error,
        }
        lines += [_line(name, [f"{figure:.3f}" for figure in figures.values()]) for name, figures in rows.items()]
        lines += ["", _line("control by linear Q*", ["subopt.", "share", "agreement"])]
        for distribution, policies in self.control.items():
            for name, graded in policies.items():
                figures = [number(graded.suboptimality), f"{graded.normalised:.1%}", f"{graded.agreement:.1%}"]
                lines.append(_line(f"{distribution}: {self._softened(name)}", figures))
        return "\n".join([*lines, "", *self._scalars()])

    def _softened(self, policy: str) -> str:
        return {"epsilon": f"epsilon {self.epsilon:g}", "softmax": f"softmax {self.temperature:.2g}"}.get(
            policy, policy
        )

    def _scalars(self) -> list[str]:
        rows: list[tuple[str, float | None, str]] = [
            ("effective rank", self.effective_rank, f"of {self.n_features}"),
            ("dormant share", self.dormant_fraction, ""),
            ("dead dimensions", self.dead_dimensions, f"of {self.n_features}"),
            ("adjusted Rand index", self.rand_index, f"with {self.n_classes or 0:,} bisimulation classes"),
        ]
        if self.distance is not None:
            rows += [
                ("bisimulation distance error", self.distance.error, "of the mean distance"),
                ("bisimulation rank correlation", self.distance.spearman, "Spearman"),
            ]
        rows += [
            ("observation: conflict rate", self.conflict_rate, "of states"),
            ("observation: V*, R^2 at most", self.explainable_r2, ""),
        ]
        return [f"  {name:<32} {value:>10.4g}  {note}".rstrip() for name, value, note in rows if value is not None]


def _as_dict(value: Any) -> Any:
    """Records as dicts by the names of their fields."""
    if isinstance(value, dict):
        return {name: _as_dict(item) for name, item in value.items()}
    if isinstance(value, DistanceAgreement):
        return value._asdict()
    if is_dataclass(value) and not isinstance(value, Criterion):
        return dict(vars(value))
    return value


def _line(name: str, words: list[str]) -> str:
    short = name if len(name) <= 36 else name[:33] + "..."
    return (f"  {short:<36}" + "".join(f" {word:>12}" for word in words)).rstrip()
