"""DST: a head of its own learns from pseudo-labels, and another one shows the trunk the worst that they could do.

B. Chen et al., "Debiased Self-Training for Semi-Supervised Learning", NeurIPS 2022, arXiv:2202.07136.
"""

import keras
from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses
from sesemi.primitives.layers import StepDropout


class DST(Method):
    """Loss ``CE(y, h(x)) + w L_pseudo + w_w [e CE(c(h(x)), h_w(x)) - 1/N sum log(1 - h_w(u)_c(h(u)) + 1e-6)]``.

    ``L_pseudo = 1/N sum_i [max h(A(u_i)) >= threshold] CE(argmax h(A(u_i)), h_pl(S(u_i)))`` trains h_pl and the trunk.
    h never learns from it, and h_pl never sees a label. h_w tries to agree with h on labeled images and to disagree on
    unlabeled ones: this is the worst that pseudo-labels can lead to. The trunk, behind a reversed gradient, learns to
    make that impossible. c is the most probable class. x and u are weak views in the terms of h_w. Only h is used for
    inference.

    The reversed gradient grows with the update t: ``2 r / (1 + exp(-t / s)) - r`` (the authors' program).

    Args:
        weight: Weight w of the pseudo-labels, 1 in the authors' program.
        threshold: Threshold of the confidence of h, 0.7 in the authors' program.
        worst_weight: Weight w_w, 1 in the authors' program.
        worst_labeled_weight: Factor e, 1 in the authors' program, 2 in its scripts.
        reversal: Factor r, 0.1 in the authors' program.
        reversal_steps: Number of updates s, 1,000 in the authors' program.
        width: Width of the hidden layer of h_pl and h_w (Dense, ReLU, dropout of 0.5, Dense); 2,048 in the authors'
            program.
    """

    views = Views(labeled="weak", unlabeled=("weak", "strong"))
    terms = ("supervised", "pseudo", "worst")
    gives_pseudo_labels = True
    ranges = {"width": (1, 10**5), "reversal_steps": (1.0, 1e9)}

    def __init__(
        self,
        weight: float = 1.0,
        threshold: float = 0.7,
        worst_weight: float = 1.0,
        worst_labeled_weight: float = 2.0,
        reversal: float = 0.1,
        reversal_steps: float = 1000.0,
        width: int = 2048,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.threshold, self.width = weight, threshold, width
        self.worst_weight, self.worst_labeled_weight = worst_weight, worst_labeled_weight
        self.reversal, self.reversal_steps = reversal, reversal_steps

    def build(self, sizes):
        """Create h_pl and h_w."""
        self.pseudo_head = Head(sizes.classes, self.width, name="pseudo_head")
        self.worst_head = Head(sizes.classes, self.width, name="worst_head")
        for head in (self.pseudo_head, self.worst_head):
            head.build((None, sizes.features))
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels, that of pseudo-labels, and the loss of the worst head."""
        weak, strong = batch.unlabeled
        features, features_w, features_s = student.features(batch.labeled, weak, strong)
        logits, logits_w = student.logits(features), ops.stop_gradient(student.logits(features_w))
        probs = losses.softmax(logits_w)
        pseudo_labels, mask = ops.argmax(probs, axis=-1), ops.max(probs, axis=-1) >= self.threshold
        batch.report.pseudo_labels(pseudo_labels, mask)
        t = ops.cast(batch.step, "float32")
        factor = 2.0 * self.reversal / (1.0 + ops.exp(-t / self.reversal_steps)) - self.reversal
        worst, worst_u = (self.worst_head(reverse(f, factor)) for f in (features, features_w))
        agrees = losses.cross_entropy(ops.argmax(logits, axis=-1), worst)
        said = ops.sum(losses.softmax(worst_u) * ops.one_hot(pseudo_labels, probs.shape[-1]), axis=-1)
        disagrees = -ops.mean(ops.log(1.0 - said + 1e-6))
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": self.weight * losses.cross_entropy(pseudo_labels, self.pseudo_head(features_s), mask),
            "worst": self.worst_weight * (self.worst_labeled_weight * agrees + disagrees),
        }


class Head(keras.layers.Layer):
    """Dense, ReLU, dropout of 0.5, Dense: from features ``[B, F]`` to logits ``[B, classes]``."""

    def __init__(self, classes: int, width: int, **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(width, activation="relu")
        self.out = keras.layers.Dense(classes, dtype="float32")
        self.dropout = StepDropout(0.5)
        self.dropout.salt = self.name

    def build(self, input_shape):
        """Create the weights."""
        self.hidden.build(input_shape)
        self.out.build((None, self.hidden.units))
        self.built = True

    def call(self, features):
        """Return logits, with dropout, because the head is used only in training."""
        return self.out(self.dropout(self.hidden(features), training=True))


def reverse(values, factor):
    """Return the same values, with a gradient multiplied by ``-factor`` (Ganin & Lempitsky 2015, arXiv:1409.7495)."""
    same = ops.stop_gradient(values)
    return same - ops.cast(factor, values.dtype) * (values - same)
