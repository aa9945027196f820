"""Images that are indexed like an array, and read from where they lie when they are asked for."""

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sesemi import reading
from sesemi.datasets import image_files

_CHUNK = 4096
# A header of numpy, in bytes, and any file at all.
_LARGEST_HEADER, _LARGEST_MIB = 2**16 + 16, 2**40


class LazyImages:
    """Images indexed like an array ``[N, H, W, C]`` of uint8. A subclass says how many there are and reads them.

    Attributes:
        image_shape: ``(H, W, C)``.
    """

    dtype = np.dtype(np.uint8)
    image_shape: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape ``(N, H, W, C)``."""
        return (len(self), *self.image_shape)

    @property
    def nbytes(self) -> int:
        """Size of all images, decoded, in bytes."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        raise NotImplementedError


class Pictures(LazyImages):
    """Encoded pictures, decoded when they are asked for: RGB of one size.

    Args:
        side: See `image_files.decode`.
        resize: See `image_files.decode`.

    Attributes:
        advice: End of the message where one cannot be decoded.
    """

    advice = ""

    def __init__(self, side: int, resize: str = "crop"):
        self.side, self.resize, self.image_shape = side, resize, (side, side, 3)

    def encoded(self, index: slice | np.ndarray) -> tuple[Sequence[str], Sequence[str | bytes]]:
        """Return names of some pictures, for messages, and their files or bytes."""
        raise NotImplementedError

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """Decode some images.

        Raises:
            BrokenImageError: If one cannot be decoded (any more); the message has its name.
        """
        names, encoded = self.encoded(index)
        found = np.empty((len(names), *self.shape[1:]), np.uint8)
        decoded = image_files.decode_all(encoded, self.side, self.resize)
        for place, name, (_, image) in zip(found, names, decoded, strict=True):
            if isinstance(image, image_files.BrokenImageError):
                raise image_files.BrokenImageError(f"{name}: {image}{self.advice}")
            place[:] = image
        return found


class ImageFiles(Pictures):
    """Pictures in files.

    Args:
        paths: Paths of the files.
        side: See `image_files.decode`.
        resize: See `image_files.decode`.
    """

    def __init__(self, paths: Sequence[str], side: int, resize: str = "crop"):
        super().__init__(side, resize)
        self.paths = list(map(str, paths))

    def __len__(self) -> int:
        return len(self.paths)

    def only(self, index: slice | np.ndarray) -> "ImageFiles":
        """Return some of them, still not decoded."""
        return ImageFiles(self._chosen(index), self.side, self.resize)

    def encoded(self, index):
        """Return their paths, as names and as files."""
        chosen = self._chosen(index)
        return chosen, chosen

    def _chosen(self, index: slice | np.ndarray) -> list[str]:
        return self.paths[index] if isinstance(index, slice) else [self.paths[i] for i in index]


class NumpyFile:
    """Array that ``numpy.save`` has written, indexed like an array, from the disk each time.

    It is mapped anew each time, so that rows that were read do not stay in memory.

    Args:
        path: Path of the file.

    Raises:
        Exception: If the file is damaged; it may be of any kind.
    """

    def __init__(self, path: str | Path):
        refuse_short(path)
        self._path, images = path, np.lib.format.open_memmap(path, mode="r")
        self.shape, self.dtype, self.ndim = images.shape, images.dtype, images.ndim

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """Return a copy of some rows."""
        return np.array(np.lib.format.open_memmap(self._path, mode="r")[index])


def refuse_short(path: str | Path) -> None:
    """Refuse a ``.npy`` file that claims more than it has; numpy would compute with what it claims, and warn.

    Raises:
        Exception: It does, or is damaged.
    """
    with reading.opened(path, _LARGEST_MIB) as file, warnings.catch_warnings():
        # What is no header may look like bad Python.
        warnings.simplefilter("ignore")
        start = file.read(_LARGEST_HEADER)
        head = io.BytesIO(start)
        version = np.lib.format.read_magic(head)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(head)
        size, there = math.prod(shape) * dtype.itemsize, file.seek(0, 2) - head.tell()
    if min(shape, default=0) < 0 or (size > there and not dtype.hasobject):
        raise ValueError(f"its header claims {size} bytes, there are {there}")


class Joined(LazyImages):
    """Images one after the other, in arrays or read when asked.

    Args:
        parts: Images, each ``[N, H, W, C]`` uint8, or indexed like that.
    """

    def __init__(self, *parts):
        self.parts, self.image_shape = parts, parts[0].shape[1:]
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        index = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        found = np.empty((len(index), *self.shape[1:]), np.uint8)
        start = 0
        for part, end in zip(self.parts, self._ends, strict=True):
            mine = (index >= start) & (index < end)
            if mine.any():
                found[mine] = part[index[mine] - start]
            start = end
        return found


def only(images, index: slice | np.ndarray):
    """Return some images of an array, or of an object that reads them when asked; such images are not read yet."""
    return images[index] if isinstance(images, np.ndarray) else images.only(index)


def compact(images, kept: np.ndarray):
    """Return `only`; in an array, the images are moved to its front in place, because a second copy might not fit.

    Args:
        images: ``[N, ...]``; the rows of an array behind the kept ones are lost.
        kept: ``[K]`` indices, ascending.

    Returns:
        The K images.
    """
    if not isinstance(images, np.ndarray):
        return images.only(kept)
    if len(kept) < len(images):
        for start in range(0, len(kept), _CHUNK):
            chosen = kept[start : start + _CHUNK]
            images[start : start + len(chosen)] = images[chosen]
    return images[: len(kept)]
