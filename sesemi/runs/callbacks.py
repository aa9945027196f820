"""What happens around the steps of a run: evaluation, log, checkpoints, the guard against NaN."""

import csv
import io
import math
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from sesemi.files import write
from sesemi.runs import alarms
from sesemi.runs.checkpoints import Checkpoints


class Interrupted(Exception):  # noqa: N818
    """The user asked the run to stop; its checkpoint is written.

    Args:
        number: of the signal.
        step: updates so far.
    """

    def __init__(self, number: int, step: int):
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}")
        self.number, self.step = number, step


class EpochEvaluation(keras.callbacks.Callback):
    """Add ``<name>_error``, in percent, to the logs of every epoch.

    Args:
        errors: for every name a function of no arguments.
    """

    def __init__(self, errors: dict[str, Callable[[], float]]):
        super().__init__()
        self._errors = errors

    def on_epoch_end(self, epoch, logs=None):
        """Evaluate."""
        for name, error in self._errors.items():
            logs[f"{name}_error"] = error()


class History(keras.callbacks.Callback):
    """One row an epoch, kept as a list and as ``log.csv``.

    Args:
        path: of the CSV file, rewritten whole every epoch.
        rows: those of the epochs before a resume.
    """

    def __init__(self, path: Path, rows: list[dict[str, float]]):
        super().__init__()
        self._path, self.rows = path, rows

    def on_epoch_end(self, epoch, logs=None):
        """Append and write."""
        rate = float(self.model.optimizer.learning_rate)
        self.rows.append({"epoch": epoch + 1, "learning_rate": rate, **logs})
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write(self._path, text.getvalue())


class PseudoLabelLog(keras.callbacks.Callback):
    """Counts of pseudo-labels by class, a row an epoch, as a list and as ``pseudo_labels.csv``; warns once.

    Args:
        path: of the file.
        rows: of the epochs before this process.
        cure: what the warning can advise.
        say: called with the warning.
    """

    def __init__(self, path: Path, rows: list[dict[str, Any]], *, cure: alarms.Cure, say: Callable[[str], None]):
        super().__init__()
        self._path, self.rows, self._cure, self._say = path, list(rows), cure, say

    @property
    def alarm(self) -> tuple[int, str] | None:
        """Epoch and text of the first warning of the run."""
        return alarms.first_alarm(self.rows, self._cure)

    def on_epoch_end(self, epoch, logs=None):
        """Append, write, and look."""
        before = self.alarm
        self.rows.append(self.model.monitor.row(epoch + 1))
        write(self._path, alarms.to_csv(self.rows, self._cure.class_names))
        if before is None and self.alarm is not None:
            self._say("warning: after epoch {}: {}".format(*self.alarm))


class KeepBest(keras.callbacks.Callback):
    """Keep the weights of the epoch with the lowest validation error, the first of them if there are several.

    Args:
        path: ends with ``.weights.h5``.
        state: ``{"epoch", "error"}`` of the best so far, or an empty dict; changed in place.
    """

    def __init__(self, path: Path, state: dict[str, float]):
        super().__init__()
        self._path, self._state = path, state

    def on_epoch_end(self, epoch, logs=None):
        """Compare and keep."""
        if logs["validation_error"] < self._state.get("error", math.inf):
            evaluated, *_ = self.model.networks_by_name.values()
            write(self._path, evaluated.save_weights)
            self._state.update(epoch=epoch + 1, error=logs["validation_error"])


class SaveAndStop(keras.callbacks.Callback):
    """Save now and then and when a signal comes; the last of the callbacks.

    Args:
        checkpoints: where; None for a worker that does not write.
        state: called for what is to be kept beside the weights.
        steps_per_epoch: updates an epoch.
        first_step: updates before this process.
        every_s: seconds between checkpoints.
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

    def request_stop(self, number: int, _frame=None) -> None:
        """A signal handler: the first stops after the running step, the second at once."""
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number
        if self.model.stop_here is not None:
            self.model.stop_here.assign(1.0)
        print("\nstopping after this step; once more stops at once", file=sys.stderr, flush=True)

    def on_train_batch_end(self, batch, logs=None):
        """Between epochs, `on_epoch_end` saves instead, with the evaluation done."""
        self.step += self.model.steps_per_execution
        if self.step % self._steps:
            self._act()

    def on_epoch_end(self, epoch, logs=None):
        """As after a step."""
        self._act()

    def save(self) -> None:
        """Save now."""
        if self._checkpoints is not None:
            self._checkpoints.save(self.model, self.step, self._state())
        self._saved = time.monotonic()

    def _asked(self) -> bool:
        """Several workers stop after the same step: that in which all have heard of the signal to one of them."""
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


class RestoreMetrics(keras.callbacks.Callback):
    """Give the interrupted epoch its running means back, after ``fit`` has reset them.

    Args:
        values: of all of `metric_variables`, by their order; used once.
    """

    def __init__(self, values: list[Any] | None):
        super().__init__()
        self._values = values

    def on_epoch_begin(self, epoch, logs=None):
        """Assign."""
        for variable, value in zip(metric_variables(self.model), self._values or (), strict=False):
            variable.assign(value)
        self._values = None


def metric_variables(model: keras.Model) -> list[keras.Variable]:
    """The variables of the running means of losses, and the counts of pseudo-labels."""
    trackers = [model.loss_tracker, *model.trackers.values(), *([model.monitor] if model.monitor else [])]
    return [variable for tracker in trackers for variable in tracker.variables]
