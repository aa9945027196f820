"""Test images of a data set, or of a folder, with a model's classes."""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sesemi import datasets
from sesemi.config.registry import DATASETS, TFDS
from sesemi.datasets.base import ImageData, Reading
from sesemi.datasets.walk import Walk, class_name
from sesemi.errors import InputError, did_you_mean
from sesemi.inference.inputs import Item, Reader, Source, rows
from sesemi.terminal import printable

_HELD_OUT = "give folder with `data_dir=DIR` in place of DIR to have them"
# Largest size of pixels in memory, in bytes; larger sets are read when they are asked for.
_LIMIT = 4096 * 2**20


def is_named(dataset: str) -> bool:
    """Return whether it is the name of a data set, and not a folder."""
    return dataset in DATASETS or dataset.startswith(TFDS)


def refuse_unknown_set(dataset: str, data_dir: str | None) -> None:
    """Refuse a data set that `test_set` cannot find.

    Raises:
        InputError: If it is neither a data set's name nor a folder, or a folder is given with a `data_dir`.
    """
    if is_named(dataset):
        return
    if not os.path.isdir(dataset):
        names = ", ".join(DATASETS)
        raise InputError(
            f"{dataset}: neither a data set ({names}) nor a folder with a folder for each class",
            cure=did_you_mean(dataset, DATASETS),
        )
    if data_dir is not None:
        raise InputError(f"{dataset} is a folder itself", setting="data_dir", value=data_dir, cure="leave it out")


def test_set(
    dataset: str, data_dir: str | None, saved, *, labels_file: str | None, trained_on: str | None
) -> tuple[Iterator[Item], np.ndarray, tuple[str, ...]]:
    """Return the test images of a data set, or of a folder, with the model's classes.

    Args:
        dataset: Name of `datasets.load`, or a folder with ``CLASS/...`` or ``test/CLASS/...``.
        data_dir: Folder of a named data set; None: see `datasets.load`.
        saved: Model, `sesemi.inference.saved.Saved`.
        labels_file: Path of a table of labels, for ``folder``.
        trained_on: `ImageData.sha256` of the data that the model was trained on, if it is known. A line warns if test
            images are set aside and the data are others.

    Returns:
        Images, to be read by a `Reader`; their labels ``[N]`` int64; lines to show.

    Raises:
        InputError: If it cannot be found or read, or its classes are not the model's.
    """
    refuse_unknown_set(dataset, data_dir)
    if is_named(dataset):
        return _of_registry(dataset, data_dir, saved, labels_file, trained_on)
    return _of_folder(Path(dataset), saved)


def _of_registry(
    dataset: str, data_dir: str | None, saved, labels_file: str | None, trained_on: str | None
) -> tuple[Iterator[Item], np.ndarray, tuple[str, ...]]:
    how = Reading(saved.image_shape[0], saved.resize, labels_file, limit=_LIMIT)
    try:
        data = datasets.load(dataset, data_dir, how)
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(str(error)) from error
    if len(data.class_names) != len(saved.class_names):
        raise InputError(f"{dataset}: {len(data.class_names)} classes, the model has {len(saved.class_names)}")
    different = first_other_class(data.class_names, saved.class_names)
    if saved.has_sidecar and different:
        mine, its = different
        raise InputError(f"{dataset}: its classes are not the model's ({mine!r} stands where the model has {its!r})")
    images, side = data.test_images, min(saved.image_shape[:2])
    if min(images.shape[1:3]) < side:
        # They are enlarged as in a run, but without the training images.
        alike = ImageData(images[:1], data.test_labels[:1], images, data.test_labels, data.class_names).at_least(side)
        if alike.test_images.shape[1:] == saved.image_shape:
            images = alike.test_images
    Reader(saved.image_shape, saved.resize).refuse(Source(Path(dataset), len(images), images))
    notes = list(data.notes)
    if data.test_held_out and trained_on not in (None, data.sha256()):
        notes.append(
            "warning: these are not the pictures and labels of the run: it may have trained on some of this test"
        )
    return rows("test image {}", images), data.test_labels.astype(np.int64), tuple(notes)


def first_other_class(data: Sequence[str], model: Sequence[str]) -> tuple[str, str] | None:
    """Return the first pair of class names that differ, in data and model; None if there is none.

    Models of early versions have the names of folders as they were written, and not by `class_name`.
    """
    pairs = itertools.zip_longest(data, model, fillvalue="")
    return next((pair for pair in pairs if class_name(pair[0]) != class_name(pair[1])), None)


def _of_folder(folder: Path, saved) -> tuple[Iterator[Item], np.ndarray, tuple[str, ...]]:
    root = folder / "test" if (folder / "test").is_dir() else folder
    walk, paths, labels, there, stray = Walk(root), [], [], set(), 0
    try:
        for name, inside in walk.classes():
            if inside is None:
                stray += 1
                continue
            label = _class_of(name, folder, root, saved.class_names)
            there.add(label)
            found = list(map(str, inside.pictures()))
            walk.passed.update(inside.passed, name)
            paths += found
            labels += [label] * len(found)
    except OSError as error:
        raise InputError(f"{error.filename}: this folder cannot be read ({error.strerror})") from error
    passed = walk.passed.notes()
    if not paths:
        needed = "needed are CLASS/... or test/CLASS/... of the model's classes"
        raise InputError("; ".join([f"{folder}: no picture in it", *passed, needed]))
    Reader(saved.image_shape, saved.resize).refuse(Source(root, len(paths)))
    missing = [name for label, name in enumerate(saved.class_names) if label not in there]
    notes = [f"no folder for {len(missing)} of the model's classes: {', '.join(missing[:20])}"] if missing else []
    where = printable(str(root))
    notes += [f"{stray} pictures in {where} lie in no class folder and are left out"] if stray else []
    notes += [f"{where}: {note}" for note in passed]
    return ((path, Path(path)) for path in paths), np.array(labels, np.int64), tuple(notes)


def _class_of(name: str, folder: Path, root: Path, class_names: Sequence[str]) -> int:
    """Return the label of a class folder: of the class with its very name, or of one that `class_name` makes the same.

    Raises:
        InputError: The model has no such class.
    """
    if name in class_names:
        return class_names.index(name)
    alike = [label for label, known in enumerate(class_names) if class_name(known) == class_name(name)]
    if alike:
        return alike[0]
    if name in ("labeled", "unlabeled", "validation"):
        raise InputError(f"{folder}: no test/ in it", cure=f"`dataset=folder` sets labeled pictures aside: {_HELD_OUT}")
    known = ", ".join(class_names[:20]) + (", …" if len(class_names) > 20 else "")
    raise InputError(
        f"{printable(str(root / name))}: the model has no class {printable(name)}; its classes are {known}",
        cure=did_you_mean(name, class_names),
    )
