"""Labeled images, read from a file: indices, lists of the Mean Teacher repository, or a ``split.json``."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np

from sesemi import reading
from sesemi.errors import InputError
from sesemi.terminal import one_line, printable

# pandas writes whole numbers of a column with gaps as 4.0.
_INDEX = re.compile(r"(\d{1,12})(\.0+)?")
_MOST_MIB = 64
_MORE: reading.Schema = {"validation": reading.whole_numbers, "labels_sha256": str}
_NAMED = re.compile(r"(?:.*/)?(\d{1,12})[^/\s]*\s+(\S.*)")


def read(
    path: str, labels: np.ndarray, class_names: Sequence[str], *, labels_sha256: str | None = None, named: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Read such a file.

    Args:
        path: Path of the ``split.json`` of a run, or of a text file with a line for each labeled image. A line is the
            index of the image among the training images, or ``FILENAME CLASS`` where the file's name begins with that
            index (``3076_airplane.png airplane``).
        labels: ``[N]``, labels of all training images.
        class_names: One name for each class.
        labels_sha256: Hash of `labels`. A ``split.json`` with another hash is refused: it was made for other images.
            With None they are not compared.
        named: True if names of files begin with their index. With False, lines with names are refused.

    Returns:
        Indices of labeled and of validation images, each sorted.

    Raises:
        InputError: If the file is missing or is none of these, an index is no image's or occurs twice, or a class is
            not the one that the data set has.
    """
    text = _text(path)
    if text.lstrip().startswith("{"):
        labeled, validation = _from_json(path, text, labels_sha256)
    else:
        labeled, validation = _from_lines(path, text, labels, class_names, named=named), []
    everything = [*labeled, *validation]
    if not labeled:
        raise InputError("there is no labeled image in it", setting="labels_from", value=path)
    if min(everything) < 0 or max(everything) >= len(labels):
        outside = next(i for i in everything if not 0 <= i < len(labels))
        raise InputError(
            f"index {outside} is none of the {len(labels)} training images", setting="labels_from", value=path
        )
    if len(set(everything)) < len(everything):
        twice = next(i for i, count in Counter(everything).items() if count > 1)
        raise InputError(f"index {twice} occurs twice", setting="labels_from", value=path)
    return np.sort(np.array(labeled, np.int64)), np.sort(np.array(validation, np.int64))


def refuse_missing(path: str) -> None:
    """Refuse a file that `read` cannot read.

    Raises:
        InputError: If it is missing, or no text.
    """
    _text(path)


def _text(path: str) -> str:
    try:
        return reading.text_of(path, _MOST_MIB)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"cannot be read ({reason})", setting="labels_from", value=path) from error


def _from_json(path: str, text: str, labels_sha256: str | None) -> tuple[list[int], list[int]]:
    try:
        document = reading.checked(reading.json_value(text), {"labeled": reading.whole_numbers}, _MORE)
    except ValueError as error:
        reason = one_line(error)
        raise InputError(f"not the split.json of a run ({reason})", setting="labels_from", value=path) from error
    theirs = document.get("labels_sha256")
    if None not in (theirs, labels_sha256) and theirs != labels_sha256:
        raise InputError(
            "made for other images, or other labels of them, so its indices mean others",
            setting="labels_from",
            value=path,
            cure="give the split.json of a run on these",
        )
    return document["labeled"], document.get("validation", [])


def _from_lines(path: str, text: str, labels: np.ndarray, class_names: Sequence[str], *, named: bool) -> list[int]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        # A byte order mark stands in the middle where files were put one behind the other.
        line = line.strip("\ufeff \t")
        if not line:
            continue
        plain, with_name = _INDEX.fullmatch(line), _NAMED.fullmatch(line)
        if with_name and not named:
            raise InputError(
                f"line {number} names a file, and files of your own are named in `labels_file`",
                setting="labels_from",
                value=path,
            )
        if not plain and not with_name:
            raise InputError(
                f"line {number} is neither an index nor FILENAME CLASS: {one_line(line, 60)}",
                setting="labels_from",
                value=path,
            )
        index = int(plain[1] if plain else with_name[1])
        if not plain and index < len(labels):
            true = class_names[labels[index]] if labels[index] >= 0 else "without a label"
            if _same(with_name[2]) != _same(true):
                raise InputError(
                    f"line {number} says {printable(with_name[2])}, but image {index} is {true}",
                    setting="labels_from",
                    value=path,
                )
        found.append(index)
    return found


def _same(name: str) -> str:
    """Return a form of a name that is equal for names that look the same: an accent may be a letter of its own."""
    return unicodedata.normalize("NFC", name.strip())
