"""Image classification sets of TensorFlow Datasets, by their name there, as uint8 images of one size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sesemi.datasets import image_files, tfds_builder, tfds_records
from sesemi.errors import InputError
from sesemi.terminal import one_line

# Names of the test, and then of the validation. The first of them that has labels is the test.
_HELD_OUT = ("test", "validation", "val", "valid")
_CHUNK = 512
# Record of a picture whose pixels are not kept: its place among `tfds_records.of_splits`, and a fingerprint.
_PLACE = np.dtype([("place", np.int64), ("digest", np.uint8, image_files.DIGEST_BYTES)])


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of a set, by their purpose.

    Args:
        pool: All images except the test, together: first the labeled ones, then those for validation, then the
            unlabeled ones. ``[N + V + U, side, side, 3]`` uint8, an array or `tfds_records.RecordImages`.
        labels: Labels of the first N, int32 in ``0 … classes - 1``.
        validation_labels: Labels of the next V; None: there are none.
        test: ``[M, side, side, 3]``, as the pool; None: the set has no test.
        test_labels: ``[M]`` int32, or None.
        class_names: One name for each class.
        notes: Lines to show the user.
        digests: Fingerprints of the pool, see `image_files.digests`; None: the pool is an array, and they have not been
            made.
    """

    pool: np.ndarray | tfds_records.RecordImages
    labels: np.ndarray
    validation_labels: np.ndarray | None
    test: np.ndarray | tfds_records.RecordImages | None
    test_labels: np.ndarray | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    digests: np.ndarray | None = None

    @property
    def _ends(self) -> tuple[int, int]:
        labeled = len(self.labels)
        return labeled, labeled + (0 if self.validation_labels is None else len(self.validation_labels))

    @property
    def labeled(self) -> np.ndarray:
        """Labeled images ``[N, side, side, 3]``, the first of the pool."""
        return self.pool[: self._ends[0]]

    @property
    def validation(self) -> np.ndarray | None:
        """Images for validation ``[V, side, side, 3]``, behind the labeled ones in the pool; None: there are none."""
        return None if self.validation_labels is None else self.pool[slice(*self._ends)]

    @property
    def unlabeled(self) -> np.ndarray:
        """Unlabeled images ``[U, side, side, 3]``, the last of the pool; U may be 0."""
        return self.pool[self._ends[1] :]


def load(
    name: str,
    data_dir: Path | None,
    *,
    side: int,
    resize: str = "crop",
    limit: int,
    say: Callable[[str], None] | None = None,
) -> Parts:
    """Read a set where it is prepared, or have it downloaded and prepared there.

    Args:
        name: ``NAME[/CONFIG][:VERSION]`` as TensorFlow Datasets writes it.
        data_dir: Data folder of TFDS; None: its own default (``~/tensorflow_datasets``, or TFDS_DATA_DIR).
        side: Height and width of the images, in pixels.
        resize: See `image_files.decode`.
        limit: Largest size of the images that may be held in memory, in bytes. Larger sets are looked at once, and read
            from their files when they are asked for.
        say: Function that is called with a line before a download.

    Returns:
        Images and labels, in the order of the set's files. Broken pictures are left out, with a note.

    Raises:
        ValueError: If the name is unknown, there is no image with one class label or no training split, or the files
            are damaged or not TFRecord.
        InputError: If it is not prepared, and preparing it failed; one line says how to do it elsewhere.
    """
    import tensorflow_datasets as tfds

    with tfds_builder.quiet(tfds):
        made = tfds_builder.builder(tfds, name, data_dir)
        image, label = tfds_builder.features(tfds, name, made.info)
        tfds_builder.prepare(tfds, name, made, say)
        if not tfds_records.readable(made):
            raise InputError(
                (f"tfds:{name}: {made.data_dir}: its files are {made.info.file_format.value}, only tfrecord is read"),
                cure="prepare it again without another file format",
            )
        return _read(_Splits(tfds, name, made, image, label), side, resize, limit)


def _read(split: "_Splits", side: int, resize: str, limit: int) -> Parts:
    notes = [f"data: {split.builder.data_dir}"]
    train, validation, test, unlabeled = _roles(split, notes)
    sizes = {part: split.sizes[part] for part in (train, validation, test, *unlabeled) if part is not None}
    records = first = None
    if sum(sizes.values()) * side * side * 3 > limit:
        records = split.records(sizes, side, resize)
        first = dict(zip(sizes, np.cumsum([0, *sizes.values()]).tolist(), strict=False))

    def room(count):
        return image_files.aligned_empty((count, side, side, 3)) if records is None else np.empty(count, _PLACE)

    def examples(part):
        return split.examples(part, side, resize, notes, first=first and first[part])

    def put(into, part, late):
        return _put(into, examples(part), late)

    pool = room(sum(sizes.values()) - sizes.get(test, 0))
    late, validation_labels, test_images, test_labels = [], None, None, None
    labels = put(pool, train, late)
    if not len(labels):
        raise ValueError(f"tfds:{split.name}: its split {train} has no image with a label")
    end = len(labels)
    if validation is not None:
        validation_labels = put(pool[end:], validation, late)
        end += len(validation_labels)
    for image in late:
        pool[end] = image
        end += 1
    for part in unlabeled:
        for _, image in examples(part):
            pool[end] = image
            end += 1
    pool = pool[:end]
    if test is not None:
        test_images, unusable = room(sizes[test]), []
        test_labels = put(test_images, test, unusable)
        test_images = test_images[: len(test_labels)]
        if unusable:
            notes.append(f"{test}: {len(unusable)} images without a label left out")
    digests = None
    if records is not None:
        digests = pool["digest"]
        pool = records.only(pool["place"])
        test_images = None if test is None else records.only(test_images["place"])
    return Parts(
        pool, labels, validation_labels, test_images, test_labels, split.class_names, tuple(notes), digests=digests
    )


class _Splits:
    """Splits of a prepared set: their sizes, and their examples in the order of the files."""

    def __init__(self, tfds, name: str, builder, image: str, label: str):
        self.tfds, self.name, self.builder, self.image, self.label = tfds, name, builder, image, label
        self.sizes = {part: info.num_examples for part, info in builder.info.splits.items() if info.num_examples}
        self.class_names = tuple(builder.info.features[label].names)

    def _batches(self, part: str, keys: Sequence[str]) -> Iterator[dict]:
        decode = self.tfds.decode
        # We decode the bytes ourselves, so that they become the same pixels as files of a folder.
        skip = {self.image: decode.SkipDecoding()} if self.image in keys else None
        # The default is to read several files in turns, and their number is up to the library.
        order = self.tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
        decoders = decode.PartialDecoding(dict.fromkeys(keys, True), decoders=skip)
        try:
            data = self.builder.as_dataset(split=part, shuffle_files=False, read_config=order, decoders=decoders)
            yield from self.tfds.as_numpy(data.batch(_CHUNK).prefetch(1))
        except Exception as error:
            raise ValueError(
                f"tfds:{self.name}: {self.builder.data_dir} is damaged, delete it and prepare it again: "
                f"{part}: {one_line(error)}"
            ) from error

    def has_labels(self, part: str) -> bool:
        """Return whether any example has a label."""
        return any((batch[self.label] >= 0).any() for batch in self._batches(part, [self.label]))

    def examples(
        self, part: str, side: int, resize: str, notes: list[str], *, first: int | None
    ) -> Iterator[tuple[int, np.ndarray | tuple]]:
        """Yield label, -1 for none, and image. In the end add a note about those left out because they are broken.

        With `first`, the place of the split's first picture among `records`, yield its `_PLACE` in place of the image.
        """
        broken = []
        position = 0
        for batch in self._batches(part, [self.image, self.label]):
            decoded = image_files.decode_all(list(batch[self.image]), side, resize)
            for label, (_, image) in zip(batch[self.label].tolist(), decoded, strict=True):
                if isinstance(image, image_files.BrokenImageError):
                    broken.append(f"{position} ({image})")
                else:
                    yield label, image if first is None else (first + position, image_files.digests([image])[0])
                position += 1
        if broken:
            notes.append(f"{part}: {len(broken)} broken pictures left out, the first is number {broken[0]}")

    def records(self, parts: Iterable[str], side: int, resize: str) -> tfds_records.RecordImages:
        """Return all pictures of some splits, one split after the other, broken ones too; not decoded yet."""
        try:
            return tfds_records.of_splits(self.builder, parts, self.image, side, resize)
        except OSError as error:
            raise ValueError(
                f"tfds:{self.name}: {self.builder.data_dir} is damaged, delete it and prepare it again: "
                f"{one_line(error)}"
            ) from error


def _roles(split: _Splits, notes: list[str]) -> tuple[str, str | None, str | None, list[str]]:
    """Return the names of the splits for training, for validation and for the test, and those of the unlabeled ones."""
    unlabeled = [part for part in split.sizes if "unlabel" in part.lower()]
    rest = [part for part in split.sizes if part not in unlabeled]
    training = ["train"] if "train" in rest else [part for part in rest if part not in _HELD_OUT]
    if len(training) != 1:
        raise ValueError(f"tfds:{split.name}: no split for training, it has {', '.join(split.sizes) or 'none'}")
    held_out = [part for part in _HELD_OUT if part in rest and split.has_labels(part)]
    test, validation, *_ = (*held_out, None, None)
    if test not in ("test", None):
        notes.append(f"the split {test} is the test: there is no {'labeled ' if 'test' in rest else ''}test split")
    if unused := [part for part in rest if part not in (training[0], test, validation)]:
        notes.append(f"splits not used: {', '.join(unused)}")
    return training[0], validation, test, unlabeled


def _put(images: np.ndarray, examples: Iterator[tuple[int, np.ndarray | tuple]], unlabeled: list) -> np.ndarray:
    """Write labeled images into `images` from its start, append the others to `unlabeled`; return the labels, int32."""
    labels = []
    for label, image in examples:
        if label < 0:
            unlabeled.append(image)
        else:
            images[len(labels)] = image
            labels.append(label)
    return np.array(labels, np.int32)
