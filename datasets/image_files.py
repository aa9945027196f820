"""Many pictures in files, or in bytes, as uint8 RGB of one size, decoded by several threads at once; fingerprints."""

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sesemi.datasets import levels
from sesemi.datasets.decoding import decode, fitted
from sesemi.datasets.picture_formats import BrokenImageError

DIGEST_BYTES = 16
_CHUNK = 1024
_CHUNK_BYTES = 64 * 2**20


def resized(images: np.ndarray, side: int, resize: str = "crop") -> np.ndarray:
    """Return arrays as `decode` would: uint8 ``[N, H, W]`` or ``[N, H, W, 1 | 3 | 4]`` to ``[N, side, side, 3]``."""
    from PIL import Image

    found = np.empty((len(images), side, side, 3), np.uint8)
    for place, image in zip(found, images, strict=True):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 and image.ndim == 3 else image)
        place[:] = np.asarray(fitted(levels.rgb(picture, _unsaid), side, resize))
    return found


def aligned_empty(shape: Sequence[int]) -> np.ndarray:
    """Return an uninitialized uint8 array that TensorFlow can use without a copy, if the device is the CPU."""
    size, step = int(np.prod(shape)), 64
    raw = np.empty(size + step, np.uint8)
    first = -raw.ctypes.data % step
    return raw[first : first + size].reshape(shape)


def digests(images: np.ndarray) -> np.ndarray:
    """Return a fingerprint of each image's pixels: ``[N, DIGEST_BYTES]`` uint8, equal for images of equal pixels."""
    found = [hashlib.blake2b(image.tobytes(), digest_size=DIGEST_BYTES).digest() for image in images]
    return np.frombuffer(b"".join(found), np.uint8).reshape(len(found), DIGEST_BYTES)


def all_digests(images) -> np.ndarray:
    """Return the `digests` of an array, or of an object that is indexed like one, piece by piece."""
    rows = chunk_rows(*images.shape[1:])
    parts = [digests(images[start : start + rows]) for start in range(0, len(images), rows)]
    return np.concatenate(parts) if parts else digests([])


def chunk_rows(*shape: int) -> int:
    """Return the number of images of this shape to read at a time: 64 MiB of them, but 1 to 1024."""
    return min(max(_CHUNK_BYTES // int(np.prod(shape)), 1), _CHUNK)


def _unsaid(_: str) -> None:
    """Say nothing."""


def decode_all(paths: Sequence[str], side: int, resize: str, remark: Callable[[str, str], object] | None = None):
    """Return path and picture, or path and error, of each file in order.

    Args:
        paths: Paths of the files, or their bytes.
        side: See `decode`.
        resize: See `decode`.
        remark: Function that is called, from any thread, with path and remark of `decode`.
    """

    def one(path):
        try:
            return path, decode(path, side, resize, remark and functools.partial(remark, path))
        except BrokenImageError as error:
            return path, error

    return _threads().map(one, paths)


_pool: ThreadPoolExecutor | None = None


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")
    return _pool


def read_all(paths: Sequence[str], side: int, resize: str = "crop", *, keep: bool, progress=None, remark=None):
    """Decode every file once.

    Args:
        paths: Paths of the files.
        side: See `decode`.
        resize: See `decode`.
        keep: True keeps the pixels, False only looks at them.
        progress: Function that is called with the number of files done so far, now and then.
        remark: See `decode_all`.

    Returns:
        The pixels of those that are whole, ``[N, side, side, 3]``, or None; their `digests`; and the errors of the
        others, by index into `paths`.
    """
    pixels = aligned_empty((len(paths), side, side, 3)) if keep else None
    marks, broken, whole, rows = [], {}, 0, chunk_rows(side, side, 3)
    for start in range(0, len(paths), rows):
        chunk = []
        for number, (_, image) in enumerate(decode_all(paths[start : start + rows], side, resize, remark), start):
            if isinstance(image, BrokenImageError):
                broken[number] = image
            else:
                chunk.append(image)
        if keep and chunk:
            pixels[whole : whole + len(chunk)] = chunk
        marks.append(digests(chunk))
        whole += len(chunk)
        if progress is not None:
            progress(min(start + rows, len(paths)))
    marks = np.concatenate(marks) if marks else digests([])
    return (pixels[:whole] if keep else None), marks, broken
