"""SVHN, format 2: 73,257 + 26,032 colour images of 32 x 32, ten digits (Netzer et al. 2011)."""

import zlib
from pathlib import Path

import numpy as np

from sesemi import reading
from sesemi.datasets import files, matlab
from sesemi.datasets.base import ImageData
from sesemi.errors import InputError
from sesemi.terminal import one_line

CLASSES = tuple("0123456789")
FILES = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
_URL = "http://ufldl.stanford.edu/housenumbers/"
# Both the file and its pixels; the larger of the two files has 215 MiB of pixels.
_LARGEST_MIB = 256


def load(data_dir: Path | None = None) -> ImageData:
    """Load SVHN; see `datasets.load`. The label 10 of the files is the digit 0."""
    home = files.layout_of_2019("svhn", FILES)
    paths = [_path(name, digest, data_dir, home) for name, digest in FILES.items()]
    train, test = (_read(path) for path in paths)
    return ImageData(*train, *test, CLASSES, (f"data: {paths[0].parent}",))


def _path(name: str, digest: str, data_dir: Path | None, home: Path) -> Path:
    if data_dir is not None:
        if not (data_dir / name).is_file():
            raise InputError(
                f"{name} is not there", setting="data_dir", value=data_dir, cure=f"get {_URL}{name} and put it there"
            )
        return data_dir / name
    if (home / name).is_file():
        return home / name
    others = [other for other in FILES if (home / other).is_file()]
    if others:
        raise FileNotFoundError(f"{home}: {name} is missing beside {others[0]}; get {_URL}{name} and put it there")
    return files.download(files.Archive(name, _URL + name, digest, "md5"), home)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        content = matlab.arrays(reading.content(path, _LARGEST_MIB), ("X", "y"), _LARGEST_MIB * reading.MIB)
    except (OSError, ValueError, MemoryError, zlib.error) as error:
        reason = one_line(getattr(error, "strerror", None) or error)
        raise ValueError(f"{path}: not a readable MATLAB file ({reason}); get {_URL}{path.name} again") from error
    images, labels = content.get("X"), content.get("y")
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[:-1] != (32, 32, 3):
        raise ValueError(f"{path}: 'X' must be uint8 [32, 32, 3, N], got {_describe(images)}")
    if not isinstance(labels, np.ndarray) or labels.shape not in ((images.shape[3], 1), (images.shape[3],)):
        raise ValueError(f"{path}: 'y' must hold {images.shape[3]} labels, got {_describe(labels)}")
    if labels.dtype.kind not in "uif" or not len(labels) or not np.isin(labels, range(1, 11)).all():
        raise ValueError(f"{path}: 'y' must hold whole numbers from 1 to 10")
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), labels.ravel().astype(np.int32) % 10


def _describe(value) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
