"""Pictures of a run, and one HTML page that shows them and opens offline."""

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text

from sesemi.report.names import fonts_for, in_order, plain, short, shown

_LARGEST_LABELED_MATRIX = 20
_NO_CURVES = ("epoch", "learning_rate", "mask_ratio", "pseudo_label_accuracy")
_MISTAKES_IN_A_ROW = 6
# By this the search for pictures (`sesemi.datasets.own_pictures`) knows that they are no data.
_MADE_BY = "sesemi"


def _png(figure: Figure) -> bytes:
    buffer, texts = io.BytesIO(), figure.findobj(Text)
    families = fonts_for([text.get_text() for text in texts])
    if len(families) > 1:
        for text in texts:
            text.set_fontfamily(families)
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
    names = [name for name in rows[0] if name not in _NO_CURVES]
    for name in names:
        axes = errors if name.endswith("_error") else losses
        axes.plot(epochs, [row[name] for row in rows], label=name, marker="." if len(rows) < 20 else None)
    # A logarithmic axis has no place for 0, such as the loss of pseudo-labels of which none was accepted.
    no_log = any(row[name] <= 0 for row in rows for name in names if not name.endswith("_error"))
    losses.set(xlabel="epoch", ylabel="loss", title="losses (mean of the epoch)")
    losses.set_yscale(**({"value": "symlog", "linthresh": 1e-3} if no_log else {"value": "log"}))
    errors.set(xlabel="epoch", ylabel="error [%]", ylim=(0, None), title="error, one view")
    for axes in (losses, errors):
        axes.grid(alpha=0.3)
        # Below, where names of any length cover no curve.
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
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
    order = in_order(class_names)
    accepted = np.array([row["accepted"] for row in rows])[:, order]
    known, right = (np.array([sum(row[key]) for row in rows]) for key in ("known", "right"))
    images = np.array([row["shown"] for row in rows])
    shares.plot(epochs, accepted.sum(1) / np.maximum(images, 1), label="accepted", marker=".")
    if known.any():
        shares.plot(
            epochs, np.where(known > 0, right / np.maximum(known, 1e-9), np.nan), label="of these right", marker="."
        )
    shares.set(xlabel="epoch", ylim=(-0.02, 1.02), title="pseudo-labels (share)")
    shares.grid(alpha=0.3)
    shares.legend(fontsize=8)
    parts = accepted / np.maximum(accepted.sum(1, keepdims=True), 1e-9)
    extent = (epochs[0] - 0.5, epochs[-1] + 0.5, len(class_names) - 0.5, -0.5)
    how = {"cmap": "Blues", "vmin": 0, "vmax": parts.max() or 1, "interpolation": "nearest"}
    image = classes.imshow(parts.T, aspect="auto", extent=extent, **how)
    figure.colorbar(image, ax=classes, shrink=0.8)
    classes.set(xlabel="epoch", ylabel="class", title="accepted, by class (share of the epoch)")
    if len(class_names) <= _LARGEST_LABELED_MATRIX:
        words = shown(class_names)
        classes.set_yticks(range(len(class_names)), [words[number] for number in order], fontsize=7)
    return _png(figure)


def confusion_matrix(matrix: np.ndarray, class_names: Sequence[str], views: int = 1) -> bytes:
    """Draw the share of each true class (row) that is taken for each class (column), as PNG.

    Args:
        matrix: ``[classes, classes]`` counts.
        class_names: One name for each class; written only where there is room.
        views: Number of views that the probabilities are the mean of.
    """
    order, words = in_order(class_names), shown(class_names)
    matrix, class_names = matrix[np.ix_(order, order)], [words[number] for number in order]
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


def error_bars(panels: Sequence[tuple[str, Sequence[str], Sequence[Sequence[float]]]]) -> bytes:
    """Draw the mean error of each row as a bar and every run as a point, as PNG.

    Args:
        panels: For each table its title, the names of its rows, and the errors of the runs of each row, in percent.
    """
    heights = [1 + 0.4 * len(names) for _, names, _ in panels]
    figure = Figure(figsize=(8, sum(heights)), layout="constrained")
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axes, (title, names, errors) in zip(grid[:, 0], panels, strict=True):
        places = range(len(names))
        axes.barh(places, [float(np.mean(row)) for row in errors], color="#9ec5e8", height=0.65)
        for place, row in zip(places, errors, strict=True):
            axes.plot(row, [place] * len(row), "o", color="#1f4e79", markersize=4)
        axes.set_yticks(places, [plain(name) for name in names])
        axes.invert_yaxis()
        axes.set(xlabel="test error [%]", xlim=(0, None))
        axes.set_title(plain(title), fontsize=9, loc="left")
        axes.grid(axis="x", alpha=0.3)
    return _png(figure)


def views_grid(rows: Sequence[tuple], class_names: Sequence[str] = ()) -> bytes:
    """Draw a row of pictures for each branch, as PNG.

    Args:
        rows: Title and images ``[K, H, W, C]``: uint8, or float stretched to each image's own range. A third item may
            be a line of text below each of them, or the number of its class.
        class_names: One name for each class.
    """
    names = shown(class_names)
    columns = max(len(images) for _, images, *_ in rows)
    figure = Figure(figsize=(1.15 * columns, 1.35 * len(rows)))
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes_row, (title, images, *below) in zip(grid, rows, strict=True):
        for axes in axes_row:
            axes.axis("off")
        for axes, image in zip(axes_row, images, strict=False):
            axes.imshow(_displayable(image), cmap="gray", vmin=0, vmax=1)
        for axes, line in zip(axes_row, *below or [()], strict=False):
            words = plain(short(line)) if isinstance(line, str) else names[line]
            axes.text(0.5, -0.04, words, transform=axes.transAxes, ha="center", va="top", fontsize=6)
        axes_row[0].set_title(title, fontsize=8, loc="left")
    return _png(figure)


def mistakes(
    images: np.ndarray,
    true: Sequence[int],
    said: Sequence[int],
    confidence: Sequence[float],
    class_names: Sequence[str],
) -> bytes:
    """Draw pictures that were taken for another class, with both names below each, as PNG.

    Args:
        images: ``[K, H, W, C]`` uint8, K at least 1.
        true: Classes of the pictures, ``[K]``.
        said: Classes that they were taken for, ``[K]``.
        confidence: Probabilities of `said`, ``[K]``, in [0, 1].
        class_names: One name for each class.
    """
    words = shown(class_names)
    columns = min(len(images), _MISTAKES_IN_A_ROW)
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.5 * columns, 2.0 * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image, t, s, p in zip(grid.flat, images, true, said, confidence, strict=False):
        axes.imshow(_displayable(image), cmap="gray", vmin=0, vmax=1)
        below = f"is {words[t]}\nsaid {words[s]}\n{100 * p:.0f} %"
        axes.text(0.5, -0.04, below, transform=axes.transAxes, ha="center", va="top", fontsize=6)
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
