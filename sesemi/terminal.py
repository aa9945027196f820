"""Text for a terminal: durations, lines now and then, and the one door for what others have written.

`show` and `tell` print every line of a command. What comes from files (names of classes and files, cells of tables,
settings) may hold escape sequences, line breaks, zero bytes and bytes that are no text; none of that passes.
"""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import TextIO

# In letters. No path of Linux is longer than a name may be here.
LONGEST_NAME, LONGEST_LINE = 4096, 10_000


def printable(text: str, most: int = LONGEST_NAME) -> str:
    """Return a path or a name in one line of text, whatever bytes it is made of, cut off after `most` letters."""
    whole = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text[: most + 1])
    return whole if len(whole) <= most else f"{whole[:most]} ..."


def one_line(what: object, most: int = 250) -> str:
    """Return the text of an error or of anything else in one line, cut off after `most` letters."""
    # No letter is lost: of what is cut here, more than `most` letters would be left.
    return printable(" ".join(str(what)[: 100 * most].split()), most) or type(what).__name__


def accept_any_text() -> None:
    """Let stdout and stderr take every letter from now on: what their encoding has no code for is escaped.

    A log, a cron job or a terminal need not be UTF-8, and the name of a file need not be text at all.
    """
    for stream in (sys.stdout, sys.stderr):
        # Some programs, such as notebooks, put something else in their place.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def show(*lines: str) -> None:
    """Print lines on stdout. What is no text in them is escaped, line breaks too; each is cut after 10,000 letters."""
    _print(lines, sys.stdout)


def tell(*lines: str) -> None:
    """Print lines on stderr, as `show` does."""
    _print(lines, sys.stderr)


def _print(lines: Iterable[str], stream: TextIO) -> None:
    text = "\n".join(printable(line, LONGEST_LINE) for line in lines)
    # A program that is no command of ours has not asked its streams to `accept_any_text`.
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except BrokenPipeError:
        # Who read it, such as `head`, has gone. What was begun goes on, and its lines go nowhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


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
