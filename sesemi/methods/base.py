"""What a method is: a layer that is never called, with one function that reads like the paper's equations."""

from dataclasses import dataclass
from typing import Any

import keras


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
        step: updates so far, a scalar.
    """

    labeled: Any
    labels: Any
    unlabeled: tuple[Any, ...]
    step: Any


class Method(keras.layers.Layer):
    """A way to learn from labeled and unlabeled images.

    A layer, so that its heads, tables and running averages are weights: saved, restored and moved with the model.
    Its hyper-parameters are the arguments of its class, kept as attributes of the same names.

    Class attributes:
        views: the views that it wants.
        terms: names of the losses that `loss_terms` returns, in order.
        unlabeled_pool: ``"unlabeled"``, or ``"labeled"`` if its unlabeled branch sees only the labeled images.
    """

    views = Views()
    terms: tuple[str, ...] = ()
    unlabeled_pool = "unlabeled"

    def build(self, feature_shape):
        """Create heads and state; called once by the trainer.

        Args:
            feature_shape: ``(None, F)``, of the trunk's averaged features.
        """
        self.built = True

    def loss_terms(self, batch: Batch, student, teacher) -> dict[str, Any]:
        """The losses of one step, weighted, to be added up.

        Args:
            batch: the views.
            student: `sesemi.training.Network` of the weights that are trained.
            teacher: the same of their running average, or None if the method has none.

        Returns:
            Scalars by name, as in `terms`.
        """
        raise NotImplementedError(f"{type(self).__name__} must say what its loss terms are")
