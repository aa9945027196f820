"""Progress of a run, as a user sees it: one bar on a terminal, and lines that stay."""

import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping

import keras

from sesemi.terminal import human_time, show

_STEPS_BEFORE_ESTIMATE = 5
_BAR_CELLS, _REDRAW_S = 20, 0.1


class Bar:
    """Last line of a terminal, drawn again and again. Elsewhere it draws nothing.

    Args:
        show: False draws nothing, also on a terminal.

    Attributes:
        on: True if it is on a terminal, and shown.
        width: Number of columns of the last line that are drawn on.
    """

    def __init__(self, *, show: bool = True):
        self.on = show and sys.stdout.isatty()
        self.width, self._drawn = 0, -math.inf

    def draw(self, before: str, part: float, after: str = "", *, now: bool = False) -> None:
        """Draw a bar with words on both sides, in one line, unless one was drawn a moment ago.

        Args:
            before: Words before it.
            part: Part of the work that is done, in [0, 1].
            after: Words behind it, cut off where the terminal ends.
            now: True draws it in any case.
        """
        if not self.on or (not now and time.perf_counter() - self._drawn < _REDRAW_S):
            return
        self._drawn = time.perf_counter()
        full = int(part * _BAR_CELLS)
        text = f"{before} [{'=' * full}{'.' * (_BAR_CELLS - full)}] {100 * part:.0f} %  {after}".rstrip()
        text = text[: max(shutil.get_terminal_size().columns - 1, 1)]
        print(f"\r{text}{' ' * (self.width - len(text))}", end="", flush=True)
        self.width = len(text)

    def clear(self) -> None:
        """Take the bar away, so that the next words begin in an empty line."""
        if self.width:
            print(f"\r{' ' * self.width}\r", end="", flush=True)
            self.width = 0


class Progress(keras.callbacks.Callback):
    """Show a line an epoch; on a terminal also a bar for the whole run, and elsewhere a line now and then.

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
        self._bar, self._epoch, self._began, self._printed = Bar(show=show), 0, 0.0, 0.0
        self._stepped, self._evaluations, self._evaluating_s = 0.0, 0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Note which epoch it is."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Start the clock."""
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        """Show how far the run is."""
        self._stepped = now = time.perf_counter()
        steps, before = self.model.steps_per_execution, self._timed
        self._step += steps
        if self._step > self._first + steps:
            self._timed += steps
            self._seconds += now - self._began
        else:
            self.say(f"first step after {now - self._started:.1f} s, {now - self._began:.1f} of them to compile")
        if self._bar.on:
            self._draw(logs)
        elif before < _STEPS_BEFORE_ESTIMATE <= self._timed:
            self.say(f"about {self._to_go()} at {self._rate():.0f} images/s, without evaluation")
        elif self._show and now - self._printed > self._every_s:
            inside = self._step - self._epoch * self._steps
            if self._printed and inside < self._steps:
                where = f"epoch {self._epoch + 1}/{self._epochs} step {inside}/{self._steps}"
                self.say("  ".join([where, *self._texts(logs), *self._if_known(self._to_go())]))
            self._printed = now

    def on_epoch_end(self, epoch, logs=None):
        """Show the epoch's means and errors, in a line that stays."""
        self._printed = time.perf_counter()
        self._evaluations += 1
        self._evaluating_s += self._printed - self._stepped
        self.say("  ".join([f"epoch {epoch + 1}/{self._epochs}", *self._texts(logs)]))
        if self._bar.on and self._step < self._epochs * self._steps:
            self._draw(logs)

    @property
    def timed(self) -> tuple[int, float]:
        """Images and seconds of the steps of this process, except the first, which traces and compiles."""
        return self._timed * self._images, self._seconds

    def say(self, line: str) -> None:
        """Print a line that stays, above the bar."""
        if self._show:
            self._bar.clear()
            show(line)

    @property
    def width(self) -> int:
        """Number of columns of the terminal's last line that a bar stands in."""
        return self._bar.width

    def clear(self) -> None:
        """Take the bar away, because others have something to say."""
        self._bar.clear()

    def close(self) -> None:
        """Take the bar away, because the run ends here."""
        self._bar.clear()

    def evaluating(self, done: int, total: int) -> None:
        """Show how far the evaluation of an epoch is; on a terminal only."""
        self._bar.draw(f"epoch {self._epoch + 1}/{self._epochs}  evaluating", done / max(total, 1))

    def stage(self, name: str) -> Callable[[int, int], None]:
        """Say what is done after the last epoch.

        Args:
            name: Name of it, such as ``exporting``.

        Returns:
            Function that is called with how many are done, and of how many.
        """
        if not self._bar.on:
            self.say(f"{name} ...")
        self._bar.draw(f"{name} ...", 0.0, now=True)
        return lambda done, total: self._bar.draw(f"{name} ...", done / max(total, 1), now=done == total)

    def _draw(self, logs: Mapping[str, float]) -> None:
        where = f"epoch {self._epoch + 1}/{self._epochs}"
        words = [*self._if_known(self._to_go()), f"loss {three_digits(logs['loss'])}"]
        words += [f"{self._rate():.0f} images/s"] if self._timed else []
        self._bar.draw(where, self._step / (self._epochs * self._steps), "  ".join(words))

    def _texts(self, logs: Mapping[str, float]) -> list[str]:
        """Return names and values. Where no pseudo-label was accepted, none is right or wrong, and nothing is shown."""
        values = {"loss": logs["loss"], **{name: value for name, value in logs.items() if math.isfinite(value)}}
        values["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self._timed:
            values["images/s"] = self._rate()
        return [f"{name} {three_digits(value)}" for name, value in values.items()]

    def _rate(self) -> float:
        images, seconds = self.timed
        return images / max(seconds, 1e-9)

    def _to_go(self) -> str:
        """Return how long the rest takes, evaluations included once there was one; empty if it is not known."""
        if self._timed < _STEPS_BEFORE_ESTIMATE:
            return ""
        left = self._epochs * self._steps - self._step
        seconds = left * self._seconds / self._timed
        if self._evaluations:
            seconds += math.ceil(left / self._steps) * self._evaluating_s / self._evaluations
        return f"{human_time(seconds)} to go"

    @staticmethod
    def _if_known(text: str) -> list[str]:
        return [text] if text else []


def three_digits(value: float) -> str:
    """Return a number with three significant digits, or all digits before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
