import math

import numpy as np
import pytest

from sesemi import schedules


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.2, 0.4, 1.0])
def test_ramps(progress):
    x = min(progress / 0.4, 1.0)
    expected = {
        "none": 1.0,
        "sigmoid": math.exp(-5 * (1 - x) ** 2),
        "linear": x,
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
