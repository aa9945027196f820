"""Checkpoints that are whole or absent, and the lock of a run folder."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sesemi.errors import InputError

_WEIGHTS, _STATE, _PREFIX, _LOCK = "model.weights.h5", "state.json", "step-", ".lock"


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or is not worth keeping; the one before it is whole."""


class Checkpoints:
    """The last checkpoint of a run, in a folder ``step-N`` that appears by one rename.

    Args:
        folder: where; created when the first is saved.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, model: keras.Model, step: int, state: dict[str, Any]) -> Path:
        """Keep weights (optimizer slots and the method's weights included) and `state`; drop the one before.

        Raises:
            CheckpointError: the disk refuses, or a weight is not finite.
        """
        target = self.folder / f"{_PREFIX}{step:010d}"
        if target.exists():
            return target
        _refuse_non_finite(model, step)
        partial = self.folder / f".partial-{os.getpid()}"
        try:
            self._remove_partial()
            partial.mkdir(parents=True)
            model.save_weights(partial / _WEIGHTS)
            (partial / _STATE).write_text(json.dumps({"step": step, **state}))
            _flush(partial / _WEIGHTS, partial / _STATE, partial)
            os.replace(partial, target)
            _flush(self.folder)
        # h5py reports a full disk as either of the two.
        except (OSError, RuntimeError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            last = self.latest()
            reason = " ".join(str(error).split())
            kept = f"the last one ({last.name}) is whole" if last else "there is none yet"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder} ({reason}); {kept}"
            ) from error
        for other in self._all():
            if other != target:
                shutil.rmtree(other)
        return target

    def latest(self) -> Path | None:
        """The folder of the last checkpoint, or None."""
        found = self._all()
        return found[-1] if found else None

    @staticmethod
    def read_state(path: Path) -> dict[str, Any]:
        """What `save` was given, with ``step``.

        Raises:
            InputError: the file is damaged.
        """
        try:
            return json.loads((path / _STATE).read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{path / _STATE} cannot be read ({error}); remove {path}") from error

    @staticmethod
    def load_weights(path: Path, model: keras.Model) -> None:
        """Put the weights back, optimizer slots included.

        Raises:
            InputError: the file is damaged or of another network.
        """
        try:
            model.load_weights(path / _WEIGHTS)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path / _WEIGHTS} does not fit this run ({reason}); remove the run folder") from error

    def remove(self) -> None:
        """Drop all of them, once a run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob(f"{_PREFIX}*")) if self.folder.is_dir() else []

    def _remove_partial(self) -> None:
        for path in self.folder.glob(".partial-*"):
            shutil.rmtree(path)


def _refuse_non_finite(model: keras.Model, step: int) -> None:
    for variable in model.weights:
        if variable.dtype.startswith(("float", "bfloat")) and not np.isfinite(variable.numpy()).all():
            raise CheckpointError(f"{variable.path} is not finite after step {step}; no checkpoint was written")


def _flush(*paths: Path) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a file whole or not at all, and onto the disk.

    Args:
        path: where it appears by one rename.
        write: writes to the path that it is given, which ends as `path` does.

    Raises:
        CheckpointError: the disk refuses.
    """
    partial = path.with_name(f".partial-{path.name}")
    try:
        write(partial)
        _flush(partial)
        os.replace(partial, path)
        _flush(path.parent)
    # h5py reports a full disk as either of the two.
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path.name} could not be written ({reason}); the same command tries again") from error


def write_atomically(path: Path, text: str) -> None:
    """`write_whole` for text; names of files keep their bytes, also those that are no text."""
    write_whole(path, lambda partial: partial.write_bytes(text.encode("utf-8", "surrogateescape")))


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a run folder, which is created if need be; the system releases it however the process ends.

    A folder in which nothing was written is removed again.

    Raises:
        InputError: another process holds it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / _LOCK, "w")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"--output: {folder} cannot be written to ({error.strerror}); give another folder") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder} is in use by another process; wait for it, or give another --name") from None
        try:
            yield
        finally:
            if [path.name for path in folder.iterdir()] == [_LOCK]:
                shutil.rmtree(folder)
