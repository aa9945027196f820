"""Pictures of a user: a folder of class folders, or any folder with a table of labels."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sesemi.datasets import folder_tree, image_files, walk
from sesemi.datasets.base import ImageData, Reading, held_out, some
from sesemi.datasets.folder_tree import PARTS, TREE, File, Tree, short
from sesemi.datasets.lazy_images import ImageFiles, compact, only
from sesemi.datasets.picture_formats import TooLargeError
from sesemi.errors import InputError
from sesemi.terminal import printable

_LISTED = 20


def load(root: Path | None, how: Reading) -> ImageData:
    """Read a folder of pictures.

    Without ``test/``, a fifth of the labeled pictures of each class is the test (`held_out`), always the same ones.
    Pictures with a fault are left out, with a note; with ``how.strict`` that is an error. Faults are: broken files,
    pictures that take more than `memory_bound.MOST_MIB` to decode, links that lead nowhere, every labeled copy of a
    picture that lies in two classes, and a training picture that is in the test or the validation too. What `walk.Walk`
    passes over is counted and named.

    Args:
        root: Folder with ``labeled/CLASS/**``, ``unlabeled/**``, and perhaps ``test/CLASS/**`` and
            ``validation/CLASS/**``; or, with ``how.labels_file``, with any pictures. Names of classes that differ only
            in the form of their accents or in space around them are one class.
        how: Size of the pictures and more. ``labels_file`` is CSV with ``path,label`` in each line, paths from `root`
            or absolute. It adds to the labels of the folders. An empty label or -1 means none; a file that the table
            does not name gets none from it.

    Raises:
        ValueError: If a folder or the table is missing, there is nothing to train on, or a fault cannot be left out.
            An `InputError` has in ``left_out`` what was left out until then.
    """
    if root is None:
        raise InputError(f"`data_dir` is needed, a folder with {TREE}", setting="dataset", value="folder")
    if not root.is_dir():
        raise InputError("there is no such folder", setting="data_dir", value=root, cure=f"give one with {TREE}")
    tree = folder_tree.scan(root, anything=how.labels_file is not None)
    left_out = [(path, f"passed over: {why}") for why, paths in tree.passed.places.items() for path in paths]
    try:
        return _read(root, how, tree, left_out)
    except InputError as error:
        error.left_out = tuple(left_out)
        raise


def _read(root: Path, how: Reading, tree: Tree, left_out: list[tuple[str, str]]) -> ImageData:
    """Read the pictures of a tree, and add to `left_out` those that are."""
    said = [] if how.labels_file is None else folder_tree.apply_table(tree, root, Path(how.labels_file))
    found, names = tree.files, folder_tree.class_names(tree, root)
    set_aside = _set_aside(found, root)
    found.sort(key=lambda file: PARTS.index(file.part))
    pixels, digests, broken, remarks = _decoded(found, how, root)
    faults = _undecodable(found, broken, root)
    found = [file for i, file in enumerate(found) if i not in broken]
    dropped, more = _duplicates(found, digests, root)
    faults = {what: items for what, items in (faults | more).items() if items}
    left_out += [(path, f"{what}: {why}") for what, items in faults.items() for path, why in items]
    lines = [_said(what, items) for what, items in faults.items()]
    lost = [f"{len(paths)} {why}: {some(paths)}" for why, paths in tree.passed.places.items() if why in walk.FAULTS]
    if how.strict and (lost or lines):
        raise InputError(
            f"{root}: {'; '.join([*lost, *lines])}", setting="strict", cure="mend that, or leave `strict` out"
        )
    images, digests, found = _without(dropped, pixels, digests, found, how)
    _refuse_empty(found, names, root, tree, left_out)
    notes = (
        f"data: {printable(str(root))}, {_counts(found)}",
        _classes(found, names),
        *said,
        *tree.notes,
        *lines,
        *_remarks(remarks),
    )
    data = _image_data(found, names, root, images, digests, notes, tuple(left_out))
    return data.with_test_held_out() if set_aside else data


def _decoded(found: list[File], how: Reading, root: Path):
    """Return what `image_files.read_all` does of all pictures, and what was remarked: remark and path."""
    remarks: list[tuple[str, str]] = []
    read = image_files.read_all(
        [file.path for file in found],
        how.side,
        how.resize,
        keep=len(found) * how.side**2 * 3 <= how.limit,
        progress=how.progress and (lambda done: how.progress(done, len(found))),
        remark=lambda path, text: remarks.append((text, short(path, root))),
    )
    return *read, remarks


def _image_data(found: list[File], names: list[str], root: Path, images, digests, notes, left_out) -> ImageData:
    """Return the pictures that are left, which stand in the order of `PARTS`, as a data set."""
    train = sum(file.part != "test" for file in found)
    labels = np.array([-1 if file.name is None else names.index(file.name) for file in found], np.int32)
    return ImageData(
        only(images, slice(None, train)),
        labels[:train],
        only(images, slice(train, None)),
        labels[train:],
        tuple(names),
        notes,
        validation=np.array([i for i, file in enumerate(found) if file.part == "validation"], np.int64),
        paths=tuple(short(file.path, root) for file in found[:train]),
        digests=digests[:train],
        left_out=left_out,
    )


def _undecodable(found: list[File], broken: dict[int, Exception], root: Path) -> dict[str, list[tuple[str, str]]]:
    """Return paths and reasons of the pictures that cannot be decoded, by the kind of fault."""
    faults: dict[str, list[tuple[str, str]]] = {"broken": [], "too large": []}
    for i, error in broken.items():
        kind = "too large" if isinstance(error, TooLargeError) else "broken"
        faults[kind].append((short(found[i].path, root), str(error)))
    return faults


def _remarks(remarks: list[tuple[str, str]]) -> list[str]:
    """Return a line for each thing that was done to pictures and that their files do not say."""
    paths: dict[str, list[str]] = {}
    for text, path in sorted(remarks):
        paths.setdefault(text, []).append(path)
    return [f"{len(group)} pictures: {text}: {some(group)}" for text, group in paths.items()]


def _set_aside(found: list[File], root: Path) -> bool:
    """Make some labeled pictures the test, if there is none; return whether this was done."""
    if any(file.part == "test" for file in found):
        return False
    labeled = [file for file in found if file.part == "labeled"]
    for file, test in zip(
        labeled,
        held_out([file.name for file in labeled], [short(file.path, root) for file in labeled]),
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


def _duplicates(found: list[File], digests: np.ndarray, root: Path) -> tuple[np.ndarray, dict[str, list]]:
    """Return which pictures to leave out, and for each fault their paths and more."""
    marks = [mark.tobytes() for mark in digests]
    classes: dict[bytes, set[str]] = {}
    for mark, file in zip(marks, found, strict=True):
        if file.name is not None:
            classes.setdefault(mark, set()).add(file.name)
    held_out: dict[str, dict[bytes, File]] = {"test": {}, "validation": {}}
    for mark, file in zip(marks, found, strict=True):
        if file.part in held_out and len(classes[mark]) == 1:
            held_out[file.part][mark] = file
    clashing, again = [], {part: [] for part in held_out}
    dropped = np.zeros(len(found), bool)
    for i, (mark, file) in enumerate(zip(marks, found, strict=True)):
        # Parts that come behind the file's own, and have the same picture.
        behind = [part for part in again if PARTS.index(part) > PARTS.index(file.part) and mark in held_out[part]]
        if file.name is not None and len(classes[mark]) > 1:
            clashing.append((short(file.path, root), f"one of {', '.join(sorted(classes[mark]))}"))
        elif behind:
            other = held_out[behind[0]][mark]
            again[behind[0]].append((short(file.path, root), f"as {short(other.path, root)}"))
        else:
            continue
        dropped[i] = True
    return dropped, {
        "the same picture in several classes": clashing,
        "training pictures that are in the test too": again["test"],
        "training pictures that are in the validation too": again["validation"],
    }


def _without(dropped: np.ndarray, pixels, digests: np.ndarray, found: list[File], how: Reading):
    kept = np.flatnonzero(~dropped)
    found = [found[i] for i in kept]
    if pixels is None:
        return ImageFiles([file.path for file in found], how.side, how.resize), digests[kept], found
    return compact(pixels, kept), digests[kept], found


def _refuse_empty(
    found: list[File], names: Sequence[str], root: Path, tree: Tree, left_out: list[tuple[str, str]]
) -> None:
    """Refuse a class without a picture to train on, and an empty test; `tree` has all pictures, `found` those left."""
    there = Counter(file.name for file in found if file.part == "labeled")
    for name in names:
        if not there[name]:
            raise InputError(
                f"class {name} has no labeled picture to train on{_why_empty(name, root, tree, found, left_out)}",
                setting="data_dir",
                value=root,
                cure="add some or remove it",
            )
    if not any(file.part == "test" for file in found):
        gone = _named({short(file.path, root) for file in tree.files if file.part == "test"}, left_out)
        raise InputError(
            f"no whole picture is left in the test{gone and f': {gone}'}",
            setting="data_dir",
            value=root,
            cure="add some",
        )


def _why_empty(name: str, root: Path, tree: Tree, found: list[File], left_out: list[tuple[str, str]]) -> str:
    """Return why a class is empty, as the end of a message: what is left out, passed over, no picture or the test."""
    folders = tuple(os.path.join("labeled", folder, "") for folder in tree.folders.get(name, ()))
    mine = {short(file.path, root) for file in tree.files if file.name == name and file.part == "labeled"}
    mine |= {path for path, _ in left_out if folders and path.startswith(folders)}
    reasons = [_named(mine, left_out)]
    if name in tree.other_kinds:
        reasons.append(f"of other kinds, not read: {tree.other_kinds[name]}")
    inside = str(root / "labeled")
    in_test = sum(file.part == "test" and file.name == name and file.path.startswith(inside) for file in found)
    reasons += [f"{in_test} set aside as the test"] * bool(in_test)
    reasons = [reason for reason in reasons if reason]
    return f": {'; '.join(reasons)}" if reasons else ""


def _named(paths: set[str], left_out: list[tuple[str, str]]) -> str:
    """Return which of some pictures are left out and why; nothing if none is."""
    mine = [f"{path} ({why})" for path, why in left_out if path in paths]
    return f"{len(mine)} left out: {some(mine)}" if mine else ""


def _counts(found: list[File]) -> str:
    parts = Counter(file.part for file in found)
    return ", ".join(f"{parts[part]} {part}" for part in PARTS if parts[part])


def _said(what: str, items: list[tuple[str, str]]) -> str:
    return f"{len(items)} {what}, left out: {some([f'{path} ({why})' for path, why in items])}"


def _classes(found: list[File], names: Sequence[str]) -> str:
    """Return a line about the classes, which also shows typing errors in their names."""
    labeled = Counter(file.name for file in found if file.part == "labeled")
    if len(names) <= _LISTED:
        text = ", ".join(f"{name} ({labeled[name]})" for name in names)
    else:
        text = f"{min(labeled.values())} to {max(labeled.values())} labeled pictures each"
    alike = Counter(name.casefold() for name in names)
    twice = [name for name in names if alike[name.casefold()] > 1]
    return f"{len(names)} classes: {text}" + (f"; the same except for capitals: {', '.join(twice)}" if twice else "")
