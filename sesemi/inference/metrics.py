"""Errors of a classifier: over all images, by class, and which classes it confuses."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics

from sesemi.inference.calibration import BINS, expected_calibration_error, negative_log_likelihood, reliability

_CONFUSIONS = 10
_Z_OF_95 = 1.959964


def error_percent(probs: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of images whose most probable class is wrong, in percent.

    Args:
        probs: ``[N, classes]``.
        labels: ``[N]`` int.
    """
    return 100.0 * float(np.mean(probs.argmax(axis=1) != labels))


def wilson_percent(wrong: int, images: int) -> list[float] | None:
    """Return the interval that holds the error on all pictures of the kind with 95 % (Wilson 1927), in percent.

    Args:
        wrong: Number of test images that were taken for another class.
        images: Number of test images.

    Returns:
        Its two ends, or None without a test image.
    """
    if not images:
        return None
    share, spread = wrong / images, _Z_OF_95**2 / images
    middle = share + spread / 2
    half = _Z_OF_95 * math.sqrt(share * (1 - share) / images + spread / (4 * images))
    ends = ((middle - half) / (1 + spread), (middle + half) / (1 + spread))
    return [100 * max(ends[0], 0.0), 100 * min(ends[1], 1.0)]


def confusion(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``[classes, classes]`` int: rows are the true classes, columns the predicted ones.

    Args:
        probs: ``[N, classes]``.
        labels: ``[N]`` int.
    """
    classes = probs.shape[1]
    if not len(labels):
        return np.zeros((classes, classes), np.int64)
    return metrics.confusion_matrix(labels, probs.argmax(axis=1), labels=range(classes))


def class_errors_percent(matrix: np.ndarray) -> list[float | None]:
    """Return the error of every class, in percent, from `confusion`; None for a class without a test image."""
    totals = matrix.sum(axis=1)
    right = matrix.diagonal()
    return [100.0 * float(1 - r / n) if n else None for r, n in zip(right, totals, strict=True)]


def by_class(probs: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return for each class its images, and error, precision, recall and F1 in percent.

    None stands where there is nothing to divide by: no image of the class, or none that is taken for it.

    Args:
        probs: ``[N, classes]``.
        labels: ``[N]`` int.
        class_names: One name a class.
    """
    said = probs.argmax(axis=1)
    precision, recall, f1, there = metrics.precision_recall_fscore_support(
        labels, said, labels=range(len(class_names)), zero_division=np.nan
    )
    percent = [[None if np.isnan(value) else 100.0 * float(value) for value in row] for row in (precision, recall, f1)]
    return [
        {
            "class": name,
            "images": int(n),
            "error": None if r is None else 100.0 - r,
            "precision": p,
            "recall": r,
            "f1": f,
        }
        for name, n, p, r, f in zip(class_names, there, *percent, strict=True)
    ]


def confusions(matrix: np.ndarray, class_names: Sequence[str], most: int = _CONFUSIONS) -> list[dict[str, Any]]:
    """Return the most frequent confusions: the true class, what it is taken for, and how many images.

    Args:
        matrix: `confusion`.
        class_names: One name a class.
        most: Largest number of confusions to return.
    """
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = (np.unravel_index(place, wrong.shape) for place in order)
    return [{"true": class_names[t], "predicted": class_names[p], "images": int(wrong[t, p])}
            for t, p in pairs if wrong[t, p]]  # fmt: skip


def assess(probs: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Return all numbers of ``evaluation.json``.

    Errors, precision, recall and F1 are in percent, the calibration error in [0, 1], the likelihood in nats.

    Args:
        probs: ``[N, classes]``.
        labels: ``[N]`` int.
        class_names: One name a class.
    """
    matrix, bins = confusion(probs, labels), reliability(probs, labels)
    return {
        "images": len(labels),
        "test_error": error_percent(probs, labels),
        "test_error_interval": wilson_percent(int((probs.argmax(axis=1) != labels).sum()), len(labels)),
        "expected_calibration_error": expected_calibration_error(probs, labels),
        "negative_log_likelihood": negative_log_likelihood(probs, labels),
        "class_names": list(class_names),
        "classes": by_class(probs, labels, class_names),
        "confusions": confusions(matrix, class_names),
        "confusion_matrix": matrix.tolist(),
        "reliability": [
            {"up_to": (m + 1) / BINS, "images": int(n), "confidence": _or_none(c), "accuracy": _or_none(a)}
            for m, (n, c, a) in enumerate(zip(bins.counts, bins.confidence, bins.accuracy, strict=True))
        ],
    }


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
