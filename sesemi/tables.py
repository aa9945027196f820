"""Tables for spreadsheets: CSV in which no cell is taken for a formula, and no name ends a line."""

import csv
import re
from collections.abc import Iterable
from typing import Any, TextIO

# Spreadsheets run what begins like this. An apostrophe before it makes it text.
_FORMULA = re.compile(r"[=+\-@\t\r]")
_MARKED = re.compile(r"'+[=+\-@\t\r]")


def marked(text: str) -> str:
    """Return a text as a cell that is no formula: one that begins with = + - @, tab or carriage return gets a ' before.

    So does one that begins with ' and then such a character, so that `original` always has the text again.
    """
    return f"'{text}" if _FORMULA.match(text) or _MARKED.match(text) else text


def original(cell: str) -> str:
    """Return the text that `marked` made a cell of."""
    return cell[1:] if _MARKED.match(cell) else cell


class Writer:
    """Writer of a table's rows. Numbers stay as they are.

    Args:
        file: File to write to.
        as_is: True writes texts that begin like a formula as they are.

    Attributes:
        changed: Number of cells that got an apostrophe.
    """

    def __init__(self, file: TextIO, *, as_is: bool = False):
        self._rows = csv.writer(file, lineterminator="\n")
        # The writer leaves a lone carriage return as it is, and readers take it for the end of the line.
        self._quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        self._as_is, self.changed = as_is, 0

    def row(self, cells: Iterable[Any]) -> None:
        """Write a row."""
        row = [self._cell(cell) if isinstance(cell, str) else cell for cell in cells]
        breaks = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (self._quoted if breaks else self._rows).writerow(row)

    def _cell(self, text: str) -> str:
        if self._as_is and _FORMULA.match(text):
            return text
        cell = marked(text)
        self.changed += cell != text
        return cell
