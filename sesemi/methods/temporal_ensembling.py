"""Temporal ensembling: agree with the running average of the answers to the same image in earlier epochs.

S. Laine and T. Aila, "Temporal Ensembling for Semi-Supervised Learning", ICLR 2017, arXiv:1610.02242, Algorithm 2.
"""

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, memory, schedules


class TemporalEnsembling(Method):
    """Cross-entropy of labels and the distance to each image's own running average.

    ``L = CE(y, p(x)) + w(t) 1/(N C) sum ||p(u) - z||^2``, ``Z <- a Z + (1 - a) p(u)``, ``z = Z / (1 - a^k)``.

    Z starts at 0 and k counts the updates of that image's row, so the correction is exact for every image in any order.
    The stream shows every image of the pool once before it shows one again. So updating a row right after its target
    was read is the paper's update at the end of the epoch. An image that was never seen has no target and no weight,
    which is the paper's weight of 0 in the first epoch.

    Args:
        weight: Weight w of the mean over all elements, 30 in the "Tricks" project.
        by_labels: True multiplies the weight by M/N, with M of N training images labeled: the paper's, with a weight of
            100.
        alpha: Decay a, 0.6 in the paper.
        update: ``epoch`` as in the paper. With ``iteration`` the current output enters the average before the target is
            read (iTempens of the "Tricks" project).
        average: Values that are averaged: ``probs``, as in the paper, or ``logits`` (the "Tricks" project).
        ramp: Ramp of the weight, ``sigmoid`` in the paper.
        ramp_up: Length of the ramp, as a part of the run: 80 of 300 epochs in the paper.
    """

    views = Views(labeled="weak", unlabeled=("weak",))
    remembers_images = True
    terms = ("supervised", "consistency")
    ranges = {"alpha": (0.0, 0.9999)}
    choices = {"update": ("epoch", "iteration"), "average": ("probs", "logits")}

    def __init__(
        self,
        weight: float = 30.0,
        by_labels: bool = False,
        alpha: float = 0.6,
        update: str = "epoch",
        average: str = "probs",
        ramp: str = "sigmoid",
        ramp_up: float = 0.27,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.by_labels, self.alpha = weight, by_labels, alpha
        self.update, self.average = update, average
        self.ramp, self.ramp_up, self.share = ramp, ramp_up, 1.0

    def build(self, sizes):
        """Create Z and k."""
        self.ensemble = self.table(sizes, "ensemble", sizes.classes)
        self.updates = self.table(sizes, "updates", 1)
        self.share = sizes.share_of_labels("temporal_ensembling") if self.by_labels else 1.0
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the supervised cross-entropy and the distance to the ensemble."""
        logits, logits_u = student.together(batch.labeled, *batch.unlabeled)
        target, known = self.targets(batch.index, logits_u)
        weight = self.weight * self.share * schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "consistency": weight * losses.mse(target, losses.softmax(logits_u), known),
        }

    def targets(self, index, logits):
        """Move the rows of these images, and return targets ``[U, C]`` and a mask ``[U]`` of those that exist."""
        outputs = losses.softmax(logits) if self.average == "probs" else ops.cast(logits, "float32")
        before, count = memory.read(self.ensemble, index), memory.read(self.updates, index)
        after = self.alpha * before + (1.0 - self.alpha) * outputs
        memory.write(self.ensemble, index, after)
        memory.write(self.updates, index, count + 1.0)
        average, updates = (before, count) if self.update == "epoch" else (after, count + 1.0)
        corrected = average / ops.maximum(1.0 - ops.power(self.alpha, updates), 1e-7)
        return corrected if self.average == "probs" else ops.softmax(corrected), count[:, 0] > 0
