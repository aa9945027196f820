"""Text for a terminal: what may be printed, durations, and lines now and then."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator


def printable(text: str) -> str:
    """Return a path or a name in one line of text, whatever bytes it is made of."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def one_line(what: object, most: int = 250) -> str:
    """Return the text of an error or of anything else in one line, cut off after `most` letters."""
    text = printable(" ".join(str(what).split())) or type(what).__name__
    return text if len(text) <= most else f"{text[:most]} ..."


def tell(line: str) -> None:
    """Print a line on stderr."""
    print(line, file=sys.stderr, flush=True)


def human_time(seconds: float) -> str:
    """Return a duration to read, such as ``3.2 hours``."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"


class Now:
    """Line on stderr now and then, while something long is done that is not training.

    Args:
        text: Text with two places: how many are done, and of how many.
        every_s: Seconds between lines.
    """

    def __init__(self, text: str, every_s: float = 10.0):
        self._text, self._every_s, self._last = text, every_s, time.perf_counter()

    def __call__(self, done: int, total: int) -> None:
        """Print the line, if it is time."""
        if time.perf_counter() - self._last > self._every_s:
            self._last = time.perf_counter()
            tell(self._text.format(f"{done:,}", f"{total:,}"))


@contextlib.contextmanager
def stderr_aside() -> Iterator[None]:
    """Show what is written to the process's stderr meanwhile only if there is an error."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(before, aside.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)
