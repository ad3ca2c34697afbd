"""Schedules: the formulas, the same bits for a step and for an array of steps, and refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rltk.errors import ArgumentError
from rltk.runs import Exponential, Linear, config_of, exponential, from_config, linear, values

finite = st.floats(-1e6, 1e6)
positive = st.floats(1e-30, 1e30)
schedules = st.builds(Linear, finite, finite, st.integers(1, 10**7)) | st.builds(
    Exponential, positive, positive, st.integers(1, 10**7)
)


@given(schedules, st.integers(0, 2 * 10**7), st.integers(0, 70))
@settings(deadline=None)
def test_an_array_of_steps_gives_the_bits_of_single_steps(schedule, start, count):
    """The compiled loop evaluates arrays, the plain loop single steps; both must explore alike."""
    single = [schedule(step) for step in range(start, start + count)]

    found = values(schedule, start, count)

    assert all(type(value) is float for value in single)
    assert found.dtype == np.float64
    assert found.tobytes() == np.array(single, np.float64).tobytes()
    steps = np.arange(start, start + 2 * count)[::2]
    assert schedule(steps).tobytes() == np.array([schedule(int(step)) for step in steps], np.float64).tobytes()


@given(schedules, st.integers(0, 2 * 10**7))
@settings(deadline=None)
def test_a_schedule_stays_between_its_ends_and_reaches_them(schedule, step):
    low, high = sorted((schedule.start, schedule.end))

    assert low <= schedule(step) <= high
    assert schedule(0) == pytest.approx(schedule.start, rel=1e-15)
    assert schedule(schedule.steps) == schedule(10**12) == schedule.end


@given(positive, positive, st.integers(1, 10**6), st.floats(0, 1))
@settings(deadline=None)
def test_the_exponential_is_a_power_of_the_ratio(start, end, steps, fraction):
    step = int(steps * fraction)
    expected = start * math.exp((math.log(end) - math.log(start)) * step / steps)

    assert exponential(start, end, steps)(step) == pytest.approx(expected, rel=1e-13)
    assert exponential(-start, -end, steps)(step) == -exponential(start, end, steps)(step)


def test_known_values():
    epsilon = linear(1, 0.1, 9)
    assert [round(epsilon(step), 12) for step in (0, 1, 8, 9, 100)] == [1.0, 0.9, 0.2, 0.1, 0.1]
    assert exponential(1, 0.01, 100)(50) == pytest.approx(0.1)
    assert epsilon(-5) == 1.0
    assert list(epsilon(np.array([0, 9], np.int8))) == [1.0, 0.1]
    assert list(linear(1, 0, 1000)(np.array([100], np.uint8))) == [0.9]


def test_constants_and_callables():
    assert list(values(0.5, 3, 2)) == [0.5, 0.5]
    assert list(values(lambda step: 1 / step, 1, 3)) == [1.0, 0.5, 1 / 3]
    assert values(lambda step: np.float32(0.1), 0, 1)[0] == float(np.float32(0.1))
    assert values(1, 0, 0).shape == (0,)


@pytest.mark.parametrize("schedule", [0.25, linear(1, 0, 10), exponential(1, 0.5, 10)])
def test_a_config_makes_the_schedule_again(schedule):
    assert from_config(config_of(schedule)) == schedule


def test_a_callable_is_described_by_name_and_not_rebuilt():
    config = config_of(math.sqrt)
    assert config == {"schedule": "callable", "name": "sqrt"}
    with pytest.raises(ArgumentError, match=r"sqrt.*linear"):
        from_config(config)


@pytest.mark.parametrize("config", [{}, {"schedule": "linear"}, {"schedule": "os.system", "start": 1}, "0.1", None])
def test_an_unknown_config_is_refused(config):
    with pytest.raises(ArgumentError, match="expected"):
        from_config(config)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: linear(1, math.nan, 5), "linear's end is nan"),
        (lambda: linear("1", 0, 5), "linear's start is '1'"),
        (lambda: linear(1, 0, 0), "linear's steps is 0"),
        (lambda: linear(1, 0, 2.5), "linear's steps is 2.5"),
        (lambda: exponential(1, 0, 5), "no constant ratio"),
        (lambda: exponential(1, -1, 5), "no constant ratio"),
        (lambda: exponential(1e-300, 1e300, 5), "no constant ratio"),
        (lambda: values(0.1, -1, 5), "start is -1"),
        (lambda: values(0.1, 0, -1), "count is -1"),
        (lambda: values(math.inf, 0, 1), "inf"),
        (lambda: values(None, 0, 1), "None"),
    ],
)
def test_bad_arguments_are_refused(make, says):
    with pytest.raises(ArgumentError, match=says):
        make()


@pytest.mark.parametrize("bad", [math.nan, math.inf, None, "0.1", [1.0, 2.0], 1j])
def test_a_value_that_is_no_finite_number_names_schedule_and_timestep(bad):
    def decaying(step):
        return bad if step == 12 else 0.5

    with pytest.raises(ArgumentError, match="decaying at timestep 12 is"):
        values(decaying, 10, 5)
