"""Base class of the methods: a layer that is never called, with one function that reads like the paper's equations."""

import inspect
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import ops

from sesemi.errors import InputError, did_you_mean
from sesemi.primitives import schedules


@dataclass(frozen=True)
class Views:
    """Views of its images that a method wants, as kinds of `sesemi.augmentation.views`.

    Args:
        labeled: Kind of the view of the labeled images.
        unlabeled: One kind for each view of the unlabeled images. If empty, these images are not even looked up.
        also_labeled: One kind for each further view of the labeled images.
    """

    labeled: str = "weak"
    unlabeled: tuple[str, ...] = ()
    also_labeled: tuple[str, ...] = ()


class Report:
    """Pseudo-labels that a method gave in a step, kept for the log. Nothing is learned from them.

    Attributes:
        labels: ``[U]`` int32, a pseudo-label for each unlabeled image; None if the method gave none.
        mask: ``[U]`` float32, the degree to which each was accepted, in [0, 1].
        given: ``[U]`` float32, 1 where there was a pseudo-label to accept or not.
    """

    labels: Any = None
    mask: Any = None
    given: Any = None

    def pseudo_labels(self, labels, mask=None, given=None) -> None:
        """Record the pseudo-labels of the step.

        Args:
            labels: ``[U]`` int.
            mask: ``[U]`` bool, or float in [0, 1]. Default: all are accepted.
            given: ``[U]`` bool, False for images that have no pseudo-label yet. Default: all have one.
        """
        ones = ops.ones(labels.shape)
        self.labels = ops.cast(labels, "int32")
        self.mask = ones if mask is None else ops.stop_gradient(ops.cast(mask, "float32"))
        self.given = ones if given is None else ops.cast(given, "float32")


@dataclass(frozen=True)
class Batch:
    """Data of one step, as a method sees them.

    Args:
        labeled: ``[B, H, W, C]`` float32, preprocessed and augmented.
        labels: ``[B]`` int32.
        unlabeled: One tensor ``[U, H, W, C]`` for each of `Views.unlabeled`, all of the same images.
        index: ``[U]`` int32, indices of these images among the training images, which are the rows of a method's table.
            None in streams that do not say.
        step: Number of updates so far, a scalar.
        progress: Updates so far / updates of the run, float32 in [0, 1].
        draws: Random numbers of the method in this step (`sesemi.primitives.rng.Draws`).
        also_labeled: One tensor ``[B, H, W, C]`` for each of `Views.also_labeled`, of the labeled images.
        report: Place to record pseudo-labels.
    """

    labeled: Any
    labels: Any
    unlabeled: tuple[Any, ...]
    index: Any
    step: Any
    progress: Any
    draws: Any
    also_labeled: tuple[Any, ...] = ()
    report: Report = field(default_factory=Report)


@dataclass(frozen=True)
class Sizes:
    """Sizes that a method may use to build heads and tables.

    Args:
        features: Number of features of the trunk, averaged over the image.
        classes: Number of classes.
        images: Number of training images; None where it is unknown.
        unlabeled: Number of training images that the unlabeled batches are drawn from; None where it is unknown.
        values: Number of values in the trunk's feature map, not averaged: height x width x features. None where it is
            unknown.
        labeled: Number of training images with a label; None where it is unknown.
    """

    features: int
    classes: int
    images: int | None
    unlabeled: int | None = None
    values: int | None = None
    labeled: int | None = None

    def share_of_labels(self, method: str) -> float:
        """Return the part of the training images that has a label, M / N in Laine & Aila 2017.

        Raises:
            InputError: It is unknown.
        """
        if not self.images or self.labeled is None:
            cure = "give the model its pixels"
            raise InputError(f"{method} has to know how many images have a label", setting="by_labels", cure=cure)
        return self.labeled / self.images


class Method(keras.layers.Layer):
    """Way to learn from labeled and unlabeled images.

    It is a layer, so that its heads, tables and running averages are weights: they are saved, restored and moved with
    the model. Its hyper-parameters are the arguments of its class, kept as attributes of the same names.

    Class attributes:
        views: Views that it wants.
        terms: Names of the losses that `loss_terms` returns, in order.
        unlabeled_pool: ``"unlabeled"``, or ``"labeled"`` if its unlabeled branch sees only the labeled images.
        views_counted: Number of images that an unlabeled one counts for in images/s; None: as many as it has views.
        ema_decay: Decay of the teacher, a running average of the student's weights; None: there is no teacher.
        evaluated: Network that the paper evaluates, ``"student"`` or ``"teacher"``.
        remembers_images: True if it keeps a table with a row for every training image.
        gives_pseudo_labels: True if it records pseudo-labels in `Batch.report`.
        students: Number of networks that are trained one after the other. `next_student` is called before each of them
            except the first.
        ranges: Smallest and largest value of an argument. An argument without an entry must be 0 or more.
        choices: Allowed values of an argument.
    """

    views = Views()
    terms: tuple[str, ...] = ()
    unlabeled_pool = "unlabeled"
    views_counted: int | None = None
    ema_decay: float | None = None
    evaluated = "student"
    remembers_images = False
    gives_pseudo_labels = False
    students = 1
    ranges: dict[str, tuple[float, float]] = {}
    choices: dict[str, tuple[Any, ...]] = {}

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """Return its hyper-parameters with their defaults."""
        parameters = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}

    def check(self) -> None:
        """Refuse arguments of the wrong type or out of range.

        Raises:
            ValueError: If there is such an argument; the message is one line.
        """
        for name, default in self.arguments().items():
            value = getattr(self, name)
            allowed = (False, True) if isinstance(default, bool) else (SHARED_CHOICES | self.choices).get(name)
            if allowed is not None:
                if value not in allowed or type(value) is not type(allowed[0]):
                    raise InputError(
                        f"choose from {', '.join(map(str, allowed))}",
                        setting=name,
                        value=str(value),
                        cure=did_you_mean(value, allowed),
                    )
                continue
            kinds = int if isinstance(default, int) else (int, float)
            low, high = (SHARED_RANGES | self.ranges).get(name, (0.0, 1e6))
            if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
                what = "a whole number" if kinds is int else "a number"
                raise InputError(f"{what} from {low:g} to {high:g} is needed", setting=name, value=str(value))

    def check_batches(self, *, labeled: int, unlabeled: int, joint_forward: bool, regularize_labeled: bool) -> None:
        """Refuse a composition of the batches that the method cannot work with.

        Args:
            labeled: Number of labeled images in a step.
            unlabeled: Number of unlabeled images in a step.
            joint_forward: See `sesemi.training.model.SemiSupervisedModel`.
            regularize_labeled: See `sesemi.training.model.SemiSupervisedModel`.

        Raises:
            ValueError: If it cannot work with them; the message is one line.
        """
        if regularize_labeled and self.remembers_images:
            raise InputError(
                (
                    "a method with a table of what was said of each image would meet the rows of the labeled "
                    "ones every step"
                ),
                setting="regularize_labeled",
                cure="leave it out",
            )

    def images_per_step(self, *, labeled: int, unlabeled: int) -> int:
        """Return the number of images that go through the trunk in a step, for the log.

        Args:
            labeled: Number of labeled images in a step.
            unlabeled: Number of unlabeled images in a step.
        """
        views = len(self.views.unlabeled) if self.views_counted is None else self.views_counted
        return labeled * (1 + len(self.views.also_labeled)) + unlabeled * views

    def build(self, sizes: Sizes):
        """Create heads and state. The trainer calls this once."""
        self.built = True

    def table(self, sizes: Sizes, name: str, width: int):
        """Create a table with a row of `width` zeros for every training image.

        The table is a weight, so it is saved and resumed with the model.

        Raises:
            ValueError: If the number of images is unknown.
        """
        if sizes.images is None:
            raise ValueError(f"{type(self).__name__} keeps a table of all training images: give the model its pixels")
        shape = (sizes.images, width)
        return self.add_weight(name=name, shape=shape, initializer="zeros", dtype="float32", trainable=False)

    def running_average(self, name: str, shape: tuple[int, ...], initial: float):
        """Create a variable for `sesemi.primitives.memory.move`: a weight, so saved and resumed with the model."""
        constant = keras.initializers.Constant(initial)
        return self.add_weight(name=name, shape=shape, initializer=constant, dtype="float32", trainable=False)

    def next_student(self, probs) -> None:
        """Learn from the answers of the finished student, before a new one takes its place.

        Args:
            probs: ``[N, C]`` float32, the student's probabilities of all training images, which are not augmented.
        """
        raise NotImplementedError(f"{type(self).__name__} has one student")

    def loss_terms(self, batch: Batch, student, teacher) -> dict[str, Any]:
        """Return the weighted losses of one step, to be added up.

        Args:
            batch: Views and labels of the step.
            student: `sesemi.training.network.Network` of the weights that are trained.
            teacher: `sesemi.training.network.Network` of their running average, or None if the method has no teacher.

        Returns:
            Scalars by name, as in `terms`.
        """
        raise NotImplementedError(f"{type(self).__name__} must say what its loss terms are")


# Arguments that several methods have, with one meaning.
SHARED_CHOICES: dict[str, tuple[Any, ...]] = {"ramp": schedules.NAMES}
SHARED_RANGES = {
    "ramp_up": (0.0, 1.0),
    "ema_decay": (0.0, 1.0),
    "threshold": (0.0, 1.0),
    "temperature": (1e-3, 100.0),
    "mix_alpha": (1e-2, 100.0),
}
# How a running average of class probabilities begins: uniform, or as a copy of the first batch's mean.
STARTS = ("uniform", "batch")
