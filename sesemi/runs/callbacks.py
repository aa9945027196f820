"""Callbacks around the steps of a run: evaluation, logs, best weights, checkpoints and signals."""

import csv
import io
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from sesemi.files import write
from sesemi.runs import alarms, weights
from sesemi.runs.checkpoints import Checkpoints


class Interrupted(Exception):  # noqa: N818
    """The user asked the run to stop; its checkpoint is written.

    Args:
        number: Number of the signal.
        step: Number of updates so far.
    """

    def __init__(self, number: int, step: int):
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}")
        self.number, self.step = number, step


class EpochEvaluation(keras.callbacks.Callback):
    """Add ``<name>_error``, in percent, to the logs of every epoch.

    Args:
        errors: Functions by name. Each takes no arguments and returns an error in percent.
    """

    def __init__(self, errors: dict[str, Callable[[], float]]):
        super().__init__()
        self._errors = errors

    def on_epoch_end(self, epoch, logs=None):
        """Add the errors to the logs."""
        for name, error in self._errors.items():
            logs[f"{name}_error"] = error()


class History(keras.callbacks.Callback):
    """Log of a run: one row an epoch, kept as a list and as ``log.csv``.

    Args:
        path: Path of the CSV file, which is written anew every epoch.
        rows: Rows of the epochs before a resume.
    """

    def __init__(self, path: Path, rows: list[dict[str, float]]):
        super().__init__()
        self._path, self.rows = path, rows

    def on_epoch_end(self, epoch, logs=None):
        """Append a row and write the file."""
        rate = float(self.model.optimizer.learning_rate)
        self.rows.append({"epoch": epoch + 1, "learning_rate": rate, **logs})
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write(self._path, text.getvalue())


class PseudoLabelLog(keras.callbacks.Callback):
    """Log of pseudo-labels: counts by class, a row an epoch, as a list and as ``pseudo_labels.csv``. It warns once.

    Args:
        path: Path of the file.
        rows: Rows of the epochs before this process.
        cure: Facts of the run that decide what the warning can advise.
        say: Function that is called with the warning.
    """

    def __init__(self, path: Path, rows: list[dict[str, Any]], *, cure: alarms.Cure, say: Callable[[str], None]):
        super().__init__()
        self._path, self.rows, self._cure, self._say = path, list(rows), cure, say

    @property
    def alarm(self) -> tuple[int, str] | None:
        """Epoch and text of the first warning of the run; None if there is none."""
        return alarms.first_alarm(self.rows, self._cure)

    def on_epoch_end(self, epoch, logs=None):
        """Append a row, write the file, and warn if the counts look wrong for the first time."""
        before = self.alarm
        self.rows.append(self.model.monitor.row(epoch + 1))
        write(self._path, alarms.to_csv(self.rows, self._cure.class_names))
        if before is None and self.alarm is not None:
            self._say("warning: after epoch {}: {}".format(*self.alarm))


class KeepBest(keras.callbacks.Callback):
    """Keep the weights of the epoch with the lowest validation error. Of several such epochs, the first is kept.

    Args:
        path: Path of the weights, as `sesemi.runs.weights` writes them.
        state: Best so far, ``{"epoch", "error", "sha256"}``, or an empty dict. It is changed in place.
    """

    def __init__(self, path: Path, state: dict[str, Any]):
        super().__init__()
        self._path, self._state = path, state

    def on_epoch_end(self, epoch, logs=None):
        """Keep the weights if the error is the lowest so far."""
        if logs["validation_error"] < self._state.get("error", math.inf):
            evaluated, *_ = self.model.networks_by_name.values()
            content = weights.to_bytes(evaluated.variables)
            write(self._path, content)
            self._state.update(epoch=epoch + 1, error=logs["validation_error"], sha256=weights.digest(content))


class SaveAndStop(keras.callbacks.Callback):
    """Save now and then, and save and stop when a signal comes. This callback is the last one.

    Args:
        checkpoints: Checkpoints to save to; None for a worker that does not write.
        state: Function that returns what is kept beside the weights.
        steps_per_epoch: Number of updates an epoch.
        first_step: Number of updates before this process.
        every_s: Seconds between two checkpoints.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        state: Callable[[], dict[str, Any]],
        *,
        steps_per_epoch,
        first_step,
        every_s=30.0,
    ):
        super().__init__()
        self._checkpoints, self._state = checkpoints, state
        self._steps, self.step, self._every_s = steps_per_epoch, first_step, every_s
        self._saved = time.monotonic()
        self._signal: int | None = None
        # How many columns of the terminal's last line are drawn on, and the descriptors that are of a terminal.
        self.drawn: Callable[[], int] = lambda: 0
        self.terminals: list[int] = []

    def request_stop(self, number: int, _frame=None) -> None:
        """Handle a signal: the first one stops the run after the running step, the second one at once."""
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number
        if self.model.stop_here is not None:
            self.model.stop_here.assign(1.0)
        if number == getattr(signal, "SIGHUP", None):
            _leave(self.terminals)
        # Over the bar, not behind it. A handler leaves stdout alone, because a line may be on its way there.
        width = self.drawn()
        start = "\r" if width and sys.stderr.isatty() else ""
        words = "stopping after this step; once more stops at once"
        print(f"{start}{words.ljust(width) if start else words}", file=sys.stderr, flush=True)

    def on_train_batch_end(self, batch, logs=None):
        """Save or stop if it is time; after the last step of an epoch `on_epoch_end` does so, with the errors known."""
        self.step += self.model.steps_per_execution
        if self.step % self._steps:
            self._act()

    def on_epoch_end(self, epoch, logs=None):
        """Save or stop if it is time, as after a step."""
        self._act()

    def save(self) -> None:
        """Save now."""
        if self._checkpoints is not None:
            self._checkpoints.save(self.model, self.step, self._state())
        self._saved = time.monotonic()

    def _asked(self) -> bool:
        """Return whether a signal asked to stop.

        Several workers stop after the same step: the one in which all have heard of the signal to one of them.
        """
        if self.model.stop_anywhere is None:
            return self._signal is not None
        return float(self.model.stop_anywhere.numpy()) > 0

    def stop_if_asked(self) -> None:
        """Raise `Interrupted` if a signal came."""
        if self._asked():
            raise Interrupted(self._signal or signal.SIGTERM, self.step)

    def _act(self) -> None:
        if self._asked():
            self.save()
        self.stop_if_asked()
        if time.monotonic() - self._saved > self._every_s:
            self.save()


def _leave(terminals: Sequence[int]) -> None:
    """Write into nothing what would go to a terminal that is closed: the way to the checkpoint is not to fail there."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in terminals:
        os.dup2(nothing, stream)
    os.close(nothing)


class RestoreMetrics(keras.callbacks.Callback):
    """Give the interrupted epoch its running means back, after ``fit`` has reset them.

    Args:
        values: Values of all `metric_variables`, in their order, used once; None restores nothing.
    """

    def __init__(self, values: list[Any] | None):
        super().__init__()
        self._values = values

    def on_epoch_begin(self, epoch, logs=None):
        """Assign the values."""
        for variable, value in zip(metric_variables(self.model), self._values or (), strict=False):
            variable.assign(value)
        self._values = None


def metric_variables(model: keras.Model) -> list[keras.Variable]:
    """Return the variables of the running means of losses, and of the counts of pseudo-labels."""
    trackers = [model.loss_tracker, *model.trackers.values(), *([model.monitor] if model.monitor else [])]
    return [variable for tracker in trackers for variable in tracker.variables]
