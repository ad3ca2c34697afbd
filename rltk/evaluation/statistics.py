"""Statistics of a few runs on many tasks: aggregates that outliers move little, each with its uncertainty.

    interquartile mean           the mean of the middle half of all scores, tasks pooled
    optimality gap               target - mean(min(score, target)): what is lacking, surplus elsewhere not counted
    performance profile          F(tau) = mean over tasks of the share of runs with score > tau
    probability of improvement   P(X > Y) = mean over tasks of the share of pairs of runs with x > y, ties counted half

All intervals are percentile intervals of the stratified bootstrap: each task's runs are drawn anew with replacement
among themselves, as many as there are, and the statistic is computed anew; the interval holds the middle of what comes
out. The tasks stay as they are: the interval speaks of other seeds, not of other tasks. With few runs (three, say) it
is narrower than it should be, as every bootstrap interval.

Source: Agarwal, Schwarzer, Castro, Courville and Bellemare (2021), "Deep reinforcement learning at the edge of the
statistical precipice", NeurIPS, sections 4.1 to 4.3. The bootstrap: Efron and Tibshirani (1993), An
Introduction to the Bootstrap, section 13.3.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rltk.errors import ArgumentError, SizeError
from rltk.runs import Streams

# Numbers that a chunk of resamples may hold: 32 MB of float64, whatever the number of samples.
_CHUNK = 4_000_000


@dataclass(frozen=True, eq=False)
class Strata:
    """Scores by task, which is what the bootstrap draws from: `values[t]` is (..., runs of task t) float64.

    Leading axes, the same for all tasks, hold resamples or points of a curve; a statistic reduces the runs and the
    tasks and keeps them. `names` are the tasks' names, or their numbers.
    """

    values: tuple[np.ndarray, ...]
    names: tuple[Any, ...]

    @property
    def pooled(self) -> np.ndarray:
        """(..., N): the scores of all tasks side by side."""
        return np.concatenate(self.values, axis=-1)

    @property
    def task_means(self) -> np.ndarray:
        """(..., tasks): the mean over the runs of each task."""
        return np.stack([scores.mean(axis=-1) for scores in self.values], axis=-1)

    def resampled(self, stream: np.random.Generator, samples: int) -> "Strata":
        """Each task's runs drawn anew with replacement, `samples` times: (..., samples, runs of the task)."""
        drawn = []
        for scores in self.values:
            runs = scores.shape[-1]
            drawn.append(scores[..., stream.integers(runs, size=(samples, runs))])
        return Strata(tuple(drawn), self.names)


Scores = Any  # an array (runs, tasks) or (runs,), a mapping from tasks to (runs,), or Strata
Statistic = Callable[[Strata], Any]


class Estimate(NamedTuple):
    """A figure and its interval: floats, or arrays of one shape."""

    value: Any
    low: Any
    high: Any


# Aggregates: a float for scores, an array over the leading axes of Strata


def interquartile_mean(scores: Scores) -> Any:
    """The mean of the middle half of all scores: of N of them, floor(N / 4) are left out at each end.

    scores: (runs, tasks) or (runs,) float64, or a mapping from tasks to (runs,), where a task with more runs has more
    weight. Where N is no multiple of 4 a little more than half is kept, as in SciPy's `trim_mean` and in the paper; the
    line of `drawing.learning_curve` lets the scores at the edges count in part instead.
    """
    pooled = strata_of(scores).pooled
    size = pooled.shape[-1]
    cut = size // 4
    ordered = np.partition(pooled, (cut, size - cut - 1), axis=-1)
    return _plain(ordered[..., cut : size - cut].mean(axis=-1))


def mean(scores: Scores) -> Any:
    """The mean over tasks of each task's mean over its runs."""
    return _plain(strata_of(scores).task_means.mean(axis=-1))


def median(scores: Scores) -> Any:
    """The median over tasks of each task's mean over its runs."""
    return _plain(np.median(strata_of(scores).task_means, axis=-1))


def optimality_gap(scores: Scores, target: float = 1.0) -> Any:
    """How far scores fall short of `target` on average; what exceeds it makes up for nothing.

    The mean over tasks of each task's mean shortfall. With scores normalised so that the optimum is 1, the target is 1.
    """
    strata = strata_of(scores)
    target = _number("target", target)
    short = Strata(tuple(np.maximum(target - values, 0.0) for values in strata.values), strata.names)
    return _plain(short.task_means.mean(axis=-1))


# Intervals


def bootstrap_interval(
    scores: Scores,
    statistic: Statistic = interquartile_mean,
    level: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> tuple[Any, Any]:
    """(low, high) of the percentile interval of `statistic` under the stratified bootstrap.

    statistic: one of this module's, `functools.partial(optimality_gap, target=0.5)`, or any function of Strata whose
    result keeps the leading axes, such as `lambda strata: strata.pooled.max(axis=-1)`. The same seed gives the same
    bits. Raises ArgumentError for a task with a single run, whose resamples are all alike, SizeError for wrong shapes.
    """
    strata = _resampling(strata_of(scores), "scores")

    def measured(stream: np.random.Generator, count: int) -> np.ndarray:
        found = np.asarray(statistic(strata.resampled(stream, count)), dtype=float)
        expected = (*strata.values[0].shape[:-1], count)
        if found.shape != expected:
            raise SizeError(
                f"statistic: a number for each resample, {expected}, was expected; it gave the shape {found.shape}. It "
                "is a function of Strata that reduces the last axis, the runs"
            )
        return np.moveaxis(found, -1, 0)

    size = sum(scores.size for scores in strata.values)
    low, high = _interval(measured, size, level, samples, seed)
    return _plain(low), _plain(high)


def curve_interval(
    curves: Any,
    statistic: Statistic = interquartile_mean,
    level: float = 0.95,
    samples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The statistic at each point of curves with its pointwise interval: three (points,) arrays.

    curves: (runs, points), the scores of each run at its checkpoints, or a mapping from tasks to such arrays, all with
    the same points. Whole runs are drawn, so what happens at one point stays with what happens at the next.
    """
    tasks = dict(curves) if isinstance(curves, Mapping) else {0: curves}
    checked = {name: _finite(f"curves of task {name!r}", values) for name, values in tasks.items()}
    if not checked:
        raise ArgumentError("curves: at least one task, as name -> (runs, points); found none")
    points = {values.shape[1:] for values in checked.values()}
    if len(points) > 1 or len(next(iter(points))) != 1:
        found = {name: values.shape for name, values in checked.items()}
        raise SizeError(f"curves: (runs, points) for each task, the same points for all; found {found}")
    strata = Strata(tuple(values.T for values in checked.values()), tuple(checked))  # (points, runs)
    value = statistic(strata)
    return Estimate(value, *bootstrap_interval(strata, statistic, level, samples, seed))


def performance_profile(
    scores: Scores, thresholds: Any, level: float = 0.95, samples: int = 2000, seed: int = 0
) -> Estimate:
    """The share of runs above each threshold with its pointwise interval: three (K,) arrays.

    thresholds: (K,) numbers tau. Every task counts the same, however many runs it has. The area under the profile from
    0 on is the mean of non-negative scores.
    """
    strata = _resampling(_single(strata_of(scores), "scores"), "scores")
    taus = np.atleast_1d(_finite("thresholds", thresholds))
    if taus.ndim != 1:
        raise SizeError(f"thresholds: (K,) numbers; found the shape {taus.shape}")
    above = [(values[:, None] > taus).astype(float) for values in strata.values]  # (runs, K) each

    def measured(stream: np.random.Generator, count: int) -> np.ndarray:
        shares = [_multiplicities(stream, len(flags), count) @ flags for flags in above]
        return np.mean(shares, axis=0)

    share = np.mean([flags.mean(axis=0) for flags in above], axis=0)
    size = max(map(len, above)) + len(above) * taus.size
    return Estimate(share, *_interval(measured, size, level, samples, seed))


def probability_of_improvement(
    x: Scores, y: Scores, level: float = 0.95, samples: int = 2000, seed: int = 0
) -> Estimate:
    """How likely a run of x is to score above a run of y on a task taken at random, with its interval.

    x, y: scores of two algorithms on the same tasks; the numbers of runs may differ. Ties count half, so that swapping
    x and y gives 1 minus it. For one task it is the Mann-Whitney U of x over (runs of x) (runs of y).
    """
    first, second = _single(strata_of(x), "x"), _single(strata_of(y), "y")
    if set(first.names) != set(second.names) or len(first.names) != len(second.names):
        raise ArgumentError(
            f"x and y: scores on the same tasks were expected; found {_listed(first.names)} and {_listed(second.names)}"
        )
    first, second = _resampling(first, "x"), _resampling(second, "y")
    rival = dict(zip(second.names, second.values, strict=True))
    wins = [  # (runs of x, runs of y) each
        (ours[:, None] > rival[name]) + 0.5 * (ours[:, None] == rival[name])
        for name, ours in zip(first.names, first.values, strict=True)
    ]

    def measured(stream: np.random.Generator, count: int) -> np.ndarray:
        shares = []
        for won in wins:
            ours, theirs = (_multiplicities(stream, runs, count) for runs in won.shape)
            shares.append(((ours @ won) * theirs).sum(axis=1))
        return np.mean(shares, axis=0)

    probability = float(np.mean([won.mean() for won in wins]))
    size = 2 * max(map(sum, (won.shape for won in wins))) + len(wins)
    low, high = _interval(measured, size, level, samples, seed)
    return Estimate(probability, float(low), float(high))


def _interval(
    measured: Callable[[np.random.Generator, int], np.ndarray], size: int, level: float, samples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) quantiles of `measured(stream, count)` (count, ...) over all samples, each of which takes `size`
    numbers: so many at once as a chunk holds."""
    level = _number("level", level)
    if not 0 < level < 1:
        raise ArgumentError(f"level: the share that the interval is to hold, between 0 and 1; found {level:g}")
    if isinstance(samples, bool) or not isinstance(samples, int | np.integer) or samples < 2:
        raise ArgumentError(f"samples: a whole number of resamples, at least 2; found {samples!r}")
    stream = Streams(seed).generator("bootstrap")
    found = [measured(stream, count) for count in _chunks(int(samples), size)]
    low, high = np.quantile(np.concatenate(found), ((1 - level) / 2, (1 + level) / 2), axis=0)
    return low, high


def _chunks(samples: int, size: int) -> Iterator[int]:
    most = max(1, _CHUNK // max(size, 1))
    for begin in range(0, samples, most):
        yield min(most, samples - begin)


def _multiplicities(stream: np.random.Generator, runs: int, samples: int) -> np.ndarray:
    """(samples, runs) the share that each run has in a resample: how often it is drawn, over the runs."""
    return stream.multinomial(runs, np.full(runs, 1 / runs), size=samples) / runs


# What is taken for scores


def strata_of(scores: Scores) -> Strata:
    """`scores` as Strata: an array (runs, tasks), or (runs,) of one task, or a mapping from tasks to (runs,).

    Runs are sorted within their task, so that their order changes no bit of any result. Raises ArgumentError or
    SizeError, naming task and run, for NaN, infinities, no scores, and shapes that are neither.
    """
    if isinstance(scores, Strata):
        return scores
    if isinstance(scores, Mapping):
        columns = {name: _finite(f"scores of task {name!r}", values) for name, values in scores.items()}
        for name, values in columns.items():
            if values.ndim != 1:
                raise SizeError(f"scores of task {name!r}: (runs,) was expected; found the shape {values.shape}")
    else:
        table = _finite("scores", scores)
        if table.ndim not in (1, 2):
            raise SizeError(
                f"scores: (runs, tasks), (runs,) or a mapping from tasks to (runs,); found the shape {table.shape}"
            )
        columns = dict(enumerate(table.reshape(len(table), -1).T))
    if not columns:
        raise ArgumentError("scores: at least one task; found none")
    return Strata(tuple(np.sort(values) for values in columns.values()), tuple(columns))


def _finite(name: str, given: Any) -> np.ndarray:
    try:
        array = np.asarray(given)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"their type is {array.dtype}")
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{name}: an array of numbers was expected ({error}); where tasks have different numbers of runs, give a "
            "mapping from tasks to (runs,)"
        ) from None
    array = array.astype(np.float64)
    if array.size == 0:
        raise ArgumentError(f"{name}: at least one number was expected; found the shape {array.shape}")
    if not np.isfinite(array).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ArgumentError(
            f"{name}: finite numbers were expected; found {array[at]} at {at[0] if len(at) == 1 else at}. A run that "
            "failed has a score too: the lowest that you allow"
        )
    return array


def _single(strata: Strata, name: str) -> Strata:
    if any(values.ndim != 1 for values in strata.values):
        raise SizeError(f"{name}: one score a run and task was expected; these Strata hold resamples or curves")
    return strata


def _resampling(strata: Strata, name: str) -> Strata:
    """`strata`, or an ArgumentError where a task has one run only."""
    alone = [task for task, values in zip(strata.names, strata.values, strict=True) if values.shape[-1] == 1]
    if alone:
        raise ArgumentError(
            f"{name}: task {alone[0]!r} has a single run: drawn again and again it gives an interval of no width, "
            "which says nothing. Two runs a task are the least, ten are better"
        )
    return strata


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise ArgumentError(f"{name}: a number was expected; found {value!r}")
    if not math.isfinite(value):
        raise ArgumentError(f"{name}: a finite number was expected; found {value!r}")
    return float(value)


def _listed(names: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"{len(names)} ({shown}{', ...' if len(names) > 5 else ''})"


def _plain(value: np.ndarray) -> Any:
    return float(value) if np.ndim(value) == 0 else value
