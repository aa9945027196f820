"""CIFAR-10: 50,000 + 10,000 colour images of 32 x 32 in ten classes (Krizhevsky 2009)."""

from pathlib import Path

import numpy as np

from sesemi.datasets import cifar, files
from sesemi.datasets.base import ImageData

CLASSES = tuple("airplane automobile bird cat deer dog frog horse ship truck".split())
ARCHIVE = files.Archive(
    file="cifar-10-python.tar.gz",
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    digest="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
TRAIN = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST = "test_batch"


def load(data_dir: Path | None = None) -> ImageData:
    """Load CIFAR-10; see `datasets.load`."""
    read, note = files.locate(data_dir, "cifar-10", "cifar-10-batches-py", ARCHIVE, (*TRAIN, TEST))
    parts = [cifar.read_batch(read(name), name, "labels", len(CLASSES)) for name in TRAIN]
    test_images, test_labels = cifar.read_batch(read(TEST), TEST, "labels", len(CLASSES))
    return ImageData(
        np.concatenate([images for images, _ in parts]),
        np.concatenate([labels for _, labels in parts]),
        test_images,
        test_labels,
        CLASSES,
        (note,),
    )
