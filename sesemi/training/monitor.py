"""Monitor of pseudo-labels: how many are accepted, of which classes, how many are right, and when that looks wrong.

For the log only: the truth, which training may not see, is counted here, and nothing is learned from it.
"""

import math
from typing import Any

import keras
from keras import ops

ACCURACY = "pseudo_label_accuracy"


class PseudoLabelMonitor(keras.metrics.Metric):
    """Counts of one epoch.

    Args:
        classes: Number of classes.
    """

    def __init__(self, classes: int, name: str = "pseudo_labels"):
        super().__init__(name=name)
        self.shown = self.add_variable((), "zeros", name="shown")
        self.accepted = self.add_variable((classes,), "zeros", name="accepted")
        self.known = self.add_variable((classes,), "zeros", name="known")
        self.right = self.add_variable((classes,), "zeros", name="right")

    def update_state(self, labels, mask, truth, given=None):
        """Count a batch.

        Args:
            labels: ``[U]`` int, pseudo-labels.
            mask: ``[U]`` float in [0, 1], the degree to which each is accepted.
            truth: ``[U]`` int, -1 where it is unknown.
            given: ``[U]`` float, 0 for images that have no pseudo-label yet; default: all have one.
        """
        one_hot = ops.one_hot(labels, self.accepted.shape[0])
        mask, truth = ops.cast(mask, "float32")[:, None], ops.cast(truth, "int32")
        known = ops.cast(truth >= 0, "float32")[:, None]
        right = ops.cast(truth == ops.cast(labels, "int32"), "float32")[:, None]
        self.shown.assign_add(float(labels.shape[0]) if given is None else ops.sum(given))
        self.accepted.assign_add(ops.sum(one_hot * mask, axis=0))
        self.known.assign_add(ops.sum(one_hot * mask * known, axis=0))
        self.right.assign_add(ops.sum(one_hot * mask * right, axis=0))

    def result(self):
        """Return ``mask_ratio``, in [0, 1], and ``pseudo_label_accuracy`` of those accepted, NaN if none is known."""
        known = ops.sum(self.known)
        accuracy = ops.where(known > 0, ops.sum(self.right) / ops.maximum(known, 1e-12), math.nan)
        return {"mask_ratio": ops.sum(self.accepted) / ops.maximum(self.shown, 1.0), ACCURACY: accuracy}

    def row(self, epoch: int) -> dict[str, Any]:
        """Return the counts, with the number of the epoch, to be kept."""
        counts = {name: getattr(self, name).numpy().tolist() for name in ("accepted", "known", "right")}
        return {"epoch": epoch, "shown": float(self.shown.numpy()), **counts}
