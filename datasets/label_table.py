"""Table ``path,label`` in a CSV file, which gives pictures their classes, as people and spreadsheets write it."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from sesemi import reading
from sesemi.errors import InputError
from sesemi.terminal import one_line, printable

LARGEST_MIB = 64
# Byte order mark, which stands before a text, and in the middle of texts that were put one behind the other.
MARK = "\ufeff"
_LONGEST_LABEL = 255


@dataclass(frozen=True)
class Line:
    """Line of a table.

    Args:
        number: Its number in the file, from 1.
        path: Cell with the path.
        label: Cell with the label.
        guess: Cell with the class that a model took it for, as ``label-next`` writes it; None in other tables.
    """

    number: int
    path: str
    label: str
    guess: str | None = None


def read(path: Path) -> tuple[list[Line], list[str]]:
    """Return the lines of a table of labels, and notes about what was passed over.

    With a header, the columns ``path`` and ``label`` are taken, in any order; without one, the first two. Columns are
    separated by commas, semicolons or tabs. Tables may lie one behind the other, each with its header.

    Raises:
        InputError: There is no such file, it is no such table, or no label is filled in.
    """
    try:
        text = reading.text_of(path, LARGEST_MIB)
        source = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
        rows = [(source.line_num, row) for row in source if any(cell.strip(MARK + " ,;\t") for cell in row)]
    except OSError as error:
        raise refused(path, f"cannot be read ({error.strerror})") from error
    except (csv.Error, ValueError) as error:
        raise refused(path, f"not a table of path,label ({one_line(error)})") from error
    found, headers, columns = [], 0, {"path": 0, "label": 1}
    for number, row in rows:
        header = [cell.strip(MARK + ' "').lower() for cell in row]
        if "path" in header and ("label" in header or not (found or headers)):
            if "label" not in header:
                raise refused(path, f"its header {printable(','.join(row), 200)} has no column 'label'")
            headers, columns = headers + 1, {name: place for place, name in reversed(list(enumerate(header)))}
            continue
        found.append(_line(path, number, row, columns))
    if not any(line.label.strip() for line in found):
        raise refused(path, f"no label is filled in: the column 'label' is empty in all {len(found)} lines")
    return found, [f"{path.name}: {headers - 1} more header lines passed over"] * (headers > 1)


def _separator(text: str) -> str:
    """Return what separates the columns: of those in the first line, the first that a header or all lines agree on."""
    lines = [line for line in text.splitlines() if line.strip(MARK + " ,;\t")][:100]
    there = [mark for mark in ",;\t" if lines and mark in lines[0]] or [","]
    for mark in there:
        if {"path", "label"} <= {cell.strip(MARK + ' "').lower() for cell in lines[0].split(mark)} if lines else False:
            return mark
    return next((mark for mark in there if all(mark in line for line in lines)), there[0])


def _line(path: Path, number: int, row: list[str], columns: dict[str, int]) -> Line:
    if len(row) <= max(columns["path"], columns["label"]):
        there = printable(",".join(row), 60)
        raise refused(path, f"line {number} is not path,label with a comma between: {there}")
    label = row[columns["label"]]
    if len(label) > _LONGEST_LABEL:
        raise refused(path, f"line {number}: a label of {len(label)} letters; at most {_LONGEST_LABEL} are a name")
    guess = columns.get("guess") if {"guess", "probability", "score"} <= columns.keys() else None
    return Line(number, row[columns["path"]], label, None if guess is None or guess >= len(row) else row[guess])


def refused(path: Path, problem: str, cure: str | None = None) -> InputError:
    """Return the error for a table."""
    return InputError(problem, setting="labels_file", value=path, cure=cure)
