import math

import keras
import numpy as np
import pytest

from sesemi.primitives import schedules


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.2, 0.4, 1.0])
def test_ramps(progress):
    x = min(progress / 0.4, 1.0)
    expected = {
        "none": 1.0,
        "sigmoid": math.exp(-5 * (1 - x) ** 2),
        "linear": x,
        "cosine": (1 - math.cos(math.pi * x)) / 2,
        # Lee 2013, eq. 16: nothing until T1 = 100, then in a straight line to T2 = 600.
        "delayed": min(max((progress / 0.4 * 600 - 100) / (600 - 100), 0.0), 1.0),
    }
    assert set(expected) == set(schedules.NAMES)
    for name, value in expected.items():
        np.testing.assert_allclose(schedules.ramp(name, progress, 0.4), value, rtol=1e-5, atol=1e-6)


def test_a_ramp_of_no_length_is_none_and_an_unknown_one_is_refused():
    for name in schedules.NAMES:
        assert float(schedules.ramp(name, 0.0, 0.0)) == 1.0
    with pytest.raises(ValueError, match="no ramp 'cubic'"):
        schedules.ramp("cubic", 0.0, 0.5)


def test_the_decay_is_the_plain_mean_while_it_warms_up():
    """With ``1 - 1/(t + 1)`` the average of x_1 … x_t, started at x_0, is their mean."""
    values = np.random.default_rng(0).normal(size=20)
    average = values[0]
    for t in range(1, 20):
        decay = float(schedules.ema_decay(t, 0.999))
        assert decay == pytest.approx(1 - 1 / (t + 1))
        average = decay * average + (1 - decay) * values[t]
        assert average == pytest.approx(values[: t + 1].mean(), rel=1e-4)


def test_the_decay_stays_at_its_largest():
    assert float(schedules.ema_decay(1, 0.9)) == 0.5
    assert [round(float(schedules.ema_decay(t, 0.9)), 6) for t in (8, 9, 10, 10**6)] == [0.888889, 0.9, 0.9, 0.9]
    assert float(schedules.ema_decay(1, 0.9, warm_up=False)) == pytest.approx(0.9)


def test_the_rate_of_fixmatch_ends_at_a_fifth():
    rate = schedules.Cosine716(0.03, 1000)
    found = [float(rate(step)) for step in (0, 500, 1000, 2000)]
    expected = [0.03 * math.cos(7 * math.pi / 16 * x) for x in (0.0, 0.5, 1.0, 1.0)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert float(schedules.Cosine716.from_config(rate.get_config())(500)) == found[1]


@pytest.mark.parametrize(("total", "students"), [(20, 4), (10, 3), (7, 7), (5, 1)])
def test_each_student_has_its_share_of_the_steps_and_the_whole_schedule(total, students):
    numbers = [int(schedules.student_of(step, total, students)) for step in range(total)]
    starts = [k * total // students for k in range(students)]
    assert [numbers.index(k) for k in range(students)] == starts
    assert numbers == sorted(numbers)
    assert int(schedules.student_of(total + 3, total, students)) == students - 1
    whole = keras.optimizers.schedules.PolynomialDecay(1.0, total, end_learning_rate=0.0)
    rate = schedules.ForEachStudent(whole, total, students)
    for k, start in enumerate(starts):
        length = ([*starts, total])[k + 1] - start
        for step in range(start, start + length):
            assert float(rate(step)) == pytest.approx(1 - (step - start) / length, abs=1e-5)
    assert float(schedules.ForEachStudent.from_config(rate.get_config())(1)) == float(rate(1))
