"""Look at a ``.keras`` file before Keras reads it: its size, the code that it names, and where its weights lie."""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sesemi.reading import MIB, checked, json_value

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_LARGEST_CONFIG_MIB = 16
# Keras writes "builtins" for its own functions, and looks them up in itself.
_OWN_MODULES = ("keras", "builtins")
# Keras packs nothing. A file that somebody has packed again is not much smaller, because weights are noise.
_MOST_TIMES, _AND_MIB = 4, 16


def refuse(path: Path) -> None:
    """Refuse a model that takes much more memory than it has bytes, names foreign code, or has its weights elsewhere.

    Args:
        path: Path of a zip file.

    Raises:
        ValueError: It would; the message says what.
        Exception: It is no such file, or damaged; the libraries that read it raise errors of many kinds.
    """
    most = _MOST_TIMES * path.stat().st_size + _AND_MIB * MIB
    with zipfile.ZipFile(path) as model:
        unpacked = sum(member.file_size for member in model.infolist())
        if unpacked > most:
            raise ValueError(f"it unpacks to {unpacked / MIB:.0f} MiB, and has {path.stat().st_size / MIB:.1f}")
        if model.getinfo(_CONFIG).file_size > _LARGEST_CONFIG_MIB * MIB:
            raise ValueError(f"its {_CONFIG} has more than {_LARGEST_CONFIG_MIB} MiB")
        config = checked(json_value(model.read(_CONFIG).decode("utf-8")), {"class_name": str, "config": dict})
        foreign = sorted({name for name in _modules(config) if name.split(".")[0] not in _OWN_MODULES})
        if foreign:
            raise ValueError(f"it asks for the module {foreign[0]!r}, which is none of Keras and is not loaded")
        # Keras would also take model.weights.npz, whose arrays may be packed; this program never writes one.
        with model.open(_WEIGHTS) as file:
            _refuse_weights(file, most)


def _modules(value: Any) -> Iterator[str]:
    """Yield all names of Python modules in a config."""
    if isinstance(value, dict):
        if isinstance(value.get("module"), str):
            yield value["module"]
        for inside in value.values():
            yield from _modules(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _modules(inside)


def _refuse_weights(file, most: int) -> None:
    import h5py

    total = 0

    def look(name: str, link) -> str | None:
        """Return what is wrong, which ends the search; h5py cannot bear an error here."""
        nonlocal total
        found = weights.get(name) if isinstance(link, h5py.HardLink) else None
        is_data = isinstance(found, h5py.Dataset)
        if isinstance(link, h5py.ExternalLink) or (is_data and (found.external or found.is_virtual)):
            return "its weights lie in another file"
        total += math.prod(found.shape or ()) * found.dtype.itemsize if is_data else 0
        return f"its weights claim more than {most / MIB:.0f} MiB" if total > most else None

    with h5py.File(file, "r") as weights:
        wrong = weights.visititems_links(look)
    if wrong:
        raise ValueError(wrong)
