"""scikit-learn's digits: 1,797 real scans of 8 x 8 (Alpaydin & Kaynak 1998), part of a dependency."""

from pathlib import Path

import numpy as np

from datasets.base import ImageData

TRAIN = 1000
SIZE = 16
_SPLIT_SEED = 0


def load(data_dir: Path | None = None) -> ImageData:
    """Load the digits, doubled to 16 x 16 (the smallest size that every trunk accepts); no download.

    A fixed, class-balanced shuffle makes the first 1,000 images the training set and the other 797 the test set.

    Raises:
        ValueError: a `data_dir` was given, which this data set has no use for.
    """
    if data_dir is not None:
        raise ValueError(f"--data-dir {data_dir}: digits come with scikit-learn and need none; leave it out")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    content = load_digits()
    images = np.rint(_double(content.images) * (255 / 16)).astype(np.uint8)[..., None]
    split = train_test_split(
        images,
        content.target.astype(np.int32),
        train_size=TRAIN,
        random_state=_SPLIT_SEED,
        stratify=content.target,
    )
    train_images, test_images, train_labels, test_labels = split
    return ImageData(train_images, train_labels, test_images, test_labels, tuple("0123456789"))


def _double(images: np.ndarray) -> np.ndarray:
    """Bilinear enlargement by two of ``[N, 8, 8]``, pixel centres aligned, edges repeated."""
    for axis in (1, 2):
        padded = np.pad(images, [(0, 0)] + [(1, 1) if a == axis else (0, 0) for a in (1, 2)], mode="edge")
        size = images.shape[axis]
        before, after = (padded.take(range(start, start + size), axis) for start in (0, 2))
        pairs = np.stack([0.25 * before + 0.75 * images, 0.75 * images + 0.25 * after], axis + 1)
        images = pairs.reshape(*images.shape[:axis], 2 * size, *images.shape[axis + 1 :])
    return images
