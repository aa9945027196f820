"""What every loader returns."""

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
