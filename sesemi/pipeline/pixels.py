"""Training images on the device, or read from their files, and the labels that training may see."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from sesemi.primitives import replicas

# Alignment, in bytes, that TensorFlow needs of memory that it did not make itself.
_ALIGNMENT = 64


class Pixels:
    """Training images with their labels, as far as training may see them, and the truth for the log.

    Args:
        images: ``[N, H, W, C]`` uint8, or an object that is indexed like that.
        labels: ``[N]`` int, -1 where unlabeled.
        truth: ``[N]`` int, -1 where unknown: the labels that would be there if all could be seen. They are for the log
            of pseudo-labels and for nothing else. Default: all unknown.

    Raises:
        ValueError: If a dtype or a length is wrong.
    """

    # Function that adds the images to a batch of indices on the host, before it goes to the device; None if nothing is
    # to be added.
    fetch: Callable | None = None
    # Reason why an image could not be read, if that happened.
    failure: str | None = None

    def __init__(self, images, labels: np.ndarray, truth: np.ndarray | None = None):
        if images.dtype != np.uint8 or len(images.shape) != 4 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"uint8 images [N, H, W, C] and N labels are needed, got {images.dtype} {images.shape} "
                f"and labels of shape {labels.shape}"
            )
        if labels.dtype.kind not in "iu":
            raise ValueError(f"labels are needed as whole numbers, got {labels.dtype}; -1 is unlabeled")
        # A variable, because promotion gives labels to images on the way; of 64 bits, because TensorFlow keeps 32-bit
        # integer variables off the GPU.
        self.labels = tf.Variable(labels, dtype=tf.int64, trainable=False)
        self._truth = None if truth is None else on_devices(truth.astype(np.int64))

    def __len__(self) -> int:
        return self.labels.shape[0]

    def relabel(self, index: np.ndarray, labels: np.ndarray) -> None:
        """Give images other labels.

        Args:
            index: Indices of the images, ``[K]``.
            labels: Labels that they get, ``[K]``.
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
    """All images once on the device, as uint8. A call turns a batch of indices into a batch of images.

    Args:
        images: ``[N, H, W, C]`` uint8.
        labels: See `Pixels`.
        truth: See `Pixels`.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, truth: np.ndarray | None = None):
        super().__init__(images, labels, truth)
        # A copy on each device of the strategy that this is made under.
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
    """Images that do not fit into memory: `index_batches` reads those of each step on the host, some steps ahead.

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
        # TensorFlow would hide the error, whatever it is.
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
