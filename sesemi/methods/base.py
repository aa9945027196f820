"""What a method is: a layer that is never called, with one function that reads like the paper's equations."""

import inspect
from dataclasses import dataclass
from typing import Any

import keras

from sesemi import schedules


@dataclass(frozen=True)
class Views:
    """Which views of its images a method wants, as kinds of `sesemi.augment`.

    Args:
        labeled: of the labeled images.
        unlabeled: one kind for each view of the unlabeled images; none: they are not even looked up.
    """

    labeled: str = "weak"
    unlabeled: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """What a method sees of one step.

    Args:
        labeled: ``[B, H, W, C]`` float32, preprocessed and augmented.
        labels: ``[B]`` int32.
        unlabeled: a tensor ``[U, H, W, C]`` for each of `Views.unlabeled`, all of the same images.
        index: ``[U]`` int32, which training images those are: the rows of a method's table; None in streams that
            do not say.
        step: updates so far, a scalar.
        progress: updates so far / updates of the run, float32 in [0, 1].
        draws: the method's own random numbers of this step (`sesemi.rng.Draws`).
    """

    labeled: Any
    labels: Any
    unlabeled: tuple[Any, ...]
    index: Any
    step: Any
    progress: Any
    draws: Any


@dataclass(frozen=True)
class Sizes:
    """What a method may build heads and tables for.

    Args:
        features: of the trunk, averaged over the image.
        classes: number of classes.
        images: number of training images, None where nobody says.
    """

    features: int
    classes: int
    images: int | None


class Method(keras.layers.Layer):
    """A way to learn from labeled and unlabeled images.

    A layer, so that its heads, tables and running averages are weights: saved, restored and moved with the model.
    Its hyper-parameters are the arguments of its class, kept as attributes of the same names.

    Class attributes:
        views: the views that it wants.
        terms: names of the losses that `loss_terms` returns, in order.
        unlabeled_pool: ``"unlabeled"``, or ``"labeled"`` if its unlabeled branch sees only the labeled images.
        views_counted: how many images an unlabeled one counts for in images/s; None: as many as it has views.
        ema_decay: of the teacher, a running average of the student's weights; None: there is no teacher.
        evaluated: ``"student"`` or ``"teacher"``: which of them the paper evaluates.
        remembers_images: whether it keeps a table with a row for every training image.
        ranges: smallest and largest value of an argument; others must be 0 or more.
        choices: what an argument may be.
    """

    views = Views()
    terms: tuple[str, ...] = ()
    unlabeled_pool = "unlabeled"
    views_counted: int | None = None
    ema_decay: float | None = None
    evaluated = "student"
    remembers_images = False
    ranges: dict[str, tuple[float, float]] = {}
    choices: dict[str, tuple[Any, ...]] = {}

    @classmethod
    def arguments(cls) -> dict[str, Any]:
        """Its hyper-parameters with their defaults."""
        parameters = inspect.signature(cls).parameters.values()
        return {p.name: p.default for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}

    def check(self) -> None:
        """Refuse arguments of the wrong type or out of range.

        Raises:
            ValueError: in one line.
        """
        for name, default in self.arguments().items():
            value = getattr(self, name)
            allowed = (False, True) if isinstance(default, bool) else (SHARED_CHOICES | self.choices).get(name)
            if allowed is not None:
                if value not in allowed or type(value) is not type(allowed[0]):
                    raise ValueError(f"{name}={value}: choose from {', '.join(map(str, allowed))}")
                continue
            kinds = int if isinstance(default, int) else (int, float)
            low, high = (SHARED_RANGES | self.ranges).get(name, (0.0, 1e6))
            if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
                what = "a whole number" if kinds is int else "a number"
                raise ValueError(f"{name}={value}: {what} from {low:g} to {high:g} is needed")

    def check_batches(self, *, labeled: int, unlabeled: int, joint_forward: bool, regularize_labeled: bool) -> None:
        """Refuse a composition of the batches that the method cannot work with.

        Args:
            labeled: labeled images a step.
            unlabeled: unlabeled images a step.
            joint_forward: see `sesemi.training.SemiSupervisedModel`.
            regularize_labeled: the same.

        Raises:
            ValueError: in one line.
        """
        if regularize_labeled and self.remembers_images:
            raise ValueError(
                "--regularize-labeled: a method with a table of last epoch's answers would write the rows of the "
                "labeled images every step; leave it out (the unlabeled pool holds the labeled images anyway)"
            )

    def build(self, sizes: Sizes):
        """Create heads and state; called once by the trainer."""
        self.built = True

    def table(self, sizes: Sizes, name: str, width: int):
        """A row of `width` zeros for every training image; a weight, so saved and resumed with the model.

        Raises:
            ValueError: nobody said how many images there are.
        """
        if sizes.images is None:
            raise ValueError(f"{type(self).__name__} keeps a table of all training images: give the model its pixels")
        shape = (sizes.images, width)
        return self.add_weight(name=name, shape=shape, initializer="zeros", dtype="float32", trainable=False)

    def loss_terms(self, batch: Batch, student, teacher) -> dict[str, Any]:
        """The losses of one step, weighted, to be added up.

        Args:
            batch: the views.
            student: `sesemi.network.Network` of the weights that are trained.
            teacher: the same of their running average, or None if the method has none.

        Returns:
            Scalars by name, as in `terms`.
        """
        raise NotImplementedError(f"{type(self).__name__} must say what its loss terms are")


# Of arguments that several methods have, with one meaning.
SHARED_CHOICES: dict[str, tuple[Any, ...]] = {"ramp": schedules.NAMES}
SHARED_RANGES = {
    "ramp_up": (0.0, 1.0),
    "ema_decay": (0.0, 1.0),
    "threshold": (0.0, 1.0),
    "temperature": (1e-3, 100.0),
    "mix_alpha": (1e-2, 100.0),
}
