"""AdaMatch: FixMatch with aligned pseudo-labels and a threshold relative to the confidence on labeled images.

D. Berthelot et al., "AdaMatch: A Unified Approach to Semi-Supervised Learning and Domain Adaptation", ICLR 2022,
arXiv:2106.04732, §3.
"""

from keras import ops

from sesemi.errors import InputError
from sesemi.methods.base import STARTS, Method, Views
from sesemi.primitives import losses, memory, replicas, schedules


class AdaMatch(Method):
    """FixMatch by ``q ~ p(A(u)) E[p(A(x))] / E[p(A(u))]``, accepted where ``max q >= tau mean max p(A(x))``.

    q is normalized to 1. It gives the pseudo-labels and their confidences. Both expectations are running averages. They
    move before they are used. With ``momentum=0`` they are the means of the batch, as in the paper.

    Args:
        weight: Weight w of the pseudo-label loss, 1 in the paper.
        threshold: Relative threshold tau, 0.9 in the paper, 0.95 in USB.
        momentum: Momentum of the running averages, 0.999 in USB.
        start: First value of that of the unlabeled images: ``uniform``, or ``batch``, the mean of the first batch, as
            in USB's program. That of the labeled ones starts uniform in both. The paper has no running averages.
        interpolate: True turns random logit interpolation on: the labeled images also go through the trunk alone, and
            each of their logits becomes ``l z_together + (1 - l) z_alone``, with ``l`` uniform in [0, 1]. Needs a joint
            forward.
        strong_labels: True adds the cross-entropy of strong views of the labeled images, as in the paper.
        hard: True takes the most probable class of q as the target, as in USB. False takes q itself.
        ema_decay: Decay of the teacher, which is only evaluated.
        ramp: Ramp of the weight: ``cosine`` in the paper, ``none`` in USB.
        ramp_up: Length of the ramp, as a part of the run; half of the run in the paper.
    """

    evaluated = "teacher"
    gives_pseudo_labels = True
    terms = ("supervised", "pseudo")
    ranges = {"momentum": (0.0, 1.0)}
    choices = {"start": STARTS}

    def __init__(
        self,
        weight: float = 1.0,
        threshold: float = 0.95,
        momentum: float = 0.999,
        start: str = "uniform",
        interpolate: bool = False,
        strong_labels: bool = False,
        hard: bool = True,
        ema_decay: float = 0.999,
        ramp: str = "none",
        ramp_up: float = 0.5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.threshold, self.momentum, self.start = weight, threshold, momentum, start
        self.interpolate, self.strong_labels, self.hard = interpolate, strong_labels, hard
        self.ema_decay, self.ramp, self.ramp_up = ema_decay, ramp, ramp_up

    @property
    def views(self):
        """Weak and strong views of the unlabeled images; weak (with `strong_labels` also strong) of the labeled."""
        return Views("weak", ("weak", "strong"), also_labeled=("strong",) if self.strong_labels else ())

    def check_batches(self, *, labeled, unlabeled, joint_forward, regularize_labeled):
        """Refuse `interpolate` without a joint forward: the two passes would be the same."""
        if self.interpolate and not joint_forward:
            raise InputError(
                "needs `joint_forward=True`, where images together differ from images alone",
                setting="arguments.interpolate",
                value="true",
            )

    def build(self, sizes):
        """Create the two expectations."""
        uniform, shape = 1.0 / sizes.classes, (sizes.classes,)
        self.expected_labeled = self.running_average("expected_labeled", shape, uniform)
        self.expected = self.running_average("expected", shape, uniform if self.start == "uniform" else 0.0)
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the cross-entropy of labels and that of aligned pseudo-labels."""
        images, (weak, strong) = (batch.labeled, *batch.also_labeled), batch.unlabeled
        *logits, logits_w, logits_s = student.together(*images, weak, strong)
        if self.interpolate:
            logits = self.interpolated(logits, student.together(*images, moves_averages=False), batch.draws)
        probs_l = ops.stop_gradient(losses.softmax(logits[0]))
        aligned = self.aligned(ops.stop_gradient(losses.softmax(logits_w)), probs_l)
        pseudo_labels = ops.argmax(aligned, axis=-1)
        targets = ops.one_hot(pseudo_labels, aligned.shape[-1]) if self.hard else aligned
        mask = ops.max(aligned, axis=-1) >= self.threshold * replicas.mean(ops.mean(ops.max(probs_l, axis=-1)))
        batch.report.pseudo_labels(pseudo_labels, mask)
        weight = self.weight * schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        return {
            "supervised": sum(losses.cross_entropy(batch.labels, view) for view in logits),
            "pseudo": weight * losses.soft_cross_entropy(targets, logits_s, mask),
        }

    def aligned(self, probs, probs_l):
        """Return probabilities ``[U, C]`` whose mean is drawn to that of the labeled images."""
        expected_l = memory.move(self.expected_labeled, replicas.mean(ops.mean(probs_l, axis=0)), self.momentum)
        batch, copies = replicas.mean(ops.mean(probs, axis=0)), self.start == "batch"
        expected = memory.move(self.expected, batch, self.momentum, copies_first=copies)
        scaled = probs * (1e-6 + expected_l) / (1e-6 + expected)
        return scaled / ops.sum(scaled, axis=-1, keepdims=True)

    @staticmethod
    def interpolated(together, alone, draws):
        """Return for each view logits between those of the two passes."""
        ratios = [ops.cast(draws.uniform(f"logits/{i}", z.shape), z.dtype) for i, z in enumerate(together)]
        return [r * a + (1.0 - r) * b for r, a, b in zip(ratios, together, alone, strict=True)]
