"""Pictures of a run, and one HTML page that shows them and opens offline."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

_LARGEST_LABELED_MATRIX = 20
_LONGEST_NAME = 20
# By this the search for pictures (`sesemi.datasets.own_pictures`) knows that they are no data.
_MADE_BY = "sesemi"


def plain(text: str) -> str:
    """Return text in which matplotlib sees no formula."""
    return text.replace("$", r"\$")


def short(name: str, most: int = _LONGEST_NAME) -> str:
    """Return the name of a class, or the beginning of it, where there is little room."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font does not have is shown as a box.
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight", metadata={"Software": _MADE_BY})
    return buffer.getvalue()


def learning_curves(rows: Sequence[dict[str, float]]) -> bytes:
    """Draw losses and errors by epoch, as PNG.

    Args:
        rows: Rows of ``log.csv``.
    """
    figure = Figure(figsize=(9, 3.2))
    losses, errors = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    for name in rows[0]:
        if name in ("epoch", "learning_rate", "mask_ratio", "pseudo_label_accuracy"):
            continue
        axes = errors if name.endswith("_error") else losses
        axes.plot(epochs, [row[name] for row in rows], label=name, marker="." if len(rows) < 20 else None)
    negative = any(value < 0 for row in rows for value in row.values())
    losses.set(xlabel="epoch", ylabel="loss", title="losses (mean of the epoch)")
    losses.set_yscale(**({"value": "symlog", "linthresh": 1e-3} if negative else {"value": "log"}))
    errors.set(xlabel="epoch", ylabel="error [%]", ylim=(0, None), title="error, one view")
    for axes in (losses, errors):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return _png(figure)


def pseudo_labels(rows: Sequence[dict[str, Any]], class_names: Sequence[str]) -> bytes:
    """Draw the shares of pseudo-labels that are accepted and right, and the classes of those accepted, as PNG.

    Args:
        rows: Rows of `sesemi.training.monitor.PseudoLabelMonitor.row`.
        class_names: One name for each class; written only where there is room.
    """
    figure = Figure(figsize=(9, 3.2))
    shares, classes = figure.subplots(1, 2)
    epochs = [row["epoch"] for row in rows]
    accepted = np.array([row["accepted"] for row in rows])
    known, right = (np.array([sum(row[key]) for row in rows]) for key in ("known", "right"))
    shown = np.array([row["shown"] for row in rows])
    shares.plot(epochs, accepted.sum(1) / np.maximum(shown, 1), label="accepted", marker=".")
    if known.any():
        shares.plot(
            epochs, np.where(known > 0, right / np.maximum(known, 1e-9), np.nan), label="of these right", marker="."
        )
    shares.set(xlabel="epoch", ylim=(0, 1.02), title="pseudo-labels (share)")
    shares.grid(alpha=0.3)
    shares.legend(fontsize=8)
    parts = accepted / np.maximum(accepted.sum(1, keepdims=True), 1e-9)
    extent = (epochs[0] - 0.5, epochs[-1] + 0.5, len(class_names) - 0.5, -0.5)
    image = classes.imshow(parts.T, aspect="auto", cmap="Blues", vmin=0, interpolation="nearest", extent=extent)
    figure.colorbar(image, ax=classes, shrink=0.8)
    classes.set(xlabel="epoch", ylabel="class", title="accepted, by class (share of the epoch)")
    if len(class_names) <= _LARGEST_LABELED_MATRIX:
        classes.set_yticks(range(len(class_names)), [plain(short(name)) for name in class_names], fontsize=7)
    return _png(figure)


def confusion_matrix(matrix: np.ndarray, class_names: Sequence[str], views: int = 1) -> bytes:
    """Draw the share of each true class (row) that is taken for each class (column), as PNG.

    Args:
        matrix: ``[classes, classes]`` counts.
        class_names: One name for each class; written only where there is room.
        views: Number of views that the probabilities are the mean of.
    """
    class_names = [plain(short(name)) for name in class_names]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6, 5.4))
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.8)
    axes.set(
        xlabel="predicted",
        ylabel="true",
        title=f"confusion matrix, {'one view' if views == 1 else f'mean of {views} views'}",
    )
    if len(class_names) <= _LARGEST_LABELED_MATRIX:
        ticks = range(len(class_names))
        axes.set_xticks(ticks, class_names, rotation=45, ha="right")
        axes.set_yticks(ticks, class_names)
        for row, column in np.ndindex(*matrix.shape):
            if matrix[row, column]:
                color = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, matrix[row, column], ha="center", va="center", fontsize=7, color=color)
    return _png(figure)


def error_bars(names: Sequence[str], errors: Sequence[Sequence[float]]) -> bytes:
    """Draw the mean error of each row as a bar and every run as a point, as PNG.

    Args:
        names: Names of the rows.
        errors: Errors of the runs of each row, in percent.
    """
    figure = Figure(figsize=(8, 1 + 0.4 * len(names)))
    axes = figure.subplots()
    places = range(len(names))
    axes.barh(places, [float(np.mean(row)) for row in errors], color="#9ec5e8", height=0.65)
    for place, row in zip(places, errors, strict=True):
        axes.plot(row, [place] * len(row), "o", color="#1f4e79", markersize=4)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set(xlabel="test error [%]", xlim=(0, None))
    axes.grid(axis="x", alpha=0.3)
    return _png(figure)


def views_grid(rows: Sequence[tuple]) -> bytes:
    """Draw a row of pictures for each branch, as PNG.

    Args:
        rows: Title and images ``[K, H, W, C]``: uint8, or float stretched to each image's own range. A third item may
            be a line of text below each of them.
    """
    columns = max(len(images) for _, images, *_ in rows)
    figure = Figure(figsize=(1.15 * columns, 1.35 * len(rows)))
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes_row, (title, images, *below) in zip(grid, rows, strict=True):
        for axes in axes_row:
            axes.axis("off")
        for axes, image in zip(axes_row, images, strict=False):
            axes.imshow(_displayable(image), cmap="gray", vmin=0, vmax=1)
        for axes, line in zip(axes_row, *below or [()], strict=False):
            axes.text(0.5, -0.04, plain(short(line)), transform=axes.transAxes, ha="center", va="top", fontsize=6)
        axes_row[0].set_title(title, fontsize=8, loc="left")
    return _png(figure)


def _displayable(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        image = image / 255.0
    else:
        low, high = image.min(), image.max()
        image = (image - low) / max(high - low, 1e-12)
    return image[..., 0] if image.shape[-1] == 1 else image


def reliability_diagram(counts: np.ndarray, confidence: np.ndarray, accuracy: np.ndarray, ece: float) -> bytes:
    """Return accuracy over confidence, with the histogram of the confidences below, as PNG.

    Args:
        counts: ``[bins]`` int, images whose confidence lies in each of the bins of equal width over (0, 1].
        confidence: ``[bins]``, the mean confidence in each bin; NaN in an empty one.
        accuracy: ``[bins]``, the share that is right; NaN in an empty one.
        ece: Expected calibration error in [0, 1], for the title.
    """
    bins, total = len(counts), int(counts.sum())
    middles, width = (np.arange(bins) + 0.5) / bins, 1 / bins
    figure = Figure(figsize=(5, 6))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 1], [0, 1], "--", color="#777", label="as confident as right")
    upper.bar(middles, accuracy, width, color="#9ec5e8", edgecolor="#1f4e79", label="accuracy")
    upper.plot(confidence, accuracy, "o", color="#1f4e79", markersize=4, label="mean confidence of the bin")
    upper.set(ylabel="share that is right", ylim=(0, 1.02), xlim=(0, 1))
    upper.set_title(f"reliability: ECE {100 * ece:.2f} % ({bins} bins, {total} images)")
    lower.bar(middles, 100 * counts / total, width, color="#cccccc", edgecolor="#777")
    lower.set(xlabel="confidence: probability of the predicted class", ylabel="images [%]")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    figure.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3)
    return _png(figure)
