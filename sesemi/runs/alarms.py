"""Alarms about the data and about pseudo-labels: when counts look wrong, and what to try then; their table."""

import io
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sesemi.assembly.materials import Materials
from sesemi.tables import Writer
from sesemi.terminal import one_line

# Limits of a collapse: the accepted pseudo-labels are as concentrated as if a quarter of the classes shared them
# evenly, or fewer than one in a thousand is accepted. The other two numbers say for how long, as a part of the run.
_FEW_CLASSES, _NOTHING = 0.25, 1e-3
_CONCENTRATED_FOR, _EMPTY_FOR = 0.1, 0.2
_NAMED = 3
# With fewer test images, one of them is two points of the error or more.
_FEW_IN_TEST = 50


def of_data(materials: Materials) -> list[str]:
    """Return what is odd about the data of a run, a text for each: no unlabeled images, or a test that says little."""
    data, split, found = materials.data, materials.split, []
    labeled = len(split.labeled) + len(split.validation)
    asks_for_others = materials.method.views.unlabeled and materials.method.unlabeled_pool != "labeled"
    if labeled == len(data.train_labels) and asks_for_others:
        found.append(
            f"no unlabeled images: {materials.config.method} has only the {labeled:,} labeled ones to learn from"
        )
    there = np.bincount(data.test_labels, minlength=len(data.class_names))
    missing = [one_line(name, 40) for name, count in zip(data.class_names, there, strict=True) if not count]
    if missing and len(data.test_labels):
        more = f" and {len(missing) - _NAMED} more classes" if len(missing) > _NAMED else ""
        found.append(f"no test image of class {', '.join(missing[:_NAMED])}{more}: the test error leaves them out")
    if 0 < len(data.test_labels) < _FEW_IN_TEST:
        points = 100 / len(data.test_labels)
        found.append(f"only {len(data.test_labels)} test images: each is {points:.1f} points of the test error")
    return found


def to_csv(rows: Sequence[dict[str, Any]], class_names: Sequence[str]) -> str:
    """Return the text of ``pseudo_labels.csv``: a line for every epoch and class.

    Args:
        rows: Rows of `PseudoLabelMonitor.row`.
        class_names: One name for each class.
    """
    text = io.StringIO()
    writer = Writer(text)
    writer.row(["epoch", "class", "accepted", "with_known_truth", "right", "shown_of_all_classes"])
    for row in rows:
        for number, name in enumerate(class_names):
            counts = [f"{row[key][number]:g}" for key in ("accepted", "known", "right")]
            writer.row([row["epoch"], name, *counts, f"{row['shown']:g}"])
    return text.getvalue()


@dataclass(frozen=True)
class Cure:
    """Facts of a run that decide which cures can be tried.

    Args:
        method: Name of the method.
        arguments: Names of the method's hyper-parameters.
        class_names: One name for each class.
        epochs: Number of epochs of the whole run.
    """

    method: str
    arguments: Collection[str]
    class_names: Sequence[str]
    epochs: int

    def settings(self, *wanted: tuple[str, str]) -> list[str]:
        """Return those of the wanted changes whose hyper-parameter the method has."""
        return [f"a {how} `arguments.{name}=…`" for name, how in wanted if name in self.arguments]

    def methods(self, *names: str) -> str:
        """Return a text that names other methods."""
        return " or ".join(f"`method={name}`" for name in names if name != self.method)


def alarm(rows: Sequence[dict[str, Any]], cure: Cure) -> str | None:
    """Return a text about a collapse in the last of the rows, with what to try; None if there is none.

    Args:
        rows: Rows of `PseudoLabelMonitor.row`, from the first epoch on.
        cure: Facts of the run.
    """
    for share, looks, text in (
        (_CONCENTRATED_FOR, _is_concentrated, _concentrated),
        (_EMPTY_FOR, _is_empty, _empty),
    ):
        count = max(math.ceil(share * cure.epochs), 2)
        if len(rows) >= count and all(looks(row) for row in rows[-count:]):
            return text(rows[-1], count, cure)
    return None


def first_alarm(rows: Sequence[dict[str, Any]], cure: Cure) -> tuple[int, str] | None:
    """Return the epoch and the text of the first alarm of a run; None if there is none."""
    for count in range(1, len(rows) + 1):
        text = alarm(rows[:count], cure)
        if text:
            return rows[count - 1]["epoch"], text
    return None


def _is_empty(row) -> bool:
    # Where no image has a pseudo-label yet, nothing is wrong.
    return sum(row["accepted"]) < _NOTHING * row["shown"]


def _is_concentrated(row) -> bool:
    classes = len(row["accepted"])
    # With two classes, one has to be as good as gone.
    return (
        sum(row["accepted"]) > 0 and not _is_empty(row) and _effective_classes(row) < 1.0 + _FEW_CLASSES * (classes - 1)
    )


def _effective_classes(row) -> float:
    """Return the number of equally frequent classes that have the same entropy."""
    shares = np.array(row["accepted"]) / sum(row["accepted"])
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def _concentrated(row, count: int, cure: Cure) -> str:
    most = int(np.argmax(row["accepted"]))
    share = row["accepted"][most] / sum(row["accepted"])
    ways = cure.settings(("weight", "smaller"), ("threshold", "higher"))
    ways.append(cure.methods("adamatch", "softmatch", "debiasmatch") + ", which align classes")
    return (
        f"collapse: in the last {count} epochs the accepted pseudo-labels were as if of {_effective_classes(row):.1f} "
        f"of {len(row['accepted'])} classes ({100 * share:.0f} % are of {cure.class_names[most]!r}); try "
        + "; or ".join(ways)
    )


def _empty(row, count: int, cure: Cure) -> str:
    ways = [*cure.settings(("threshold", "lower")), "more labels or updates"]
    ways.append(cure.methods("flexmatch", "freematch", "softmatch") + ", whose thresholds follow the confidence")
    return (
        f"no pseudo-labels: in the last {count} epochs fewer than one in a thousand was accepted; try "
        + "; or ".join(ways)
    )


def networks_apart(errors: dict[str, float], images: int) -> str | None:
    """Return a warning if a run exports the worse of its two networks, judged by labeled pictures, else None.

    A teacher that averages over too much of the run lags behind its student, which shows even on what both have learned
    from. A lead of two points and of three pictures is called apart.

    Args:
        errors: Error in percent on the same labeled pictures, by name of the network; the exported one comes first.
        images: Number of these pictures.
    """
    (exported, error), *others = errors.items()
    for name, other in others:
        if error - other >= 2.0 and (error - other) * images >= 300.0 - 1e-6:
            cure = "a smaller `ema_part` lets it follow more closely" if exported == "teacher" else "look at both"
            return (
                f"on {images} labeled pictures the {exported}, which is exported, has {error:.2f} % error, and the "
                f"{name} {other:.2f} %: the {name} is in model_{name}.keras; {cure}"
            )
    return None
