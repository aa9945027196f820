import json
import os

import numpy as np
import pytest

from sesemi.commands.parser import as_typed
from sesemi.pipeline import label_files, splits
from tests.messages import refused

LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
NAMES = ("cat", "dog", "sea horse")


def read(tmp_path, text):
    path = tmp_path / "labels.txt"
    path.write_text(text)
    found = label_files.read(str(path), LABELS, NAMES)
    return [part.tolist() for part in found]


def test_the_three_formats(tmp_path):
    assert read(tmp_path, "4\n0\n\n8\n") == [[0, 4, 8], []]
    assert read(tmp_path, "4_dog.png dog\ntrain/0_cat.png cat\n8.png sea horse\n") == [[0, 4, 8], []]
    assert read(tmp_path, json.dumps({"labeled": [8, 0, 4], "validation": [3, 1], "sha256": "…"})) == [
        [0, 4, 8],
        [1, 3],
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("4\nx\n", "line 2"),
        ("4_dog.png cat", "line 1 says cat, but image 4 is dog"),
        ("9\n", "index 9 is none of the 9"),
        ("4\n4\n", "index 4 occurs twice"),
        ("\n", "no labeled image"),
        ("{", "split.json"),
        ('{"labeled": ["1"]}', "'labeled' cannot be ['1']"),
        ('{"validation": []}', "split.json"),
        ('{"labeled": [-1]}', "index -1"),
        ("1" * 5000, "line 1 is neither"),
        ('{"labeled": [' + "1" * 5000 + "]}", "a number of 5000 digits"),
        ('{"labeled": [true]}', "'labeled' cannot be [True]"),
        ('{"labeled": [1], "validation": 3}', "'validation' cannot be 3"),
        ("\x1b[31m cat", "x1b[31m cat"),
        ('{"labeled": ' + "[" * 100_000, "split.json"),
    ],
)
def test_broken_files_are_refused_in_one_line(tmp_path, text, words):
    with refused("--labels-from") as error:
        read(tmp_path, text)
    assert words in as_typed(error.value)
    assert "\n" not in as_typed(error.value)


def test_a_split_of_other_images_is_refused(tmp_path):
    path = tmp_path / "split.json"
    path.write_text('{"labeled": [0, 1, 2], "labels_sha256": "ab"}')
    for mine in ("ab", None):
        assert label_files.read(str(path), LABELS, NAMES, labels_sha256=mine)[0].tolist() == [0, 1, 2]
    with refused("made for other images"):
        label_files.read(str(path), LABELS, NAMES, labels_sha256="cd")


def test_files_of_ones_own_have_no_index_in_their_name(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("4\nlabeled/dog/1.png dog")
    with refused("line 2 names a file, and files of your own are named in --labels-file"):
        label_files.read(str(path), LABELS, NAMES, named=False)


def test_an_image_without_a_label_is_of_no_class(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("1_x.png sea horse")
    with refused("image 1 is without a label"):
        label_files.read(str(path), np.array([0, -1, 2]), NAMES)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with refused("cannot be read"):
        label_files.read(str(tmp_path / "none"), LABELS, NAMES)
    with refused("cannot be read"):
        label_files.read("", LABELS, NAMES)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with refused("cannot be read"):
        label_files.read(str(tmp_path / "binary"), LABELS, NAMES)


def test_a_byte_order_mark_and_utf_16_are_no_part_of_a_line(tmp_path):
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "labels.txt").write_text("4_dog.png dog\n0\n", encoding=encoding)
        assert label_files.read(str(tmp_path / "labels.txt"), LABELS, NAMES)[0].tolist() == [0, 4]


def test_lists_as_pandas_and_people_write_them(tmp_path):
    assert read(tmp_path, "4.0\n\ufeff0\n \t\n8.00\n") == [[0, 4, 8], []]
    path = tmp_path / "labels.txt"
    path.write_text("1_x.png cafe\u0301\n", encoding="utf-8")
    assert label_files.read(str(path), LABELS, ("cat", "caf\u00e9", "dog"))[0].tolist() == [1]


def test_only_a_file_is_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path / "pipe", "it is a pipe, no file"), ("/dev/zero", "it is a device, no file")):
        with refused(words):
            label_files.refuse_missing(str(path))


def test_a_split_of_a_file_has_its_images():
    chosen = (np.array([0, 1, 2, 4]), np.array([], int))
    split = splits.split(LABELS, "file", 0, classes="abc", chosen=chosen)
    assert split.labeled.tolist() == [0, 1, 2, 4]
    assert split.unlabeled.tolist() == list(range(9))
    split = splits.split(LABELS, "file", 0, classes="abc", chosen=(chosen[0], np.array([5])), exclude_labeled=True)
    assert split.validation.tolist() == [5]
    assert split.unlabeled.tolist() == [3, 6, 7, 8]
    everything = (np.arange(9), np.array([], int))
    held_out = splits.split(LABELS, "file", 0, classes="abc", chosen=everything, validation=0.34)
    assert len(held_out.validation) == 3
    assert len(held_out.labeled) == 6
    with refused("no labeled image of class c"):
        splits.split(LABELS, "file", 0, classes="abc", chosen=(np.array([0, 1]), np.array([], int)))
