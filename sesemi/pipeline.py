"""tf.data streams of indices, and the pixels on the device that they point into.

Every epoch is an exact permutation of the pool, and every batch a pure function of (seed, step): no shuffle buffer, and
nothing to save for a resume.
"""

import zlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from sesemi import replicas
from sesemi.rng import Draws

_ROUNDS = 8
# For tiny ranges the cipher is slow and prefers some places (chi-square 7 a degree of freedom for 10 to 50 images,
# 1.0 for 1,000), and few labels are what this program is for.
_SMALL_POOL = 1000


class DevicePixels:
    """All images once on the device, as uint8; calling it turns a batch of indices into a batch of images.

    Args:
        images: ``[N, H, W, C]`` uint8.
        labels: ``[N]`` int, -1 where unlabeled.
        truth: ``[N]`` int, -1 where unknown: what labels would be if they could all be seen, for the log of
            pseudo-labels and for nothing else; default: all unknown.

    Raises:
        ValueError: wrong dtype or lengths.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, truth: np.ndarray | None = None):
        if images.dtype != np.uint8 or images.ndim != 4 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"uint8 images [N, H, W, C] and N labels are needed, got {images.dtype} {images.shape} "
                f"and labels of shape {labels.shape}"
            )
        # A copy on each device of the strategy that this is made under.
        self._images = self._on_devices(images)
        # A variable, because promotion gives labels to images on the way; of 64 bits, because TensorFlow keeps 32-bit
        # integer variables off the GPU.
        self.labels = tf.Variable(labels, dtype=tf.int64, trainable=False)
        self._truth = None if truth is None else self._on_devices(truth.astype(np.int64))

    @staticmethod
    def _on_devices(values: np.ndarray) -> list[tf.Tensor]:
        if replicas.count() == 1:
            return [tf.constant(values)]
        found = []
        for device in replicas.devices():
            with tf.device(device):
                found.append(tf.constant(values))
        return found

    @property
    def images(self) -> tf.Tensor:
        """``[N, H, W, C]`` uint8, on the first device."""
        return self._images[0]

    def __len__(self) -> int:
        return self.images.shape[0]

    def relabel(self, index: np.ndarray, labels: np.ndarray) -> None:
        """Give images other labels.

        Args:
            index: ``[K]``.
            labels: ``[K]``.
        """
        if len(index):
            everyone = self.labels.numpy()
            everyone[index] = labels
            self.labels.assign(everyone)

    def host_images(self) -> np.ndarray:
        """The images as a read-only array, without a second copy where the device is the CPU."""
        with tf.device("CPU:0"):
            return np.asarray(memoryview(tf.identity(self.images)))

    def truth_of(self, index: tf.Tensor) -> tf.Tensor:
        """``[U]`` int32, the true classes of unlabeled images, for diagnosis only; -1 where unknown or labeled."""
        if self._truth is None:
            return tf.fill(tf.shape(index), -1)
        unlabeled = tf.gather(self.labels, index) < 0
        return tf.where(unlabeled, tf.cast(tf.gather(replicas.own(self._truth), index), tf.int32), -1)

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Gather a batch.

        Args:
            batch: ``step`` (scalar), ``labeled`` ``[B]`` and ``unlabeled`` ``[U]`` indices; under a strategy ``[1, B]``
                and ``[1, U]``.

        Returns:
            ``step``, ``labeled`` and ``unlabeled`` images (uint8), ``labels`` ``[B]``, and the indices as
            ``labeled_index`` and ``unlabeled_index``.
        """
        images = replicas.own(self._images)
        batch = {name: value[0] if name != "step" and len(value.shape) == 2 else value for name, value in batch.items()}
        return {
            "step": batch["step"],
            "labeled_index": batch["labeled"],
            "unlabeled_index": batch["unlabeled"],
            "labeled": tf.gather(images, batch["labeled"]),
            "labels": tf.cast(tf.gather(self.labels, batch["labeled"]), tf.int32),
            "unlabeled": tf.gather(images, batch["unlabeled"]),
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
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """The batches of the steps `start` to `stop` - 1; those of a step are the same whatever `start` is.

    Under a strategy with several replicas, each has its part of the batches, in the order of the replicas.

    Args:
        labeled: pool of indices of labeled images.
        unlabeled: pool of indices of unlabeled images.
        labeled_batch_size: labeled images a step, over all replicas.
        batch_size: unlabeled images a step, over all replicas.
        seed: of the order.
        start: the first step.
        stop: the step after the last.

    Returns:
        Elements ``{"step": int64 scalar, "labeled": [B] int32, "unlabeled": [U] int32}``; under a strategy those of a
        replica, as ``[1, B]`` and ``[1, U]``.

    Raises:
        ValueError: a batch size is no multiple of the number of replicas.
    """
    shares = replicas.count()
    if labeled_batch_size % shares or batch_size % shares:
        raise ValueError(
            f"{labeled_batch_size} labeled and {batch_size} unlabeled images do not divide by {shares} devices"
        )
    streams = {
        "labeled": (tf.constant(labeled, tf.int32), labeled_batch_size),
        "unlabeled": (tf.constant(unlabeled, tf.int32), batch_size),
    }

    def part_of(step, replica):
        part = {"step": step}
        for name, (pool, size) in streams.items():
            own = size // shares
            part[name] = _shuffled(pool, step * size + replica * own + tf.range(own, dtype=tf.int64), seed, name)
        # The streams of several workers forget the size of the first axis, so they are given another one.
        return part if shares == 1 else {k: v if k == "step" else v[None] for k, v in part.items()}

    def parts(first: int, own: int) -> tf.data.Dataset:
        """The parts of the replicas from `first` on, in turn: one for each in every step."""
        turns = tf.data.Dataset.range(start * own, stop * own)
        found = turns.map(lambda i: part_of(i // own, first + i % own), num_parallel_calls=1, deterministic=True)
        return found.prefetch(tf.data.AUTOTUNE)

    if shares == 1:
        return parts(0, 1)

    def parts_of_worker(context):
        own = shares // context.num_input_pipelines
        return parts(own * context.input_pipeline_id, own)

    return tf.distribute.get_strategy().distribute_datasets_from_function(parts_of_worker)


def _shuffled(pool: tf.Tensor, positions: tf.Tensor, seed: int, name: str) -> tf.Tensor:
    """The entries at `positions`, consecutive, of the endless sequence of shuffled copies of `pool`."""
    shuffle = _sorted_order if pool.shape[0] < _SMALL_POOL else _cipher_order
    return tf.gather(pool, shuffle(pool.shape[0], positions, seed, name))


def _cipher_order(count: int, positions: tf.Tensor, seed: int, name: str) -> tf.Tensor:
    """By a cipher on the positions: nothing is stored, whatever the size of the pool."""
    epochs = positions // count
    constant = tf.ones_like(epochs)
    seeds = tf.stack([constant * seed, epochs, constant * zlib.crc32(name.encode())], axis=1)
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count, seed=seeds, max_index=constant * (count - 1), rounds=_ROUNDS
    )


def _sorted_order(count: int, positions: tf.Tensor, seed: int, name: str) -> tf.Tensor:
    """By sorting random numbers, one order for each epoch that the positions touch."""
    first = positions[0] // count
    touched = (positions.shape[0] - 1) // count + 2
    orders = [tf.argsort(Draws(seed, first + i).at("order").uniform(name, (count,))) for i in range(touched)]
    return tf.gather_nd(tf.stack(orders), tf.stack([positions // count - first, positions % count], axis=1))
