"""Data sets as uint8 arrays: one loader a file, ``load(name, data_dir)``.

The folders of the 2019 layout (``cifar-10/``, ``cifar-100/``, ``svhn/``) may lie beside these files.
"""

import importlib
from pathlib import Path

from datasets.base import ImageData

LOADERS = {
    "digits": "datasets.digits",
    "cifar10": "datasets.cifar10",
    "cifar100": "datasets.cifar100",
    "svhn": "datasets.svhn",
}


def load(name: str, data_dir: str | Path | None = None) -> ImageData:
    """Load a data set.

    Args:
        name: a key of `LOADERS`.
        data_dir: where to look and nowhere else; None: the 2019 layout beside this file, then a download.

    Returns:
        The images as uint8, see `ImageData`.

    Raises:
        ValueError: unknown name, or a file that is not what it should be.
        FileNotFoundError: a file is missing; the message says where to get it and where to put it.
    """
    if name not in LOADERS:
        raise ValueError(f"no data set {name!r}; choose from {', '.join(LOADERS)}")
    return importlib.import_module(LOADERS[name]).load(None if data_dir is None else Path(data_dir))
