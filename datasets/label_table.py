"""Table ``path,label`` in a CSV file, which gives pictures their classes."""

import codecs
import csv
from pathlib import Path

from sesemi.errors import InputError
from sesemi.terminal import printable

# pandas writes -1 as -1.0 in a column with gaps.
UNLABELED = ("", "-1", "-1.0")


def read(path: Path) -> list[tuple[int, str, str]]:
    """Return number, path and label of each line of a table of labels.

    With a header, the columns ``path`` and ``label`` are taken, in any order; without one, the first two.

    Raises:
        ValueError: If there is no such file, or it is no such table.
    """
    try:
        with path.open("rb") as file:
            if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise InputError("it is UTF-16", setting="labels_file", value=path, cure="save it as UTF-8")
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = [row for row in csv.reader(file) if row]
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", setting="labels_file", value=path) from error
    except csv.Error as error:
        raise InputError(f"not a table of path,label ({error})", setting="labels_file", value=path) from error
    first, columns = 1, (0, 1)
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    if "path" in header:
        if "label" not in header:
            raise InputError(f"its header {','.join(rows[0])} has no column 'label'", setting="labels_file", value=path)
        rows, first, columns = rows[1:], 2, (header.index("path"), header.index("label"))
    for number, row in enumerate(rows, first):
        if len(row) <= max(columns):
            there = printable(",".join(row)[:60])
            raise InputError(
                f"line {number} is not path,label with a comma between: {there}", setting="labels_file", value=path
            )
    return [(number, *(row[column].strip() for column in columns)) for number, row in enumerate(rows, first)]
