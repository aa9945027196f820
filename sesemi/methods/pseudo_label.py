"""Pseudo-labels: take the network's own prediction for the truth.

D.-H. Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method", ICML workshop 2013.
"""

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, memory, schedules


class PseudoLabel(Method):
    """Loss ``CE(y, p(x)) + w(t) 1/N sum_i m_i CE(q_i, p(u_i))``, ``m_i = [max q_i >= threshold]``; q without gradient.

    Args:
        weight: Weight w; 1 in the "Tricks" project, 3 in the paper.
        target: Source of q. ``iteration``: the prediction of this step. ``epoch``: the prediction when the image was
            last seen, an epoch ago (an image never seen has no target).
        hard: True takes the most probable class as q. False takes the probabilities themselves, for ``epoch`` only,
            because the cross-entropy of a prediction with itself has no gradient.
        threshold: Least confidence of an image that counts. Images below it still count in N. With 0 every image
            counts, as in the paper; 0.95 is usual today.
        ramp: Ramp of the weight: ``sigmoid``, or ``delayed`` for the paper's T1 and T2.
        ramp_up: Length of the ramp, as a part of the run: 30 of 400 epochs in the "Tricks" project.
    """

    views = Views(labeled="weak", unlabeled=("weak",))
    terms = ("supervised", "pseudo")
    gives_pseudo_labels = True
    choices = {"target": ("iteration", "epoch")}

    def __init__(
        self,
        weight: float = 1.0,
        target: str = "iteration",
        hard: bool = True,
        threshold: float = 0.0,
        ramp: str = "sigmoid",
        ramp_up: float = 0.075,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.target, self.hard, self.threshold = weight, target, hard, threshold
        self.ramp, self.ramp_up = ramp, ramp_up

    @property
    def remembers_images(self):
        """True only for targets of the last epoch."""
        return self.target == "epoch"

    def check(self):
        """Refuse soft targets of the same iteration too."""
        super().check()
        if self.target == "iteration" and not self.hard:
            raise ValueError("hard=false: needs target=epoch (of the same iteration, soft targets have no gradient)")

    def build(self, sizes):
        """Create the table of the last outputs."""
        if self.target == "epoch":
            self.outputs = self.table(sizes, "outputs", sizes.classes)
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels and that of pseudo-labels."""
        logits, logits_u = student.together(batch.labeled, *batch.unlabeled)
        probs = losses.softmax(logits_u)
        if self.target == "epoch":
            now, probs = probs, memory.read(self.outputs, batch.index)
            memory.write(self.outputs, batch.index, now)
        # A row that was never written is all zeros: such an image has no pseudo-label.
        confidence = ops.max(probs, axis=-1)
        given = confidence > 0.0
        mask = ops.logical_and(confidence >= self.threshold, given)
        batch.report.pseudo_labels(ops.argmax(probs, axis=-1), mask, given)
        pseudo_labels = ops.one_hot(ops.argmax(probs, axis=-1), probs.shape[-1]) if self.hard else probs
        weight = self.weight * schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": weight * losses.soft_cross_entropy(pseudo_labels, logits_u, mask),
        }
