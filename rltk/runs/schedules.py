"""Schedules: how an exploration rate or a step size changes with the timestep.

    linear:       v(t) = start + (end - start) t / steps            for t < steps, end from there on
    exponential:  v(t) = start exp(log(end / start) t / steps)      for t < steps, end from there on

Any `Callable[[int], float]` is a schedule; these two also take an array of timesteps. The learner's compiled loop
evaluates arrays and its plain loop single steps, and both must give the same bits. NumPy's `exp` and the C library's
differ in the last bit, so the exponential here is made of additions, multiplications and powers of two, which
IEEE 754 fixes. `math.log` sees only the two end points.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, overload

import numpy as np

from rltk.errors import ArgumentError
from rltk.runs.checks import whole

Schedule = Callable[[int], float]

# log(2) as a sum; the first part has trailing zeros enough that its product with a small integer is exact.
_LOG2_HIGH, _LOG2_LOW = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")
_LARGEST_LOG = 690.0  # exp of it is finite, and so is all in between.
_TAYLOR = tuple(1.0 / math.factorial(k) for k in range(14, -1, -1))


@dataclass(frozen=True)
class _Ramp(ABC):
    """From `start` at timestep 0 to `end` at timestep `steps` and after it; called with an int or an int array.

    Raises ArgumentError if `start` or `end` is not finite or `steps` is no integer of at least 1.
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            # Adding 0.0 makes -0.0 plain: NumPy's clip and Python's min choose differently between the two.
            object.__setattr__(self, name, _finite(getattr(self, name), f"{self.kind()}'s {name}") + 0.0)
        object.__setattr__(self, "steps", whole(f"{self.kind()}'s steps", self.steps, 1))

    @overload
    def __call__(self, step: int) -> float: ...
    @overload
    def __call__(self, step: np.ndarray) -> np.ndarray: ...
    def __call__(self, step: int | np.ndarray) -> float | np.ndarray:
        low, high = sorted((self.start, self.end))
        if isinstance(step, np.ndarray):
            inside = np.clip(step.astype(np.int64), 0, self.steps)
            between = np.clip(self._array(inside / float(self.steps)), low, high)
            return np.where(inside >= self.steps, self.end, between)
        if step >= self.steps:
            return self.end
        return min(max(self._number(max(int(step), 0) / float(self.steps)), low), high)

    def describe(self) -> dict[str, Any]:
        """Plain JSON that `from_config` makes this schedule of again."""
        return {"schedule": self.kind(), **asdict(self)}

    @classmethod
    def kind(cls) -> str:
        """The name in a config."""
        return cls.__name__.lower()

    @abstractmethod
    def _number(self, fraction: float) -> float: ...

    @abstractmethod
    def _array(self, fraction: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Linear(_Ramp):
    """A straight line from `start` at timestep 0 to `end` at timestep `steps`, constant after it."""

    def _number(self, fraction: float) -> float:
        return self.start + (self.end - self.start) * fraction

    def _array(self, fraction: np.ndarray) -> np.ndarray:
        return self.start + (self.end - self.start) * fraction


@dataclass(frozen=True)
class Exponential(_Ramp):
    """A constant ratio from step to step, from `start` at timestep 0 to `end` at timestep `steps`, constant after it.

    Both ends must have the same sign and not be 0.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        same_sign = (self.start > 0 and self.end > 0) or (self.start < 0 and self.end < 0)
        if not same_sign or abs(self._log_ratio) > _LARGEST_LOG:
            raise ArgumentError(
                f"exponential goes from {self.start} to {self.end}, but no constant ratio leads there; "
                "give both ends the same sign, neither being 0 nor 1e300 times the other, or use linear"
            )

    @property
    def _log_ratio(self) -> float:
        return math.log(abs(self.end)) - math.log(abs(self.start))

    def _number(self, fraction: float) -> float:
        exponent = self._log_ratio * fraction
        twos = round(exponent / _LOG2_HIGH)
        return self.start * math.ldexp(_exp_near_zero(exponent, float(twos)), twos)

    def _array(self, fraction: np.ndarray) -> np.ndarray:
        exponent = self._log_ratio * fraction
        twos = np.rint(exponent / _LOG2_HIGH)
        return self.start * np.ldexp(_exp_near_zero(exponent, twos), twos.astype(np.int64))


def _exp_near_zero(exponent: Any, twos: Any) -> Any:
    """exp(exponent - twos log 2) for a result near 1, by Taylor's series."""
    x = (exponent - twos * _LOG2_HIGH) - twos * _LOG2_LOW
    total = x * 0.0
    for coefficient in _TAYLOR:
        total = total * x + coefficient
    return total


def linear(start: float, end: float, steps: int) -> Linear:
    """From `start` to `end` along a straight line within `steps` timesteps."""
    return Linear(start, end, steps)


def exponential(start: float, end: float, steps: int) -> Exponential:
    """From `start` to `end`, which have the same sign, by a constant ratio within `steps` timesteps."""
    return Exponential(start, end, steps)


_KINDS: dict[str, type[_Ramp]] = {kind.kind(): kind for kind in (Linear, Exponential)}


def config_of(schedule: float | Schedule) -> float | dict[str, Any]:
    """`schedule` as plain JSON: a number, what `describe` says, or the name of any other callable."""
    if isinstance(schedule, _Ramp):
        return schedule.describe()
    if callable(schedule):
        return {"schedule": "callable", "name": _name(schedule)}
    return _finite(schedule, "the schedule")


def from_config(config: float | Mapping[str, Any]) -> float | Schedule:
    """The schedule that `config_of` described. Raises ArgumentError at a callable's mere name and anything unknown."""
    if not isinstance(config, Mapping):
        return _finite(config, "the schedule")
    kind = _KINDS.get(str(config.get("schedule")))
    if kind is None or set(config) != {"schedule", "start", "end", "steps"}:
        raise ArgumentError(
            f"{dict(config)} describes no schedule that can be rebuilt; expected is a number or "
            f'{{"schedule": one of {sorted(_KINDS)}, "start": ..., "end": ..., "steps": ...}}'
        )
    return kind(config["start"], config["end"], config["steps"])


def values(schedule: float | Schedule, start: int, count: int) -> np.ndarray:
    """What `schedule` says at the timesteps start .. start + count - 1: (count,) float64.

    Equal, bit for bit, to calling it step by step. A number is a constant. Raises ArgumentError, naming schedule and
    timestep, at a value that is no finite number.
    """
    first, length = whole("start", start), whole("count", count)
    if isinstance(schedule, _Ramp):
        return schedule(np.arange(first, first + length))
    if callable(schedule):
        label = _name(schedule)
        return np.array(
            [_finite(schedule(step), f"{label} at timestep {step}") for step in range(first, first + length)],
            dtype=np.float64,
        )
    return np.full(length, _finite(schedule, "the schedule"))


def _name(schedule: Schedule) -> str:
    return str(getattr(schedule, "__qualname__", type(schedule).__qualname__))


def _finite(value: Any, what: str) -> float:
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentError(f"{what} is {value!r}, but a finite number was expected")
    return number
