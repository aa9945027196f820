"""Class probabilities of many images, with one view or the average of several, and error rates from them."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sesemi.augmentation.views import Augmentation, shift_and_flip
from sesemi.primitives import replicas
from sesemi.primitives.rng import Draws

BATCH = 200
_VIEW_SEED = 2019


class Compiled:
    """Traced function from images ``[rows, H, W, C]`` to probabilities; trace it once, use it often.

    Under a strategy, the devices of this process share the images of a call.

    Args:
        classify: Function of ``[BATCH, H, W, C]`` to be traced.

    Attributes:
        rows: Number of images of a call.
    """

    def __init__(self, classify: Callable[[Any], Any]):
        self._strategy, self._devices = tf.distribute.get_strategy(), 1
        if replicas.count() > 1:
            self._devices = len(replicas.devices())
        self.rows = BATCH * self._devices
        self._classify = tf.function(classify) if self._devices == 1 else tf.function(self._on_all(classify))

    def _on_all(self, classify):
        return lambda parts: self._strategy.run(classify, args=(parts,))

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return probabilities ``[rows, classes]``."""
        if self._devices == 1:
            return np.asarray(self._classify(images))
        parts = iter(np.split(images, self._devices))
        placed = self._strategy.experimental_distribute_values_from_function(lambda _: tf.constant(next(parts)))
        found = self._strategy.experimental_local_results(self._classify(placed))
        return np.concatenate([part.numpy() for part in found])


class Rows:
    """Some images, read when they are sliced: a copy of all might not fit.

    Args:
        images: ``[N, H, W, C]``, or an object that is indexed like that.
        index: ``[n]`` int.
    """

    def __init__(self, images, index: np.ndarray):
        self._images, self._index = images, index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, part: slice) -> np.ndarray:
        return self._images[self._index[part]]


def probabilities(
    classify: Callable[[Any], Any], images, progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Return probabilities of every image, each exactly once, in batches of one fixed size (so one trace).

    Args:
        classify: Function from uint8 ``[BATCH, H, W, C]`` to ``[BATCH, classes]``, or a `Compiled` of such.
        images: ``[N, H, W, C]`` uint8, or an object that is sliced like that.
        progress: Function that is called after each batch with how many images are done, and with N.

    Returns:
        ``[N, classes]`` float32.
    """
    found, done = [], 0
    for batch, count in _batches(images, getattr(classify, "rows", BATCH)):
        found.append(np.asarray(classify(batch))[:count])
        done += count
        if progress is not None:
            progress(done, len(images))
    return np.concatenate(found)


def _batches(images, rows: int = BATCH) -> Iterator[tuple[np.ndarray, int]]:
    for start in range(0, len(images), rows):
        batch = images[start : start + rows]
        count = len(batch)
        if count < rows:
            batch = np.concatenate([batch, np.zeros((rows - count, *batch.shape[1:]), batch.dtype)])
        yield batch, count


class MultiView:
    """Mean of the probabilities of several views of every image (Tran 2019, the published DenseEvaluator).

    The views are {as it is, shifted} x {clean, noisy}, and where mirroring keeps the class x {as it is, mirrored}:
    eight, or four. A shift is never 0 along either axis. All are drawn from a fixed seed. One view is computed after
    the other, so memory does not grow with their number. The function is traced once, however many batches follow.

    Args:
        model: Exported model (`sesemi.training.export`); its parts ``preprocess`` and ``classifier`` are used.
        augmentation: Largest shift, mirroring, and noise of the views.

    Attributes:
        count: Number of views.
        rows: Largest number of images of a call.

    Raises:
        ValueError: If the model has no such parts.
    """

    rows = BATCH

    def __init__(self, model: keras.Model, augmentation: Augmentation):
        preprocess, classify = model.get_layer("preprocess"), model.get_layer("classifier")
        flips = (False, True) if augmentation.flip else (False,)
        self._kinds = [(shifted, noisy, flip) for flip in flips for noisy in (False, True) for shifted in (False, True)]
        self._augmentation, self.count = augmentation, len(self._kinds)

        @tf.function
        def view(batch, offsets, flip, noise, position):
            views = shift_and_flip(preprocess(batch), offsets, tf.fill([BATCH], flip))
            views += noise * Draws(_VIEW_SEED, position).normal("noise", views.shape)
            return classify(views)

        self._view = view

    def __call__(self, images: np.ndarray, number: int) -> np.ndarray:
        """Return probabilities ``[n, classes]`` float32 of one batch.

        Args:
            images: ``[n, H, W, C]`` uint8; n is `rows`, or less in the last batch.
            number: Number of the batch, from 0. It and the place in the batch decide the draws of an image.
        """
        (batch, count), *_ = _batches(images)
        jitter = _jitter(number, self._augmentation.shift)
        sums = 0.0
        for kind, (shifted, noisy, flip) in enumerate(self._kinds):
            position = tf.constant(number * self.count + kind, tf.int64)
            noise = tf.constant(self._augmentation.noise * noisy, tf.float32)
            sums += np.asarray(self._view(batch, jitter * int(shifted), tf.constant(flip), noise, position))
        return sums[:count] / self.count


def multi_view_probabilities(
    model: keras.Model, images, augmentation: Augmentation, progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Return the result of `MultiView` for many images: ``[N, H, W, C]`` uint8 to ``[N, classes]`` float32.

    `progress` is as in `probabilities`.
    """
    views, found = MultiView(model, augmentation), []
    for number, start in enumerate(range(0, len(images), BATCH)):
        found.append(views(images[start : start + BATCH], number))
        if progress is not None:
            progress(min(start + BATCH, len(images)), len(images))
    return np.concatenate(found)


def _jitter(number: int, shift: int) -> tf.Tensor:
    """Draw offsets ``[BATCH, 2]`` in ±1 … ±shift, never 0; all 0 if there is no shift."""
    draws = Draws(_VIEW_SEED, number)
    sizes = draws.integers("size", (BATCH, 2), 1, max(shift, 1))
    signs = 2 * draws.integers("sign", (BATCH, 2), 0, 1) - 1
    return sizes * signs * int(shift > 0)
