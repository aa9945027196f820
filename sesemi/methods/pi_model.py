"""Pi model: the network should answer two random views of an image alike.

S. Laine and T. Aila, "Temporal Ensembling for Semi-Supervised Learning", ICLR 2017, arXiv:1610.02242, Algorithm 1.
"""

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, schedules


class PiModel(Method):
    """Loss ``CE(y, p(x)) + w(t) 1/(N C) sum ||p(u') - p(u'')||^2``, u' and u'' two views with their own dropout.

    Args:
        weight: Weight w of the mean over all elements, 30 in the "Tricks" project.
        by_labels: True multiplies the weight by M/N, with M of N training images labeled: the paper's, with a weight of
            100. Fewer labels bear less of it: with 20 of 1,000 digits a weight of 30 drowns them.
        both_sides: True lets the gradient flow into both views, as in the paper. Default: into the first only, which is
            cheaper and usual in comparisons (the loss is the same, the gradient half).
        ramp: Ramp of the weight, ``sigmoid`` in the paper.
        ramp_up: Length of the ramp, as a part of the run: 30 of 400 epochs in the "Tricks" project.
    """

    views = Views(labeled="weak", unlabeled=("weak", "weak"))
    terms = ("supervised", "consistency")

    def __init__(
        self,
        weight: float = 30.0,
        by_labels: bool = False,
        both_sides: bool = False,
        ramp: str = "sigmoid",
        ramp_up: float = 0.075,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.by_labels, self.both_sides = weight, by_labels, both_sides
        self.ramp, self.ramp_up, self.share = ramp, ramp_up, 1.0

    def build(self, sizes):
        """Note the share of labels, if the weight depends on it."""
        self.share = sizes.share_of_labels("pi_model") if self.by_labels else 1.0
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the supervised cross-entropy and the squared difference of the two views."""
        logits, first, second = student.together(batch.labeled, *batch.unlabeled)
        weight = self.weight * self.share * schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        difference = losses.mse(losses.softmax(second), losses.softmax(first), stop_targets=not self.both_sides)
        return {"supervised": losses.cross_entropy(batch.labels, logits), "consistency": weight * difference}
