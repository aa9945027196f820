"""What a folder of pictures or a file looked like: hashes by which a later look tells whether it has changed."""

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sesemi import reading
from sesemi.datasets import label_table
from sesemi.datasets.folder_tree import PARTS, short
from sesemi.datasets.walk import Walk

_AHEAD = 256
_PIECE = 2**20


class FolderState:
    """Folder of pictures, and perhaps a table of labels, as they are now; or one file.

    Args:
        root: Folder or file.
        labels_file: Path of the table.

    Attributes:
        sizes: SHA-256 of all pictures' paths and sizes, and of the table; None if they cannot be read.
        times: SHA-256 of that and of when each picture was changed and where it lies on its disk. Equal times mean
            that nothing has changed; after a copy they differ and nothing has.
    """

    def __init__(self, root: Path, labels_file: str | None = None):
        self._root = root
        self.sizes: str | None = None
        self.times: str | None = None
        sizes = hashlib.sha256()
        times = hashlib.sha256()
        try:
            for path in self._paths():
                found = path.stat()
                sizes.update(self._name(path) + b"%d\0" % found.st_size)
                times.update(b"%d %d %d\0" % (found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
            if labels_file is not None:
                sizes.update(reading.content(labels_file, label_table.LARGEST_MIB))
        except OSError:
            return
        self.sizes = sizes.hexdigest()
        times.update(self.sizes.encode())
        self.times = times.hexdigest()

    def contents(self, progress: Callable[[int], object] | None = None) -> str | None:
        """Return the SHA-256 of all pictures' paths and of the bytes in them; None if one cannot be read.

        Args:
            progress: Function that is called now and then with the number of files done.
        """
        found, done = hashlib.sha256(), 0
        try:
            with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="hash") as threads:
                for group in _groups(self._paths()):
                    for path, mark in zip(group, threads.map(_digest, group), strict=True):
                        found.update(self._name(path) + mark)
                    done += len(group)
                    if progress is not None:
                        progress(done)
        except OSError:
            return None
        return found.hexdigest()

    def _paths(self) -> Iterator[Path]:
        if not self._root.is_dir():
            return iter([self._root])
        if not (self._root / "labeled").is_dir():
            return Walk(self._root).pictures()
        return (path for part in PARTS if (self._root / part).is_dir() for path in self._of_part(part))

    def _of_part(self, part: str) -> Iterator[Path]:
        walk = Walk(self._root / part)
        if part == "unlabeled":
            yield from walk.pictures()
            return
        for name, inside in walk.classes():
            yield from [self._root / part / name] if inside is None else inside.pictures()

    def _name(self, path: Path) -> bytes:
        return os.fsencode(short(str(path), self._root)) + b"\0"


def _groups(paths: Iterator[Path]) -> Iterator[list[Path]]:
    group: list[Path] = []
    for path in paths:
        group.append(path)
        if len(group) == _AHEAD:
            yield group
            group = []
    yield group


def _digest(path: Path) -> bytes:
    found = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        for piece in iter(functools.partial(file.read, _PIECE), b""):
            found.update(piece)
    return found.digest()
