"""Digits of scikit-learn: 1,797 real scans of 8 x 8 (Alpaydin & Kaynak 1998), part of a dependency."""

from pathlib import Path

import numpy as np

from sesemi.datasets.base import ImageData
from sesemi.errors import InputError

TRAIN = 1000
_SPLIT_SEED = 0


def load(data_dir: Path | None = None) -> ImageData:
    """Load the digits as ``[N, 8, 8, 1]``, without a download. A network that needs more pixels gets them enlarged.

    A fixed, class-balanced shuffle makes 1,000 images the training set and the other 797 the test set.

    Raises:
        ValueError: If a `data_dir` is given: this data set has no use for it.
    """
    if data_dir is not None:
        raise InputError(
            "digits come with scikit-learn and need none", setting="data_dir", value=data_dir, cure="leave it out"
        )
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    content = load_digits()
    images = np.rint(content.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = content.target.astype(np.int32)
    split = train_test_split(images, labels, train_size=TRAIN, random_state=_SPLIT_SEED, stratify=labels)
    train_images, test_images, train_labels, test_labels = split
    return ImageData(train_images, train_labels, test_images, test_labels, tuple("0123456789"))
