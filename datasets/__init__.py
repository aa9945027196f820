"""Data sets as uint8 arrays: one loader a file, ``load(name, data_dir)``.

The folders of the 2019 layout (``cifar-10/``, ``cifar-100/``, ``svhn/``) may lie in ``datasets/`` of the working
directory and, in a checkout, beside these files.
"""

import dataclasses
import importlib
import importlib.util
from pathlib import Path

import numpy as np

from sesemi.datasets import folder, image_files
from sesemi.datasets.base import ImageData, Reading, held_out
from sesemi.datasets.lazy_images import Joined, compact, only
from sesemi.errors import InputError

TFDS = "tfds:"


def load(name: str, data_dir: str | Path | None = None, how: Reading | None = None) -> ImageData:
    """Load a data set.

    Args:
        name: Name of a file of this folder with a ``load``, or ``tfds:NAME``.
        data_dir: The only place to look at; None: the 2019 layout, see `files.places`, then a download.
        how: Size and more, for ``folder`` and ``tfds:NAME``, which have no size of their own.

    Returns:
        The images as uint8, see `ImageData`.

    Raises:
        ValueError: If the name is unknown, a file is missing (an `InputError` says where to get it),
            or a file is not what it should be.
        FileNotFoundError: If some of the files of a set are there, but not all.
    """
    how, place = how or Reading(), None if data_dir is None else Path(data_dir)
    if name == "folder":
        return folder.load(place, how)
    if name.startswith(TFDS):
        return _of_tfds(name.removeprefix(TFDS), place, how)
    if not name.isidentifier() or importlib.util.find_spec(f"sesemi.datasets.{name}") is None:
        raise ValueError(f"no data set {name!r}: datasets/ has no file of that name")
    return importlib.import_module(f"sesemi.datasets.{name}").load(place)


def _of_tfds(name: str, place: Path | None, how: Reading) -> ImageData:
    from sesemi.datasets import tfds_sets

    parts = tfds_sets.load(name, place, side=how.side, resize=how.resize, limit=how.limit, say=how.say)
    labeled, pool = len(parts.labels), parts.pool
    digests = image_files.all_digests(pool) if parts.digests is None else parts.digests
    validation = 0 if parts.validation_labels is None else len(parts.validation_labels)
    labels = np.full(len(pool), -1, np.int32)
    labels[:labeled] = parts.labels
    if validation:
        labels[labeled : labeled + validation] = parts.validation_labels
    test, test_labels, notes = parts.test, parts.test_labels, list(parts.notes)
    if test is None:
        aside = np.pad(held_out(parts.labels.tolist(), list(map(str, range(labeled)))), (0, len(pool) - labeled))
        known = {mark.tobytes() for mark in digests[aside]}
        again = np.array([mark.tobytes() in known for mark in digests]) & ~aside
        notes += [f"{again.sum()} training images that are in the test too, left out"] * bool(again.any())
        taken, left = np.flatnonzero(aside), np.flatnonzero(~aside & ~again)
        for label in np.setdiff1d(parts.labels, labels[left]):
            raise ValueError(
                f"{TFDS}{name}: class {parts.class_names[label]} has no image left to train on: "
                "all that it has are in the test, which was set aside"
            )
        test, test_labels = only(pool, taken), labels[taken]
        pool, labels, labeled = compact(pool, left), labels[left], int((left < labeled).sum())
        digests = digests[left]
    found = ImageData(
        pool,
        labels,
        test,
        test_labels,
        parts.class_names,
        tuple(notes),
        validation=np.arange(labeled, labeled + validation),
        digests=digests,
    )
    return found.with_test_held_out() if parts.test is None else found


def refuse_extra(text: str | None, count: int | None) -> None:
    """Call `extra.refuse`."""
    from sesemi.datasets import extra

    extra.refuse(text, count)


def with_extra(data: ImageData, text: str | None, count: int | None, seed: int, how: Reading, test=None) -> ImageData:
    """Add unlabeled images from elsewhere behind the training images, except those that are in the test.

    Args:
        data: Data set that they are added to.
        text: Source of the images, see `extra.load`.
        count: Number of images; None: all.
        seed: Seed of the choice.
        how: Settings for reading. If all images together are larger than ``how.limit``, they are read when asked.
        test: Test images before they were enlarged, if they were. Extra images are brought to that size in another way.

    Raises:
        ValueError: If the images are not square; or see `extra.load`.
    """
    from sesemi.datasets import extra

    _, height, width, channels = data.train_images.shape
    if height != width:
        raise InputError(f"square images are needed, {height} x {width} are here", setting="extra_source")
    source = extra.load(text, count, side=height, channels=channels, seed=seed, resize=how.resize)
    own = image_files.all_digests(data.train_images) if data.digests is None else data.digests
    others = image_files.all_digests(data.test_images)
    if test is not None and test.shape != data.test_images.shape:
        fitted = dataclasses.replace(source, images=test, positions=np.arange(len(test)))
        others = np.concatenate([others, image_files.all_digests(fitted)])
    marks, same = extra.digests_and_duplicates(source, others)
    source = source.without(same)
    note = f"{len(source)} extra images; {same.sum()} more were in the test and are left out"
    labels = np.concatenate([data.train_labels, np.full(len(source), -1, np.int32)])
    if data.train_images.nbytes + source.nbytes <= how.limit:
        images = image_files.aligned_empty((len(labels), height, width, channels))
        rows, start = image_files.chunk_rows(height, width, channels), len(data.train_images)
        for first in range(0, start, rows):
            images[first : min(first + rows, start)] = data.train_images[first : first + rows]
        for chunk in source.chunks():
            images[start : start + len(chunk)] = chunk
            start += len(chunk)
    else:
        images = Joined(data.train_images, source)
    return dataclasses.replace(
        data,
        train_images=images,
        train_labels=labels,
        notes=(*data.notes, *source.notes, note),
        extra=len(source),
        digests=np.concatenate([own, marks[~same]]),
    )
