"""Promotion: while training, the most confident unlabeled images join the labeled ones, as in ScarceClassifier.

Its authors found no gain on CIFAR-10: some guesses are wrong although the network is more than 99 % confident. So every
promotion is recorded. Where the truth is known, it is reported how many of the given labels are right.
"""

import csv
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np

LEVELS = (0.9, 0.95, 0.97, 0.99, 0.999)


@dataclass
class Promotions:
    """Promotions so far. They go into each checkpoint.

    Args:
        images: Rows ``[index, confidence, given label, epoch]``, one for each promoted image.
        records: Dicts, one for each promotion: its epoch, the number of images that joined, the number of those whose
            label is right (None if the truth is unknown), and `rightness`.
    """

    images: list[list[Any]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def index(self) -> np.ndarray:
        """Indices of the promoted training images, in the order of their promotion; ``[P]`` int64."""
        return np.array([row[0] for row in self.images], np.int64)

    @property
    def labels(self) -> np.ndarray:
        """Labels that these images were given; ``[P]`` int64."""
        return np.array([row[2] for row in self.images], np.int64)

    def done_at(self, epoch: int) -> bool:
        """Return whether the promotion after so many epochs has happened."""
        return any(record["epoch"] == epoch for record in self.records)

    def add(self, epoch: int, candidates: np.ndarray, probs: np.ndarray, chosen: np.ndarray, truth: np.ndarray) -> None:
        """Record a promotion.

        Args:
            epoch: Number of epochs so far.
            candidates: ``[N]`` indices of the images that could have been promoted.
            probs: ``[N, C]`` class probabilities of the candidates.
            chosen: Positions in `candidates` of the promoted images.
            truth: ``[N]`` true labels of the candidates, -1 where unknown.
        """
        confidence, given = probs.max(axis=1), probs.argmax(axis=1)
        for i in chosen:
            self.images.append([int(candidates[i]), float(confidence[i]), int(given[i]), epoch])
        known = truth[chosen] >= 0
        right = int(np.sum(given[chosen][known] == truth[chosen][known])) if known.any() else None
        record = {"epoch": epoch, "promoted": len(chosen), "right": right}
        self.records.append(record | {"levels": rightness(probs, truth)})

    def to_csv(self, truth: np.ndarray) -> str:
        """Return the text of ``promoted.csv``.

        Args:
            truth: ``[N]`` labels of all training images, -1 where unknown.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["index", "confidence", "given", "true", "epoch"])
        for index, confidence, given, epoch in self.images:
            true = int(truth[index])
            writer.writerow([index, f"{confidence:.6f}", given, "" if true < 0 else true, epoch])
        return text.getvalue()


def choose(probs: np.ndarray, rule: str, *, threshold: float, fraction: float) -> np.ndarray:
    """Return the positions of the images to promote, ascending.

    Args:
        probs: ``[N, C]``.
        rule: ``threshold`` takes all images with a confidence of at least `threshold`. ``balanced`` takes for every
            class the most confident ``fraction * N / C`` (rounded down) of the images that are taken for it, or all if
            they are fewer.
        threshold: Least confidence, in [0, 1].
        fraction: Part of the images, in [0, 1].

    Raises:
        ValueError: The rule is unknown.
    """
    confidence, given = probs.max(axis=1), probs.argmax(axis=1)
    if rule == "threshold":
        return np.flatnonzero(confidence >= threshold)
    if rule != "balanced":
        raise ValueError(f"no rule {rule!r}; choose from threshold, balanced")
    each = int(fraction * len(probs) / probs.shape[1])
    chosen = []
    for label in range(probs.shape[1]):
        members = np.flatnonzero(given == label)
        chosen.append(members[np.argsort(-confidence[members], kind="stable")[:each]])
    return np.sort(np.concatenate(chosen))


def rightness(probs: np.ndarray, truth: np.ndarray) -> list[dict[str, float | int | None]]:
    """Return for each of `LEVELS` the number of images that are at least so confident, and the share of right ones.

    The share is one of the images whose truth is known; None if there are none.

    Args:
        probs: ``[N, C]``.
        truth: ``[N]`` labels, -1 where unknown.
    """
    confidence, right = probs.max(axis=1), probs.argmax(axis=1) == truth
    found = []
    for level in LEVELS:
        above = confidence >= level
        known = above & (truth >= 0)
        share = float(right[known].mean()) if known.any() else None
        found.append({"confidence": level, "images": int(above.sum()), "right": share})
    return found
