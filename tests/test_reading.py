"""Files of strangers: read whole, or refused in one line, before memory or time is spent on them."""

import json
import os
import time
import tracemalloc

import pytest

from sesemi import reading
from sesemi.errors import InputError

DEEP = "[" * 100_000
HOSTILE = {
    "deep": DEEP,
    "deep objects": '{"a":' * 100_000,
    "digits": '{"a": ' + "1" * 5000 + "}",
    "half a pair": r'{"a": "\ud800"}',
    "zero": r'{"a": "\u0000"}',
    "zero in a key": r'{"\u0000": 1}',
    "many lists": '{"a": [' + "[]," * 300_000 + "[]]}",
    "empty": "",
    "a list": "[]",
    "a number": "1",
    "null": "null",
    "nothing in it": "{}",
    "another kind": '{"a": "1"}',
    "true": '{"a": true}',
    "not finished": '{"a": 1',
    "many quotes": '"' + '\\"' * 200_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_json_that_is_damaged_is_said_in_one_line(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    started = time.perf_counter()
    with pytest.raises(InputError, match=r"a\.json: is damaged \(") as error:
        reading.json_object(path, {"a": int})
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300 + len(str(path))
    assert time.perf_counter() - started < 2


def test_what_is_whole_is_read_as_json_has_it(tmp_path):
    document = {"a": 1, "text": "größer \U0001f600", "list": [1.5, None, True], "object": {"x": '\\"[{,'}}
    path = tmp_path / "a.json"
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False), "\ufeff" + json.dumps(document)):
        path.write_text(text, encoding="utf-8")
        assert reading.json_object(path, {"a": int}, {"text": str, "not there": int}) == document
    # As a path whose bytes are no text is written.
    name = os.fsdecode(b"\xff.png")
    path.write_text(json.dumps({"a": name}))
    assert reading.json_object(path, {"a": str}) == {"a": name}


def test_a_number_too_large_for_a_float_is_refused():
    with pytest.raises(ValueError, match="a number of 400 digits"):
        reading.json_value("1" * 400)


def test_a_missing_file_is_told_from_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        reading.json_object(tmp_path / "none")
    (tmp_path / "file").write_text("{}")
    with pytest.raises(NotADirectoryError):
        reading.json_object(tmp_path / "file" / "none")


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device")
@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "large", "zero byte", "half a letter"])
def test_only_a_regular_file_of_the_stated_size_is_read(tmp_path, kind):
    path = tmp_path / "x"
    words = {"device": "a device, no file", "pipe": "a pipe, no file", "folder": "a folder, no file",
             "large": "1.0 MiB, more than the 1 MiB"}.get(kind, "not the path of a file")  # fmt: skip
    if kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(2**20 + 1)
    else:
        path = {"zero byte": "a\0b", "half a letter": "\ud800"}[kind]
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match=words if "path" not in words else None) as error:
            reading.content(path, 1)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert words in error.value.strerror


def test_a_text_is_utf_8_or_utf_16_with_its_mark(tmp_path):
    path = tmp_path / "a.txt"
    for data in (b"\xef\xbb\xbfa\xc3\xa9", "\ufeffaé".encode("utf-16-le"), "\ufeffaé".encode("utf-16-be")):
        path.write_bytes(data)
        assert reading.text_of(path, 1) == "aé"
    path.write_bytes(b"\xff.png")
    assert os.fsencode(reading.text_of(path, 1)) == b"\xff.png"
    for data in (b"a\0b", b"\xff\xfea"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"zero bytes|utf-16"):
            reading.text_of(path, 1)
