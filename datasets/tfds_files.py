"""Look at the files of a prepared set before TensorFlow Datasets reads them, because they may name code to run.

``features.json`` names the Python class of each feature, and the library imports the module of a class that it does not
know, whoever wrote its name there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sesemi.datasets.base import some
from sesemi.errors import InputError
from sesemi.reading import json_object, json_value, opened

FEATURES, FACTS = "features.json", "dataset_info.json"
_OWN = "tensorflow_datasets.core.features."
# As the files of today have it in either spelling of protocol buffers, and those of before.
_NAMES_OF_CLASSES = ("pythonClassName", "python_class_name", "type")
_LARGEST_MIB = 16


def refuse(folders: list[Path], name: str, config: str | None) -> None:
    """Refuse a prepared set whose files are damaged, or name a class that is not the library's own.

    Args:
        folders: Data folders of TFDS.
        name: Name of the set, as its folder has it.
        config: Name of the configuration; None looks into all.

    Raises:
        ValueError: The message names file and class.
    """
    for folder in folders:
        inside = folder / name if config is None else folder / name / config
        # In it lie versions, or configurations with versions.
        for depth in ("*", "*/*"):
            for file in sorted(inside.glob(f"{depth}/{FEATURES}")):
                _refuse_prepared(file.parent)


def _refuse_prepared(folder: Path) -> None:
    features = folder / FEATURES
    foreign = sorted({name for name in _classes(json_object(features)) if not name.startswith(_OWN)})
    if foreign:
        raise InputError(
            f"{features}: asks for {some(foreign)}, which {'are' if len(foreign) > 1 else 'is'} no feature of "
            "TensorFlow Datasets; code that a data set brings along is not run",
            cure="prepare the set again with the library's own features",
        )
    if (folder / FACTS).exists():
        json_object(folder / FACTS)
    for names in folder.glob("*.labels.txt"):
        try:
            opened(names, _LARGEST_MIB).close()
        except OSError as error:
            raise InputError(f"{names}: {error.strerror}") from error


def _classes(value: Any) -> Iterator[str]:
    """Yield all names of classes in a document, also in the JSON that a text of it holds."""
    if isinstance(value, dict):
        for key in _NAMES_OF_CLASSES:
            if isinstance(value.get(key), str):
                yield value[key]
        for inside in value.values():
            yield from _classes(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _classes(inside)
    elif isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        yield from _classes(json_value(value))
