"""Mean Teacher: agree with the running average of one's own weights.

A. Tarvainen and H. Valpola, "Mean teachers are better role models", NeurIPS 2017, arXiv:1703.01780.
"""

import keras
from keras import ops

from sesemi.methods.base import Method, Views
from sesemi.primitives import losses, schedules


class MeanTeacher(Method):
    """Loss ``CE(y, p(x)) + w(t) d(p(u'), sg p'(u''))``, p' by the teacher ``theta' <- a theta' + (1 - a) theta``.

    u' and u'' are two weak views of an image. `EMATeacher` moves the teacher after each update. With two heads (the
    authors' program, "logit distance cost") the class head learns from labels, and a second head is drawn towards the
    teacher's *class* head. The two are held together by the cost times the mean squared difference of their logits.

    Args:
        weight: Weight w. For ``mse`` it multiplies a mean over all elements and lies between C and C^2 (authors'
            README). For ``kl``, which is not divided by C, it is 1 to 10.
        consistency: Distance d, ``mse`` (the paper) or ``kl`` (their ImageNet runs).
        ema_decay: Decay a; 0.97 with few labels, 0.999 in long runs (the authors' program).
        two_heads: True adds the second head, see above.
        logit_distance_cost: Cost of the difference of the two heads, 0.01 in the paper's CIFAR-10 runs.
        teacher_normalizes_by: ``batch`` (the authors' program: the teacher is in training mode too, dropout included)
            or ``averages`` (BatchNorm's moving averages; on digits these lag so far behind that the student learns a
            constant: 77 % error).
        ramp: Ramp of the weight, ``sigmoid`` in the paper.
        ramp_up: Length of the ramp, as a part of the run: 30 of 400 epochs in the "Tricks" project.
    """

    views = Views(labeled="weak", unlabeled=("weak", "weak"))
    evaluated = "teacher"
    choices = {"consistency": ("mse", "kl"), "teacher_normalizes_by": ("averages", "batch")}

    def __init__(
        self,
        weight: float = 30.0,
        consistency: str = "mse",
        ema_decay: float = 0.99,
        two_heads: bool = False,
        logit_distance_cost: float = 0.01,
        teacher_normalizes_by: str = "batch",
        ramp: str = "sigmoid",
        ramp_up: float = 0.075,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.weight, self.consistency, self.ema_decay = weight, consistency, ema_decay
        self.two_heads, self.logit_distance_cost = two_heads, logit_distance_cost
        self.teacher_normalizes_by, self.ramp, self.ramp_up = teacher_normalizes_by, ramp, ramp_up
        self.terms = ("supervised", "consistency", *(("logit_distance",) if two_heads else ()))

    def build(self, sizes):
        """Create the second head."""
        if self.two_heads:
            self.head = keras.layers.Dense(sizes.classes, dtype="float32", name="consistency_head")
            self.head.build((None, sizes.features))
        self.built = True

    def loss_terms(self, batch, student, teacher):
        """Return the supervised cross-entropy, the distance to the teacher, and with two heads their own distance."""
        view, teachers_view = batch.unlabeled
        features, features_u = student.features(batch.labeled, view)
        logits, logits_u = student.logits(features), student.logits(features_u)
        answer = self.head(features_u) if self.two_heads else logits_u
        target = losses.softmax(teacher(teachers_view, training=self.teacher_normalizes_by == "batch"))
        if self.consistency == "mse":
            distance = losses.mse(target, losses.softmax(answer))
        else:
            distance = losses.kl_divergence(target, answer)
        weight = self.weight * schedules.ramp(self.ramp, batch.progress, self.ramp_up)
        terms = {"supervised": losses.cross_entropy(batch.labels, logits), "consistency": weight * distance}
        if self.two_heads:
            first, second = ops.concatenate([logits, logits_u]), ops.concatenate([self.head(features), answer])
            terms["logit_distance"] = self.logit_distance_cost * losses.mse(second, first, stop_targets=False)
        return terms
