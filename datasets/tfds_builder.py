"""Sets of TensorFlow Datasets: found by name, prepared if need be, and their features that are image and label."""

import contextlib
import difflib
import io
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sesemi.datasets import tfds_files
from sesemi.errors import InputError
from sesemi.terminal import one_line

_NAME = re.compile(r"(?P<set>[A-Za-z]\w*)(/[\w+.-]+)?(?P<version>:(\d+|\*)(\.(\d+|\*)){2})?")


@contextlib.contextmanager
def quiet(tfds) -> Iterator[None]:
    """Hide progress bars, and warnings of the libraries, inside this context."""
    tfds.disable_progress_bar()
    loggers = [logging.getLogger(name) for name in ("absl", "urllib3")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def builder(tfds, name: str, data_dir: Path | None):
    """Return TFDS's builder of a set, of the newest version that is prepared, else of the one that it would prepare.

    Raises:
        ValueError: If there is no such set, version or configuration.
        InputError: See `tfds_files.refuse`.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ValueError(f"tfds:{name}: write tfds:NAME, tfds:NAME/CONFIG or tfds:NAME/CONFIG:1.2.3")
    # If a version is named, even any, TFDS prefers files that are there to its code, whose version may be newer.
    asked = name if parts["version"] else f"{name}:*.*.*"
    try:
        _refuse_foreign_code(tfds, asked, data_dir)
        return tfds.builder(asked, data_dir=None if data_dir is None else str(data_dir))
    except tfds.core.DatasetNotFoundError as error:
        close = difflib.get_close_matches(parts["set"], tfds.list_builders(with_community_datasets=False))
        raise ValueError(
            f"tfds:{name}: not prepared{'' if data_dir is None else f' in {data_dir}'}, and TensorFlow Datasets "
            f"{tfds.__version__} knows no such set" + (f"; did you mean {' or '.join(close)}?" if close else "")
        ) from error
    except InputError as error:
        raise InputError(f"tfds:{name}: {error.problem}", cure=error.cure) from error
    except Exception as error:
        # The message begins with the arguments that the builder was called with.
        reason = str(error).rpartition('}": ')[2]
        raise ValueError(f"tfds:{name}: {one_line(reason)}") from error


def _refuse_foreign_code(tfds, name: str, data_dir: Path | None) -> None:
    found, more = tfds.core.naming.parse_builder_name_kwargs(name)
    folders = tfds.core.utils.file_utils.list_data_dirs(data_dir)
    tfds_files.refuse([Path(folder) for folder in folders], found.name, more.get("config"))


def prepare(tfds, name: str, builder, say: Callable[[str], None] | None) -> None:
    """Have a set downloaded and prepared, if it is not.

    Args:
        tfds: Library.
        name: Name of the set, for messages.
        builder: Builder of the set.
        say: Function that is called with a line before a download.

    Raises:
        InputError: If that failed; one line says how to do it elsewhere.
    """
    if builder.is_prepared():
        return
    if say is not None:
        say(f"tfds:{name}: download into {builder.data_dir}; without a network it gives up after some minutes")
    tfds.enable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare()
    except Exception as error:
        raise InputError(
            f"tfds:{name} is not in {builder.data_dir} and could not be downloaded and prepared ({one_line(error)})",
            cure=f"do it elsewhere: python -c \"import tensorflow_datasets as tfds; tfds.load('{name}', "
            "data_dir='DIR')\", bring DIR here and give it with `data_dir`",
        ) from error
    finally:
        tfds.disable_progress_bar()


def features(tfds, name: str, info) -> tuple[str, str]:
    """Return the names of the features that are the image and its label.

    Raises:
        ValueError: If there is not one of each.
    """
    # Features that were read from a file come in any order.
    there = dict(sorted((info.features or {}).items()))
    # LabeledImage is an image too, but its pixels are classes. An image of floats has its bits in the channels.
    images = [
        key
        for key, feature in there.items()
        if type(feature) is tfds.features.Image and np.dtype(feature.np_dtype).kind == "u"
    ]
    labels = [key for key, feature in there.items() if isinstance(feature, tfds.features.ClassLabel)]
    keys = info.supervised_keys
    if keys is not None and len(keys) == 2 and keys[0] in images and keys[1] in labels:
        return keys
    image, label = (
        found[0] if len(found) == 1 else usual if usual in found else None
        for found, usual in ((images, "image"), (labels, "label"))
    )
    if image is None or label is None:
        listed = ", ".join(f"{key} ({type(feature).__name__})" for key, feature in there.items())
        raise ValueError(f"tfds:{name}: an Image and a ClassLabel are needed, it has {listed}")
    return image, label
