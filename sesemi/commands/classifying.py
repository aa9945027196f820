"""Parts that the commands with a trained classifier share: flags, progress, and answers."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sesemi.commands.parser import OneLineParser
from sesemi.distribution.start import start_tensorflow
from sesemi.errors import InputError
from sesemi.terminal import LONGEST_LINE, printable, tell

_LINE_EVERY_S = 30.0
MODEL_HELP = "A run folder, such as runs/NAME, or its model.keras."


def add_model_flags(parser: OneLineParser) -> None:
    """Add the flags of all commands that use a model."""
    parser.add_argument(
        "--views",
        type=int,
        choices=(1, 8),
        default=1,
        help="8 takes the mean over eight views of each picture, four if the model was not trained to mirror "
        "(default: 1)",
    )
    add_device_flag(parser)


def add_device_flag(parser: OneLineParser) -> None:
    """Add ``--gpu``."""
    parser.add_argument(
        "--gpu", type=_device, metavar="ID", help="The GPU to use, or 'cpu' (default: the first that is visible)."
    )


def add_as_is_flag(parser: OneLineParser) -> None:
    """Add ``--as-is``, of commands that write a table."""
    parser.add_argument(
        "--as-is",
        action="store_true",
        help="Write cells of the table that begin with = + - @, tab or carriage return as they are. Without it they "
        "get a ' before, because a spreadsheet would run them as formulas.",
    )


def tell_marked(cells: int) -> None:
    """Say how many cells of a table got a ' before."""
    if cells:
        tell(f"{cells} cells of the table begin like a formula and got a ' before; --as-is leaves them as they are")


def _device(text: str) -> str:
    if text == "cpu" or text.isdecimal():
        return text
    raise argparse.ArgumentTypeError(f"{text!r}: give a GPU's number, or cpu")


def load(place: str, gpu: str | None):
    """Start TensorFlow and read a model; a line on stderr says if its classes have no names.

    Returns:
        `sesemi.inference.saved.Saved`.

    Raises:
        InputError: See `sesemi.inference.saved.load`.
    """
    start_tensorflow(gpu)
    from sesemi.inference import saved

    found = saved.load(place)
    if not found.has_sidecar:
        tell(f"{saved.sidecar_of(found.path)}: missing, so classes are numbered")
    return found


class Progress:
    """Show on stderr how many pictures are done: a bar on a terminal, otherwise a line now and then.

    Args:
        total: Number of pictures.
        bar: False shows no bar on a terminal either, because other lines appear there.
    """

    def __init__(self, total: int, *, bar: bool = True):
        self._total, self._done, self._bar = total, 0, None
        self._began = self._shown = time.perf_counter()
        self._lines = not sys.stderr.isatty()
        if bar and not self._lines:
            self._bar = _bar()
            self._task = self._bar.add_task("pictures", total=total)
            self._bar.start()

    def note(self, text: str) -> None:
        """Print a line that stays."""
        if self._bar is None:
            tell(text)
        else:
            self._bar.console.print(printable(text, LONGEST_LINE), markup=False, highlight=False)

    def add(self, count: int) -> None:
        """Count pictures that are done."""
        self._done += count
        if self._bar is not None:
            self._bar.advance(self._task, count)
        now = time.perf_counter()
        if self._lines and now - self._shown >= _LINE_EVERY_S:
            self._shown, speed = now, self._done / (now - self._began)
            share = 100 * self._done / self._total
            tell(f"{self._done} of {self._total} pictures, {share:.0f} %, {speed:.0f} pictures/s")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


def _bar():
    from rich import progress
    from rich.console import Console

    columns = (*progress.Progress.get_default_columns(), progress.MofNCompleteColumn())
    return progress.Progress(*columns, console=Console(stderr=True), transient=True)


def answers(saved, items: Iterable, progress: Progress, *, views: int) -> Iterator[tuple[Any, Any]]:
    """Yield batches of pictures with their probabilities. Named on stderr are broken ones and, at the end, remarks.

    Args:
        saved: The model.
        items: Pictures, see `sesemi.inference.inputs`.
        progress: Progress that is told of every batch.
        views: 1, or 8 for the mean over several.

    Yields:
        `inputs.Batch` of n pictures, and their probabilities ``[n, classes]`` float32.

    Raises:
        InputError: Several views are wanted, and the model has no parts that they could be made with.
    """
    from sesemi.inference import inputs

    classify, size = classifier(saved, views)
    found = inputs.ahead(inputs.batches(items, inputs.Reader(saved.image_shape, saved.resize), size))
    remarks: dict[str, list[str]] = {}
    for number, batch in enumerate(found):
        for name, reason in batch.broken:
            progress.note(f"{printable(name)}: left out, it cannot be decoded ({reason})")
        if len(batch.names):
            yield batch, classify(batch.images, number)
        for name, text in batch.remarks:
            remarks.setdefault(text, []).append(name)
        progress.add(len(batch.names) + len(batch.broken))
    for text, names in remarks.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        progress.note(f"{len(names)} pictures: {text}: {printable(names[0])}{more}")


def classifier(saved, views: int) -> tuple[Callable, int]:
    """Return a function from images and their batch's number to probabilities, traced once, and the size of a batch.

    Raises:
        InputError: Several views are wanted, and the model has no parts that they could be made with.
    """
    from sesemi.inference import predictions

    if views == 1:
        compiled = predictions.Compiled(saved.model)
        return lambda images, number: predictions.probabilities(compiled, images), compiled.rows
    try:
        several = predictions.MultiView(saved.model, saved.augmentation)
    except ValueError as error:
        raise InputError(
            f"{saved.path} is no model of this program", setting="views", value=views, cure="leave it out"
        ) from error
    return several, several.rows
