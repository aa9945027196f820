"""Format of CIFAR-10 and CIFAR-100: pickled batches of rows of 3 x 32 x 32 bytes (Krizhevsky 2009)."""

import numpy as np

from sesemi.datasets import unpickle


def read_batch(data: bytes, source: str, label_key: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read one batch file.

    Args:
        data: Bytes of the file.
        source: Name of the file, for errors.
        label_key: Key of the labels, ``labels`` or ``fine_labels``.
        classes: Number of classes.

    Returns:
        Images ``[N, 32, 32, 3]`` uint8 and labels ``[N]`` int32.

    Raises:
        ValueError: If it is not such a file.
    """
    batch = unpickle.loads(data, source)
    rows, labels = batch.get("data"), batch.get(label_key)
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 3072:
        got = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else type(rows).__name__
        raise ValueError(f"{source}: 'data' must be uint8 [N, 3072], got {got}")
    if not len(rows):
        raise ValueError(f"{source}: there is no image in it")
    if not isinstance(labels, list | np.ndarray) or len(labels) != len(rows):
        raise ValueError(f"{source}: {len(rows)} images need as many '{label_key}', got {_describe(labels)}")
    if not all(isinstance(label, int | np.integer) and 0 <= label < classes for label in labels):
        raise ValueError(f"{source}: '{label_key}' must be whole numbers from 0 to {classes - 1}")
    images = np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return images, np.asarray(labels, np.int32)


def _describe(labels) -> str:
    return str(len(labels)) if isinstance(labels, list | np.ndarray) else type(labels).__name__
