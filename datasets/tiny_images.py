"""Tiny Images, for a user who still has a copy: ``tiny_images.bin`` and ``tiny_index.pkl``, read by offset."""

from pathlib import Path

import numpy as np

from sesemi import reading
from sesemi.datasets import cifar100, unpickle
from sesemi.datasets.base import EXTRA_FORMS, some
from sesemi.errors import InputError
from sesemi.terminal import one_line

FILES = ("tiny_images.bin", "tiny_index.pkl")
NOTE = (
    "Tiny Images was withdrawn by its authors in June 2020: http://groups.csail.mit.edu/vision/TinyImages/ "
    "(Birhane & Prabhu 2020, arXiv:2006.16923)"
)
# This `extra` means all keywords that are classes of CIFAR-100, as in Laine & Aila's tempens and the 2019 program.
CIFAR100_COUNT = 237_203
_KEYWORDS = {"maple_tree": "maple", "aquarium_fish": "fish"}
_BYTES = 32 * 32 * 3
_LARGEST_INDEX_MIB = 64


class TinyImages:
    """Images of a file, indexed by an int array like ``[N, 32, 32, 3]``. Each has 3072 bytes, in MATLAB's order.

    Args:
        folder: Folder of the two files.
        source: Source as the user gave it, for messages.

    Raises:
        InputError: If one of them is missing or damaged, or they do not fit together.
    """

    def __init__(self, folder: Path, source: str):
        self.source, (self.path, index) = source, (folder / name for name in FILES)
        for path in (self.path, index):
            if not path.is_file():
                raise InputError(
                    f"there is no file {path}",
                    setting="extra_source",
                    value=source,
                    cure=f"put it there, or use {EXTRA_FORMS}",
                )
        size = self.path.stat().st_size
        there, rest = divmod(size, _BYTES)
        if rest:
            raise InputError(
                f"{self.path}: {size} bytes are no multiple of {_BYTES}",
                setting="extra_source",
                value=source,
                cure="get all of it again",
            )
        self.keywords = self._read_index(index)
        total = max((end for _, end in self.keywords.values()), default=0)
        if not total:
            raise InputError(f"{index}: no image in it", setting="extra_source", value=source, cure="get it again")
        if there < total:
            raise InputError(
                f"{self.path}: {there} images, but its index says {total}",
                setting="extra_source",
                value=source,
                cure="get all of it again",
            )
        self.shape = (total, 32, 32, 3)

    def _read_index(self, path: Path) -> dict[str, tuple[int, int]]:
        try:
            found = unpickle.loads(reading.content(path, _LARGEST_INDEX_MIB), str(path))
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}", setting="extra_source", value=self.source) from error
        except ValueError as error:
            raise InputError(f"{error}", setting="extra_source", value=self.source) from error
        for keyword, span in found.items():
            pair = isinstance(span, tuple | list) and len(span) == 2 and all(isinstance(place, int) for place in span)
            if not pair or not 0 <= span[0] <= span[1]:
                raise InputError(
                    (f"{path}: (start, end) is needed for each keyword, got {one_line(span)} for {one_line(keyword)}"),
                    setting="extra_source",
                    value=self.source,
                    cure="get it again",
                )
        return found

    def of_cifar100(self) -> tuple[np.ndarray, list[str]]:
        """Return positions of all images whose keyword is a class of CIFAR-100, and notes about anything odd."""
        wanted = [_KEYWORDS.get(name, name) for name in cifar100.CLASSES]
        chosen = np.zeros(self.shape[0], bool)
        for name in wanted:
            chosen[slice(*self.keywords.get(name, (0, 0)))] = True
        positions, missing = np.flatnonzero(chosen), [name for name in wanted if name not in self.keywords]
        if not len(positions):
            raise InputError(
                f"no keyword of {FILES[1]} is a class of CIFAR-100",
                setting="extra_source",
                value=self.source,
                cure="give another `extra`",
            )
        notes = [f"no such keyword in {FILES[1]}: {some(missing)}"] if missing else []
        if len(positions) != CIFAR100_COUNT:
            notes.append(f"this index has {len(positions)} images of CIFAR-100's classes, not {CIFAR100_COUNT}")
        return positions, notes

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        found = np.empty((len(index), _BYTES), np.uint8)
        # Not mapped into memory: around each page that is touched the kernel would read many more.
        with self.path.open("rb", buffering=0) as file:
            for row, position in zip(found, index.tolist(), strict=True):
                file.seek(position * _BYTES)
                if file.readinto(row) != _BYTES:
                    raise InputError(
                        f"{self.path}: it ends before image {position}",
                        setting="extra_source",
                        value=self.source,
                        cure="get all of it again",
                    )
        return found.reshape(-1, 3, 32, 32).transpose(0, 3, 2, 1)
