"""Pictures that a user names (files, folders, arrays, test sets), as the input of a model, a batch at a time."""

import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sesemi.datasets import decoding, image_files, lazy_images
from sesemi.datasets.walk import EXTENSIONS, Walk
from sesemi.errors import InputError
from sesemi.terminal import one_line, printable

# A name to show, and what is to be decoded: a file, or a row of an array.
Item = tuple[str, Path | np.ndarray]
ARRAY = ".npy"
LOOKED_FOR = f"looked for {', '.join(EXTENSIONS)}"
_CHUNK = 200
# Largest size of pixels in memory, in bytes; larger sets are read when they are asked for.
_LIMIT = 4096 * 2**20
_GREY_OR_COLOR = (1, 3, 4)
# ITU-R 601-2, as Pillow rounds it.
_LUMA = np.array([19595, 38470, 7471], np.uint32)


@dataclass(frozen=True, eq=False)
class Source:
    """Place that a user names.

    Args:
        path: Path of a picture, a folder or a ``.npy`` file.
        count: Number of its pictures.
        images: ``[N, H, W]`` or ``[N, H, W, C]`` uint8 of a ``.npy`` file, not read yet; else None.
        notes: Lines about what a folder holds beside its pictures.
    """

    path: Path
    count: int
    images: np.ndarray | lazy_images.NumpyFile | None = None
    notes: tuple[str, ...] = ()

    def items(self) -> Iterator[Item]:
        """Yield all of them, in order."""
        if self.images is not None:
            yield from rows(f"{self.path}[{{}}]", self.images)
        else:
            found = Walk(self.path).pictures() if self.path.is_dir() else (self.path,)
            yield from ((str(path), path) for path in found)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some pictures, decoded.

    Args:
        names: Names of those that are whole.
        positions: ``[n]`` int, the places of these among all items, from 0.
        images: ``[n, H, W, C]`` uint8.
        broken: Names of those that came between and cannot be decoded, and the reasons.
        remarks: Names of pictures to which something was done that their files do not say, and what.
    """

    names: list[str]
    positions: np.ndarray
    images: np.ndarray
    broken: list[tuple[str, str]]
    remarks: list[tuple[str, str]]


def gather(paths: Sequence[str]) -> list[Source]:
    """Look for the named places, and count their pictures.

    Raises:
        InputError: If something is missing, or has no picture.
    """
    return [_source(Path(path)) for path in paths]


def _source(path: Path) -> Source:
    try:
        if path.is_dir():
            walk = Walk(path)
            count, notes = sum(1 for _ in walk.pictures()), walk.passed.notes()
            if not count:
                raise InputError("; ".join([f"{path}: no picture in it", LOOKED_FOR, *notes]))
            return Source(path, count, notes=tuple(f"{printable(str(path))}: {note}" for note in notes))
        if not path.is_file():
            there = "neither a file nor a folder" if os.path.lexists(path) else "there is no such file or folder"
            raise InputError(f"{path}: {there}")
    except OSError as error:
        raise InputError(f"{error.filename or path}: cannot be read ({error.strerror})") from error
    if path.suffix.lower() != ARRAY:
        return Source(path, 1)
    images = _array(path)
    return Source(path, len(images), images)


def _array(path: Path) -> lazy_images.NumpyFile:
    needed = "uint8 [N, H, W] or [N, H, W, C] is needed"
    try:
        images = lazy_images.NumpyFile(path)
    # A damaged header makes numpy's reader fail in many ways.
    except Exception as error:
        raise InputError(f"{path}: not an array of images; {needed} ({one_line(error)})") from error
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or 0 in images.shape:
        raise InputError(f"{path}: {needed}, this is {images.dtype} {list(images.shape)}")
    if images.ndim == 3 and images.shape[-1] in _GREY_OR_COLOR:
        raise InputError(f"{path}: {needed}, this looks like one image, {list(images.shape)}; save it as [1, H, W, C]")
    return images


def rows(name: str, images) -> Iterator[Item]:
    """Yield the rows of an array, or of an object that is indexed by slices like one.

    Args:
        name: Name of a row; ``{}`` is the place of its number.
        images: ``[N, H, W]`` or ``[N, H, W, C]`` uint8.
    """
    before, after = name.rsplit("{}", 1)
    for start in range(0, len(images), _CHUNK):
        for number, image in enumerate(images[start : start + _CHUNK], start):
            yield f"{before}{number}{after}", image


class Reader:
    """Decoder of items to the shape that a model takes; called by several threads at once.

    Args:
        shape: Height, width and channels.
        resize: Way to bring pictures of another size to it, see `image_files.decode`.
    """

    def __init__(self, shape: tuple[int, int, int], resize: str):
        self.shape, self._resize = tuple(shape), resize

    def refuse(self, source: Source) -> None:
        """Refuse a source that can never fit.

        Raises:
            InputError: If it has another number of channels, or the model takes images that are not square.
        """
        height, width, channels = self.shape
        shape = None if source.images is None else source.images.shape[1:]
        if shape and self._fits(shape):
            return
        if height != width or channels not in (1, 3):
            needed = f"{ARRAY} files of uint8 [N, {height}, {width}, {channels}]"
            raise InputError(f"{source.path}: this model takes only {needed}")
        if shape and len(shape) == 3 and shape[2] not in _GREY_OR_COLOR:
            raise InputError(f"{source.path}: {shape[2]} channels; 1 (grey), 3 (RGB) or 4 (RGBA) are known")

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return shape == self.shape or (*shape, 1) == self.shape

    def __call__(self, what: Path | np.ndarray, remark: decoding.Remark | None = None) -> np.ndarray:
        """Return one picture ``[H, W, C]`` uint8; `remark` as in `image_files.decode`.

        Raises:
            image_files.BrokenImageError: If it cannot be decoded.
        """
        if isinstance(what, np.ndarray):
            if self._fits(what.shape):
                return what.reshape(self.shape)
            color = image_files.resized(what[None], self.shape[0], self._resize)[0]
        else:
            color = image_files.decode(what, self.shape[0], self._resize, remark)
        return color if self.shape[2] == 3 else grey(color)


def grey(images: np.ndarray) -> np.ndarray:
    """Return the luma of RGB, as Pillow's mode ``L``: ``[..., 3]`` uint8 to ``[..., 1]`` uint8."""
    return ((images @ _LUMA + 0x8000) >> 16).astype(np.uint8)[..., None]


def batches(items: Iterable[Item], read: Reader, size: int) -> Iterator[Batch]:
    """Decode by several threads. Broken pictures are left out; every batch except the last has `size` pictures."""
    items = enumerate(items)
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="read") as threads:
        while True:
            names, positions, images, broken = [], [], [], []
            remarks: list[tuple[str, str]] = []
            while chunk := list(itertools.islice(items, size - len(images))):
                decoded = threads.map(functools.partial(_attempt, read, remarks), (item for _, item in chunk))
                for (position, (name, _)), image in zip(chunk, decoded, strict=True):
                    if isinstance(image, image_files.BrokenImageError):
                        broken.append((name, str(image)))
                    else:
                        names.append(name)
                        positions.append(position)
                        images.append(image)
            if not images and not broken:
                return
            stacked = np.stack(images) if images else np.empty((0, *read.shape), np.uint8)
            yield Batch(names, np.array(positions, np.int64), stacked, broken, sorted(remarks))


def _attempt(read: Reader, remarks: list[tuple[str, str]], item: Item) -> np.ndarray | image_files.BrokenImageError:
    name, what = item
    try:
        return read(what, lambda text: remarks.append((name, text)))
    except image_files.BrokenImageError as error:
        return error


def ahead(found: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the same batches; a thread makes the next one while this one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        upcoming = thread.submit(next, found, None)
        while (batch := upcoming.result()) is not None:
            upcoming = thread.submit(next, found, None)
            yield batch
