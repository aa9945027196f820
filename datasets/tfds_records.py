"""Pictures in the files of a prepared set of TensorFlow Datasets, read one by one by their place there."""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sesemi.datasets import image_files
from sesemi.datasets.lazy_images import Pictures

# A TFRecord has the length in 8 bytes and its checksum in 4, then the data, then their checksum in 4.
_LENGTH, _HEADER, _FOOTER = 8, 12, 4


class RecordImages(Pictures):
    """Pictures in TFRecord files.

    Args:
        files: TFRecord files of ``tf.train.Example``.
        feature: Name of the picture's bytes in an example.
        side: See `image_files.decode`.
        resize: See `image_files.decode`.

    Raises:
        BrokenImageError: If a file ends within an example.
        OSError: If a file cannot be read.
    """

    advice = "; prepare the set again"

    def __init__(self, files: Sequence[str | Path], feature: str, side: int, resize: str = "crop"):
        super().__init__(side, resize)
        self._files, self._feature = list(map(str, files)), feature
        places = [_places(path) for path in self._files]
        # Columns: number of the file, first byte, number of bytes.
        self._places = np.concatenate([np.insert(rows, 0, number, axis=1) for number, rows in enumerate(places)])

    def __len__(self) -> int:
        return len(self._places)

    def only(self, index: slice | np.ndarray) -> "RecordImages":
        """Return some of them, still not decoded."""
        found = copy.copy(self)
        found._places = self._places[index]
        return found

    def encoded(self, index):
        """Return their places, and their bytes."""
        chosen = self._places[index]
        return [self._name(row) for row in chosen], [self._bytes(row) for row in chosen]

    def _name(self, row: np.ndarray) -> str:
        return f"{self._files[row[0]]}, byte {row[1]}"

    def _bytes(self, row: np.ndarray) -> bytes:
        from google.protobuf.message import DecodeError
        from tensorflow_datasets.proto import tf_example_pb2

        with open(self._files[row[0]], "rb", buffering=0) as file:
            file.seek(row[1])
            data = file.read(row[2])
        try:
            (found,) = tf_example_pb2.Example.FromString(data).features.feature[self._feature].bytes_list.value
        except (DecodeError, ValueError) as error:
            reason = f"no example with one {self._feature!r}"
            raise image_files.BrokenImageError(f"{self._name(row)}: {reason}{self.advice}") from error
        return found


def readable(builder) -> bool:
    """Return whether the files of a set are TFRecord, as is the rule."""
    return builder.info.file_format.value == "tfrecord"


def of_splits(builder, parts: Iterable[str], feature: str, side: int, resize: str = "crop") -> RecordImages:
    """Return the pictures of prepared splits, one split after the other, in the order of their files.

    Args:
        builder: Builder of TensorFlow Datasets.
        parts: Names of splits.
        feature: See `RecordImages`.
        side: See `image_files.decode`.
        resize: See `image_files.decode`.

    Raises:
        OSError: If the files are of another format than TFRecord, or damaged.
    """
    if not readable(builder):
        raise OSError(f"its files are {builder.info.file_format.value}, only tfrecord is read")
    splits = [builder.info.splits[part] for part in parts]
    images = RecordImages([path for split in splits for path in split.filepaths], feature, side, resize)
    expected = sum(split.num_examples for split in splits)
    if len(images) != expected:
        raise OSError(f"its files hold {len(images)} examples, not {expected}")
    return images


def _places(path: str) -> np.ndarray:
    """Return first byte and number of bytes of each example of a file: ``[n, 2]`` int64."""
    found = []
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        while header := file.read(_HEADER):
            length, start = int.from_bytes(header[:_LENGTH], "little"), file.tell()
            if len(header) < _HEADER or start + length + _FOOTER > size:
                raise image_files.BrokenImageError(f"{path}: it ends within an example")
            found.append((start, length))
            file.seek(length + _FOOTER, 1)
    return np.array(found, np.int64).reshape(-1, 2)
