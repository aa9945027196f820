"""Checkpoints of a run, each whole or absent."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sesemi.errors import InputError
from sesemi.files import WriteError, whole

_WEIGHTS, _STATE, _PREFIX = "model.weights.h5", "state.json", "step-"


class CheckpointError(WriteError):
    """A checkpoint could not be written, or is not worth keeping. The one before it is whole."""


class Checkpoints:
    """The last checkpoint of a run, in a folder ``step-N`` that appears by one rename.

    Args:
        folder: Path of the folder of all checkpoints, which is created when the first one is saved.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, model: keras.Model, step: int, state: dict[str, Any]) -> Path:
        """Save the weights and `state`, and remove the checkpoint before.

        The slots of the optimizer and the weights of the method are saved too.

        Raises:
            CheckpointError: The disk refuses, or a weight is not finite.
        """
        target = self.folder / f"{_PREFIX}{step:010d}"
        if target.exists():
            return target
        _refuse_non_finite(model, step)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._remove_partial()
            with whole(target) as partial:
                partial.mkdir()
                model.save_weights(partial / _WEIGHTS)
                (partial / _STATE).write_text(json.dumps({"step": step, **state}))
        # h5py reports a full disk as either of the two.
        except (OSError, RuntimeError) as error:
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
        """Return the folder of the last checkpoint, or None."""
        found = self._all()
        return found[-1] if found else None

    @staticmethod
    def read_state(path: Path) -> dict[str, Any]:
        """Return the state that `save` was given, and ``step``.

        Raises:
            InputError: The file is damaged.
        """
        try:
            return json.loads((path / _STATE).read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{path / _STATE} cannot be read ({error}); remove {path}") from error

    @staticmethod
    def load_weights(path: Path, model: keras.Model) -> None:
        """Load the weights into a model, the slots of the optimizer included.

        Raises:
            InputError: The file is damaged, or its weights are those of another network.
        """
        try:
            model.load_weights(path / _WEIGHTS)
        except (OSError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path / _WEIGHTS} does not fit this run ({reason}); remove the run folder") from error

    def remove(self) -> None:
        """Remove all checkpoints, once a run is finished."""
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
