"""`EMATeacher`: a second copy of a network whose weights are the running average of the first's.

A. Tarvainen and H. Valpola, "Mean teachers are better role models", NeurIPS 2017, arXiv:1703.01780.
"""

from typing import Any

import keras
import tensorflow as tf

from sesemi.primitives import layers, schedules


class EMATeacher(keras.callbacks.Callback):
    """Callback that moves a teacher after every update.

    ``teacher <- a teacher + (1 - a) student``, ``a = min(1 - 1/(t + 1), decay)`` at update t.

    It works for any ``model.fit``. A `sesemi.training.model.SemiSupervisedModel` brings its teacher along. Of a
    functional or Sequential model a copy is made when training begins, and is found in ``teacher``. For any other model
    give `teacher`. All variables are carried by position, BatchNorm's moving mean and variance included, in one
    compiled call a step. t is the optimizer's count, so a resume needs nothing of this object.

    Args:
        decay: Largest share of the old average that is kept, in [0, 1].
        warm_up: False keeps exactly `decay` from the first update on.
        statistics: ``average`` treats BatchNorm's moving mean and variance like weights, ``copy`` takes the student's.
        teacher: Network to move; default: see above.

    Raises:
        ValueError: If an argument is out of range. At the start of training, if ``steps_per_execution`` is above 1 (the
            updates in between would be missed), or the teacher has other variables than the student.
    """

    def __init__(self, decay: float = 0.999, warm_up: bool = True, *, statistics: str = "average", teacher=None):
        super().__init__()
        if not 0.0 <= decay <= 1.0:
            raise ValueError(f"decay={decay}: must lie from 0 to 1")
        if statistics not in ("average", "copy"):
            raise ValueError(f"statistics={statistics!r}: choose from average, copy")
        self.decay, self.warm_up, self.statistics, self.teacher = decay, warm_up, statistics, teacher
        self._given, self._moves = teacher, None
        self._update: Any = None

    def on_train_begin(self, logs=None):
        """Find or make the teacher, and pair the variables."""
        if self.model.steps_per_execution > 1:
            raise ValueError(
                f"EMATeacher needs steps_per_execution=1, got {self.model.steps_per_execution}: it moves the teacher "
                "after every update, and would miss those in between"
            )
        if self._moves is self.model:
            return
        brings = getattr(self.model, "teacher", None)
        self.teacher = self._given or brings or copy_of(self.model)
        pairs = variable_pairs(self.teacher, self.model if brings is None else self.model.classifier)
        self._moves = self.model
        self._update = tf.function(lambda step: self._move(pairs, step), autograph=False)

    def on_train_batch_end(self, batch, logs=None):
        """Move the teacher."""
        self._update(self.model.optimizer.iterations.value)

    def _move(self, pairs, step):
        decay = schedules.ema_decay(step, self.decay, warm_up=self.warm_up)
        for mean, value in pairs:
            if self.statistics == "copy" and value.name in layers.MOVING_AVERAGES:
                mean.assign(value)
            else:
                mean.assign(decay * mean + (1.0 - decay) * value)


def variable_pairs(teacher, student) -> list[tuple[keras.Variable, keras.Variable]]:
    """Return the floating-point weights of two networks of one architecture, by position; shared ones are left out.

    Raises:
        ValueError: If they do not match.
    """
    pairs = list(zip(teacher.weights, student.weights, strict=False))
    same = len(teacher.weights) == len(student.weights)
    if not same or any(a.shape != b.shape or a.name != b.name for a, b in pairs):
        raise ValueError("the teacher must have the same variables as the student; copy it from the student")
    return [(a, b) for a, b in pairs if a is not b and "float" in b.dtype]


def copy_of(model: keras.Model) -> keras.Model:
    """Return a frozen copy of a functional or Sequential model, weights included.

    Raises:
        ValueError: If it is neither.
    """
    try:
        copy = keras.models.clone_model(model)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f"EMATeacher cannot copy a {type(model).__name__}: give it teacher=, a second one with the same weights"
        ) from error
    copy.set_weights(model.get_weights())
    copy.trainable = False
    return copy
