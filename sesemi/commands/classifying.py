"""What every command shares that uses a trained classifier: its flags, how far it is, the answers, the exit code."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sesemi.commands.train import EXIT_BAD_INPUT, OneLineParser, prepare_tensorflow, select_device
from sesemi.errors import InputError

_BAR_EVERY_S, _LINE_EVERY_S = 0.2, 30.0


def add_model_flags(parser: OneLineParser) -> None:
    """Flags of all that uses a model."""
    parser.add_argument(
        "--views",
        type=int,
        choices=(1, 8),
        default=1,
        help="8: the mean over eight views of each picture, four if the model was not trained to mirror (default: 1)",
    )
    add_device_flag(parser)


def add_device_flag(parser: OneLineParser) -> None:
    """``--gpu``."""
    parser.add_argument(
        "--gpu", type=_device, metavar="ID", help="the GPU to use, or 'cpu' (default: the first that is visible)"
    )


def _device(text: str) -> str:
    if text == "cpu" or text.isdecimal():
        return text
    raise argparse.ArgumentTypeError(f"{text!r}: give a GPU's number, or cpu")


def load(place: str, gpu: str | None):
    """Start TensorFlow and read a model; says on stderr if its classes have no names.

    Returns:
        `sesemi.inference.saved.Saved`.

    Raises:
        InputError: see `saved.load`.
    """
    if gpu is not None:
        select_device(gpu)
    prepare_tensorflow()
    from sesemi.distribution import start

    start.load_tensorflow()
    from sesemi.inference import saved

    found = saved.load(place)
    if not found.has_sidecar:
        print(f"{saved.sidecar_of(found.path)}: missing, so classes are numbered", file=sys.stderr)
    return found


class Progress:
    """How far it is, on stderr: a bar on a terminal, otherwise a line now and then.

    Args:
        total: pictures.
        bar: False: no bar on a terminal either, because other lines appear there.
    """

    def __init__(self, total: int, *, bar: bool = True):
        self._total, self._terminal, self._bar = total, sys.stderr.isatty(), bar
        self._began = self._shown = time.perf_counter()
        self._done = 0

    def note(self, text: str) -> None:
        """A line that stays."""
        print(("\r\x1b[K" if self._terminal else "") + text, file=sys.stderr)

    def add(self, count: int) -> None:
        """So many more are done."""
        self._done += count
        now = time.perf_counter()
        if now - self._shown < (_BAR_EVERY_S if self._terminal else _LINE_EVERY_S):
            return
        if self._terminal and not self._bar:
            return
        self._shown, speed = now, self._done / (now - self._began)
        text = f"{self._done} of {self._total} pictures, {100 * self._done / self._total:.0f} %, {speed:.0f} pictures/s"
        print(f"\r\x1b[K{text}" if self._terminal else text, end="" if self._terminal else "\n", file=sys.stderr)
        sys.stderr.flush()

    def close(self) -> None:
        """Take the bar away."""
        if self._terminal and self._bar:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def answers(saved, items: Iterable, progress: Progress, *, views: int) -> Iterator[tuple[Any, Any]]:
    """Batches of pictures with their probabilities; names on stderr those that are broken.

    Args:
        saved: the model.
        items: of `sesemi.inference.inputs`.
        progress: is told of every batch.
        views: 1, or 8 for the mean over several.

    Yields:
        `inputs.Batch` of n pictures, and ``[n, classes]`` float32.

    Raises:
        InputError: the model has no parts of which views could be made.
    """
    from sesemi.inference import inputs

    classify, size = classifier(saved, views)
    found = inputs.ahead(inputs.batches(items, inputs.Reader(saved.image_shape, saved.resize), size))
    for number, batch in enumerate(found):
        for name, reason in batch.broken:
            progress.note(f"{printable(name)}: left out, it cannot be decoded ({reason})")
        if len(batch.names):
            yield batch, classify(batch.images, number)
        progress.add(len(batch.names) + len(batch.broken))


def classifier(saved, views: int) -> tuple[Callable, int]:
    """What maps images and the number of their batch to probabilities, traced once; and the images of a batch.

    Raises:
        InputError: the model has no parts of which views could be made.
    """
    from sesemi.inference import predictions

    if views == 1:
        compiled = predictions.Compiled(saved.model)
        return lambda images, number: predictions.probabilities(compiled, images), compiled.rows
    try:
        several = predictions.MultiView(saved.model, saved.augmentation)
    except ValueError as error:
        raise InputError(f"--views {views}: {saved.path} is no model of this program; leave it out") from error
    return several, several.rows


def printable(text: str) -> str:
    """A path in one line of text, whatever bytes it is made of."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def run(program: str, work: Callable[[], None]) -> int:
    """Do it, with the exit code that `main` returns."""
    try:
        work()
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except BrokenPipeError:
        # Who read the lines has seen enough; Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (OSError, MemoryError) as error:
        print(f"{program}: {' '.join(str(error).split()) or 'not enough memory'}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def refuse_unwritable(flag: str, folder: Path) -> None:
    """Refuse a folder that cannot be written to, or not be made.

    Raises:
        InputError: it says so.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{flag}: {folder} cannot be written to; give another folder")
