"""Pictures of a user with their parts and classes, as folders and a table of labels name them; not read yet."""

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from sesemi.datasets import label_table
from sesemi.datasets.base import some
from sesemi.datasets.walk import Passed, Walk, class_name
from sesemi.errors import InputError
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


def apply_table(tree: Tree, root: Path, table: Path) -> None:
    """Give pictures the labels that a table has for them; what it names in addition is added.

    Files are found by the path that is written, by the one that its links lead to, or by one that is the same but for
    the form of its accents.

    Raises:
        InputError: The table cannot be read, names a file that is not there, or contradicts itself or the folders.
    """
    found = tree.files
    places = {os.path.realpath(file.path): file for file in found}
    places |= {os.path.abspath(file.path): file for file in found}
    composed: dict[str, File | None] = {}
    for path, file in places.items():
        # Two files of one name cannot be told apart by it.
        composed[_composed(path)] = file if composed.get(_composed(path), file) is file else None
    for number, name, label in label_table.read(table):
        path = str(root / name)
        file = None if "\0" in path else places.get(os.path.abspath(path)) or places.get(os.path.realpath(path))
        if file is None and "\0" not in path and not os.path.isfile(path):
            file = composed.get(_composed(os.path.abspath(path)))
        if file is None:
            if "\0" in path or not os.path.isfile(path):
                header = "; if the line is a header, it must be path,label" if number == 1 else ""
                raise InputError(
                    f"line {number}: there is no file {printable(path)}{header}", setting="labels_file", value=table
                )
            file = places[os.path.abspath(path)] = File(path, "unlabeled", None)
            found.append(file)
        if label in label_table.UNLABELED:
            continue
        label = class_name(label)
        if file.name not in (None, label):
            raise InputError(
                f"line {number}: {printable(name)} is {printable(label)} here and {printable(str(file.name))} "
                "elsewhere",
                setting="labels_file",
                value=table,
            )
        file.name = label
        file.part = "labeled" if file.part == "unlabeled" else file.part


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)


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
    for name in names:
        if not name or not name.isprintable():
            raise InputError(
                f"the name of class {name!a} cannot be shown", setting="data_dir", value=root, cure="rename it"
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
                cure=f"labeled are {', '.join(names[:20])}",
            )
    return names


def short(path: str, root: Path) -> str:
    """Return the path of a picture from the root, or as it is if it lies elsewhere."""
    return os.path.relpath(path, root) if path.startswith(f"{root}{os.sep}") else path
