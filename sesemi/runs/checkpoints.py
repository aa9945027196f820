"""Checkpoints of a run: each is whole or absent, knows which run it is of, and shows if a bit of it has changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sesemi import reading
from sesemi.errors import InputError
from sesemi.files import WriteError, whole
from sesemi.runs import weights

_WEIGHTS, _STATE, _PREFIX = "weights.npz", "state.json", "step-"
# The one before the last is kept, in case the last is damaged.
_KEPT = 2
# In MiB. The state holds the log of every epoch and the promoted images.
_LARGEST_STATE, _LARGEST_WEIGHTS = 256, 2**14


class CheckpointError(WriteError):
    """A checkpoint could not be written, or is not worth keeping. The one before it is whole."""


class Checkpoints:
    """The last checkpoints of a run, in folders ``step-N`` that appear by one rename.

    A checkpoint is the weights and a state, with a SHA-256 over both and over the identity of the run.

    Args:
        folder: Path of the folder of all checkpoints, which is created when the first one is saved.
        run: Identity of the run: whatever of its settings, data and split JSON can hold.
    """

    def __init__(self, folder: Path, run: Any = None):
        self.folder = folder
        self._run = weights.digest(_canonical(run))

    def save(self, model, step: int, state: dict[str, Any]) -> Path:
        """Save the weights and `state`, and remove the checkpoints before the last two.

        The slots of the optimizer and the weights of the method are saved too.

        Args:
            model: Keras model with an optimizer.
            step: Number of updates so far.
            state: What else is needed to go on; JSON must hold it.

        Raises:
            CheckpointError: The disk refuses, or a weight is not finite.
        """
        target = self.folder / f"{_PREFIX}{step:010d}"
        if target.exists() and not self._fault(target):
            return target
        _refuse_non_finite(model, step)
        content = weights.to_bytes(_variables(model))
        # A digest is of the text that is written, so what JSON rounds or renames is not found to differ.
        text = json.dumps({**state, "step": step})
        signed = {"run": self._run, "weights": weights.digest(content), "state": weights.digest(text.encode())}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._remove_partial()
            with whole(target) as partial:
                partial.mkdir()
                (partial / _WEIGHTS).write_bytes(content)
                (partial / _STATE).write_text(json.dumps({"sha256": signed, "state": text}), encoding="utf-8")
        except OSError as error:
            last = self._all()
            reason = " ".join(str(error).split())
            kept = f"the last one ({last[-1].name}) is whole" if last else "there is none yet"
            raise CheckpointError(
                f"the checkpoint of step {step} could not be written to {self.folder} ({reason}); {kept}"
            ) from error
        for other in self._all()[:-_KEPT]:
            shutil.rmtree(other)
        return target

    def latest(self, warn: Callable[[str], None] = lambda _: None) -> Path | None:
        """Return the folder of the newest whole checkpoint of this run; None if there is none of any kind.

        Args:
            warn: Function that is called with a line for each newer one that is passed over.

        Raises:
            InputError: There are some, and none of them is whole and of this run.
        """
        faults: list[str] = []
        for path in self._all()[::-1]:
            fault = self._fault(path)
            if fault is None:
                for line in faults:
                    warn(f"warning: {line}; the run goes on from {path.name}")
                return path
            faults.append(f"{path} {fault}")
        if faults:
            raise InputError(
                f"no checkpoint can be gone on from: {'; '.join(faults)}",
                cure=f"remove {self.folder} to begin anew, or give another `name`",
            )
        return None

    def read_state(self, path: Path) -> dict[str, Any]:
        """Return the state that `save` was given, and ``step``.

        Raises:
            InputError: The file is damaged.
        """
        state, fault = self._checked(path)
        if fault:
            raise InputError(f"{path} {fault}", cure=f"remove {path}")
        return state

    @staticmethod
    def load_weights(path: Path, model) -> None:
        """Load the weights into a model, the slots of the optimizer included.

        Raises:
            InputError: The file is damaged, or its weights are those of another network.
        """
        try:
            weights.assign((path / _WEIGHTS).read_bytes(), _variables(model))
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path / _WEIGHTS} does not fit this run ({reason}); remove the run folder") from error

    def remove(self) -> None:
        """Remove all checkpoints, once a run is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob(f"{_PREFIX}*")) if self.folder.is_dir() else []

    def _fault(self, path: Path) -> str | None:
        return self._checked(path)[1]

    def _checked(self, path: Path) -> tuple[dict[str, Any], str | None]:
        """Return the state of a checkpoint, and what is wrong with it."""
        if (path / "model.weights.h5").exists():
            return {}, "was written by an earlier version of this program"
        try:
            found = json.loads(reading.content(path / _STATE, _LARGEST_STATE))
            signed, text = found["sha256"], found["state"]
            if weights.digest(text.encode()) != signed["state"]:
                return {}, f"is damaged ({_STATE} has changed since it was written)"
            if weights.digest(reading.content(path / _WEIGHTS, _LARGEST_WEIGHTS)) != signed["weights"]:
                return {}, f"is damaged ({_WEIGHTS} has changed since it was written)"
            state = json.loads(text)
            step = state["step"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return {}, f"is damaged ({' '.join(repr(error).split())[:200]})"
        if signed["run"] != self._run:
            return {}, "is of another run: its settings, data or split differ"
        if path.name != f"{_PREFIX}{step:010d}":
            return {}, f"is that of step {step}"
        return state, None

    def _remove_partial(self) -> None:
        for path in self.folder.glob(".partial-*"):
            shutil.rmtree(path)


def _variables(model) -> list:
    return [*model.variables, *model.optimizer.variables]


def _canonical(value: Any) -> bytes:
    """Return JSON in which equal values are equal text: 50 and 50.0, and a tuple and a list."""

    def plain(value):
        if isinstance(value, dict):
            return {str(name): plain(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return repr(float(value))
        return value

    return json.dumps(plain(value), sort_keys=True, default=str).encode()


def _refuse_non_finite(model, step: int) -> None:
    for variable in model.weights:
        if variable.dtype.startswith(("float", "bfloat")) and not np.isfinite(variable.numpy()).all():
            raise CheckpointError(f"{variable.path} is not finite after step {step}; no checkpoint was written")
