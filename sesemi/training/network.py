"""`Network`: the student, or the teacher, as a method sees it: views in, logits out."""

import contextlib
import itertools

from keras import ops

from sesemi.primitives import rng
from sesemi.primitives.layers import averages_kept
from sesemi.training.classifier import Classifier


class Network:
    """Classifier, called in the ways that methods need.

    Args:
        classifier: Its weights.
        training: Mode where the call does not say: True for a student; False for a teacher, which then normalizes by
            its moving averages and drops nothing out.
        joint: True lets batches given together go through the trunk in one call, normalized together. False lets them
            go one after the other.
        draws: Random numbers of the step, for `same_masks`.
    """

    def __init__(self, classifier: Classifier, *, training: bool = True, joint: bool = False, draws=None):
        self.classifier, self.joint = classifier, joint
        self._training, self._draws = training, draws
        # A teacher has masks of its own, so that the student's masks do not depend on calls of the teacher.
        self._masks = None if training or draws is None else draws.at("teacher")

    def __call__(self, images, **how):
        """Return class logits ``[B, C]`` of one view ``[B, H, W, C]``; `how` as in `together`."""
        return self.together(images, **how)[0]

    def together(
        self, *batches, same_masks: bool = False, moves_averages: bool = True, training: bool | None = None
    ) -> tuple:
        """Return a tuple of class logits of several batches: by one trunk call or by several, as ``joint`` says.

        Args:
            *batches: Images.
            same_masks: True drops out the units that the step's first calls dropped out. Otherwise each call draws its
                own.
            moves_averages: See `features`.
            training: See `features`.
        """
        with rng.dropout_from(self._draws.at("dropout")) if same_masks else self._own_masks():
            found = self.features(*batches, moves_averages=moves_averages, training=training)
            found = found if len(batches) > 1 else (found,)
            return tuple(self.logits(features, training=training) for features in found)

    def features(self, *batches, moves_averages: bool = True, training: bool | None = None):
        """Return the trunk's averaged features ``[B, F]``; a tuple of them for several batches.

        Args:
            *batches: Images.
            moves_averages: True lets BatchNorm's moving averages learn from a training call.
            training: True also makes a teacher normalize by the batch; its averages never move.
        """
        pool = self.classifier.pool
        maps = self.maps(*batches, moves_averages=moves_averages, training=training)
        return tuple(map(pool, maps)) if len(batches) > 1 else pool(maps)

    def maps(self, *batches, moves_averages: bool = True, training: bool | None = None):
        """Return the trunk's feature map ``[B, h, w, F]``, of which `features` is the average; arguments as there."""
        how = {"moves_averages": moves_averages, "training": training}
        if len(batches) > 1 and not self.joint:
            return tuple(self.maps(images, **how) for images in batches)
        training = self._training if training is None else training
        ends = list(itertools.accumulate(images.shape[0] for images in batches))
        images = ops.concatenate(batches) if len(batches) > 1 else batches[0]
        keeps = contextlib.nullcontext() if moves_averages and self._training else averages_kept()
        with keeps, self._own_masks():
            maps = self.classifier.trunk(images, training=training)
        return tuple(ops.split(maps, ends[:-1])) if len(batches) > 1 else maps

    def _own_masks(self):
        return contextlib.nullcontext() if self._masks is None else rng.dropout_from(self._masks)

    def logits(self, features, *, training: bool | None = None):
        """Return class logits ``[B, C]`` of features."""
        return self.classifier.classify(features, training=self._training if training is None else training)
