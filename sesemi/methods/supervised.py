"""Supervised learning from the labeled images alone: the baseline, or with all labels the oracle."""

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses


class Supervised(Method):
    """Cross-entropy of the labeled images under the same augmentation and budget as the other methods.

    Expected accuracy: see the tables of README, measured there.
    """

    views = Views(labeled="weak")
    terms = ("supervised",)

    def loss_terms(self, batch, student, teacher):
        """Return the mean cross-entropy."""
        return {"supervised": losses.cross_entropy(batch.labels, student(batch.labeled))}
