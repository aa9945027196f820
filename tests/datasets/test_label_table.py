"""Tables of labels as people, spreadsheets, pandas and label-next write them."""

import csv
import io
import os
import unicodedata

import pytest

from sesemi.commands import label_next
from sesemi.datasets import label_meaning, label_table
from tests.messages import refused

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode(encoding, "surrogateescape"))
    return label_table.read(path)


def pairs(tmp_path, text, encoding="utf-8"):
    return [(line.path, line.label) for line in read(tmp_path, text, encoding)[0]]


def classes(tmp_path, labels, folders=()):
    lines = [label_table.Line(number, "x", label) for number, label in enumerate(labels, 1)]
    names = label_meaning.Labels(tmp_path / "x.csv", lines, set(folders))
    return [names.class_of(line) for line in lines]


@pytest.mark.parametrize("text", [
    "a.png,cat\nb.png,dog\n",
    "path,label\na.png,cat\nb.png,dog\n",
    "label;path\ncat;a.png\ndog;b.png\n",
    "a.png;cat\nb.png;dog\n",
    "Path\tLabel\na.png\tcat\nb.png\tdog\n",
    "\ufeffpath,label\na.png,cat\n\ufeffpath,label\nb.png,dog\n",
    'path,label\na.png,cat\n\ufeff"label","path"\ndog,b.png\n',
    ",\n\n ; \na.png,cat\n,,\n,\nb.png,dog\n",
    "path,label,guess,probability,score\r\na.png,cat,dog,1,0\r\nb.png,dog,dog,1,0\r\n",
], ids=range(9))  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_same_table_in_many_ways(tmp_path, text, encoding):
    assert pairs(tmp_path, text, encoding) == [("a.png", "cat"), ("b.png", "dog")]


def test_a_name_may_hold_what_separates_columns(tmp_path):
    assert pairs(tmp_path, "a;b.png,cat\nc.png,dog\n") == [("a;b.png", "cat"), ("c.png", "dog")]
    assert pairs(tmp_path, '"a,b.png";cat\nc.png;dog\n') == [("a,b.png", "cat"), ("c.png", "dog")]


def test_more_headers_are_counted(tmp_path):
    _, notes = read(tmp_path, "path,label\na,b\npath,label\nc,d\n")
    assert notes == ["x.csv: 1 more header lines passed over"]


@pytest.mark.parametrize("text", ["", "path,label\n", "path,label\na.png,\nb.png, \n"])
def test_a_table_that_nobody_has_filled_in_says_so(tmp_path, text):
    with refused("no label is filled in"):
        read(tmp_path, text)


@pytest.mark.parametrize("place", ["/dev/zero", "pipe"])
def test_only_a_file_is_a_table(tmp_path, place):
    os.mkfifo(tmp_path / "pipe")
    with refused("cannot be read .it is a (device|pipe), no file"):
        label_table.read(tmp_path / place)


@pytest.mark.parametrize("label", ["", "-1", "-1.0", "-1.00", "\u22121", "nan", "NaN", "<NA>", "None", " nan "])
def test_what_is_no_label(tmp_path, label):
    assert classes(tmp_path, [label, "x"]) == [None, "x"]
    if label.strip():
        assert classes(tmp_path, [label], [label.strip()]) == [label.strip()], "unless a class has that name"


@pytest.mark.parametrize(
    ("labels", "folders", "wanted"),
    [
        (["1.0", "2.0"], ["1", "2"], ["1", "2"]),
        (["1.0", "2.0", "nan"], [], ["1", "2", None]),
        (["1.0", "1.1"], [], ["1.0", "1.1"]),
        (["1.0", "1.1"], ["1.0"], ["1.0", "1.1"]),
        (["1.0"], ["1", "1.0"], ["1.0"]),
        ([NFD, NFC], [NFC], [NFC, NFC]),
        ([NFD, NFC], [NFD], [NFD, NFD]),
        ([NFD, NFC], [], [NFC, NFC]),
        (["cat", "cat ", " cat"], [], ["cat"] * 3),
        (["cat", "cat "], ["cat "], ["cat ", "cat "]),
        (["\ufeffcat"], ["cat"], ["cat"]),
    ],
)
def test_labels_that_look_the_same_are_one_class(tmp_path, labels, folders, wanted):
    assert classes(tmp_path, labels, folders) == wanted


def noted(tmp_path, labels, folders=(), guess=None):
    lines = [label_table.Line(number, "x", label, guess) for number, label in enumerate(labels, 1)]
    names = label_meaning.Labels(tmp_path / "x.csv", lines, set(folders))
    given = {line.number: names.class_of(line) for line in lines}
    return names.notes({number: name for number, name in given.items() if name is not None})


def test_what_was_taken_for_something_else_is_counted(tmp_path):
    assert noted(tmp_path, ["1.0", "2.0", "2.0"], ["1", "2"]) == ["x.csv: 3 labels read as: '1.0' as '1', '2.0' as '2'"]
    assert noted(tmp_path, ["", "1"], ["1"]) == []
    assert noted(tmp_path, ["", "1"], ["1"], guess="1") == ["x.csv: 1 lines without a label"]


def test_a_misspelt_class_is_refused_where_folders_say_what_there_is(tmp_path):
    with refused("line 2: 'sevne' is no class so far; did you mean 'seven'.; if it is a new class, make a folder"):
        noted(tmp_path, ["six", "sevne"], ["six", "seven"])
    assert noted(tmp_path, ["six", "whale"], ["six", "seven"]) == [
        "x.csv: new class with 1 labels: 'whale' is no class so far"
    ]
    # Without folders the classes of a table are what it says; those of label-next are known.
    assert noted(tmp_path, ["six", "sevne"]) == []
    assert noted(tmp_path, ["sevne"], guess="seven") == [
        "x.csv: new class with 1 labels: 'sevne' is no class so far; did you mean 'seven'?"
    ]


def find(tmp_path, names, cell, guess=None):
    (tmp_path / "in").mkdir(exist_ok=True)
    for name in names:
        (tmp_path / "in" / name).touch()
    places = label_meaning.Places([str(tmp_path / "in" / name) for name in names], tmp_path)
    found = places.find(label_table.Line(1, cell, "x", guess))
    return None if found is None else os.path.relpath(found, tmp_path / "in")


@pytest.mark.parametrize(
    ("names", "cell", "wanted"),
    [
        (["a.png"], "in\\a.png", "a.png"),
        (["a.png"], " in/a.png ", "a.png"),
        (["a.png"], "\ufeffin/a.png", "a.png"),
        (["a.png"], "in/a", "a.png"),
        (["a.b.png"], "in/a.b", "a.b.png"),
        (["a.png", "a"], "in/a", "a"),
        ([f"{NFC}.png"], f"in/{NFD}.png", f"{NFC}.png"),
        ([f"{NFD}.png"], f"in/{NFC}", f"{NFD}.png"),
        (["a.png "], "in/a.png", "a.png "),
        (["a.png", "a.png "], "in/a.png ", "a.png "),
        (["a.png"], "in/b", None),
    ],
)
def test_a_path_is_found_however_it_is_written(tmp_path, names, cell, wanted):
    assert find(tmp_path, names, cell) == wanted


def test_a_path_that_may_be_several_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"in/a may be in/a\.jpg, in/a\.png"):
        find(tmp_path, ["a.png", "a.jpg"], "in/a")


NAMES = [" leading.png", "trailing ", "a,b.png", 'quo"te', "'=1", "''=1", "=1", "+a", "-a", "@a", "line\nbreak",
         "carriage\rreturn", "\rfirst", "\tfirst", "'", "", "\ufeffmark", "back\\slash", "a;b", "\t", "'\ttab",
         os.fsdecode(b"\xff.png"), NFC, NFD, "path", "nan", "-1"]  # fmt: skip


@pytest.mark.parametrize("as_is", [False, True])
def test_a_table_of_label_next_comes_back_whatever_the_names_are(tmp_path, as_is):
    names = [name for name in NAMES if name]
    guesses = ["=cat", "'=cat", "-dog", " x", "nan"]
    rows = [(name, guesses[number % 5], 0.5, 0.1) for number, name in enumerate(names)]
    text, marked = label_next.to_csv(rows, as_is=as_is)
    assert marked > 0
    table = list(csv.reader(io.StringIO(text, newline="")))
    assert as_is or not any(cell[:1] in ("=", "+", "-", "@", "\t", "\r") for row in table for cell in row if cell)
    filled = io.StringIO()
    csv.writer(filled, quoting=csv.QUOTE_ALL).writerows([table[0], *([row[0], row[2], *row[2:]] for row in table[1:])])
    lines, _ = read(tmp_path, filled.getvalue())
    for name in names:
        (tmp_path / name).touch()
    places = label_meaning.Places([str(tmp_path / name) for name in names], tmp_path)
    labels = label_meaning.Labels(tmp_path / "x.csv", lines, set(guesses))
    assert [os.path.relpath(places.find(line), tmp_path) for line in lines] == names
    assert [labels.class_of(line) for line in lines] == [row[1] for row in rows]
    assert places.otherwise == []
