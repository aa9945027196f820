"""Calibration of a classifier's confidence: reliability, expected calibration error, likelihood."""

import io
from dataclasses import dataclass

import numpy as np

BINS = 15
_TINY = float(np.finfo(np.float32).tiny)


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
    """Return the mean of ``-log p(true class)``, in nats.

    A probability that float32 has rounded to 0 counts as 1.2e-38.
    """
    chosen = probs[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, _TINY)).mean())


def reliability_diagram(found: Reliability, ece: float) -> bytes:
    """Draw accuracy over confidence, with the histogram of the confidences below, as PNG.

    Args:
        found: Result of `reliability`.
        ece: `expected_calibration_error`, for the title.
    """
    from matplotlib.figure import Figure

    bins, total = len(found.counts), int(found.counts.sum())
    middles, width = (np.arange(bins) + 0.5) / bins, 1 / bins
    figure = Figure(figsize=(5, 6))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], "--", color="#777", label="as confident as right")
    upper.bar(middles, found.accuracy, width, color="#9ec5e8", edgecolor="#1f4e79", label="accuracy")
    upper.plot(found.confidence, found.accuracy, "o", color="#1f4e79", markersize=4, label="mean confidence of the bin")
    upper.set(ylabel="share that is right", ylim=(0, 1.02), xlim=(0, 1))
    upper.set_title(f"reliability: ECE {100 * ece:.2f} % ({bins} bins, {total} images)")
    lower.bar(middles, 100 * found.counts / total, width, color="#cccccc", edgecolor="#777")
    lower.set(xlabel="confidence: probability of the predicted class", ylabel="images [%]")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return buffer.getvalue()
