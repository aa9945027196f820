"""FixMatch: a confident answer to a weak view is the pseudo-label of a strong view.

K. Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020,
arXiv:2001.07685, Algorithm 1.
"""

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, memory


class FixMatch(Method):
    """Cross-entropy of labels, and that of confident pseudo-labels on strong views.

    ``L = CE(y, p(A(x))) + w 1/(mu B) sum_i [max q_i >= threshold] CE(argmax q_i, p(S(u_i)))``, ``q = sg p(A(u))``.

    Images below the threshold count in the mean, so that the loss is small while few pass (equation 4).

    Args:
        weight: Weight w, 1 in the paper (10 on ImageNet).
        threshold: Threshold tau of the confidence, 0.95 in the paper (0.7 on ImageNet).
        target: Source of q. ``iteration``: the weak view of this step (the paper). ``epoch``: the answer to the weak
            view when the image was last seen, an epoch ago ("eFixMatch" of the "Tricks" project; an image never seen
            has no target).
        ema_decay: Decay of the teacher, which is only evaluated; 0.999 in the authors' program.
    """

    views = Views(labeled="weak", unlabeled=("weak", "strong"))
    terms = ("supervised", "pseudo")
    evaluated = "teacher"
    gives_pseudo_labels = True
    choices = {"target": ("iteration", "epoch")}

    def __init__(
        self,
        weight: float = 1.0,
        threshold: float = 0.95,
        target: str = "iteration",
        ema_decay: float = 0.999,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.threshold, self.target, self.ema_decay = weight, threshold, target, ema_decay

    @property
    def remembers_images(self):
        """True only for targets of the last epoch."""
        return self.target == "epoch"

    def build(self, sizes):
        """Create the table of the last outputs."""
        if self.target == "epoch":
            self.outputs = self.table(sizes, "outputs", sizes.classes)
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels and that of the confident pseudo-labels on the strong views."""
        weak, strong = batch.unlabeled
        logits, logits_w, logits_s = student.together(batch.labeled, weak, strong)
        probs = ops.stop_gradient(losses.softmax(logits_w))
        if self.target == "epoch":
            now, probs = probs, memory.read(self.outputs, batch.index)
            memory.write(self.outputs, batch.index, now)
        pseudo_labels, confidence = ops.argmax(probs, axis=-1), ops.max(probs, axis=-1)
        # A row that was never written is all zeros: such an image has no pseudo-label.
        given = confidence > 0.0
        mask = ops.logical_and(confidence >= self.threshold, given)
        batch.report.pseudo_labels(pseudo_labels, mask, given)
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "pseudo": self.weight * losses.cross_entropy(pseudo_labels, logits_s, mask),
        }
