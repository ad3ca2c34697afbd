"""Statistics of runs and tasks against SciPy, brute force, exact enumeration and distributions that are known."""

import itertools
from functools import partial

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rltk.errors import ArgumentError, SizeError
from rltk.evaluation import statistics
from rltk.evaluation.statistics import (
    Strata,
    bootstrap_interval,
    curve_interval,
    interquartile_mean,
    mean,
    median,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    strata_of,
)
from rltk.runs import Streams

AGGREGATES = [interquartile_mean, mean, median, partial(optimality_gap, target=2.0)]
# Hundredths: no underflow, and ties often enough.
tables = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7),
    elements=st.integers(-500, 500).map(lambda hundredths: hundredths / 100),
)


def some_scores(runs=10, tasks=4):
    return np.random.default_rng(0).normal(size=(runs, tasks)) + np.arange(tasks)


@settings(max_examples=60, deadline=None)
@given(tables)
def test_the_interquartile_mean_is_the_trimmed_mean_of_scipy(scores):
    """Agarwal et al. (2021), section 4.3: 25% of all scores are left out at each end, as `trim_mean` does."""
    assert interquartile_mean(scores) == pytest.approx(scipy.stats.trim_mean(scores, 0.25, axis=None), abs=1e-12)


def test_aggregates_by_hand():
    """Two tasks with four runs each; the median is over the tasks' means, the gap counts no surplus (section 4.3)."""
    scores = np.array([[0.0, 2.0], [0.25, 4.0], [0.5, 6.0], [1.25, 8.0]])

    assert interquartile_mean(scores) == pytest.approx((0.5 + 1.25 + 2 + 4) / 4)
    assert mean(scores) == pytest.approx((0.5 + 5) / 2)
    assert median(np.column_stack([scores, [9.0] * 4])) == pytest.approx(5)
    assert optimality_gap(scores) == pytest.approx((1 + 0.75 + 0.5) / 8)
    assert optimality_gap(scores, target=10) == pytest.approx(10 - 2.75)


def test_tasks_may_have_different_numbers_of_runs():
    """Strata are tasks: in all but the pooled mean every task counts the same, however many runs it has."""
    ragged = {"a": [0.0, 1.0], "b": [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]}

    assert mean(ragged) == pytest.approx((0.5 + 6.5) / 2)
    assert interquartile_mean(ragged) == pytest.approx((4 + 5 + 6 + 7) / 4)
    assert optimality_gap(ragged, target=2) == pytest.approx((1.5 + 0) / 2)
    np.testing.assert_allclose(performance_profile(ragged, [0.0, 4.5]).value, [(0.5 + 1) / 2, (0 + 5 / 6) / 2])
    low, high = bootstrap_interval(ragged, mean)
    assert low < mean(ragged) < high


@settings(max_examples=30, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_runs_and_tasks_does_not_matter(scores, random):
    """Aggregates and profiles; and the interval to the bit, where only runs change places within their tasks."""
    runs, tasks = (random.sample(range(n), n) for n in scores.shape)
    shuffled = scores[np.ix_(runs, tasks)]
    for aggregate in AGGREGATES:
        assert aggregate(shuffled) == pytest.approx(aggregate(scores), abs=1e-9)
    one, two = (performance_profile(table, [-1.0, 0.0, 1.0], samples=2).value for table in (scores, shuffled))
    np.testing.assert_allclose(one, two, atol=1e-12)
    same = [bootstrap_interval(table, samples=20) for table in (scores, scores[runs])]
    assert same[0] == same[1]


@settings(max_examples=30, deadline=None)
@given(tables, st.floats(0.1, 10), st.floats(-5, 5))
def test_aggregates_and_intervals_scale_and_shift_with_the_scores(scores, scale, shift):
    """f(a x + b) = a f(x) + b, the interval's ends alike: the same seed draws the same runs."""
    for aggregate in AGGREGATES[:3]:
        assert aggregate(scale * scores + shift) == pytest.approx(scale * aggregate(scores) + shift, abs=1e-9)
    moved = bootstrap_interval(scale * scores + shift, samples=50)
    np.testing.assert_allclose(moved, np.multiply(scale, bootstrap_interval(scores, samples=50)) + shift, atol=1e-9)
    gap = optimality_gap(scale * scores, target=scale * 1.5)
    assert gap == pytest.approx(scale * optimality_gap(scores, target=1.5), abs=1e-9)


def enumerated(values, statistic):
    """The statistic of every resample that the stratified bootstrap can draw, each as likely as the others."""
    names = tuple(range(len(values)))
    drawn = [list(itertools.product(task, repeat=len(task))) for task in values]
    return np.array(
        [statistic(Strata(tuple(np.array(t) for t in tasks), names)) for tasks in itertools.product(*drawn)]
    )


@pytest.mark.parametrize("statistic", [interquartile_mean, mean])
def test_the_bootstrap_draws_what_enumeration_says(statistic):
    """Two tasks with 2 and 3 runs have 4 * 27 equally likely resamples: the drawn statistic has their distribution, at
    every one of its values within five standard errors."""
    values = [[0.0, 1.0], [10.0, 20.5, 40.25]]
    every = enumerated(values, statistic)
    samples = 100_000
    strata = strata_of(dict(enumerate(values)))
    drawn = statistic(strata.resampled(np.random.default_rng(0), samples))

    assert every.size == 108
    possible = np.unique(np.round(every, 9))
    for value in possible:
        share = (np.abs(every - value) < 1e-8).mean()
        found = (np.abs(drawn - value) < 1e-8).mean()
        assert abs(found - share) < 5 * np.sqrt(share * (1 - share) / samples)
    assert np.isin(np.round(drawn, 9), possible).all()


def test_the_intervals_ends_are_the_quantiles_of_that_distribution():
    """The 90% interval of a mean over 4 * 27 resamples, level chosen between two of its jumps."""
    values = {"a": [0.0, 1.0], "b": [10.0, 20.5, 40.25]}
    every = np.sort(enumerated(list(values.values()), mean))
    low, high = bootstrap_interval(values, mean, level=0.9, samples=50_000)

    ranks = np.arange(1, every.size + 1) / every.size
    for end, quantile in ((low, 0.05), (high, 0.95)):
        assert end == pytest.approx(every[np.searchsorted(ranks, quantile)])


@pytest.mark.parametrize(
    ("distribution", "statistic", "truth"),
    [
        (lambda stream, shape: stream.normal(size=shape), mean, 0.5),
        (lambda stream, shape: stream.normal(size=shape), interquartile_mean, 0.5),
        (lambda stream, shape: stream.standard_t(2, size=shape), interquartile_mean, 0.5),
        (lambda stream, shape: stream.uniform(-1, 1, size=shape), median, 0.5),
    ],
)
def test_the_95_percent_interval_covers_the_truth_19_times_in_20(distribution, statistic, truth):
    """2,000 experiments with 30 runs on two tasks, whose middles are 0 and 1: the share whose interval holds the true
    figure. The percentile interval of so few runs is a little narrow; four standard errors of the count are 2%."""
    experiments, runs = 2_000, 30
    stream = np.random.default_rng(5)
    tasks = tuple(distribution(stream, (experiments, runs)) + middle for middle in (0, 1))
    low, high = bootstrap_interval(Strata(tasks, (0, 1)), statistic, samples=300)

    assert low.shape == (experiments,)
    assert 0.91 < ((low <= truth) & (truth <= high)).mean() < 0.97


def test_the_interval_narrows_with_runs_and_widens_with_the_level():
    """Width falls as 1 / sqrt(runs); a level holds every lower one."""
    widths = [np.diff(bootstrap_interval(some_scores(runs)))[0] for runs in (10, 160)]
    assert widths[1] < widths[0] / 2
    ends = [bootstrap_interval(some_scores(), level=level) for level in (0.5, 0.9, 0.99)]
    assert ends[2][0] < ends[1][0] < ends[0][0] < interquartile_mean(some_scores()) < ends[0][1] < ends[1][1]


def test_the_same_seed_gives_the_same_bits():
    """From the stream called "bootstrap" of the seed; another seed draws others."""
    assert bootstrap_interval(some_scores(), seed=3) == bootstrap_interval(some_scores(), seed=3)
    assert bootstrap_interval(some_scores(), seed=3) != bootstrap_interval(some_scores(), seed=4)
    strata = strata_of(some_scores())
    drawn = mean(strata.resampled(Streams(3).generator("bootstrap"), 2000))
    np.testing.assert_array_equal(bootstrap_interval(some_scores(), mean, seed=3), np.quantile(drawn, (0.025, 0.975)))


def test_memory_stays_bounded(monkeypatch):
    """Many samples are drawn a chunk at a time; chunks change the interval by no more than other draws do."""
    asked = []
    resampled = Strata.resampled

    def counting(self, stream, samples):
        asked.append(samples)
        return resampled(self, stream, samples)

    monkeypatch.setattr(Strata, "resampled", counting)
    whole = bootstrap_interval(some_scores(), samples=4000)
    assert asked == [4000]
    monkeypatch.setattr(statistics, "_CHUNK", 40 * 300)
    chunked = bootstrap_interval(some_scores(), samples=4000)
    assert asked[1:] == [300] * 13 + [100]
    np.testing.assert_allclose(whole, chunked, atol=0.03)
    profile = performance_profile(some_scores(), [0.0, 1.0], samples=4000)
    assert (profile.low <= profile.value).all()
    probability_of_improvement(some_scores(), some_scores(7), samples=4000)


@settings(max_examples=30, deadline=None)
@given(tables)
def test_profiles_fall_from_one_to_nothing(scores):
    """The share above tau falls with tau, from 1 below all scores to 0 above; so do both ends of its interval, between
    which it lies but for draws."""
    thresholds = np.linspace(-5.01, 5.01, 40)
    share, low, high = performance_profile(scores, thresholds, samples=50)

    for curve in (share, low, high):
        assert curve.shape == (40,)
        assert (np.diff(curve) <= 1e-12).all()
        assert curve[0] == pytest.approx(1)
        assert curve[-1] == 0
    brute = [(scores > tau).mean() for tau in thresholds]
    np.testing.assert_allclose(share, brute, atol=1e-12)
    assert (low <= high).all()


def test_a_score_at_the_threshold_is_not_above_it():
    """F(tau) counts x > tau (Agarwal et al. 2021, equation of section 4.2)."""
    assert performance_profile([[1.0], [1.0]], [1.0]).value == [0.0]


def test_the_profiles_interval_is_that_of_a_share():
    """One task, 100 runs, half above: a resample's count is binomial(100, 1/2), whose quantiles are known."""
    scores = np.repeat([0.0, 1.0], 50)
    _, low, high = performance_profile(scores, [0.5], samples=20_000)
    expected = scipy.stats.binom(100, 0.5).ppf([0.025, 0.975]) / 100

    np.testing.assert_allclose([low[0], high[0]], expected)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_probability_of_improvement_is_mann_whitneys_u(data):
    """For each task U / (N K), ties counted half, and the mean over tasks (section 4.3; Mann and Whitney 1947)."""
    x = data.draw(tables)
    runs = data.draw(st.integers(2, 6))
    elements = st.integers(-3, 3).map(float)
    y = data.draw(arrays(np.float64, (runs, x.shape[1]), elements=elements))
    x = np.round(x)
    u = scipy.stats.mannwhitneyu(x, y, axis=0, method="asymptotic").statistic if np.ptp(np.r_[x, y]) else None
    brute = np.mean(
        [(a > b) + 0.5 * (a == b) for t in range(x.shape[1]) for a in x[:, t] for b in y[:, t]], dtype=float
    )

    found = probability_of_improvement(x, y, samples=10)

    assert found.value == pytest.approx(brute)
    if u is not None:
        assert found.value == pytest.approx(np.mean(u) / (len(x) * runs))
    assert found.value + probability_of_improvement(y, x, samples=10).value == pytest.approx(1)
    assert 0 <= found.low <= found.high <= 1


def test_improvement_is_sure_where_every_run_is_better_and_pairs_tasks_by_name():
    """No resample can turn it; tasks of a mapping meet by name, in any order."""
    x, y = {"a": [3.0, 4.0], "b": [30.0, 40.0]}, {"b": [10.0, 20.0, 25.0], "a": [1.0, 2.0]}

    assert probability_of_improvement(x, y) == (1, 1, 1)
    assert probability_of_improvement(x, x).value == 0.5


def test_the_interval_of_an_improvement_covers_the_truth():
    """x ~ N(1, 1), y ~ N(0, 1): P(X > Y) = Phi(1 / sqrt 2). 300 experiments with 25 runs each."""
    stream, truth, covered = np.random.default_rng(2), scipy.stats.norm.cdf(1 / np.sqrt(2)), 0
    for _ in range(300):
        x, y = stream.normal(1, 1, (25, 1)), stream.normal(0, 1, (25, 1))
        _, low, high = probability_of_improvement(x, y, samples=300)
        covered += low <= truth <= high
    assert 0.88 < covered / 300 < 0.99


def test_curves_draw_whole_runs():
    """Point by point the line is the statistic; a point that repeats another has the same interval, and one at
    which all runs agree has no width."""
    stream = np.random.default_rng(1)
    points = stream.normal(size=(12, 5)).cumsum(axis=1)
    curves = np.column_stack([points, points[:, 2], np.full(12, 7.0)])
    line, low, high = curve_interval(curves)

    np.testing.assert_allclose(line, [interquartile_mean(column) for column in curves.T])
    assert ((low <= line) & (line <= high)).all()
    assert (low[2], high[2]) == (low[5], high[5])
    assert (low[6], high[6]) == (7, 7)
    two = curve_interval({"a": curves, "b": curves[:6] + 100}, mean)
    np.testing.assert_allclose(two.value, (curves.mean(axis=0) + curves[:6].mean(axis=0) + 100) / 2)


def test_a_statistic_of_ones_own():
    """Any function of Strata that keeps the leading axes; one that does not is told so."""
    scores = some_scores()
    low, high = bootstrap_interval(scores, lambda strata: strata.pooled.max(axis=-1))
    assert low <= high == scores.max()
    with pytest.raises(SizeError, match="statistic"):
        bootstrap_interval(scores, lambda strata: strata.pooled.max())


@pytest.mark.parametrize(
    ("scores", "kind", "words"),
    [
        ([[1.0, np.nan], [1, 2]], ArgumentError, r"nan at \(0, 1\)"),
        ({"a": [1.0, 2.0], "b": [1.0, -np.inf]}, ArgumentError, "task 'b'.*-inf at 1"),
        ([], ArgumentError, "at least one"),
        ({}, ArgumentError, "at least one task"),
        ({"a": []}, ArgumentError, "task 'a'"),
        (np.zeros((2, 2, 2)), SizeError, r"\(2, 2, 2\)"),
        ({"a": [[1.0], [2.0]]}, SizeError, "task 'a'"),
        ([[1.0, 2.0], [1.0]], ArgumentError, "mapping from tasks"),
        (["a", "b"], ArgumentError, "array of numbers"),
    ],
)
def test_scores_that_are_none_are_refused(scores, kind, words):
    """With the task, the run, and what was expected."""
    for function in (interquartile_mean, bootstrap_interval, lambda s: performance_profile(s, [0.0])):
        with pytest.raises(kind, match=words):
            function(scores)


def test_a_single_run_has_no_interval():
    """Resampling one run gives an interval of no width: refused by name, while the aggregates stand."""
    scores = {"many": [1.0, 2.0], "lonely": [3.0]}
    assert mean(scores) == 2.25
    for ask in (
        bootstrap_interval,
        lambda s: performance_profile(s, [0.0]),
        lambda s: probability_of_improvement(s, s),
        lambda s: curve_interval({name: np.array(values)[:, None] for name, values in s.items()}),
    ):
        with pytest.raises(ArgumentError, match=r"'lonely' has a single run.*no width"):
            ask(scores)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"level": 1.0}, "level"),
        ({"level": 95}, "level"),
        ({"level": "high"}, "level"),
        ({"samples": 1}, "samples"),
        ({"samples": 10.5}, "samples"),
        ({"seed": -1}, "seed"),
    ],
)
def test_options_that_are_none_are_refused(options, words):
    """Each is named, with what was expected."""
    with pytest.raises(ArgumentError, match=words):
        bootstrap_interval(some_scores(), **options)


def test_what_does_not_go_together_is_refused():
    """Tasks that differ, thresholds and curves of the wrong shape, a target that is no number."""
    with pytest.raises(ArgumentError, match="same tasks"):
        probability_of_improvement({"a": [1, 2]}, {"b": [1, 2]})
    with pytest.raises(ArgumentError, match="same tasks"):
        probability_of_improvement(some_scores(3, 2), some_scores(3, 3))
    with pytest.raises(SizeError, match="thresholds"):
        performance_profile(some_scores(), [[0.0]])
    with pytest.raises(ArgumentError, match="thresholds"):
        performance_profile(some_scores(), [np.nan])
    with pytest.raises(SizeError, match="curves"):
        curve_interval([1.0, 2.0])
    with pytest.raises(SizeError, match="curves"):
        curve_interval({"a": np.zeros((3, 4)), "b": np.zeros((3, 5))})
    with pytest.raises(ArgumentError, match="curves"):
        curve_interval({})
    with pytest.raises(ArgumentError, match="target"):
        optimality_gap(some_scores(), target=np.nan)
    with pytest.raises(SizeError, match="one score a run"):
        performance_profile(Strata((np.zeros((2, 3)),), (0,)), [0.0])
