"""Loaders on small files in the true formats, on broken ones and on hostile ones."""

import gzip
import io
import os
import pickle
import re
import struct
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from sesemi import datasets
from sesemi.datasets import cifar10, cifar100, files, matlab, svhn, unpickle

# The tests replace it.
PLACES = files.places


def batch(count, classes, seed, key):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (count, 3072)).astype(np.uint8)
    return {
        "data": rows,
        key: (np.arange(count) % classes).tolist(),
        "batch_label": "x",
        "filenames": ["a.png"] * count,
    }


def write_cifar10(folder, protocol=2, change=None):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate((*cifar10.TRAIN, cifar10.TEST)):
        content = batch(20, 10, seed, "labels")
        if change and name == "data_batch_3":
            change(content)
        (folder / name).write_bytes(pickle.dumps(content, protocol=protocol))
    return folder


def archive_of(folder, path, prefix="cifar-10-batches-py/"):
    with tarfile.open(path, "w:gz") as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, prefix + file.name)


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path):
    """No test reaches for the network or for what lies beside the loaders."""
    import keras

    def refuse(*_, **kwargs):
        raise Exception(f"URL fetch failure on {kwargs['origin']}")

    monkeypatch.setattr(keras.utils, "get_file", refuse)
    monkeypatch.setattr(files, "places", lambda folder: (tmp_path / "here" / folder, tmp_path / "beside" / folder))


def test_digits_are_the_same_balanced_bytes_every_time():
    first, again = datasets.load("digits"), datasets.load("digits")
    assert first.train_images.shape == (1000, 8, 8, 1)
    assert first.test_images.shape == (797, 8, 8, 1)
    assert first.train_images.dtype == np.uint8
    np.testing.assert_array_equal(first.train_images, again.train_images)
    assert np.bincount(first.train_labels).min() >= 97
    assert first.train_images.max() == 255


def test_small_images_are_enlarged_for_networks_that_need_it():
    digits = datasets.load("digits")
    assert digits.at_least(8) is digits
    large = digits.at_least(12)
    assert large.train_images.shape == (1000, 16, 16, 1)
    assert "16 x 16" in large.notes[-1]
    small, big = (data.test_images[3, ..., 0].astype(float) for data in (digits, large))
    # Bilinear with aligned centres: a new pixel is 3/4 and 1/4 of its nearest, along both axes.
    rows = 0.75 * small[2] + 0.25 * small[1]
    assert big[4, 7] == pytest.approx(0.75 * rows[3] + 0.25 * rows[4], abs=0.51)
    assert big[0, 0] == small[0, 0]


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_cifar10_in_every_place(tmp_path, protocol):
    source = write_cifar10(tmp_path / "source", protocol)
    expected = pickle.loads((source / "data_batch_2").read_bytes())
    archive_of(source, tmp_path / cifar10.ARCHIVE.file)
    write_cifar10(tmp_path / "official" / "cifar-10-batches-py", protocol)
    for place in (source, tmp_path / "official", tmp_path / cifar10.ARCHIVE.file, tmp_path):
        found = datasets.load("cifar10", place)
        assert found.train_images.shape == (100, 32, 32, 3)
        assert found.test_images.shape == (20, 32, 32, 3)
        assert found.train_images.dtype == np.uint8
        image = expected["data"][1].reshape(3, 32, 32)
        np.testing.assert_array_equal(found.train_images[21], image.transpose(1, 2, 0))
        assert found.train_labels[21] == expected["labels"][1]


def test_python_2_pickles_are_read(tmp_path):
    """The official files were written by Python 2: byte strings everywhere."""
    rows = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
    dtype = b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"
    raw = b"S" + repr(rows.tobytes())[1:].encode("ascii") + b"\n"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\nI3072\nt" + dtype
    text = b"(dS'data'\n" + array + b"I00\n" + raw + b"tbsS'labels'\n(lI3\naI4\nas."
    found = unpickle.loads(text, "old")
    np.testing.assert_array_equal(found["data"], rows)
    assert found["labels"] == [3, 4]


def test_archive_with_another_checksum_is_named(tmp_path):
    archive_of(write_cifar10(tmp_path / "source"), tmp_path / cifar10.ARCHIVE.file)
    assert "not the official archive" in datasets.load("cifar10", tmp_path / cifar10.ARCHIVE.file).notes[0]


def test_the_layout_of_2019_is_found_without_a_flag(tmp_path):
    beside = write_cifar10(tmp_path / "beside" / "cifar-10")
    (tmp_path / "here" / "cifar-10").mkdir(parents=True)
    (tmp_path / "here" / "cifar-10" / "notes.txt").touch()
    found = datasets.load("cifar10")
    assert len(found.train_images) == 100
    assert found.notes == (f"data: {beside}",)


@pytest.mark.parametrize("form", ["files", "official folder", "archive"])
def test_the_working_directory_comes_before_the_code(tmp_path, form):
    here = tmp_path / "here" / "cifar-10"
    if form == "archive":
        here.mkdir(parents=True)
        archive_of(write_cifar10(tmp_path / "source"), here / cifar10.ARCHIVE.file)
    else:
        write_cifar10(here if form == "files" else here / "cifar-10-batches-py")
    write_svhn(tmp_path / "here" / "svhn")
    for folder in ("cifar-10", "svhn"):
        (tmp_path / "beside" / folder).mkdir(parents=True)
    (tmp_path / "beside" / "cifar-10" / "data_batch_1").touch()
    (tmp_path / "beside" / "svhn" / "train_32x32.mat").touch()
    assert datasets.load("cifar10").notes[0].startswith(f"data: {here}")
    assert datasets.load("svhn").notes == (f"data: {tmp_path / 'here' / 'svhn'}",)


def test_the_layout_of_2019_lies_beside_the_code_only_in_a_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here, code = tmp_path / "datasets" / "svhn", Path(files.__file__).parent
    assert PLACES("svhn") == (here, code / "svhn")
    monkeypatch.chdir(code.parent)
    assert PLACES("svhn") == (code / "svhn",)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "__file__", str(tmp_path / "site-packages" / "sesemi" / "datasets" / "files.py"))
    assert PLACES("svhn") == (here,)


@pytest.mark.parametrize("name", ["cifar10", "cifar100", "svhn"])
def test_a_missing_set_names_the_last_place_to_put_it(tmp_path, monkeypatch, name):
    folder = {"cifar10": "cifar-10", "cifar100": "cifar-100", "svhn": "svhn"}[name]
    before = sorted(tmp_path.rglob("*"))
    assert_one_clear_line(name, None, f"put it into {tmp_path / 'beside' / folder}, or give its folder with `data_dir`")
    monkeypatch.setattr(files, "places", lambda folder: (tmp_path / "here" / folder,))
    assert_one_clear_line(name, None, f"put it into {tmp_path / 'here' / folder}, or give its folder with `data_dir`")
    assert sorted(tmp_path.rglob("*")) == before


def test_cifar100_uses_fine_labels(tmp_path):
    for name, count in (("train", 200), ("test", 100)):
        content = batch(count, 100, 0, "fine_labels") | {"coarse_labels": [0] * count}
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol=2))
    found = datasets.load("cifar100", tmp_path)
    assert len(found.class_names) == len(set(found.class_names)) == 100
    assert list(found.class_names) == sorted(found.class_names)
    assert found.train_labels.max() == 99
    assert cifar100.CLASSES[47] == "maple_tree"


def write_svhn(folder, labels=None, images=None):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name in svhn.FILES:
        pixels = rng.integers(0, 256, (32, 32, 3, 30)).astype(np.uint8) if images is None else images
        digits = np.arange(30)[:, None] % 10 + 1 if labels is None else labels
        savemat(folder / name, {"X": pixels, "y": digits.astype(np.uint8)}, do_compression=True)
    return folder


def test_svhn_turns_ten_into_zero(tmp_path):
    from scipy.io import loadmat

    found = datasets.load("svhn", write_svhn(tmp_path))
    raw = loadmat(tmp_path / "train_32x32.mat")
    assert found.train_images.shape == (30, 32, 32, 3)
    assert found.train_images.flags.c_contiguous
    np.testing.assert_array_equal(found.train_images[7], raw["X"][..., 7])
    assert found.train_labels[9] == 0
    assert raw["y"][9] == 10


def assert_one_clear_line(name, place, *words):
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        datasets.load(name, place)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def message_of(action):
    """Of the ValueError, or nothing; any other exception goes on."""
    try:
        action()
    except ValueError as error:
        return str(error)
    return ""


class Attack:
    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps(Attack()),
        pickle.dumps({"data": Attack(), "labels": []}),
        b"cbuiltins\neval\n(S'1/0'\ntR.",
        b"cnumpy.f2py.diagnose\nrun\n(tR.",
        pickle.dumps({"data": np.array([Attack()], dtype=object), "labels": [1]}),
        b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.",
        # Keys and shapes that overflow the stack, and memory that is only promised.
        b"\x80\x02})" + b"\x85" * 400_000 + b"K\x01s.",
        b"\x80\x02}(" + b")" + b"\x85" * 400_000 + b"K\x01u.",
        b"\x80\x05\x96" + (2**33).to_bytes(8, "little") + b".",
    ],
)
def test_a_pickle_that_wants_to_run_something_is_refused(tmp_path, monkeypatch, payload):
    monkeypatch.chdir(tmp_path)
    write_cifar10(tmp_path / "data")
    (tmp_path / "data" / "data_batch_3").write_bytes(payload)
    assert_one_clear_line("cifar10", tmp_path / "data", "data_batch_3", "not a readable data file")
    assert not (tmp_path / "hacked").exists()


def test_arrays_whose_state_lies_are_refused():
    good = pickle.dumps({"data": np.zeros((4, 3072), np.uint8)}, protocol=2)
    for before, after in ((b"M\x00\x0c", b"M\xff\x0c"), (b"K\x04M", b"K\x05M"), (b"\x00u1", b"\x00O8")):
        assert before in good or before == b"\x00u1"
        with pytest.raises(ValueError, match="not a readable data file"):
            unpickle.loads(good.replace(before, after) if before in good else good.replace(b"u1", b"O8"), "x")


def test_every_truncation_and_many_corruptions_end_in_a_value_error():
    good = pickle.dumps(batch(1, 10, 0, "labels"), protocol=2)
    rng = np.random.default_rng(0)
    for cut in [*range(0, 200), len(good) // 2, len(good) - 1]:
        with pytest.raises(ValueError, match="x: "):
            unpickle.loads(good[:cut], "x")
    for _ in range(3000):
        bad = bytearray(good)
        for place in rng.integers(0, 250, 3):
            bad[place] = rng.integers(0, 256)
        message = message_of(lambda bad=bad: unpickle.loads(bytes(bad), "x"))
        assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b.update(data=b["data"][:, :100]), ["'data' must be uint8 [N, 3072]", "(20, 100)"]),
        (lambda b: b.update(data=b["data"].astype(np.float32)), ["float32"]),
        (lambda b: b.update(data="text"), ["got str"]),
        (lambda b: b.pop("labels"), ["'labels'", "NoneType"]),
        (lambda b: b.update(labels=b["labels"][:-1]), ["20 images", "19"]),
        (lambda b: b["labels"].__setitem__(0, 10), ["whole numbers from 0 to 9"]),
        (lambda b: b["labels"].__setitem__(0, -1), ["whole numbers from 0 to 9"]),
        (lambda b: b["labels"].__setitem__(0, "cat"), ["whole numbers from 0 to 9"]),
        (lambda b: b.update(data=b["data"][:0], labels=[]), ["no image"]),
    ],
)
def test_wrong_content_is_refused(tmp_path, change, words):
    write_cifar10(tmp_path, change=change)
    assert_one_clear_line("cifar10", tmp_path, "data_batch_3", *words)


def test_a_missing_file_beside_others_is_an_error_and_no_fallback(tmp_path):
    write_cifar10(tmp_path)
    (tmp_path / "test_batch").unlink()
    assert_one_clear_line("cifar10", tmp_path, "test_batch is missing beside data_batch_1")


def test_an_empty_or_absent_folder_says_what_to_put_there(tmp_path):
    assert_one_clear_line("cifar10", tmp_path, cifar10.ARCHIVE.url, cifar10.ARCHIVE.file, str(tmp_path))
    assert_one_clear_line("svhn", tmp_path / "none", "train_32x32.mat", "http")


@pytest.mark.parametrize(("name", "file"), [("cifar10", cifar10.ARCHIVE.file), ("svhn", "train_32x32.mat")])
def test_offline_and_absent_says_where_to_get_it_and_where_to_put_it(name, file):
    assert_one_clear_line(name, None, file, "could not be downloaded", "get it from http", "`data_dir`")


def test_archives_that_are_damaged_or_lack_files(tmp_path):
    path = tmp_path / cifar10.ARCHIVE.file
    source = write_cifar10(tmp_path / "source")
    archive_of(source, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert_one_clear_line("cifar10", path, "not a readable archive", cifar10.ARCHIVE.url)
    path.write_bytes(b"no archive at all")
    assert_one_clear_line("cifar10", path, "not a readable archive")
    (source / "test_batch").unlink()
    archive_of(source, path)
    assert_one_clear_line("cifar10", path, "test_batch is missing inside")


def test_archives_write_nothing_and_links_are_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(pickle.dumps(batch(20, 10, 0, "labels")))
    source = write_cifar10(tmp_path / "source")
    (source / "test_batch").unlink()
    path = tmp_path / "place" / cifar10.ARCHIVE.file
    path.parent.mkdir()
    archive_of(source, path, prefix="../../escape/")
    with tarfile.open(path) as old, tarfile.open(tmp_path / "new.tar.gz", "w:gz") as tar:
        for member in old:
            tar.addfile(member, old.extractfile(member))
        link = tarfile.TarInfo("test_batch")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
    (tmp_path / "new.tar.gz").replace(path)
    before = sorted(tmp_path.rglob("*"))
    assert_one_clear_line("cifar10", path, "test_batch is missing inside")
    assert sorted(tmp_path.rglob("*")) == before


def test_archives_with_oversized_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_LARGEST_MEMBER_MIB", 0)
    archive_of(write_cifar10(tmp_path / "source"), tmp_path / cifar10.ARCHIVE.file)
    assert_one_clear_line("cifar10", tmp_path / cifar10.ARCHIVE.file, "larger than such a file is")
    assert_one_clear_line("cifar10", tmp_path / "source", "more than the 0 MiB that are read")


def hostile_header(kind, claimed, body):
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, claimed
    return header.tobuf(tarfile.GNU_FORMAT) + body


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_an_archive_whose_headers_claim_much_takes_no_memory(tmp_path, kind):
    path = tmp_path / cifar10.ARCHIVE.file
    with gzip.open(path, "wb", 1) as file:
        file.write(hostile_header(kind, 2**30, bytes(32 * 2**20)))
    assert_little_memory(lambda: assert_one_clear_line("cifar10", path, "a header of 1073741824 bytes"))


def test_an_archive_with_holes_or_very_many_members_takes_no_memory(tmp_path, monkeypatch):
    path = tmp_path / cifar10.ARCHIVE.file
    with gzip.open(path, "wb", 1) as file:
        file.write(hostile_header(tarfile.GNUTYPE_SPARSE, 0, bytes(2**20)))
    assert_one_clear_line("cifar10", path, "a file with holes")
    holes = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x", "GNU.sparse.realsize": "1"}
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("x")
        member.pax_headers, member.size = holes, 2**20
        tar.addfile(member, io.BytesIO(b"1" * 2**20))
    assert_one_clear_line("cifar10", path, "a file with holes")
    with gzip.open(path, "wb", 1) as file:
        file.write(tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT) * 200)
    monkeypatch.setattr(files, "_MOST_MEMBERS", 100)
    assert_little_memory(lambda: assert_one_clear_line("cifar10", path, "larger than such an archive is"))


def assert_little_memory(work, most_mib=48):
    tracemalloc.start()
    try:
        work()
        assert tracemalloc.get_traced_memory()[1] < most_mib * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("opcodes", [b"]", b"}", b"(", b"]\x94", b"K\x01", b"]q\x01"])
def test_a_pickle_of_very_many_objects_is_refused_before_they_are_made(tmp_path, monkeypatch, opcodes):
    monkeypatch.setattr(unpickle._Unpickler, "_left", 50_000)
    path = write_cifar10(tmp_path) / "data_batch_1"
    path.write_bytes(b"(" + opcodes * (2**23 // len(opcodes)) + b"l.")
    assert_little_memory(lambda: assert_one_clear_line("cifar10", tmp_path, "data_batch_1", "2,000,000 objects"))


def test_only_a_regular_file_is_a_batch(tmp_path):
    path = write_cifar10(tmp_path) / "data_batch_1"
    path.unlink()
    path.symlink_to("/dev/zero")
    assert_one_clear_line("cifar10", tmp_path, "data_batch_1 is missing")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"labels": np.full((30, 1), 11)}, ["whole numbers from 1 to 10"]),
        ({"labels": np.zeros((30, 1))}, ["whole numbers from 1 to 10"]),
        ({"labels": np.ones((29, 1))}, ["'y' must hold 30 labels", "(29, 1)"]),
        ({"images": np.zeros((32, 32, 3, 30))}, ["'X' must be uint8", "float64"]),
        ({"images": np.zeros((32, 32, 3), np.uint8)}, ["'X' must be uint8", "(32, 32, 3)"]),
        ({"images": np.zeros((32, 3, 32, 30), np.uint8)}, ["'X' must be uint8", "(32, 3, 32, 30)"]),
    ],
)
def test_wrong_matlab_content_is_refused(tmp_path, content, words):
    assert_one_clear_line("svhn", write_svhn(tmp_path, **content), "train_32x32.mat", *words)


def test_damaged_matlab_files_are_refused(tmp_path):
    write_svhn(tmp_path)
    path = tmp_path / "train_32x32.mat"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in (0, 10, 127, 130, 200, 5000, len(whole) - 10):
        path.write_bytes(whole[:cut])
        assert_one_clear_line("svhn", tmp_path, "train_32x32.mat")
    for _ in range(60):
        bad = bytearray(whole)
        for place in rng.integers(124, 400, 4):
            bad[place] = rng.integers(0, 256)
        path.write_bytes(bytes(bad))
        message = message_of(lambda: datasets.load("svhn", tmp_path))
        assert message == "" or "train_32x32.mat" in message
        assert "\n" not in message


def element(kind, body, size=None):
    size = len(body) if size is None else size
    return struct.pack("<II", kind, size) + body + bytes(-len(body) % 8)


def variable(name, *, kind=9, shape=(1, 1), stored=b"\x02\0\0\0\1\0\0\0x" + bytes(7)):
    head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    return element(14, head + element(1, name) + stored)


def nested(depth):
    cell = variable(b"X")
    for _ in range(depth):
        cell = variable(b"X", kind=1, stored=cell)
    return cell


MATLAB = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"


@pytest.mark.parametrize(
    argnames=("body", "words"),
    ids=range(13),
    argvalues=[
        (variable(b"X", kind=1, shape=(2**14, 2**14), stored=b""), "no array"),
        (variable(b"X", shape=(2**15, 2**15)), "do not fill the shape"),
        (variable(b"X", shape=(2**31 - 1,) * 20), "do not fill the shape"),
        (variable(b"X", shape=(-1, -1)), "do not fill the shape"),
        (nested(300), "no array of real numbers"),
        (variable(b"X", kind=5), "no array of real numbers"),
        (variable(b"X", stored=element(99, b"x")), "no array of real numbers"),
        (element(15, zlib.compress(variable(b"X", stored=element(2, bytes(2**20), size=2**32 - 1)))), "fill the shape"),
        (
            element(15, zlib.compress(b"\x0e\0\0\0\xff\xff\xff\xff" + variable(b"X")[8:] + bytes(2**26))),
            "that are read",
        ),
        (element(15, b"no zlib at all"), "not a readable MATLAB file"),
        (variable(b"Z") * 1001, "more than 1000 variables"),
        (b"", "'X' must be uint8"),
        (variable(b"X")[:50], "not a readable MATLAB file|'X' must be"),
    ],
)
def test_hostile_matlab_files_take_neither_memory_nor_time(tmp_path, body, words):
    write_svhn(tmp_path)
    (tmp_path / "train_32x32.mat").write_bytes(MATLAB + body)
    assert_little_memory(lambda: assert_one_clear_line("svhn", tmp_path, "train_32x32.mat"))
    assert re.search(words, message_of(lambda: datasets.load("svhn", tmp_path)))


def test_a_matlab_file_of_version_7_3_says_what_to_do(tmp_path):
    write_svhn(tmp_path)
    (tmp_path / "train_32x32.mat").write_bytes(MATLAB[:124] + b"\x00\x02IM" + bytes(512))
    assert_one_clear_line("svhn", tmp_path, "save it in that of version 7")


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_arrays_of_matlab_are_what_scipy_has_written(tmp_path, rng, compressed, dtype):
    wanted = {"X": rng.integers(0, 100, (3, 4, 2)).astype(dtype), "y": np.array([[1.0, 2.5]])}
    savemat(tmp_path / "a.mat", {"cells": np.array([{}, "x"], object), **wanted}, do_compression=compressed)
    found = matlab.arrays((tmp_path / "a.mat").read_bytes(), ("X", "y"), 10**6)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_half_of_svhn_in_the_layout_of_2019_is_an_error(tmp_path):
    write_svhn(tmp_path / "beside" / "svhn")
    (tmp_path / "beside" / "svhn" / "test_32x32.mat").unlink()
    assert_one_clear_line("svhn", None, "test_32x32.mat is missing beside train_32x32.mat")


def test_digits_need_no_folder(tmp_path):
    assert_one_clear_line("digits", tmp_path, "leave it out")


def test_unknown_name_is_refused():
    assert_one_clear_line("mnist", None, "no data set 'mnist'", "no file of that name")


def test_downloads_are_checked_by_the_published_checksums():
    assert len(cifar10.ARCHIVE.digest) == len(cifar100.ARCHIVE.digest) == 64
    assert all(len(digest) == 32 for digest in svhn.FILES.values())
