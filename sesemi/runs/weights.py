"""Weights of a run as bytes: an uncompressed ``.npz`` made in memory, so that one checked write puts it on the disk.

h5py, which Keras writes with, ends the process where a disk is full.
"""

import hashlib
import io
import zipfile
from collections.abc import Sequence

import numpy as np


def to_bytes(variables: Sequence) -> bytes:
    """Return the values of Keras variables, in their order."""
    content = io.BytesIO()
    np.savez(content, **{_key(number): variable.numpy() for number, variable in enumerate(variables)})
    return content.getvalue()


def assign(content: bytes, variables: Sequence) -> None:
    """Assign what `to_bytes` returned to variables of the same shapes, in the same order.

    Raises:
        ValueError: The bytes are none of `to_bytes`, or are of other variables. Nothing was assigned then.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > len(content):
                raise ValueError("it unpacks to more than it holds")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, EOFError, KeyError) as error:
        raise ValueError(f"not an archive of weights: {error}") from error
    wanted = {_key(number): tuple(variable.shape) for number, variable in enumerate(variables)}
    if {name: value.shape for name, value in values.items()} != wanted:
        raise ValueError(f"its {len(values)} weights have other shapes than the {len(wanted)} of this network")
    for (name, _), variable in zip(wanted.items(), variables, strict=True):
        variable.assign(values[name])


def digest(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _key(number: int) -> str:
    # Keras numbers layers through the process, so the names of an optimizer's slots are not the same in the next one.
    return f"{number:05d}"
