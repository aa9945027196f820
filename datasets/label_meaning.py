"""Meaning of a table's cells: the class of a label, and the file of a path, however people and programs write them."""

import difflib
import functools
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from sesemi import tables
from sesemi.datasets.base import some
from sesemi.datasets.label_table import MARK, Line, refused
from sesemi.terminal import printable

# Words of spreadsheets and of pandas for a cell without a value, unless a class has that name.
_NO_LABEL = frozenset(("", "nan", "NaN", "NAN", "<NA>", "None", "null", "NULL", "NaT", "#N/A", "N/A"))
# pandas writes -1 as -1.0 in a column with gaps; word processors write a longer minus.
_MINUS_ONE, _WHOLE, _NUMBER = (
    re.compile("[-\u2212\u2013]1(\\.0*)?"),
    re.compile(r"(\d+)\.0+"),
    re.compile(r"\d+(\.\d+)?"),
)
_LIKE = 0.75


def same(name: str) -> str:
    """Return a form of a name that is equal for names that look the same: accents, spaces at the ends."""
    return unicodedata.normalize("NFC", name.strip(MARK + " \t\r\n"))


class Labels:
    """Classes that the labels of a table mean.

    Args:
        path: Path of the table, for messages.
        lines: Lines of the table.
        classes: Names of the classes that have a folder.
    """

    def __init__(self, path: Path, lines: Iterable[Line], classes: set[str]):
        self._path, self._lines, self._classes = path, list(lines), classes
        self._names = {same(name): name for name in sorted(classes)}
        plain = [same(line.label) for line in self._lines]
        numbers = [label for label in plain if _NUMBER.fullmatch(label)]
        # A column of whole numbers with gaps is one of floats for pandas.
        self._whole = all(label.isdecimal() or _WHOLE.fullmatch(label) for label in numbers)
        self._otherwise: Counter[str] = Counter()
        self._without: Counter[str] = Counter()

    def class_of(self, line: Line) -> str | None:
        """Return the class of a line; None if it has no label."""
        cell = line.label if line.guess is None else tables.original(line.label)
        if cell in self._classes:
            return cell
        label = same(cell)
        if label not in self._names and (label in _NO_LABEL or _MINUS_ONE.fullmatch(label)):
            self._without[label] += 1
            return None
        whole = _WHOLE.fullmatch(label)
        if whole and label not in self._names and (self._whole or whole[1] in self._names):
            label = whole[1]
        name = self._names.get(label, label)
        if name != cell.strip():
            self._otherwise[f"{cell!r} as {name!r}"] += 1
        return name

    def notes(self, given: dict[int, str]) -> list[str]:
        """Return lines about labels that were taken for something else, and about new classes.

        Args:
            given: Class of each line that has one, by the line's number.

        Raises:
            InputError: A class that has no folder is written almost as one that has.
        """
        file, notes = self._path.name, []
        words = [word for word in self._without if word not in ("", "-1")]
        unfilled = sum(self._without.values())
        if words or (unfilled and any(line.guess is not None for line in self._lines)):
            notes.append(f"{file}: {unfilled} lines without a label" + (f" ({some(words)})" if words else ""))
        if self._otherwise:
            notes.append(f"{file}: {sum(self._otherwise.values())} labels read as: {some(list(self._otherwise))}")
        return notes + self._new(given)

    def _new(self, given: dict[int, str]) -> list[str]:
        known = set(self._classes)
        for line in self._lines:
            if line.guess is not None:
                known.add(same(tables.original(line.guess)))
            elif not self._classes and line.number in given:
                known.add(given[line.number])
        if not known or (not self._classes and all(line.guess is None for line in self._lines)):
            return []
        counts = Counter(name for name in given.values() if name not in known)
        notes = []
        for name, count in counts.items():
            close = [] if name.isdecimal() else difflib.get_close_matches(name, sorted(known), 1, _LIKE)
            number = next(number for number, label in given.items() if label == name)
            meant = f"{name!r} is no class so far" + (f"; did you mean {close[0]!r}?" if close else "")
            if close and self._classes:
                cure = f"if it is a new class, make a folder labeled/{name}"
                raise refused(self._path, f"line {number}: {meant}", cure)
            notes.append(f"{self._path.name}: new class with {count} labels: {meant}")
        return notes


class Places:
    """Files that the paths of a table mean.

    Args:
        paths: Paths of the pictures that were found.
        root: Folder that paths of the table begin at.

    Attributes:
        otherwise: Each path that is written in another way than its file, and that file.
    """

    def __init__(self, paths: Iterable[str], root: Path):
        self._root, paths = root, list(paths)
        # Files are found by the path that is written, or by the one that its links lead to.
        self._places = {os.path.realpath(path): path for path in paths}
        self._places |= {os.path.abspath(path): path for path in paths}
        self._paths, self.otherwise = paths, list[str]()

    def find(self, line: Line) -> str | None:
        """Return the path of a line's picture, as it was found, or of a file that was not; None if there is none.

        Raises:
            ValueError: Several pictures may be meant.
        """
        spellings = list(_spellings(line))
        for spelling in spellings:
            path = str(self._root / spelling)
            found = self._places.get(os.path.abspath(path)) or self._places.get(os.path.realpath(path))
            if found is None and os.path.isfile(path):
                found = path
            if found is not None:
                return self._noted(line, spelling, found)
        for spelling in spellings:
            alike = self._alike.get(_alike(os.path.abspath(self._root / spelling)), set())
            if len(alike) > 1:
                raise ValueError(f"{printable(spelling)} may be {some(sorted(map(self._short, alike)))}")
            for found in alike:
                return self._noted(line, None, found)
        return None

    @functools.cached_property
    def _alike(self) -> dict[str, set[str]]:
        """Pictures by their paths, with and without ending, in a form that is equal for names that look the same."""
        found: dict[str, set[str]] = {}
        for path in self._paths:
            whole = os.path.abspath(path)
            for form in {_alike(whole), _alike(os.path.splitext(whole)[0])}:
                found.setdefault(form, set()).add(path)
        return found

    def add(self, path: str) -> None:
        """Remember a file that was not found before."""
        self._places[os.path.abspath(path)] = path

    def _noted(self, line: Line, spelling: str | None, found: str) -> str:
        # Spaces around a cell are no other spelling, and what label-next has marked is its own.
        if spelling is None or spelling not in (line.path.strip(), *list(_spellings(line))[:1]):
            self.otherwise.append(f"{line.path!r} as {self._short(found)!r}")
        return found

    def _short(self, path: str) -> str:
        return os.path.relpath(path, self._root)


def _alike(path: str) -> str:
    return "/".join(same(part) for part in path.split(os.sep))


def _spellings(line: Line) -> Iterable[str]:
    """Yield what a cell with a path may mean, the likeliest first."""
    cell = line.path if line.guess is None else tables.original(line.path)
    seen = {cell}
    yield cell
    bare = cell.strip(MARK + " \t\r\n")
    for other in (cell.lstrip(MARK), bare, bare.replace("\\", "/"), tables.original(line.path), tables.original(bare)):
        if other and other not in seen:
            seen.add(other)
            yield other
