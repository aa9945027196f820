"""Calibration of a classifier's confidence: reliability, expected calibration error, likelihood."""

from dataclasses import dataclass

import numpy as np
from sklearn import metrics

BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Images by the confidence of their predicted class, in bins of equal width over (0, 1].

    Args:
        counts: ``[bins]`` int, number of images.
        confidence: ``[bins]``, mean confidence in each bin; NaN in an empty one.
        accuracy: ``[bins]``, share of the images that are right; NaN in an empty bin.
    """

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> Reliability:
    """Return the values of a reliability diagram (Guo et al. 2017, arXiv:1706.04599, section 2).

    Args:
        probs: ``[N, classes]`` in [0, 1].
        labels: ``[N]`` int.
        bins: Number of bins. Bin m of M holds confidences in ((m - 1) / M, m / M], and the first one 0 too.
    """
    confidence = probs.max(axis=1).astype(np.float64)
    right = probs.argmax(axis=1) == labels
    place = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1], right=True)
    counts = np.bincount(place, minlength=bins)
    # An empty bin has no mean.
    per = np.where(counts, counts, np.nan)
    return Reliability(
        counts,
        np.bincount(place, weights=confidence, minlength=bins) / per,
        np.bincount(place, weights=right, minlength=bins) / per,
    )


def expected_calibration_error(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Return the mean distance of confidence and accuracy, by bins (Naeini et al. 2015; Guo et al. 2017, eq. 3).

    Args:
        probs: ``[N, classes]`` in [0, 1].
        labels: ``[N]`` int.
        bins: See `reliability`.

    Returns:
        A number in [0, 1].
    """
    found = reliability(probs, labels, bins)
    return float(np.nansum(found.counts * np.abs(found.accuracy - found.confidence)) / len(labels))


def negative_log_likelihood(probs: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of ``-log p(true class)``, in nats; a probability of 0 counts as 2.2e-16.

    Args:
        probs: ``[N, classes]`` in [0, 1].
        labels: ``[N]`` int.
    """
    # Rows of float32 add up to 1 only roughly.
    probs = probs.astype(np.float64)
    return float(metrics.log_loss(labels, probs / probs.sum(axis=1, keepdims=True), labels=range(probs.shape[1])))
