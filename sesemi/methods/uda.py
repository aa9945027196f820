"""UDA: a sharpened answer to a weak view is the target for a strong one; labels are released little by little.

Q. Xie et al., "Unsupervised Data Augmentation for Consistency Training", NeurIPS 2020, arXiv:1904.12848.
"""

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, replicas

TSA = ("none", "linear", "exp", "log")


class UDA(Method):
    """Loss ``TSA(CE(y, p(A(x)))) + w 1/(mu B) sum_i [max q_i >= threshold] KL(sharpen(q_i, T) || p(S(u_i)))``.

    ``q = p(A(u))``. The mask looks at the probabilities before they are sharpened, and the target has no gradient.
    Training signal annealing (TSA in the paper) leaves out the labeled images whose *correct* class has more
    probability than ``1/C + c (1 - 1/C)``. It divides by the number of those that stay (the authors' program).

    Args:
        weight: Weight w, 1 in the paper.
        threshold: Threshold of the confidence, 0.8 in USB.
        temperature: Temperature T, 0.4 in USB.
        tsa: Growth of c over the run, x being the part of the run that is done: ``none`` leaves no image out,
            ``linear`` is ``x``, ``exp`` is ``exp(5 (x - 1))`` (for very few labels), ``log`` is ``1 - exp(-5 x)``. Past
            the end of the run c is at most 1; ``log``, which is 0.9933 there, goes on towards 1.
        ema_decay: Decay of the teacher, which is only evaluated.
    """

    views = Views(labeled="weak", unlabeled=("weak", "strong"))
    terms = ("supervised", "consistency")
    evaluated = "teacher"
    gives_pseudo_labels = True
    choices = {"tsa": TSA}

    def __init__(
        self,
        weight: float = 1.0,
        threshold: float = 0.8,
        temperature: float = 0.4,
        tsa: str = "none",
        ema_decay: float = 0.999,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.threshold, self.temperature = weight, threshold, temperature
        self.tsa, self.ema_decay = tsa, ema_decay

    def loss_terms(self, batch, student, teacher):
        """Return the annealed cross-entropy of labels, and the divergence from sharpened targets."""
        weak, strong = batch.unlabeled
        logits, logits_w, logits_s = student.together(batch.labeled, weak, strong)
        probs = ops.stop_gradient(losses.softmax(logits_w))
        mask = ops.max(probs, axis=-1) >= self.threshold
        batch.report.pseudo_labels(ops.argmax(probs, axis=-1), mask)
        targets = losses.sharpen(probs, self.temperature)
        return {
            "supervised": self.supervised(batch, logits),
            "consistency": self.weight * losses.kl_divergence(targets, logits_s, mask),
        }

    def supervised(self, batch, logits):
        """Return the cross-entropy of the labeled images that are not yet known too well."""
        if self.tsa == "none":
            return losses.cross_entropy(batch.labels, logits)
        probs = losses.softmax(logits)
        correct = ops.sum(probs * ops.one_hot(batch.labels, probs.shape[-1]), axis=-1)
        kept = ops.cast(correct <= self.release(batch.progress, probs.shape[-1]), "float32")
        share = replicas.mean(ops.sum(kept) / kept.shape[0])
        one = 1.0 / (kept.shape[0] * replicas.count())
        return losses.cross_entropy(batch.labels, logits, kept) / ops.maximum(share, one)

    def release(self, progress, classes: int):
        """Return the probability above which a labeled image is left out, in [1/C, 1]."""
        x = ops.cast(progress, "float32")
        grown = {"linear": x, "exp": ops.exp(5.0 * (x - 1.0)), "log": 1.0 - ops.exp(-5.0 * x)}[self.tsa]
        return 1.0 / classes + ops.minimum(grown, 1.0) * (1.0 - 1.0 / classes)
