"""SoftMatch: every pseudo-label counts, by a weight that falls off below the mean confidence.

H. Chen et al., "SoftMatch: Addressing the Quantity-Quality Trade-off in Semi-supervised Learning", ICLR 2023,
arXiv:2301.10921, Algorithm 1.
"""

from keras import ops

from sesemi.methods.base import STARTS, Method, Views
from sesemi.primitives import losses, memory, replicas


class SoftMatch(Method):
    """FixMatch with a weight for each pseudo-label in place of the threshold.

    ``w 1/N sum_i a_i CE(argmax p(A(u_i)), p(S(u_i)))``, ``a = exp(-min(max q - m, 0)^2 / (2 v / n^2))``.

    q is p(A(u)) made uniform on average (uniform alignment), ``q ~ p / E[p]``. It serves the weight only: the label is
    that of p. m and v are running averages of the mean and the (unbiased) variance of ``max q`` over the batch. They
    start at 1/C and 1. All three move before they are used.

    Args:
        weight: Weight w, 1 in the paper.
        width: Divisor n: the weight a is a Gaussian of standard deviation ``sqrt(v) / n``; 2 in the paper's program.
        align: True aligns q, False takes p itself.
        momentum: Momentum of the running averages, 0.999 in the paper.
        start: First E[p]: ``uniform`` (Algorithm 1), or ``batch``, the mean of the first batch, as in USB's program. At
            a momentum of 0.999 the first hundreds of updates differ.
        ema_decay: Decay of the teacher, which is only evaluated.
    """

    views = Views(labeled="weak", unlabeled=("weak", "strong"))
    terms = ("supervised", "pseudo")
    evaluated = "teacher"
    gives_pseudo_labels = True
    ranges = {"momentum": (0.0, 1.0), "width": (1e-3, 1e3)}
    choices = {"start": STARTS}

    def __init__(
        self,
        weight: float = 1.0,
        width: float = 2.0,
        align: bool = True,
        momentum: float = 0.999,
        start: str = "uniform",
        ema_decay: float = 0.999,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.width, self.align, self.momentum = weight, width, align, momentum
        self.start, self.ema_decay = start, ema_decay

    def build(self, sizes):
        """Create m, v and E[p]."""
        first = 1.0 / sizes.classes if self.start == "uniform" else 0.0
        self.mean = self.running_average("mean", (), 1.0 / sizes.classes)
        self.variance = self.running_average("variance", (), 1.0)
        self.expected = self.running_average("expected", (sizes.classes,), first)
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels and that of weighted pseudo-labels."""
        weak, strong = batch.unlabeled
        logits, logits_w, logits_s = student.together(batch.labeled, weak, strong)
        probs = ops.stop_gradient(losses.softmax(logits_w))
        pseudo_labels, trust = ops.argmax(probs, axis=-1), self.trust(probs)
        batch.report.pseudo_labels(pseudo_labels, trust)
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": self.weight * losses.cross_entropy(pseudo_labels, logits_s, trust),
        }

    def trust(self, probs):
        """Return the weights a, ``[U]`` in (0, 1], which are 1 from the mean confidence on."""
        if self.align:
            batch, copies = replicas.mean(ops.mean(probs, axis=0)), self.start == "batch"
            expected = memory.move(self.expected, batch, self.momentum, copies_first=copies)
            probs = probs / ops.maximum(expected, 1e-12)
            probs = probs / ops.sum(probs, axis=-1, keepdims=True)
        confidence = ops.max(probs, axis=-1)
        everyone = replicas.gather(confidence)
        count = everyone.shape[0]
        mean = memory.move(self.mean, ops.mean(everyone), self.momentum)
        # The unbiased variance of one image alone would be 0/0.
        unbiased = ops.var(everyone) * count / max(count - 1, 1)
        variance = memory.move(self.variance, unbiased, self.momentum)
        below = ops.minimum(confidence - mean, 0.0)
        return ops.exp(-ops.square(below) / ops.maximum(2.0 * variance / self.width**2, 1e-12))
