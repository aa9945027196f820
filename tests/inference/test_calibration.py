import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from sesemi.inference import calibration


def test_calibration_error_of_a_case_computed_by_hand():
    """Five bins; (0.4, 0.6] has 0.5 wrong and 0.6 right, (0.8, 1] has 0.9 right, 0.9 right, 1.0 wrong."""
    top = np.array([0.5, 0.6, 0.9, 0.9, 1.0])
    probs = np.stack([top, 1 - top], axis=1)
    labels = np.array([1, 0, 0, 0, 1])
    found = calibration.reliability(probs, labels, bins=5)
    np.testing.assert_array_equal(found.counts, [0, 0, 2, 0, 3])
    np.testing.assert_allclose(found.accuracy, [np.nan, np.nan, 0.5, np.nan, 2 / 3])
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.55, np.nan, 2.8 / 3])
    expected = 2 / 5 * abs(0.5 - 0.55) + 3 / 5 * abs(2 / 3 - 2.8 / 3)
    assert calibration.expected_calibration_error(probs, labels, bins=5) == pytest.approx(expected)


def test_bins_are_those_of_scikit_learn(rng):
    probs = rng.dirichlet(np.full(4, 0.4), 2000)
    labels = np.where(rng.random(2000) < 0.6, probs.argmax(axis=1), rng.integers(0, 4, 2000))
    right, confidence = probs.argmax(axis=1) == labels, probs.max(axis=1)
    accuracies, means = calibration_curve(right, confidence, n_bins=15)
    found = calibration.reliability(probs, labels)
    there = found.counts > 0
    np.testing.assert_allclose(found.accuracy[there], accuracies)
    np.testing.assert_allclose(found.confidence[there], means)
    expected = np.sum(found.counts[there] / 2000 * np.abs(accuracies - means))
    assert calibration.expected_calibration_error(probs, labels) == pytest.approx(expected)


def test_a_calibrated_model_has_no_calibration_error_and_a_sure_one_that_of_its_errors():
    labels = np.zeros(10, int)
    sure = np.tile([1.0, 0.0], (10, 1))
    sure[:3] = [0.0, 1.0]
    assert calibration.expected_calibration_error(sure, labels) == pytest.approx(0.3)
    honest = np.tile([0.7, 0.3], (10, 1))
    assert calibration.expected_calibration_error(honest, [0] * 7 + [1] * 3) == pytest.approx(0)


def test_the_likelihood_is_that_of_scikit_learn(rng):
    probs = rng.dirichlet(np.ones(3), 200)
    labels = np.where(rng.random(200) < 0.5, probs.argmax(axis=1), rng.integers(0, 3, 200))
    assert calibration.negative_log_likelihood(probs, labels) == pytest.approx(metrics.log_loss(labels, probs))
    assert np.isfinite(calibration.negative_log_likelihood(np.eye(3)[:1], np.array([1])))
