"""DebiasMatch: FixMatch whose pseudo-labels and margins make up for the classes that it favours.

X. Wang et al., "Debiased Learning from Naturally Imbalanced Pseudo-Labels", CVPR 2022, arXiv:2201.01490.
"""

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, memory, replicas


class DebiasMatch(Method):
    """FixMatch with ``q = softmax(f(A(u)) - l log m)`` and ``CE(argmax q, softmax(f(S(u)) + l log m))``.

    f gives logits. The paper calls the first adaptive debiasing and the second the adaptive marginal loss.
    ``m <- a m + (1 - a) mean p(A(u))`` starts uniform, persists over the whole run, and moves before it is used. It is
    the mean of the plain probabilities and carries no gradient.

    Args:
        weight: Weight w of the pseudo-label loss, 1 in the paper.
        threshold: Threshold of the confidence of q, 0.95 in the paper.
        debias: Strength l, the same for target and margin; 1 in TLlib (3 in its CIFAR script).
        momentum: Momentum a, 0.999 in the paper.
    """

    views = Views(labeled="weak", unlabeled=("weak", "strong"))
    terms = ("supervised", "pseudo")
    gives_pseudo_labels = True
    ranges = {"momentum": (0.0, 1.0)}

    def __init__(
        self,
        weight: float = 1.0,
        threshold: float = 0.95,
        debias: float = 1.0,
        momentum: float = 0.999,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.threshold, self.debias, self.momentum = weight, threshold, debias, momentum

    def build(self, sizes):
        """Create m."""
        self.mean_probs = self.running_average("mean_probs", (sizes.classes,), 1.0 / sizes.classes)
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels and that of debiased pseudo-labels with a margin."""
        weak, strong = batch.unlabeled
        logits, logits_w, logits_s = student.together(batch.labeled, weak, strong)
        logits_w = ops.stop_gradient(ops.cast(logits_w, "float32"))
        said = replicas.mean(ops.mean(losses.softmax(logits_w), axis=0))
        mean = memory.move(self.mean_probs, said, self.momentum)
        bias = self.debias * ops.log(ops.maximum(mean, 1e-12))
        probs = losses.softmax(logits_w - bias)
        pseudo_labels, mask = ops.argmax(probs, axis=-1), ops.max(probs, axis=-1) >= self.threshold
        batch.report.pseudo_labels(pseudo_labels, mask)
        margin = ops.cast(logits_s, "float32") + bias
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": self.weight * losses.cross_entropy(pseudo_labels, margin, mask),
        }
