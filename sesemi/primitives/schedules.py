"""Ramps of a weight over a run, the decay of a teacher, and the learning rates that Keras does not have.

Functions take numbers or tensors and return float32.
"""

import math

import keras
from keras import ops

NAMES = ("none", "sigmoid", "linear", "cosine", "delayed")


def ramp(name: str, progress, length: float):
    """Return a factor in [0, 1] for a loss that starts to matter when its targets do.

    Args:
        name: ``none``; ``sigmoid``: ``exp(-5 (1 - x)^2)`` (Laine & Aila 2017); ``linear``: ``x``; ``cosine``:
            ``(1 - cos(pi x)) / 2`` (Berthelot et al. 2021, AdaMatch); ``delayed``: nothing in the first sixth of
            `length`, then linear (Lee 2013: T1 = 100, T2 = 600).
        progress: Updates so far / updates of the run, in [0, 1].
        length: Part of the run, in [0, 1], after which the factor is 1: ``x = min(progress / length, 1)``. With 0 there
            is no ramp.
    """
    progress = ops.cast(progress, "float32")
    if name == "none" or length == 0.0:
        return ops.ones_like(progress)
    x = ops.minimum(progress / length, 1.0)
    if name == "sigmoid":
        return ops.exp(-5.0 * ops.square(1.0 - x))
    if name == "linear":
        return x
    if name == "cosine":
        return 0.5 - 0.5 * ops.cos(math.pi * x)
    if name == "delayed":
        return ops.maximum(1.2 * x - 0.2, 0.0)
    raise ValueError(f"no ramp {name!r}; choose from {', '.join(NAMES)}")


def ema_decay(step, decay: float, *, warm_up: bool = True):
    """Return the share of a running average that is kept at the update number `step`.

    Args:
        step: Number of the update, from 1.
        decay: Largest value, in [0, 1].
        warm_up: True takes ``min(1 - 1/(step + 1), decay)``, so that early on the average is the plain mean (Tarvainen
            & Valpola 2017, the authors' program). False always takes `decay`.
    """
    step = ops.cast(step, "float32")
    return ops.minimum(1.0 - 1.0 / (step + 1.0), decay) if warm_up else ops.full_like(step, decay)


def longest_decay(decay: float, updates: int | None, part: float) -> float:
    """Return the decay of a running average that has to fit into a run.

    An average of decay a is one of about the last ``1 / (1 - a)`` updates. A decay of 0.999 suits 2**20 updates; of 600
    it would average over all, those of the first weights included.

    Args:
        decay: Decay that is wanted, in [0, 1].
        updates: Updates of the run; None where that is unknown, which leaves the decay as it is.
        part: Largest part of them to average over, in (0, 1].
    """
    return decay if updates is None else min(decay, 1.0 - 1.0 / max(part * updates, 1.0))


def student_of(step, total_steps: int, students: int):
    """Return the number, from 0, of the student that makes the update after `step` others.

    The students are trained one after the other for equally long.

    Args:
        step: Number or integer tensor, in ``0 … total_steps - 1``; later ones belong to the last student.
        total_steps: Number of updates of all students.
        students: Number of students. Number k begins at ``floor(k total_steps / students)``.
    """
    return ops.minimum(((step + 1) * students - 1) // total_steps, students - 1)


@keras.saving.register_keras_serializable("sesemi")
class Cosine716(keras.optimizers.schedules.LearningRateSchedule):
    """Schedule ``rate * cos(7 pi t / (16 T))``, which ends at a fifth of the rate.

    Source: Sohn et al. 2020, arXiv:2001.07685, §2.4.

    Args:
        rate: Learning rate of the first update.
        total_steps: Number of updates T.
    """

    def __init__(self, rate: float, total_steps: int):
        self.rate, self.total_steps = rate, total_steps

    def __call__(self, step):
        """Return the rate of the update after `step` others."""
        progress = ops.minimum(ops.cast(step, "float32") / self.total_steps, 1.0)
        return self.rate * ops.cos(7.0 / 16.0 * math.pi * progress)

    def get_config(self):
        """Return the arguments."""
        return {"rate": self.rate, "total_steps": self.total_steps}


@keras.saving.register_keras_serializable("sesemi")
class ForEachStudent(keras.optimizers.schedules.LearningRateSchedule):
    """Schedule that repeats the whole of another one for each of several students (see `student_of`).

    Args:
        schedule: Schedule over `total_steps` updates.
        total_steps: Number of updates of all students.
        students: Number of students.
    """

    def __init__(self, schedule, total_steps: int, students: int):
        self.schedule, self.total_steps, self.students = schedule, total_steps, students

    def __call__(self, step):
        """Return the rate of the update after `step` others."""
        step = ops.cast(step, "int64")
        number = student_of(step, self.total_steps, self.students)
        first, last = (n * self.total_steps // self.students for n in (number, number + 1))
        own = ops.cast(step - first, "float32") / ops.cast(last - first, "float32")
        return self.schedule(own * self.total_steps)

    def get_config(self):
        """Return the arguments."""
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "total_steps": self.total_steps, "students": self.students}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Make a schedule from `get_config`."""
        schedule = keras.optimizers.schedules.deserialize(config["schedule"], custom_objects)
        return cls(schedule, config["total_steps"], config["students"])
