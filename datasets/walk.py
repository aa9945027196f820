"""Search for pictures in a folder and in all folders in it; what is passed over is counted and named."""

import errno
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sesemi.datasets import own_pictures, picture_formats
from sesemi.datasets.base import some
from sesemi.terminal import printable

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff")
HEIF_EXTENSIONS = (".heic", ".heif", ".hif")
# Folders that systems and network drives make by themselves, in small letters.
_MACHINES = {
    "@eadir", "#recycle", "@recycle", "@tmp", "#snapshot", "@recently-snapshot",
    "__macosx", "$recycle.bin", "recycler", "lost+found", "system volume information",
}  # fmt: skip
_RUN_FILES = ("config.json", "split.json")
_SHOWN = 3
_HEAD = 18
# Sizes of the second header of a BMP.
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)

LOST = "links that lead nowhere or in a circle"
ODD = "devices, pipes or sockets with names of pictures"
TWICE = "links to folders that are read anyway or lie around this one"
MACHINES = "folders of machines"
RUNS = "folders of runs"
OWN = "pictures of this program"
HIDDEN = "hidden folders and pictures"
DEEP = "folders whose path is too long"
# Pictures are missing because of these.
FAULTS = (LOST, ODD, DEEP)


def class_name(name: str) -> str:
    """Return the name of a class as it is compared: letters with accents in one form (NFC), without space around."""
    return unicodedata.normalize("NFC", name).strip()


class Passed:
    """Files and folders that a search has passed over.

    Attributes:
        places: Paths, by the reason.
        kinds: Numbers of files of other kinds, by their ending.
    """

    def __init__(self):
        self.places: dict[str, list[str]] = {}
        self.kinds: Counter[str] = Counter()

    def add(self, why: str, path: str) -> None:
        """Add a file or folder."""
        self.places.setdefault(why, []).append(path)

    def update(self, other: "Passed", folder: str = "") -> None:
        """Add what another search, whose paths are from `folder`, has passed over."""
        for why, paths in other.places.items():
            self.places.setdefault(why, []).extend(os.path.join(folder, path) for path in paths)
        self.kinds.update(other.kinds)

    def notes(self, *, faults: bool = True) -> list[str]:
        """Return a line for each reason, and one for files of other kinds; `faults` includes `FAULTS`."""
        lines = [
            f"passed over: {len(paths)} {why}: {some(paths)}"
            for why, paths in self.places.items()
            if faults or why not in FAULTS
        ]
        return [*lines, *([f"files of other kinds, not read: {self.kinds_text()}"] if self.kinds else [])]

    def kinds_text(self) -> str:
        """Return the numbers of files of other kinds, HEIC first, and what is to be done to have that read."""
        first = sorted(self.kinds.items(), key=lambda kind: (kind[0] not in HEIF_EXTENSIONS, -kind[1]))
        shown = ", ".join(f"{count} {printable(kind)[:20]}" for kind, count in first[:_SHOWN])
        more = f" and {sum(count for _, count in first[_SHOWN:])} more" if len(first) > _SHOWN else ""
        advice = f" ({picture_formats.HEIF_ADVICE})" if self.kinds.keys() & set(HEIF_EXTENSIONS) else ""
        return f"{shown}{more}{advice}"


class Walk:
    """Search of a folder and of all folders in it, in the order of their names.

    Links to folders are followed, each folder once; those that lead back into the folder or around it are not. Pictures
    are told by their ending or, where a name has none, by the first bytes. Passed over are hidden names, folders that
    machines make, folders of runs, and pictures of this program.

    Args:
        root: Folder.

    Attributes:
        passed: `Passed` so far.
    """

    def __init__(self, root: str | Path):
        self.root, self.passed = str(root), Passed()
        self._real = os.path.realpath(root)
        self._linked: set[tuple[int, int]] = set()
        self._extensions = (*EXTENSIONS, *(HEIF_EXTENSIONS if picture_formats.heif_is_read() else ()))

    def pictures(self, folder: str | Path | None = None) -> Iterator[Path]:
        """Yield the pictures of a folder, by default the root, and of all in it, in order.

        The names of one folder at a time, and of those around it, are held in memory.

        Raises:
            OSError: A folder cannot be read.
        """
        waiting = [self._named(str(folder or self.root))]
        while waiting:
            for path, is_folder in waiting[-1]:
                if is_folder:
                    waiting.append(self._named(path))
                    break
                yield Path(path)
            else:
                waiting.pop()

    def _named(self, folder: str) -> Iterator[tuple[str, bool]]:
        return ((os.path.join(folder, name), is_folder) for name, is_folder in self.children(folder))

    def classes(self) -> Iterator[tuple[str, "Walk | None"]]:
        """Yield the folders in the root with a search of each, and the pictures, with None, by their names in order.

        Here links to the folders of other classes are followed too: what lies in two classes is to be found. A folder
        is met once under names that are one by `class_name`.

        Raises:
            OSError: The root cannot be read.
        """
        met = set()
        for name, is_folder in self.children(self.root, classes=True):
            path = os.path.join(self.root, name)
            place = class_name(name), os.path.realpath(path)
            if is_folder and place in met:
                self._pass(TWICE, path)
                continue
            met.add(place)
            yield name, Walk(path) if is_folder else None

    def children(self, folder: str | Path, *, classes: bool = False) -> list[tuple[str, bool]]:
        """Return the names of the pictures and folders in a folder, sorted, and whether each is a folder.

        Args:
            folder: Folder.
            classes: True follows all links but those to a folder around the root.

        Raises:
            OSError: It cannot be read.
        """
        try:
            with os.scandir(folder) as entries:
                ordered = sorted(entries, key=lambda entry: entry.name)
                found = [(entry.name, self._kind(entry, classes=classes)) for entry in ordered]
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            self._pass(DEEP, str(folder))
            return []
        return [(name, kind == "folder") for name, kind in found if kind]

    def _kind(self, entry: os.DirEntry, *, classes: bool) -> str:
        """Return ``folder``, ``picture``, or nothing if the entry is passed over."""
        mode = _mode(entry)
        if mode is not None and stat.S_ISDIR(mode):
            return "folder" if self._goes_into(entry, classes=classes) else ""
        ending = _ending(entry.name)
        if entry.name.startswith("."):
            if ending in self._extensions:
                self._pass(HIDDEN, entry.path)
            return ""
        if mode is None or not stat.S_ISREG(mode):
            if ending in self._extensions or mode is None:
                self._pass(LOST if mode is None else ODD, entry.path)
            return ""
        if ending not in self._extensions and (ending or not _is_picture(entry.path)):
            self.passed.kinds[ending or "no extension"] += 1
            return ""
        if ending in (".png", "") and own_pictures.is_one(entry.path):
            self._pass(OWN, entry.path)
            return ""
        return "picture"

    def _goes_into(self, entry: os.DirEntry, *, classes: bool) -> bool:
        """Return whether a folder is searched; if it is not, it is counted."""
        why = None
        if entry.name.startswith("."):
            why = HIDDEN
        elif entry.name.lower() in _MACHINES:
            why = MACHINES
        elif all(os.path.isfile(os.path.join(entry.path, name)) for name in _RUN_FILES):
            why = RUNS
        elif classes:
            why = TWICE if _is_in(self._real, os.path.realpath(entry.path)) else None
        elif (entry.is_symlink() or self._linked) and self._is_read_anyway(entry):
            why = TWICE
        if why is not None:
            self._pass(why, entry.path)
        return why is None

    def _is_read_anyway(self, entry: os.DirEntry) -> bool:
        """Return whether a link, or a folder behind one, leads to a folder that the search meets elsewhere."""
        real = os.path.realpath(entry.path)
        if _is_in(real, self._real) or _is_in(self._real, real):
            return entry.is_symlink()
        found = os.stat(entry.path)
        place = found.st_dev, found.st_ino
        known = place in self._linked
        self._linked.add(place)
        return known

    def _pass(self, why: str, path: str) -> None:
        self.passed.add(why, os.path.relpath(path, self.root) if path.startswith(self.root) else path)


def _is_in(path: str, folder: str) -> bool:
    return f"{path}{os.sep}".startswith(f"{folder.rstrip(os.sep)}{os.sep}")


def _mode(entry: os.DirEntry) -> int | None:
    """Return the kind of a file as ``stat`` has it; None of a link that cannot be followed."""
    if not entry.is_symlink():
        for test, mode in ((entry.is_dir, stat.S_IFDIR), (entry.is_file, stat.S_IFREG)):
            if test(follow_symlinks=False):
                return mode
        return stat.S_IFIFO
    try:
        return entry.stat().st_mode
    except OSError:
        return None


def _ending(name: str) -> str:
    """Return the ending of a name, in small letters; none if it is no word, as that of ``taken 2021.12.31``."""
    ending = os.path.splitext(name)[1].lower()
    return "" if ending == "." or ending[1:].isdigit() or " " in ending else ending


def _is_picture(path: str) -> bool:
    """Return whether the first bytes of a file are those of a picture of a kind that is read."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    starts = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
    if head.startswith(starts) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return True
    return picture_formats.is_heif(head) and picture_formats.heif_is_read()
