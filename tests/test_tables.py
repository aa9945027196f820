import csv
import io

import pytest

from sesemi import tables


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "'=1", "''=1"])
def test_what_a_spreadsheet_would_run_is_marked_and_comes_back(text):
    assert tables.marked(text) == f"'{text}"
    assert tables.original(tables.marked(text)) == text


@pytest.mark.parametrize("text", ["", "a=1", "'", "'a", "1-1", "cat", " =1"])
def test_other_texts_stay_as_they_are(text):
    assert tables.marked(text) == tables.original(text) == text


def test_a_table_marks_texts_alone_and_counts_them():
    file = io.StringIO()
    table = tables.Writer(file)
    for row in (["=1", -1, "a\rb"], ["x", 2.5, 'a"b']):
        table.row(row)
    assert list(csv.reader(io.StringIO(file.getvalue(), newline=""))) == [["'=1", "-1", "a\rb"], ["x", "2.5", 'a"b']]
    assert table.changed == 1
    file = io.StringIO()
    tables.Writer(file, as_is=True).row(["=1", "'=1"])
    assert file.getvalue() == "=1,''=1\n"
