"""tf.data streams of indices, and the pixels on the device that they point into.

Position p of epoch e is ``RandomIndexShuffle(p, seed=(seed, e))``: an exact permutation each epoch, a pure function of
(seed, step), so there is no shuffle buffer and nothing to save for a resume.
"""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

_ROUNDS = 8


class DevicePixels:
    """All images once on the device, as uint8; calling it turns a batch of indices into a batch of images.

    Args:
        images: ``[N, H, W, C]`` uint8.
        labels: ``[N]`` int, -1 where unlabeled.

    Raises:
        ValueError: wrong dtype or lengths.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"uint8 images [N, H, W, C] and N labels are needed, got {images.dtype} {images.shape} "
                f"and labels of shape {labels.shape}"
            )
        self.images = tf.constant(images)
        self.labels = tf.constant(labels, tf.int32)

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Gather a batch.

        Args:
            batch: ``step`` (scalar), ``labeled`` ``[B]`` and ``unlabeled`` ``[U]`` indices.

        Returns:
            ``step``, ``labeled`` and ``unlabeled`` images (uint8) and ``labels`` ``[B]``.
        """
        return {
            "step": batch["step"],
            "labeled": tf.gather(self.images, batch["labeled"]),
            "labels": tf.gather(self.labels, batch["labeled"]),
            "unlabeled": tf.gather(self.images, batch["unlabeled"]),
        }


def visible_labels(labels: np.ndarray, labeled: np.ndarray) -> np.ndarray:
    """The labels that training may see: -1 outside of the indices `labeled`; ``[N]`` int32."""
    visible = np.full(len(labels), -1, np.int32)
    visible[labeled] = labels[labeled]
    return visible


def index_batches(
    labeled: np.ndarray,
    unlabeled: np.ndarray,
    *,
    labeled_batch_size: int,
    batch_size: int,
    seed: int,
    start: int = 0,
    stop: int,
) -> tf.data.Dataset:
    """The batches of the steps `start` to `stop` - 1; those of a step are the same whatever `start` is.

    Args:
        labeled: pool of indices of labeled images.
        unlabeled: pool of indices of unlabeled images.
        labeled_batch_size: labeled images a step.
        batch_size: unlabeled images a step.
        seed: of the order.
        start: the first step.
        stop: the step after the last.

    Returns:
        Elements ``{"step": int64 scalar, "labeled": [B] int32, "unlabeled": [U] int32}``.
    """
    streams = {
        "labeled": (tf.constant(labeled, tf.int32), labeled_batch_size),
        "unlabeled": (tf.constant(unlabeled, tf.int32), batch_size),
    }

    def batch_of(step):
        batch = {"step": step}
        for salt, (name, (pool, size)) in enumerate(streams.items()):
            batch[name] = _shuffled(pool, step * size + tf.range(size, dtype=tf.int64), seed, salt)
        return batch

    steps = tf.data.Dataset.range(start, stop)
    return steps.map(batch_of, num_parallel_calls=1, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _shuffled(pool: tf.Tensor, positions: tf.Tensor, seed: int, salt: int) -> tf.Tensor:
    """The entries at `positions` of the endless sequence of shuffled copies of `pool`."""
    count = tf.size(pool, tf.int64)
    epochs = positions // count
    constant = tf.ones_like(epochs)
    seeds = tf.stack([constant * seed, epochs, constant * salt], axis=1)
    index = tf.raw_ops.RandomIndexShuffle(
        index=positions % count, seed=seeds, max_index=constant * (count - 1), rounds=_ROUNDS
    )
    return tf.gather(pool, index)
