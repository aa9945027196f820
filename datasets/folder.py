"""Pictures of a user: a folder of class folders, or any folder with a table of labels."""

import functools
import hashlib
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sesemi.datasets import image_files, label_meaning, label_table
from sesemi.datasets.base import ImageData, Reading, held_out, some
from sesemi.datasets.lazy_images import ImageFiles, compact, only
from sesemi.errors import InputError, did_you_mean
from sesemi.reading import content
from sesemi.terminal import printable

# In this order they are read and held: training images are in front of the test.
PARTS = ("labeled", "unlabeled", "validation", "test")
TREE = "labeled/CLASS/*, unlabeled/* and, if you have them, test/CLASS/* and validation/CLASS/*"
_SHOWN, _LISTED = 3, 20


@dataclass
class _File:
    """Picture with its path, its purpose (one of `PARTS`), and the name of its class, if it has one."""

    path: str
    part: str
    name: str | None


def load(root: Path | None, how: Reading) -> ImageData:
    """Read a folder of pictures.

    Without ``test/``, a fifth of the labeled pictures of each class is the test (`held_out`), always the same ones.
    Pictures with a fault are left out, with a note; with ``how.strict`` that is an error. Faults are: broken files,
    every labeled copy of a picture that lies in two classes, and a training picture that is in the test or the
    validation too.

    Args:
        root: Folder with ``labeled/CLASS/**``, ``unlabeled/**``, and perhaps ``test/CLASS/**`` and
            ``validation/CLASS/**``; or, with ``how.labels_file``, with any pictures.
        how: Size of the pictures and more. ``labels_file`` is CSV with ``path,label`` in each line, paths from `root`
            or absolute. It adds to the labels of the folders. An empty label or -1 means none; a file that the table
            does not name gets none from it.

    Raises:
        ValueError: If a folder or the table is missing, there is nothing to train on, or a fault cannot be left out.
    """
    if root is None:
        raise InputError(f"`data_dir` is needed, a folder with {TREE}", setting="dataset", value="folder")
    if not root.is_dir():
        raise InputError("there is no such folder", setting="data_dir", value=root, cure=f"give one with {TREE}")
    found, classes = _scan(root, anything=how.labels_file is not None)
    said = [] if how.labels_file is None else _apply_table(found, classes, root, Path(how.labels_file))
    names = _class_names(found, classes, root)
    set_aside = _set_aside(found, root)
    found.sort(key=lambda file: PARTS.index(file.part))
    keep = len(found) * how.side**2 * 3 <= how.limit
    progress = how.progress and (lambda done: how.progress(done, len(found)))
    pixels, digests, broken = image_files.read_all(
        [file.path for file in found], how.side, how.resize, keep=keep, progress=progress
    )
    faults = {"broken": [(_short(found[i].path, root), why) for i, why in broken.items()]}
    found = [file for i, file in enumerate(found) if i not in broken]
    dropped, more = _duplicates(found, digests, root)
    left_out = {what: items for what, items in (faults | more).items() if items}
    faults = [_said(what, items) for what, items in left_out.items()]
    if how.strict and faults:
        raise InputError(f"{root}: {'; '.join(faults)}", setting="strict", cure="mend that, or leave `strict` out")
    images, digests, found = _without(dropped, pixels, digests, found, how)
    _refuse_empty(found, names, root)
    train = sum(file.part != "test" for file in found)
    labels = np.array([-1 if file.name is None else names.index(file.name) for file in found], np.int32)
    data = ImageData(
        only(images, slice(None, train)),
        labels[:train],
        only(images, slice(train, None)),
        labels[train:],
        tuple(names),
        (f"data: {printable(str(root))}, {_counts(found)}", _classes(found, names), *said, *_others(root), *faults),
        validation=np.array([i for i, file in enumerate(found) if file.part == "validation"], np.int64),
        paths=tuple(_short(file.path, root) for file in found[:train]),
        digests=digests[:train],
        left_out=tuple((path, f"{what}: {why}") for what, items in left_out.items() for path, why in items),
    )
    return data.with_test_held_out() if set_aside else data


def _scan(root: Path, anything: bool) -> tuple[list[_File], set[str]]:
    """Return all pictures, and the names of the class folders, empty ones too."""
    if not (root / "labeled").is_dir() and not anything:
        there = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())[:_SHOWN]
        inside = f"; it has {', '.join(there)}" if there else ""
        raise InputError(
            f"no labeled/ in it{inside}",
            setting="data_dir",
            value=root,
            cure=f"needed are {TREE}, or give `labels_file`",
        )
    # If any folder may be given, pictures without a class are unlabeled, wherever they lie.
    over_all = anything and not (root / "labeled").is_dir()
    found, classes = [], set()
    for part in PARTS:
        if part == "unlabeled" or not (root / part).is_dir():
            continue
        for entry in sorted(os.scandir(root / part), key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                classes |= {entry.name} if part == "labeled" else set()
                found += [_File(str(path), part, entry.name) for path in image_files.find(Path(entry.path))]
            elif Path(entry.name).suffix.lower() in image_files.EXTENSIONS and not over_all:
                raise InputError(
                    f"{part}/{printable(entry.name)} lies in no class folder",
                    setting="data_dir",
                    value=root,
                    cure="put it into one",
                )
    rest = root if over_all else root / "unlabeled"
    taken = {file.path for file in found}
    pictures = map(str, _pictures(rest)) if rest.is_dir() else ()
    return found + [_File(path, "unlabeled", None) for path in pictures if path not in taken], classes


def _pictures(root: Path) -> Iterator[Path]:
    """Return all pictures of a folder, except those that runs have left in it."""

    @functools.cache
    def of_run(folder: Path) -> bool:
        here = (folder / "split.json").is_file() and (folder / "config.json").is_file()
        return here or (folder != root and of_run(folder.parent))

    return (path for path in image_files.find(root) if not of_run(path.parent))


def _apply_table(found: list[_File], classes: set[str], root: Path, table: Path) -> list[str]:
    """Give pictures the labels of a table; return notes about what was read in another way than it is written."""
    files = {file.path: file for file in found}
    places, (lines, notes) = label_meaning.Places(files, root), label_table.read(table)
    labels, given = label_meaning.Labels(table, lines, classes), {}
    for line in lines:
        try:
            path = places.find(line)
            if path is None:
                header = "; if the line is a header, it must be path,label" if line.number == 1 else ""
                raise ValueError(f"there is no file {printable(str(root / line.path))}{header}")
            if path not in files:
                files[path] = _File(path, "unlabeled", None)
                found.append(files[path])
                places.add(path)
            file, label = files[path], labels.class_of(line)
            if label is not None and file.name not in (None, label):
                raise ValueError(f"{printable(line.path)} is {printable(label)} here and {file.name} elsewhere")
        except ValueError as error:
            raise InputError(f"line {line.number}: {error}", setting="labels_file", value=table) from error
        if label is not None:
            file.name = given[line.number] = label
            file.part = "labeled" if file.part == "unlabeled" else file.part
    if places.otherwise:
        notes.append(f"{table.name}: {len(places.otherwise)} paths read as: {some(places.otherwise)}")
    return notes + labels.notes(given)


def _class_names(found: list[_File], classes: set[str], root: Path) -> list[str]:
    names = sorted(classes | {file.name for file in found if file.part == "labeled"})
    if not names:
        raise InputError(
            "no labeled picture",
            setting="data_dir",
            value=root,
            cure=f"needed are {TREE}, or a `labels_file` with labels",
        )
    encoding = sys.getfilesystemencoding()
    for name in names:
        if not name.isprintable():
            raise InputError(
                f"the name of class {name!a} cannot be shown",
                setting="data_dir",
                value=root,
                cure="rename it" if encoding == "utf-8" else f"names are read as {encoding}; set PYTHONUTF8=1",
            )
    if len(names) == 1:
        raise InputError(
            f"one class only ({names[0]})",
            setting="data_dir",
            value=root,
            cure="there is nothing to tell apart, add another",
        )
    for file in found:
        if file.name is not None and file.name not in names:
            raise InputError(
                f"{printable(_short(file.path, root))}: no labeled picture is of class {file.name}",
                setting="data_dir",
                value=root,
                cure=f"{did_you_mean(file.name, names) or ''} labeled are {', '.join(names[:20])}".lstrip(),
            )
    return names


def _set_aside(found: list[_File], root: Path) -> bool:
    """Make some labeled pictures the test, if there is none; return whether this was done."""
    if any(file.part == "test" for file in found):
        return False
    labeled = [file for file in found if file.part == "labeled"]
    for file, test in zip(
        labeled,
        held_out([file.name for file in labeled], [_short(file.path, root) for file in labeled]),
        strict=True,
    ):
        file.part = "test" if test else file.part
    if not any(file.part == "test" for file in found):
        raise InputError(
            "no test/, and no class has two labeled pictures to set one aside",
            setting="data_dir",
            value=root,
            cure="add some",
        )
    return True


def _duplicates(found: list[_File], digests: np.ndarray, root: Path) -> tuple[np.ndarray, dict[str, list]]:
    """Return which pictures to leave out, and for each fault their paths and more."""
    marks = [mark.tobytes() for mark in digests]
    classes: dict[bytes, set[str]] = {}
    for mark, file in zip(marks, found, strict=True):
        if file.name is not None:
            classes.setdefault(mark, set()).add(file.name)
    held_out: dict[str, dict[bytes, _File]] = {"test": {}, "validation": {}}
    for mark, file in zip(marks, found, strict=True):
        if file.part in held_out and len(classes[mark]) == 1:
            held_out[file.part][mark] = file
    clashing, again = [], {part: [] for part in held_out}
    dropped = np.zeros(len(found), bool)
    for i, (mark, file) in enumerate(zip(marks, found, strict=True)):
        # Parts that come behind the file's own, and have the same picture.
        behind = [part for part in again if PARTS.index(part) > PARTS.index(file.part) and mark in held_out[part]]
        if file.name is not None and len(classes[mark]) > 1:
            clashing.append((_short(file.path, root), f"one of {', '.join(sorted(classes[mark]))}"))
        elif behind:
            other = held_out[behind[0]][mark]
            again[behind[0]].append((_short(file.path, root), f"as {_short(other.path, root)}"))
        else:
            continue
        dropped[i] = True
    return dropped, {
        "the same picture in several classes": clashing,
        "training pictures that are in the test too": again["test"],
        "training pictures that are in the validation too": again["validation"],
    }


def _without(dropped: np.ndarray, pixels, digests: np.ndarray, found: list[_File], how: Reading):
    kept = np.flatnonzero(~dropped)
    found = [found[i] for i in kept]
    if pixels is None:
        return ImageFiles([file.path for file in found], how.side, how.resize), digests[kept], found
    return compact(pixels, kept), digests[kept], found


def _refuse_empty(found: list[_File], names: Sequence[str], root: Path) -> None:
    there = Counter(file.name for file in found if file.part == "labeled")
    for name in names:
        if not there[name]:
            raise InputError(
                f"class {name} has no labeled picture to train on",
                setting="data_dir",
                value=root,
                cure="add some or remove it",
            )
    if not any(file.part == "test" for file in found):
        raise InputError("no whole picture is left in the test", setting="data_dir", value=root, cure="add some")


def _counts(found: list[_File]) -> str:
    parts = Counter(file.part for file in found)
    return ", ".join(f"{parts[part]} {part}" for part in PARTS if parts[part])


def _others(root: Path) -> list[str]:
    """Return a line about files that are no pictures of a kind that is read."""
    kinds = Counter()
    for _, _, files in os.walk(root):
        kinds.update(Path(name).suffix.lower() or "no extension" for name in files if not name.startswith("."))
    for extension in image_files.EXTENSIONS:
        kinds.pop(extension, None)
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_SHOWN))
    return [f"files of other kinds, not read: {shown}"] if kinds else []


def _said(what: str, items: list[tuple[str, str]]) -> str:
    return f"{len(items)} {what}, left out: {some([f'{path} ({why})' for path, why in items])}"


def _classes(found: list[_File], names: Sequence[str]) -> str:
    """Return a line about the classes, which also shows typing errors in their names."""
    labeled = Counter(file.name for file in found if file.part == "labeled")
    if len(names) <= _LISTED:
        text = ", ".join(f"{name} ({labeled[name]})" for name in names)
    else:
        text = f"{min(labeled.values())} to {max(labeled.values())} labeled pictures each"
    alike = Counter(name.casefold() for name in names)
    twice = [name for name in names if alike[name.casefold()] > 1]
    return f"{len(names)} classes: {text}" + (f"; the same except for capitals: {', '.join(twice)}" if twice else "")


def files_sha256(root: Path, labels_file: str | None) -> str | None:
    """Return the hash of all pictures' paths and sizes, and of the table of labels; None where they cannot be read."""
    found = hashlib.sha256()
    if not root.is_dir():
        return None
    try:
        parts = [root / part for part in PARTS] if (root / "labeled").is_dir() else [root]
        for path in itertools.chain.from_iterable(_pictures(part) for part in parts if part.is_dir()):
            found.update(os.fsencode(f"{_short(str(path), root)}\0{path.stat().st_size}\0"))
        if labels_file is not None:
            found.update(content(labels_file, label_table.LARGEST_MIB))
    except OSError:
        return None
    return found.hexdigest()


def _short(path: str, root: Path) -> str:
    return os.path.relpath(path, root) if path.startswith(f"{root}{os.sep}") else path
