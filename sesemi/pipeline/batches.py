"""Streams of indices (tf.data), and the pixels on the device that they point into.

Every epoch is an exact permutation of the pool, and every batch a pure function of (seed, step). So there is no shuffle
buffer, and nothing to save for a resume.
"""

import zlib
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from sesemi.primitives import replicas
from sesemi.primitives.rng import Draws

# Alignment, in bytes, that TensorFlow asks of memory that it did not make itself.
_ALIGNMENT = 64
_ROUNDS = 8
# The cipher is slow for tiny ranges and prefers some places (chi-square 7 a degree of freedom for 10 to 50 images, 1.0
# for 1,000). Small pools are common here, because this program is for few labels.
_SMALL_POOL = 1000


class Pixels:
    """Training images with their labels, as far as training may see them, and the truth for the log.

    Args:
        images: ``[N, H, W, C]`` uint8, or an object that is indexed like that.
        labels: ``[N]`` int, -1 where unlabeled.
        truth: ``[N]`` int, -1 where unknown: the labels that would be there if all could be seen, for the log of
            pseudo-labels and for nothing else; default: all unknown.

    Raises:
        ValueError: If dtype or lengths are wrong.
    """

    # Function that adds to a batch of indices on the host, before it goes to the device.
    fetch: Callable | None = None

    def __init__(self, images, labels: np.ndarray, truth: np.ndarray | None = None):
        if images.dtype != np.uint8 or len(images.shape) != 4 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"uint8 images [N, H, W, C] and N labels are needed, got {images.dtype} {images.shape} "
                f"and labels of shape {labels.shape}"
            )
        # Labels are a variable, because promotion gives labels to images on the way. They have 64 bits, because
        # TensorFlow keeps 32-bit integer variables off the GPU.
        self.labels = tf.Variable(labels, dtype=tf.int64, trainable=False)
        self._truth = None if truth is None else on_devices(truth.astype(np.int64))

    def __len__(self) -> int:
        return self.labels.shape[0]

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

    def truth_of(self, index: tf.Tensor) -> tf.Tensor:
        """Return the true classes of unlabeled images, ``[U]`` int32, for diagnosis; -1 where unknown or labeled."""
        if self._truth is None:
            return tf.fill(tf.shape(index), -1)
        unlabeled = tf.gather(self.labels, index) < 0
        return tf.where(unlabeled, tf.cast(tf.gather(replicas.own(self._truth), index), tf.int32), -1)

    def __call__(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the images of a batch.

        Args:
            batch: Batch of `index_batches`. Under a strategy its values except the step have a first axis of length 1.

        Returns:
            ``step``, ``labeled`` and ``unlabeled`` images (uint8), ``labels`` ``[B]``, and the indices as
            ``labeled_index`` and ``unlabeled_index``.
        """
        one = len(batch["labeled"].shape) == 2
        batch = {name: value[0] if one and name != "step" else value for name, value in batch.items()}
        return {
            "step": batch["step"],
            "labeled_index": batch["labeled"],
            "unlabeled_index": batch["unlabeled"],
            "labels": tf.cast(tf.gather(self.labels, batch["labeled"]), tf.int32),
            **{part: self.images_of(batch, part) for part in ("labeled", "unlabeled")},
        }

    def images_of(self, batch: Mapping[str, tf.Tensor], part: str) -> tf.Tensor:
        """Return the images ``labeled`` or ``unlabeled`` of a batch, uint8."""
        raise NotImplementedError


class DevicePixels(Pixels):
    """All images once on the device, as uint8; a call turns a batch of indices into a batch of images.

    Args:
        images: ``[N, H, W, C]`` uint8.
        labels: See `Pixels`.
        truth: See `Pixels`.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, truth: np.ndarray | None = None):
        super().__init__(images, labels, truth)
        # Each device of the strategy that this is made under gets a copy.
        self._images = on_devices(images)

    @property
    def images(self) -> tf.Tensor:
        """Images ``[N, H, W, C]`` uint8, on the first device."""
        return self._images[0]

    def host_images(self) -> np.ndarray:
        """Return the images as a read-only array, without a second copy where the device is the CPU."""
        with tf.device("CPU:0"):
            return np.asarray(memoryview(tf.identity(self.images)))

    def images_of(self, batch, part):
        """Gather the images on the device."""
        return tf.gather(replicas.own(self._images), batch[part])


class StreamedPixels(Pixels):
    """Images that do not fit: `index_batches` reads those of each step on the host, some steps ahead.

    Args:
        images: Object indexed like ``[N, H, W, C]`` uint8, which reads images when asked, in any thread.
        labels: See `Pixels`.
        truth: See `Pixels`.

    Attributes:
        failure: Reason why an image could not be read, if that happened; TensorFlow's error hides it.
    """

    def __init__(self, images, labels: np.ndarray, truth: np.ndarray | None = None):
        super().__init__(images, labels, truth)
        self._source, self.failure = images, None

    def host_images(self):
        """Return the images as an object that is indexed like an array and reads them when asked."""
        return self._source

    def fetch(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Add the images to a batch of indices, on the host."""
        return batch | {f"{part}_images": self._read(batch[part]) for part in ("labeled", "unlabeled")}

    def _read(self, index: tf.Tensor) -> tf.Tensor:
        images = tf.numpy_function(self._read_now, [index], tf.uint8)
        return tf.ensure_shape(images, [index.shape[0], *self._source.shape[1:]])

    def _read_now(self, index: np.ndarray) -> np.ndarray:
        try:
            return self._source[index]
        # TensorFlow would hide any error.
        except Exception as error:
            self.failure = str(error) or type(error).__name__
            raise

    def images_of(self, batch, part):
        """Return the images that came with the indices."""
        return batch[f"{part}_images"]


def on_devices(values: np.ndarray) -> list[tf.Tensor]:
    """Return a tensor for each device of the strategy.

    On a single CPU it is the very memory of the array where TensorFlow can use that, so the array must not be changed.
    """
    if replicas.count() == 1:
        usable = values.flags.c_contiguous and values.flags.writeable and values.ctypes.data % _ALIGNMENT == 0
        if usable and values.size and not tf.config.list_logical_devices("GPU"):
            return [tf.experimental.dlpack.from_dlpack(values.__dlpack__())]
        return [tf.constant(values)]
    found = []
    for device in replicas.devices():
        with tf.device(device):
            found.append(tf.constant(values))
    return found


def visible_labels(labels: np.ndarray, labeled: np.ndarray) -> np.ndarray:
    """Return the labels that training may see: -1 outside of the indices `labeled`; ``[N]`` int32."""
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
    extra: np.ndarray | None = None,
    fetch: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]] | None = None,
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Return the batches of the steps `start` to `stop` - 1; those of a step are the same whatever `start` is.

    Under a strategy with several replicas, each has its part of the batches, in the order of the replicas.

    Args:
        labeled: Pool of indices of labeled images.
        unlabeled: Pool of indices of unlabeled images.
        labeled_batch_size: Number of labeled images in a step, over all replicas.
        batch_size: Number of unlabeled images in a step, over all replicas.
        seed: Seed of the order.
        start: First step.
        stop: Step after the last.
        extra: Pool of indices of images from elsewhere: every second unlabeled image of a step is one of them.
        fetch: Function that adds the images to a batch, see `StreamedPixels`.

    Returns:
        Elements ``{"step": int64 scalar, "labeled": [B] int32, "unlabeled": [U] int32}``; under a strategy those of a
        replica, as ``[1, B]`` and ``[1, U]``.

    Raises:
        ValueError: If a batch size is no multiple of the number of replicas (with `extra` of twice that).
    """
    shares = replicas.count()
    mixed = extra is not None and len(extra) > 0
    if labeled_batch_size % shares or batch_size % shares:
        raise ValueError(
            f"{labeled_batch_size} labeled and {batch_size} unlabeled images do not divide by {shares} devices"
        )
    if mixed and batch_size % (2 * shares):
        raise ValueError(f"{batch_size} unlabeled images, half of them extra ones, do not divide by {shares} devices")
    streams = {
        "labeled": (tf.constant(labeled, tf.int32), labeled_batch_size),
        "unlabeled": (tf.constant(unlabeled, tf.int32), batch_size),
    }

    extra_pool = tf.constant(extra, tf.int32) if mixed else None

    def drawn(name, step, replica):
        pool, size = streams[name]
        own = size // shares
        first = step * size + replica * own
        if name == "unlabeled" and mixed:
            half = first // 2 + tf.range(own // 2, dtype=tf.int64)
            pairs = [_shuffled(pool, half, seed, name), _shuffled(extra_pool, half, seed, "extra")]
            return tf.reshape(tf.stack(pairs, axis=1), (own,))
        return _shuffled(pool, first + tf.range(own, dtype=tf.int64), seed, name)

    def part_of(step, replica):
        return {"step": step} | {name: drawn(name, step, replica) for name in streams}

    def parts(first: int, own: int) -> tf.data.Dataset:
        """Return the parts of the replicas from `first` on, in turn: one for each in every step."""
        turns = tf.data.Dataset.range(start * own, stop * own)
        found = turns.map(lambda i: part_of(i // own, first + i % own), num_parallel_calls=1, deterministic=True)
        if fetch is not None:
            found = found.map(fetch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        if shares > 1:
            # The streams of several workers forget the size of the first axis, so the values are given another one.
            found = found.map(lambda part: {k: v if k == "step" else v[None] for k, v in part.items()})
        return found.prefetch(tf.data.AUTOTUNE)

    if shares == 1:
        gpus = tf.config.list_logical_devices("GPU")
        ahead = fetch is not None and gpus
        return parts(0, 1).apply(tf.data.experimental.prefetch_to_device(gpus[0].name)) if ahead else parts(0, 1)

    def parts_of_worker(context):
        own = shares // context.num_input_pipelines
        return parts(own * context.input_pipeline_id, own)

    return tf.distribute.get_strategy().distribute_datasets_from_function(parts_of_worker)


def _shuffled(pool: tf.Tensor, positions: tf.Tensor, seed: int, name: str) -> tf.Tensor:
    """Return the entries at `positions`, consecutive, of the endless sequence of shuffled copies of `pool`."""
    shuffle = _sorted_order if pool.shape[0] < _SMALL_POOL else _cipher_order
    return tf.gather(pool, shuffle(pool.shape[0], positions, seed, name))


def _cipher_order(count: int, positions: tf.Tensor, seed: int, name: str) -> tf.Tensor:
    """Return the order by a cipher on the positions: nothing is stored, whatever the size of the pool."""
    epochs = positions // count
    constant = tf.ones_like(epochs)
    seeds = tf.stack([constant * seed, epochs, constant * zlib.crc32(name.encode())], axis=1)
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % count, seed=seeds, max_index=constant * (count - 1), rounds=_ROUNDS
    )


def _sorted_order(count: int, positions: tf.Tensor, seed: int, name: str) -> tf.Tensor:
    """Return the order by sorting random numbers, one order for each epoch that the positions touch."""
    first = positions[0] // count
    touched = (positions.shape[0] - 1) // count + 2
    orders = [tf.argsort(Draws(seed, first + i).at("order").uniform(name, (count,))) for i in range(touched)]
    return tf.gather_nd(tf.stack(orders), tf.stack([positions // count - first, positions % count], axis=1))
