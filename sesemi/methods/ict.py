"""ICT: the prediction for a mixture of two images is the mixture of the teacher's predictions for them.

V. Verma et al., "Interpolation Consistency Training", IJCAI 2019, arXiv:1903.03825, Algorithm 1.
"""

from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, schedules
from sesemi.primitives.mixing import mix


class ICT(Method):
    """Cross-entropy of labels and the interpolation consistency of mixed images.

    ``L = CE(y, p(x)) + w(t) 1/(N C) sum ||p(mix(u, u_pi)) - mix(p'(u), p'(u_pi))||^2``, with ``l ~ Beta(a, a)`` as
    drawn.

    ``mix(a, b) = l a + (1 - l) b`` with an own l for every image. pi is a random order of the batch, p' the teacher.

    Args:
        weight: Weight w of the mean over all elements, 30 in the "Tricks" project.
        mix_alpha: Parameter a; 1 in the "Tricks" project, and in the paper for CIFAR-10.
        ema_decay: Decay of the teacher; 0.999 in the paper, .97 in the "Tricks" project.
        teacher_normalizes_by: ``batch`` (training mode, as in the authors' program) or ``averages``.
        ramp: Ramp of the weight, ``sigmoid`` in the paper.
        ramp_up: Length of the ramp, as a part of the run: 30 of 400 epochs in the "Tricks" project.
    """

    views = Views(labeled="weak", unlabeled=("weak",))
    terms = ("supervised", "consistency")
    evaluated = "teacher"
    choices = {"teacher_normalizes_by": ("batch", "averages")}

    def __init__(
        self,
        weight: float = 30.0,
        mix_alpha: float = 1.0,
        ema_decay: float = 0.99,
        teacher_normalizes_by: str = "batch",
        ramp: str = "sigmoid",
        ramp_up: float = 0.075,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.mix_alpha, self.ema_decay = weight, mix_alpha, ema_decay
        self.teacher_normalizes_by, self.ramp, self.ramp_up = teacher_normalizes_by, ramp, ramp_up

    def loss_terms(self, batch, student, teacher):
        """Return the supervised cross-entropy and the interpolation consistency."""
        (images,) = batch.unlabeled
        count = images.shape[0]
        order = batch.draws.permutation("partner", count)
        ratio = batch.draws.beta("ratio", (count,), self.mix_alpha)
        says = losses.softmax(teacher(images, training=self.teacher_normalizes_by == "batch"))
        target = mix(says, ops.take(says, order, axis=0), ratio)
        mixed = mix(images, ops.take(images, order, axis=0), ratio)
        logits, logits_u = student.together(batch.labeled, mixed)
        weight = self.weight * schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        return {
            "supervised": losses.cross_entropy(batch.labels, logits),
            "consistency": weight * losses.mse(target, losses.softmax(logits_u)),
        }
