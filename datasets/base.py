"""Types that every loader takes and returns: `Reading` and `ImageData`."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sesemi.terminal import printable

EXTRA_FORMS = "tiny-images[:DIR], imagenet32[:DIR], folder:DIR or npy:FILE"
_HELD_OUT = 0.2
_SHOWN = 3
_CHUNK = 4096


@dataclass(frozen=True)
class Reading:
    """Settings for reading pictures of any size.

    Args:
        side: Height and width that they get, in pixels.
        resize: ``crop`` or ``pad``, see `image_files.decode`.
        labels_file: Path of a table of labels, see `folder.load`.
        strict: True makes an error of faults that could be left out.
        limit: Largest size of the pixels that may be held in memory, in bytes. Larger sets are read from their files
            again and again.
        progress: Function that is called with the number of pictures that were looked at, and that of all.
        say: Function that is called with a line before a download.
    """

    side: int = 32
    resize: str = "crop"
    labels_file: str | None = None
    strict: bool = False
    limit: int = 2**62
    progress: Callable[[int, int], None] | None = None
    say: Callable[[str], None] | None = None


def held_out(labels: Sequence[str | int], keys: Sequence[str]) -> np.ndarray:
    """Choose a fifth of each class for the test.

    At least one of each class is chosen and one is left. Of a class of one, none is chosen. The choice is a function of
    the keys, so that most images stay where they are when images are added.

    Args:
        labels: Labels of N images.
        keys: N names, all different.

    Returns:
        ``[N]`` bool.
    """
    chosen = np.zeros(len(labels), bool)
    order = sorted(range(len(keys)), key=lambda i: hashlib.blake2b(os.fsencode(keys[i])).digest())
    classes: dict[str | int, list[int]] = {}
    for i in order:
        classes.setdefault(labels[i], []).append(i)
    for members in classes.values():
        number = max(round(_HELD_OUT * len(members)), 1) if len(members) > 1 else 0
        chosen[members[:number]] = True
    return chosen


def some(items: Sequence[str]) -> str:
    """Return the first three items and the number of the others, in one line that any terminal shows."""
    items = [printable(item) for item in items]
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return f"{', '.join(items[:_SHOWN])}{more}"


@dataclass(frozen=True, eq=False)
class ImageData:
    """Training and test images of one data set.

    Images are an array, or an object that is indexed like one and reads them when it is asked (`datasets.lazy_images`).

    Args:
        train_images: ``[N, H, W, C]`` uint8.
        train_labels: ``[N]`` int32 in ``0 … classes - 1``, or -1 where there is no label.
        test_images: ``[M, H, W, C]`` uint8; M is 0 where nobody asks for an error.
        test_labels: ``[M]`` int32.
        class_names: One name for each class.
        notes: Lines to show the user, such as where the files were found.
        validation: Indices of training images that were given for validation and are in no pool; None: there are none.
        extra: Number of training images that came from elsewhere (``--extra-source``); they are the last ones.
        paths: Path of the file of each training image that has one, from the folder of the data; None: they have none.
        digests: ``[N, B]`` uint8, a fingerprint of each training image, if its loader has made them.
        test_held_out: True if the test images were taken from the labeled ones, because there were no others.
        left_out: Path of each picture that was left out, and the reason.

    Raises:
        ValueError: If shapes, dtypes or labels do not fit together.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    validation: np.ndarray | None = None
    extra: int = 0
    paths: Sequence[str] | None = None
    digests: np.ndarray | None = None
    test_held_out: bool = False
    left_out: tuple[tuple[str, str], ...] = ()

    def __post_init__(self):
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if len(images.shape) != 4 or images.dtype != np.uint8 or (part == "train" and not len(images)):
                raise ValueError(f"{part} images: uint8 [N, H, W, C] is needed, got {images.dtype} {images.shape}")
            if labels.shape != (len(images),):
                raise ValueError(f"{part}: {len(images)} images but labels of shape {labels.shape}")
            if len(labels) and (labels.min() < (-1 if part == "train" else 0) or labels.max() >= len(self.class_names)):
                raise ValueError(
                    f"{part} labels: 0 to {len(self.class_names) - 1} are needed, got {labels.min()} to {labels.max()}"
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"training images of {self.train_images.shape[1:]} but test images of {self.test_images.shape[1:]}"
            )

    def sha256(self) -> str:
        """Return the hash of the training images, or of their digests if there are any, and of their labels."""
        found = hashlib.sha256()
        images = self.train_images if self.digests is None else self.digests
        for start in range(0, len(images), _CHUNK):
            found.update(np.ascontiguousarray(images[start : start + _CHUNK]))
        found.update(self.train_labels.tobytes())
        return found.hexdigest()

    def test_sha256(self) -> str:
        """Return the hash of the test images, as they are evaluated, and of their classes, to compare errors by."""
        found = hashlib.sha256("\0".join(self.class_names).encode("utf-8", "surrogateescape"))
        for start in range(0, len(self.test_images), _CHUNK):
            found.update(np.ascontiguousarray(self.test_images[start : start + _CHUNK]))
        found.update(self.test_labels.astype(np.int32).tobytes())
        return found.hexdigest()

    def labels_sha256(self) -> str:
        """Return the hash of `own_labels`, which give an index its meaning."""
        return hashlib.sha256(self.own_labels.astype(np.int32).tobytes()).hexdigest()

    @property
    def own_labels(self) -> np.ndarray:
        """Labels of the training images, except those from elsewhere."""
        return self.train_labels[: len(self.train_labels) - self.extra]

    def with_test_held_out(self) -> ImageData:
        """Return the same data, with a note that the test images were labeled ones."""
        note = f"no test images were given: {len(self.test_images)} labeled ones are set aside as the test"
        return dataclasses.replace(self, notes=(*self.notes, note), test_held_out=True)

    def at_least(self, side: int) -> ImageData:
        """Return the same images, doubled in size until height and width are `side` pixels or more.

        Args:
            side: Smallest height and width that a network accepts, in pixels.
        """
        found = self
        while min(found.train_images.shape[1:3]) < side:
            train, test = (_double(images) for images in (found.train_images, found.test_images))
            note = f"images enlarged to {train.shape[1]} x {train.shape[2]}"
            found = dataclasses.replace(found, train_images=train, test_images=test, notes=(*found.notes, note))
        return found


def _double(images: np.ndarray) -> np.ndarray:
    """Enlarge uint8 ``[N, H, W, C]`` by two, bilinearly, with pixel centres aligned and edges repeated."""
    images = images.astype(np.float32)
    for axis in (1, 2):
        size = images.shape[axis]
        before = images.take(np.maximum(np.arange(size) - 1, 0), axis)
        after = images.take(np.minimum(np.arange(size) + 1, size - 1), axis)
        pairs = np.stack([0.25 * before + 0.75 * images, 0.75 * images + 0.25 * after], axis + 1)
        images = pairs.reshape(*images.shape[:axis], 2 * size, *images.shape[axis + 1 :])
    return np.rint(images).astype(np.uint8)
