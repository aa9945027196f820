"""Unlabeled images from elsewhere, for ``--extra-source``: read a piece at a time, in the order of their places."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sesemi.datasets import files, image_files, imagenet32, lazy_images, tiny_images, walk
from sesemi.datasets.base import EXTRA_FORMS, some
from sesemi.errors import InputError
from sesemi.terminal import one_line


@dataclass(frozen=True, eq=False)
class Extra(lazy_images.LazyImages):
    """Chosen images of a source: ``[N, side, side, channels]``.

    Args:
        images: Source, indexed by an int array like uint8 ``[M, H, W]`` or ``[M, H, W, C]``.
        positions: ``[N]`` int, increasing: the places of the chosen images in the source.
        side: Height and width that they get, in pixels.
        channels: Number of channels, 1 or 3.
        resize: ``crop`` or ``pad``, see `image_files.decode`.
        notes: Lines to show the user.
    """

    images: Any
    positions: np.ndarray
    side: int
    channels: int
    resize: str
    notes: tuple[str, ...]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of an image, ``(side, side, channels)``."""
        return (self.side, self.side, self.channels)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """Return some images: ``[k, side, side, channels]`` uint8."""
        positions, start = self.positions[index], 0
        found = np.empty((len(positions), *self.shape[1:]), np.uint8)
        for chunk in self._read(positions):
            found[start : start + len(chunk)] = chunk
            start += len(chunk)
        return found

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield all images in order, each time from the first: ``[k, side, side, channels]`` uint8, k in 1 … 1024."""
        return self._read(self.positions)

    def keep(self, indices: np.ndarray) -> "Extra":
        """Return the same source with these images only, in the order they have; `indices` are in ``0 … N - 1``."""
        kept = np.zeros(len(self), bool)
        kept[indices] = True
        return dataclasses.replace(self, positions=self.positions[kept])

    def without(self, dropped: np.ndarray) -> "Extra":
        """Return the same source without the images where `dropped`, ``[N]`` bool, is true."""
        return self.keep(np.flatnonzero(~dropped))

    def _read(self, positions: np.ndarray) -> Iterator[np.ndarray]:
        rows = min(image_files.chunk_rows(*shape[1:]) for shape in (self.images.shape, self.shape))
        for start in range(0, len(positions), rows):
            yield self._fitted(self.images[positions[start : start + rows]])

    def _fitted(self, images: np.ndarray) -> np.ndarray:
        """Bring images to the wanted size and channels; images that have them already keep their pixels."""
        from PIL import Image

        images = np.ascontiguousarray(images if images.ndim == 4 else images[..., None])
        if images.shape[1:] == self.shape[1:]:
            return images
        images = image_files.resized(images, self.side, self.resize)
        if self.channels == 3:
            return images
        return np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])[..., None]


def load(text: str | None, count: int | None, *, side: int, channels: int, seed: int, resize: str = "crop") -> Extra:
    """Open a source of unlabeled images and choose some of them.

    Args:
        text: One of `EXTRA_FORMS`; None: Tiny Images if they lie in one of `files.places`, else ImageNet32.
        count: Number of images, chosen by `seed`; None: all. 237203 of Tiny Images are those of CIFAR-100's classes.
        side: Height and width that they get, in pixels.
        channels: Number of channels, 1 or 3.
        seed: Seed of the random choice.
        resize: ``crop`` or ``pad``, see `image_files.decode`.

    Raises:
        ValueError: If the form is unknown, a file is missing, cannot be downloaded or is not what it should be, or
            there are too few images.
    """
    kind, place, text = _parse(text, count)
    if channels not in (1, 3):
        raise InputError(
            f"images of 1 or 3 channels can be made, the data set has {channels}",
            setting="extra_source",
            value=text,
            cure="leave it out",
        )
    images, notes = _OPEN[kind](place, text, side, resize)
    total = images.shape[0]
    if kind == "tiny-images" and count == tiny_images.CIFAR100_COUNT:
        positions, more = images.of_cifar100()
        notes = (*notes, *more)
    elif count is None:
        positions = np.arange(total)
    else:
        _refuse_more(count, total, text)
        positions = np.sort(np.random.default_rng(seed).choice(total, count, replace=False, shuffle=False))
    return Extra(
        images,
        positions,
        side=side,
        channels=channels,
        resize=resize,
        notes=(f"extra images: {len(positions)} of {total} of {text}", *notes),
    )


def refuse(text: str | None, count: int | None) -> None:
    """Refuse what `load` would refuse, as far as a look at the place tells.

    Raises:
        ValueError: See `load`.
    """
    kind, place, text = _parse(text, count)
    if kind in _LOOKED_INTO:
        images, _ = _OPEN[kind](place, text)
        if count is not None and not (kind == "tiny-images" and count == tiny_images.CIFAR100_COUNT):
            _refuse_more(count, images.shape[0], text)
    elif place is not None:
        _refuse_no_folder(place, text)


def _parse(text: str | None, count: int | None) -> tuple[str, Path | None, str]:
    """Return kind, place and text of a source."""
    if text is None:
        home = files.layout_of_2019("tiny-images", tiny_images.FILES)
        text = "tiny-images" if any((home / name).is_file() for name in tiny_images.FILES) else "imagenet32"
    kind, colon, place = text.partition(":")
    if kind not in _OPEN or bool(colon) != bool(place) or (kind in ("folder", "npy") and not place):
        raise InputError("there is no such source", setting="extra_source", value=text, cure=f"give {EXTRA_FORMS}")
    if count is not None and count < 1:
        raise InputError(f"`extra` must be 1 or more, got {count}", setting="extra_source", value=text)
    if count is None and kind == "tiny-images":
        raise InputError(
            "say how many of the 79 million images to take, with `extra=N`", setting="extra_source", value=text
        )
    return kind, Path(place).expanduser() if place else None, text


def _refuse_more(count: int, total: int, text: str) -> None:
    if count > total:
        raise InputError(
            f"`extra={count}` are more than the {total} images it has",
            setting="extra_source",
            value=text,
            cure=f"give {total} or less",
        )


def _refuse_no_folder(place: Path, text: str) -> None:
    if not place.is_dir():
        raise InputError(
            f"there is no folder {place}",
            setting="extra_source",
            value=text,
            cure=f"give one that is, or use {EXTRA_FORMS}",
        )


def digests_and_duplicates(source: Extra, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Look at all images once.

    Args:
        source: Source of N images.
        others: `image_files.digests` of other images.

    Returns:
        The `image_files.digests` of all, and ``[N]`` bool, true for those with exactly the pixels of one of the others.
    """
    found, known = image_files.all_digests(source), {mark.tobytes() for mark in others}
    return found, np.array([mark.tobytes() in known for mark in found], bool)


def _tiny_images(place: Path | None, text: str, *_):
    place = place or files.layout_of_2019("tiny-images", tiny_images.FILES)
    return tiny_images.TinyImages(place, text), (tiny_images.NOTE,)


def _imagenet32(place: Path | None, text: str, *_):
    if place is not None:
        _refuse_no_folder(place, text)
    return imagenet32.open_or_download(place, text)


def _folder(place: Path, text: str, side: int, resize: str):
    _refuse_no_folder(place, text)
    search = walk.Walk(place)
    paths = [str(path) for path in search.pictures()]
    _, _, broken = image_files.read_all(paths, side, resize, keep=False)
    whole = [path for number, path in enumerate(paths) if number not in broken]
    if not whole:
        raise InputError(
            "; ".join([f"no picture in it that is whole, {len(broken)} are broken", *search.passed.notes()]),
            setting="extra_source",
            value=text,
            cure=f"give a folder with {', '.join(walk.EXTENSIONS)}",
        )
    named = [f"{paths[number]} ({why})" for number, why in broken.items()]
    notes = [f"extra images: {note}" for note in search.passed.notes()]
    notes += [f"{len(named)} broken extra images are left out: {some(named)}"] if named else []
    return lazy_images.ImageFiles(whole, side, resize), tuple(notes)


def _npy(path: Path, text: str, *_):
    need = "uint8 [N, H, W, C] or [N, H, W] with 1, 3 or 4 channels"
    if not path.is_file():
        raise InputError(
            f"there is no file {path}",
            setting="extra_source",
            value=text,
            cure=f"give one of {need}, as numpy.save makes it",
        )
    try:
        images = lazy_images.NumpyFile(path)
    # A damaged file may make numpy raise any error.
    except Exception as error:
        raise InputError(
            f"not a file of numpy.save ({one_line(error)})",
            setting="extra_source",
            value=text,
            cure=f"{need} is needed",
        ) from error
    channels = images.shape[3] if len(images.shape) == 4 else 1
    if images.dtype != np.uint8 or len(images.shape) not in (3, 4) or channels not in (1, 3, 4) or 0 in images.shape:
        raise InputError(
            f"{need} is needed, got {images.dtype} {list(images.shape)}", setting="extra_source", value=text
        )
    return images, ()


# Sources that are opened without a long look.
_LOOKED_INTO = ("tiny-images", "npy")
_OPEN = {"tiny-images": _tiny_images, "imagenet32": _imagenet32, "folder": _folder, "npy": _npy}
