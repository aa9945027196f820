"""Pictures of a user with their parts and classes, as folders and a table of labels name them; not read yet."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from sesemi.datasets import label_meaning, label_table
from sesemi.datasets.base import some
from sesemi.datasets.walk import Passed, Walk, class_name
from sesemi.errors import InputError, did_you_mean
from sesemi.terminal import printable

# In this order they are read and held: training images are in front of the test.
PARTS = ("labeled", "unlabeled", "validation", "test")
TREE = "labeled/CLASS/*, unlabeled/* and, if you have them, test/CLASS/* and validation/CLASS/*"
_SHOWN = 3


@dataclass
class File:
    """Picture with its path, its purpose (one of `PARTS`), and the name of its class, if it has one."""

    path: str
    part: str
    name: str | None


@dataclass(frozen=True)
class Tree:
    """Pictures that a scan has found.

    Args:
        files: All pictures.
        folders: Names of the folders of each class; several if they are one name, written in several ways.
        passed: Files and folders that were passed over.
        other_kinds: Numbers of files of other kinds in the labeled folder of each class, as text.
    """

    files: list[File]
    folders: dict[str, list[str]]
    passed: Passed
    other_kinds: dict[str, str]

    @property
    def notes(self) -> list[str]:
        """Lines about folders that are one class, and about what was passed over."""
        alike = [some([repr(name) for name in names]) for names in self.folders.values() if len(names) > 1]
        same = [f"taken for one class, the same but for accents or space around: {'; '.join(alike)}"] if alike else []
        return [*same, *self.passed.notes()]


def scan(root: Path, *, anything: bool) -> Tree:
    """Look for all pictures.

    Args:
        root: See `folder.load`.
        anything: True admits any folder, because a table gives the labels.

    Raises:
        InputError: It is no such tree.
        OSError: A folder cannot be read.
    """
    if not (root / "labeled").is_dir() and not anything:
        there = [name for name, is_folder in Walk(root).children(root) if is_folder][:_SHOWN]
        inside = f"; it has {', '.join(map(printable, there))}" if there else ""
        raise InputError(
            f"no labeled/ in it{inside}",
            setting="data_dir",
            value=root,
            cure=f"needed are {TREE}, or give `labels_file`",
        )
    # If any folder may be given, pictures without a class are unlabeled, wherever they lie.
    over_all = anything and not (root / "labeled").is_dir()
    tree = Tree([], {}, Passed(), {})
    for part in PARTS:
        if part != "unlabeled" and (root / part).is_dir():
            walk = _scan_part(tree, root, part, strays=over_all)
            # All of it will be met once more.
            if not over_all:
                tree.passed.update(walk.passed, part)
    taken = {file.path for file in tree.files}
    rest = root if over_all else root / "unlabeled"
    if rest.is_dir():
        walk = Walk(rest)
        tree.files.extend(File(str(path), "unlabeled", None) for path in walk.pictures() if str(path) not in taken)
        tree.passed.update(walk.passed, "" if over_all else "unlabeled")
    if not over_all:
        _look_outside(tree, root)
    return tree


def _scan_part(tree: Tree, root: Path, part: str, *, strays: bool) -> Walk:
    """Add the pictures of the class folders of one part; `strays` admits pictures beside these."""
    walk = Walk(root / part)
    for name, inside in walk.classes():
        if inside is None:
            if not strays:
                raise InputError(
                    f"{part}/{printable(name)} lies in no class folder",
                    setting="data_dir",
                    value=root,
                    cure="put it into one",
                )
            continue
        label = class_name(name)
        tree.files.extend(File(str(path), part, label) for path in inside.pictures())
        walk.passed.update(inside.passed, name)
        if part == "labeled":
            tree.folders.setdefault(label, []).append(name)
            if inside.passed.kinds:
                tree.other_kinds[label] = inside.passed.kinds_text()
    return walk


def _look_outside(tree: Tree, root: Path) -> None:
    """Count what lies beside the four folders."""
    walk, outside = Walk(root), []
    for name, is_folder in walk.children(root):
        if not is_folder:
            outside.append(name)
        elif name not in PARTS:
            outside.extend(os.path.relpath(path, root) for path in walk.pictures(root / name))
    tree.passed.update(walk.passed)
    for path in outside:
        tree.passed.add(f"pictures outside of {', '.join(f'{part}/' for part in PARTS)}", path)


def apply_table(tree: Tree, root: Path, table: Path) -> list[str]:
    """Give pictures the labels that a table has for them; what it names in addition is added.

    Returns:
        Lines about what was read in another way than it is written.

    Raises:
        InputError: The table cannot be read, names a file that is not there, or contradicts itself or the folders.
    """
    files = {file.path: file for file in tree.files}
    places, (lines, notes) = label_meaning.Places(files, root), label_table.read(table)
    labels, given = label_meaning.Labels(table, lines, set(tree.folders)), {}
    for line in lines:
        try:
            path = places.find(line)
            if path is None:
                header = "; if the line is a header, it must be path,label" if line.number == 1 else ""
                raise ValueError(f"there is no file {printable(str(root / line.path))}{header}")
            if path not in files:
                files[path] = File(path, "unlabeled", None)
                tree.files.append(files[path])
                places.add(path)
            file, label = files[path], labels.class_of(line)
            if label is not None and file.name not in (None, label):
                there = f"{printable(label)} here and {printable(str(file.name))} elsewhere"
                raise ValueError(f"{printable(line.path)} is {there}")
        except ValueError as error:
            raise InputError(f"line {line.number}: {error}", setting="labels_file", value=table) from error
        if label is not None:
            file.name = given[line.number] = label
            file.part = "labeled" if file.part == "unlabeled" else file.part
    if places.otherwise:
        notes.append(f"{table.name}: {len(places.otherwise)} paths read as: {some(places.otherwise)}")
    return notes + labels.notes(given)


def class_names(tree: Tree, root: Path) -> list[str]:
    """Return the names of the classes, sorted.

    Raises:
        InputError: There are fewer than two, one cannot be shown, or a picture is of a class without labeled pictures.
    """
    names = sorted(tree.folders.keys() | {file.name for file in tree.files if file.part == "labeled"})
    if not names:
        raise InputError(
            "no labeled picture",
            setting="data_dir",
            value=root,
            cure=f"needed are {TREE}, or a `labels_file` with labels",
        )
    encoding = sys.getfilesystemencoding()
    for name in names:
        if not name or not name.isprintable():
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
    for file in tree.files:
        if file.name is not None and file.name not in names:
            raise InputError(
                f"{printable(short(file.path, root))}: no labeled picture is of class {printable(file.name)}",
                setting="data_dir",
                value=root,
                cure=f"{did_you_mean(file.name, names) or ''} labeled are {', '.join(names[:20])}".lstrip(),
            )
    return names


def short(path: str, root: Path) -> str:
    """Return the path of a picture from the root, or as it is if it lies elsewhere."""
    return os.path.relpath(path, root) if path.startswith(f"{root}{os.sep}") else path
