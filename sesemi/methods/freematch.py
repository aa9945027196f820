"""FreeMatch: thresholds that follow the confidence, one of all classes and one of each, and a term for fairness.

Y. Wang et al., "FreeMatch: Self-adaptive Thresholding for Semi-supervised Learning", ICLR 2023, arXiv:2205.07246,
Algorithm 1.
"""

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, memory, replicas


class FreeMatch(Method):
    """FixMatch with ``threshold_c = t e_c / max_c e_c``, plus ``w_f sum_c a_c log b_c`` for fairness.

    t, e and h are running averages of the mean confidence, the mean of p(A(u)) and the histogram of its classes. All
    start at 1/C (USB's program starts them at 1) and move before they are used. ``a ~ e / h`` and ``b ~ mean p(S(u)) /
    histogram of its classes``, over the accepted images, each normalized to 1. A class that does not occur contributes
    0 to a quotient. a and both histograms carry no gradient. The fairness term is minus a cross-entropy and is
    minimized, so it is negative or 0.
    With no image accepted it is 0.

    Args:
        weight: Weight w of the pseudo-label loss, 1 in the paper.
        fairness_weight: Weight w_f, 0.01 by default in USB, 0.001 in its configurations.
        momentum: Momentum of the running averages, 0.999 in the paper.
        level_by: Statistic that t follows: the ``mean`` confidence (the paper) or its 0.8-``quantile`` (an option of
            the program).
        highest_threshold: Largest value of t; 0.95 on SVHN in the authors' program, else 1.
        ema_decay: Decay of the teacher, which is only evaluated.
    """

    views = Views(labeled="weak", unlabeled=("weak", "strong"))
    terms = ("supervised", "pseudo", "fairness")
    evaluated = "teacher"
    gives_pseudo_labels = True
    ranges = dict.fromkeys(("momentum", "highest_threshold"), (0.0, 1.0))
    choices = {"level_by": ("mean", "quantile")}

    def __init__(
        self,
        weight: float = 1.0,
        fairness_weight: float = 0.01,
        momentum: float = 0.999,
        level_by: str = "mean",
        highest_threshold: float = 1.0,
        ema_decay: float = 0.999,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.fairness_weight, self.momentum, self.level_by = weight, fairness_weight, momentum, level_by
        self.highest_threshold, self.ema_decay = highest_threshold, ema_decay

    def build(self, sizes):
        """Create t, e and h."""
        self.level = self.running_average("level", (), 1.0 / sizes.classes)
        self.mean_probs = self.running_average("mean_probs", (sizes.classes,), 1.0 / sizes.classes)
        self.histogram = self.running_average("histogram", (sizes.classes,), 1.0 / sizes.classes)
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels, that of accepted pseudo-labels, and the fairness term."""
        weak, strong = batch.unlabeled
        logits, logits_w, logits_s = student.together(batch.labeled, weak, strong)
        probs = ops.stop_gradient(losses.softmax(logits_w))
        pseudo_labels, confidence = ops.argmax(probs, axis=-1), ops.max(probs, axis=-1)
        thresholds, mean_probs, histogram = self.follow(replicas.gather(probs))
        mask = confidence >= ops.take(thresholds, pseudo_labels)
        batch.report.pseudo_labels(pseudo_labels, mask)
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": self.weight * losses.cross_entropy(pseudo_labels, logits_s, mask),
            "fairness": self.fairness_weight * fairness(losses.softmax(logits_s), mask, mean_probs, histogram),
        }

    def follow(self, probs):
        """Move t, e and h by the probabilities of all replicas; return the thresholds ``[C]``, e and h after that."""
        confidence = ops.max(probs, axis=-1)
        level = ops.mean(confidence) if self.level_by == "mean" else ops.quantile(confidence, 0.8)
        level = ops.minimum(memory.move(self.level, level, self.momentum), self.highest_threshold)
        self.level.assign(level)
        mean_probs = memory.move(self.mean_probs, ops.mean(probs, axis=0), self.momentum)
        histogram = memory.move(self.histogram, ops.mean(_classes_of(probs), axis=0), self.momentum)
        return level * mean_probs / ops.max(mean_probs), mean_probs, histogram


def fairness(probs, mask, mean_probs, histogram):
    """Return ``sum_c a_c log b_c``, a scalar of at most 0.

    Args:
        probs: ``[U, C]``, probabilities of the strong views.
        mask: ``[U]``, true for the accepted ones.
        mean_probs: Running average e, ``[C]``.
        histogram: Running average h, ``[C]``.
    """
    mask = ops.cast(mask, "float32")[:, None]
    # This is no mean over images, so it needs the sums over all replicas.
    count = replicas.total(ops.sum(mask))
    mean = replicas.total(ops.sum(mask * probs, axis=0)) / ops.maximum(count, 1.0)
    own = replicas.total(ops.sum(mask * _classes_of(probs), axis=0)) / ops.maximum(count, 1.0)
    a, b = _normalized(mean_probs * _inverse(histogram)), _normalized(mean * _inverse(own))
    return ops.where(count > 0, ops.sum(a * ops.log(b + 1e-12)), 0.0)


def _classes_of(probs):
    return ops.one_hot(ops.argmax(probs, axis=-1), probs.shape[-1])


def _inverse(values):
    """Return 1/x, and 0 for 0."""
    return ops.stop_gradient(ops.where(values > 0, 1.0 / ops.where(values > 0, values, 1.0), 0.0))


def _normalized(values):
    return values / ops.maximum(ops.sum(values), 1e-12)
