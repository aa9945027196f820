"""FlexMatch: FixMatch with a threshold for each class, lower for those that are learned less.

B. Zhang et al., "FlexMatch: Boosting Semi-Supervised Learning with Curriculum Pseudo Labeling", NeurIPS 2021,
arXiv:2110.08263, Algorithm 1.
"""

import math

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, memory


class FlexMatch(Method):
    """FixMatch with ``threshold_c = tau M(beta_c)``, ``beta_c = n_c / max_c n_c`` (curriculum pseudo-labeling, §3).

    ``n_c`` is the number of unlabeled images whose last answer with a confidence of at least tau was c. An image keeps
    that class until another one takes its place. The thresholds are those before the batch; then the batch is
    remembered. While nothing has been learned, every beta and so every threshold is 0 and all pseudo-labels pass.

    Args:
        weight: Weight w of the pseudo-label loss, 1 in the paper.
        threshold: Threshold tau, 0.95 in the paper (0.8 on CIFAR-100 in TLlib).
        mapping: Function M: ``convex`` is ``b / (2 - b)`` (the paper), ``linear`` is ``b``, ``concave`` is
            ``ln(1 + b) / ln 2``.
        warm_up: True includes the number of images that have no class yet in the maximum (threshold warm-up).
        ema_decay: Decay of the teacher, which is only evaluated.
    """

    views = Views(labeled="weak", unlabeled=("weak", "strong"))
    terms = ("supervised", "pseudo")
    evaluated = "teacher"
    remembers_images = True
    gives_pseudo_labels = True
    choices = {"mapping": ("convex", "linear", "concave")}

    def __init__(
        self,
        weight: float = 1.0,
        threshold: float = 0.95,
        mapping: str = "convex",
        warm_up: bool = True,
        ema_decay: float = 0.999,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.threshold, self.mapping = weight, threshold, mapping
        self.warm_up, self.ema_decay = warm_up, ema_decay

    def build(self, sizes):
        """Create the memory: the class of each image plus 1, or 0 while it has none."""
        self.given = self.table(sizes, "given", 1)
        self.images, self.classes = sizes.images if sizes.unlabeled is None else sizes.unlabeled, sizes.classes
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels and that of the pseudo-labels above the threshold of their class."""
        weak, strong = batch.unlabeled
        logits, logits_w, logits_s = student.together(batch.labeled, weak, strong)
        probs = ops.stop_gradient(losses.softmax(logits_w))
        pseudo_labels, confidence = ops.argmax(probs, axis=-1), ops.max(probs, axis=-1)
        mask = confidence >= ops.take(self.thresholds(), pseudo_labels)
        self.remember(batch.index, pseudo_labels, confidence)
        batch.report.pseudo_labels(pseudo_labels, mask)
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": self.weight * losses.cross_entropy(pseudo_labels, logits_s, mask),
        }

    def thresholds(self):
        """Return ``threshold_c`` by the memory, ``[C]``."""
        given = ops.cast(self.given[:, 0], "int32")
        counts = ops.segment_sum(ops.ones(given.shape), given, num_segments=self.classes + 1)[1:]
        largest = ops.max(counts)
        if self.warm_up:
            largest = ops.maximum(largest, self.images - ops.sum(counts))
        beta = counts / ops.maximum(largest, 1.0)
        if self.mapping == "convex":
            beta = beta / (2.0 - beta)
        elif self.mapping == "concave":
            beta = ops.log1p(beta) / math.log(2.0)
        return self.threshold * beta

    def remember(self, index, pseudo_labels, confidence):
        """Write the classes of the confident images."""
        given = ops.cast(pseudo_labels[:, None] + 1, "float32")
        memory.write(self.given, index, given, mask=confidence >= self.threshold)
