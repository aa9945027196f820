"""Progress of a run, as a user sees it."""

import math
import sys
import time

import keras

from sesemi.terminal import human_time

_STEPS_BEFORE_ESTIMATE = 5


class Progress(keras.callbacks.Callback):
    """Show a bar with named losses, learning rate and images/s on a terminal, and elsewhere a line now and then.

    Args:
        epochs: Number of epochs of the whole run.
        steps_per_epoch: Number of updates an epoch.
        images_per_step: Number of views that go through the network each step.
        first_step: Number of updates before this process.
        started: Time when the process began to work, by `time.perf_counter`.
        every_s: Seconds between two lines where there is no terminal.
        show: False prints nothing.
    """

    def __init__(self, *, epochs, steps_per_epoch, images_per_step, first_step, started, every_s=30.0, show=True):
        super().__init__()
        self._epochs, self._steps, self._images = epochs, steps_per_epoch, images_per_step
        self._show, self._every_s = show, every_s
        self._first = self._step = first_step
        self._started, self._timed, self._seconds = started, 0, 0.0
        self._bar, self._epoch, self._began, self._printed = None, 0, 0.0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Start a bar."""
        self._epoch = epoch
        if self._show and sys.stdout.isatty():
            print(f"epoch {epoch + 1}/{self._epochs}")
            # The values are means already, so the bar must not average them again.
            names = ["loss", *self.model.trackers, "learning_rate", "images/s"]
            self._bar = keras.utils.Progbar(self._steps, verbose=1, stateful_metrics=names)

    def on_train_batch_begin(self, batch, logs=None):
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Show how far the epoch is."""
        now = time.perf_counter()
        steps, before = self.model.steps_per_execution, self._timed
        self._step += steps
        if self._step > self._first + steps:
            self._timed += steps
            self._seconds += now - self._began
        elif self._show:
            print(
                f"first step after {now - self._started:.1f} s, {now - self._began:.1f} of them to compile", flush=True
            )
        inside = self._step - self._epoch * self._steps
        if self._show and before < _STEPS_BEFORE_ESTIMATE <= self._timed:
            self._estimate()
        if self._bar is not None and inside < self._steps:
            self._bar.update(inside, self._values(logs))
        elif self._show and self._bar is None and now - self._printed > self._every_s:
            if self._printed:
                self._line(f"epoch {self._epoch + 1}/{self._epochs} step {inside}/{self._steps}", self._values(logs))
            self._printed = now

    def on_epoch_end(self, epoch, logs=None):
        """Show the epoch's means and errors."""
        if self._bar is not None:
            self._bar.stateful_metrics |= set(logs)
            self._bar.update(self._steps, self._values(logs), finalize=True)
        elif self._show:
            self._line(f"epoch {epoch + 1}/{self._epochs}", self._values(logs))
            self._printed = time.perf_counter()

    @property
    def timed(self) -> tuple[int, float]:
        """Images and seconds of the steps of this process, except the first, which traces and compiles."""
        return self._timed * self._images, self._seconds

    def _values(self, logs: dict[str, float]) -> list[tuple[str, float]]:
        others = ((name, value) for name, value in logs.items() if name != "loss")
        # Where no pseudo-label was accepted, none is right or wrong, and there is nothing to show. A loss that is not
        # finite stops the run.
        values = [("loss", logs["loss"]), *((name, value) for name, value in others if math.isfinite(value))]
        values.append(("learning_rate", float(self.model.optimizer.learning_rate)))
        images, seconds = self.timed
        return [*values, ("images/s", round(images / seconds))] if images else values

    def _estimate(self) -> None:
        images, seconds = self.timed
        left = self._epochs * self._steps - self._step
        end = "\n" if self._bar is not None else ""
        to_go = human_time(left * seconds / self._timed)
        print(f"{end}about {to_go} to go at {images / seconds:.0f} images/s, without evaluation", flush=True)

    @staticmethod
    def _line(where: str, values: list[tuple[str, float]]) -> None:
        texts = (f"{name} {value:.0f}" if value >= 1000 else f"{name} {value:.4g}" for name, value in values)
        print(where, *texts, sep="  ", flush=True)
