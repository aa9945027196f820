"""Look at a ``.keras`` file before Keras reads it: what it unpacks to, and whether its weights are all in it."""

import math
import zipfile
from pathlib import Path

from sesemi.reading import MIB, checked, json_value

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_LARGEST_CONFIG_MIB = 16
# Keras packs nothing. A file that somebody has packed again is not much smaller, because weights are noise.
_MOST_TIMES, _AND_MIB = 4, 16


def refuse(path: Path) -> None:
    """Refuse a model that would take much more memory than it has bytes, or whose weights are elsewhere.

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
        checked(json_value(model.read(_CONFIG).decode("utf-8")), {"class_name": str, "config": dict})
        # Keras would also take model.weights.npz, whose arrays may be packed; this program never writes one.
        with model.open(_WEIGHTS) as file:
            _refuse_weights(file, most)


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
