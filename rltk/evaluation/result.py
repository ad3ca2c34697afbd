"""What an evaluation says, in numbers, as text and as JSON."""

import json
import math
import os
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rltk.errors import ArgumentError
from rltk.mdp import Criterion


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good an agent is under `criterion`, over the start distribution, beside the optimum.

    Where `exact`, every figure follows from T and R without sampling noise; where not, `value` is a mean over sampled
    episodes with its 95% `interval`, and `reason` says why. Figures that are not known are None; an endless agent's
    value may be infinite, or nan where its rewards have no total.
    """

    criterion: Criterion
    exact: bool
    reason: str
    value: float
    optimum: float | None = None
    optimum_bounds: tuple[float, float] | None = None
    suboptimality: float | None = None  # optimum - value
    normalised_suboptimality: float | None = None  # share of what separates the uniform policy from the optimum
    uniform_value: float | None = None
    success_probability: float | None = None
    expected_length: float | None = None  # steps to the end
    time_limit: int | None = None
    limited_value: float | None = None  # the same agent, stopped by the environment's time limit
    limited_optimum: float | None = None
    paid_value: float | None = None  # undiscounted, as `step` pays it; where the MDP's rewards are declared only
    paid_optimum: float | None = None
    aliased_states: int | None = None  # states that share their observation with another
    interval: tuple[float, float] | None = None
    episodes: int | None = None
    reward_model: str = "exact"
    occupancy: np.ndarray | None = field(default=None, repr=False)  # (S,) expected discounted visits
    state_value: np.ndarray | None = field(default=None, repr=False)  # (S,) the agent's value of each state
    policy: np.ndarray | None = field(default=None, repr=False)  # (S, A) action probabilities

    def to_dict(self) -> dict[str, Any]:
        """Every figure as plain JSON; infinities and nan become the strings "inf", "-inf" and "nan"."""
        return {name: plain(value) for name, value in vars(self).items()}

    def save(self, path: str | Path) -> Path:
        """Write `to_dict` to `path` as JSON; the file appears whole or not at all."""
        return write_json(path, self.to_dict())

    def __str__(self) -> str:
        lines = [f"{'exact' if self.exact else f'sampled in {self.episodes} episodes'}, {self.criterion}"]
        if not self.exact:
            lines += textwrap.wrap(self.reason, 80, initial_indent="  ", subsequent_indent="  ")
        rows: list[tuple[str, float | None, str]] = [
            ("return", self.value, interval_words(self.interval)),
            ("optimum", self.optimum, _bounds(self.optimum_bounds)),
            ("suboptimality", self.suboptimality, _share(self.normalised_suboptimality)),
            ("success probability", self.success_probability, ""),
            ("expected length", self.expected_length, "steps"),
        ]
        if self.time_limit is not None and self.limited_value is not None:
            rows.append((f"return in {self.time_limit} steps", self.limited_value, _optimum(self.limited_optimum)))
        if self.paid_value is not None:
            rows.append(("return as step pays", self.paid_value, _optimum(self.paid_optimum)))
        lines += [
            f"  {name:<20} {number(value):>12}  {note}".rstrip() for name, value, note in rows if value is not None
        ]
        if self.aliased_states:
            lines.append(f"  {self.aliased_states} states share their observation with another")
        if self.reward_model != "exact":
            lines.append(f"  {self._reward_note()}")
        return "\n".join(lines)

    def _reward_note(self) -> str:
        if self.paid_value is None:
            return f"rewards are {self.reward_model}: step pays otherwise"
        return f"as step pays: undiscounted, by the clock; all else is of {self.reward_model} rewards"


def plain(value: Any) -> Any:
    """`value` as JSON has it: infinities and nan become the strings "inf", "-inf" and "nan"."""
    if isinstance(value, Criterion):
        return {"gamma": value.gamma, "horizon": value.horizon, "kind": value.kind}
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value


def write_json(path: str | Path, data: dict[str, Any]) -> Path:
    """Write `data` to `path`; the file appears whole or not at all. ArgumentError where it can't be written."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        raise ArgumentError(
            f"{path} can't be written: {error.strerror}; name a file in a folder that exists"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return path


def number(value: float) -> str:
    """A figure in a table: at most 12 characters wide."""
    return f"{value:.6g}" if abs(value) >= 1e-6 or value == 0 else f"{value:.2e}"


def interval_words(interval: tuple[float, float] | None) -> str:
    """What stands beside a figure about its interval."""
    return "" if interval is None else f"95% in [{interval[0]:.5g}, {interval[1]:.5g}]"


def _bounds(bounds: tuple[float, float] | None) -> str:
    if bounds is None or not all(map(math.isfinite, bounds)):
        return ""
    return f"certified within {(bounds[1] - bounds[0]) / 2:.1e}"


def _share(share: float | None) -> str:
    return "" if share is None or math.isnan(share) else f"{share:.2%} of the uniform policy's"


def _optimum(optimum: float | None) -> str:
    return "" if optimum is None else f"optimum {number(optimum)}"
