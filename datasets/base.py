"""What every loader returns."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ImageData:
    """Training and test images of one data set.

    Args:
        train_images: ``[N, H, W, C]`` uint8.
        train_labels: ``[N]`` int32 in ``0 … classes - 1``.
        test_images: ``[M, H, W, C]`` uint8.
        test_labels: ``[M]`` int32.
        class_names: one name a class.
        notes: lines to show the user, such as where the files were found.

    Raises:
        ValueError: shapes, dtypes or labels do not fit together.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        for part in ("train", "test"):
            images, labels = getattr(self, f"{part}_images"), getattr(self, f"{part}_labels")
            if images.ndim != 4 or images.dtype != np.uint8 or not len(images):
                raise ValueError(f"{part} images: uint8 [N, H, W, C] is needed, got {images.dtype} {images.shape}")
            if labels.shape != (len(images),):
                raise ValueError(f"{part}: {len(images)} images but labels of shape {labels.shape}")
            if labels.min() < 0 or labels.max() >= len(self.class_names):
                raise ValueError(
                    f"{part} labels: 0 to {len(self.class_names) - 1} are needed, got {labels.min()} to {labels.max()}"
                )
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"training images of {self.train_images.shape[1:]} but test images of {self.test_images.shape[1:]}"
            )

    def at_least(self, side: int) -> ImageData:
        """The same images, doubled in size until height and width are `side` pixels or more.

        Args:
            side: smallest height and width that a network accepts.
        """
        found = self
        while min(found.train_images.shape[1:3]) < side:
            train, test = (_double(images) for images in (found.train_images, found.test_images))
            note = f"images enlarged to {train.shape[1]} x {train.shape[2]}"
            found = dataclasses.replace(found, train_images=train, test_images=test, notes=(*found.notes, note))
        return found


def _double(images: np.ndarray) -> np.ndarray:
    """Bilinear enlargement of uint8 ``[N, H, W, C]`` by two, pixel centres aligned, edges repeated."""
    images = images.astype(np.float32)
    for axis in (1, 2):
        size = images.shape[axis]
        before = images.take(np.maximum(np.arange(size) - 1, 0), axis)
        after = images.take(np.minimum(np.arange(size) + 1, size - 1), axis)
        pairs = np.stack([0.25 * before + 0.75 * images, 0.75 * images + 0.25 * after], axis + 1)
        images = pairs.reshape(*images.shape[:axis], 2 * size, *images.shape[axis + 1 :])
    return np.rint(images).astype(np.uint8)
