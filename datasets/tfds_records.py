"""Pictures in the files of a prepared set of TensorFlow Datasets, read one by one by their place there."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from datasets import image_files

# TFRecord: the length in 8 bytes and its checksum in 4, the data, the checksum of these in 4.
_LENGTH, _HEADER, _FOOTER = 8, 12, 4


class RecordImages:
    """Pictures that are decoded when they are asked for; indexed like an array ``[N, side, side, 3]`` of uint8.

    Args:
        files: TFRecord files of ``tf.train.Example``.
        feature: name of the picture's bytes in an example.
        side: see `image_files.decode`.
        resize: see `image_files.decode`.

    Raises:
        BrokenImageError: a file ends within an example.
        OSError: a file cannot be read.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, files: Sequence[str | Path], feature: str, side: int, resize: str = "crop"):
        self._files, self._feature, self.side, self.resize = list(map(str, files)), feature, side, resize
        places = [_places(path) for path in self._files]
        # Of each picture: file, first byte, bytes.
        self._places = np.concatenate([np.insert(rows, 0, number, axis=1) for number, rows in enumerate(places)])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(N, side, side, 3)``."""
        return (len(self._places), self.side, self.side, 3)

    @property
    def nbytes(self) -> int:
        """Of all of them, decoded."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self._places)

    def only(self, index: slice | np.ndarray) -> "RecordImages":
        """Some of them, still not decoded."""
        found = RecordImages.__new__(RecordImages)
        found.__dict__ |= self.__dict__ | {"_places": self._places[index]}
        return found

    def __getitem__(self, index: slice | np.ndarray) -> np.ndarray:
        """Decode some.

        Raises:
            BrokenImageError: one cannot be decoded (any more); with its file and place.
        """
        chosen = self._places[index]
        found = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        decoded = image_files.decode_all(list(map(self._bytes, chosen)), self.side, self.resize)
        for place, row, (_, image) in zip(found, chosen, decoded, strict=True):
            if isinstance(image, image_files.BrokenImageError):
                raise image_files.BrokenImageError(f"{self._name(row)}: {image}; prepare the set again")
            place[:] = image
        return found

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
            raise image_files.BrokenImageError(
                f"{self._name(row)}: no example with one {self._feature!r}; prepare the set again"
            ) from error
        return found


def readable(builder) -> bool:
    """Whether the files of a set are TFRecord, as is the rule."""
    return builder.info.file_format.value == "tfrecord"


def of_splits(builder, parts: Iterable[str], feature: str, side: int, resize: str = "crop") -> RecordImages:
    """The pictures of prepared splits, one split after the other, in the order of their files.

    Args:
        builder: of TensorFlow Datasets.
        parts: names of splits.
        feature: see `RecordImages`.
        side: see `image_files.decode`.
        resize: see `image_files.decode`.

    Raises:
        OSError: files of another format than TFRecord, or damaged ones.
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
    """First byte and number of bytes of each example of a file: ``[n, 2]`` int64."""
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
