import os
import struct
import warnings

import numpy as np
import pytest

from sesemi.datasets import lazy_images


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (9, 4, 5, 3)).astype(np.uint8)


def test_joined_images_are_indexed_like_one_array(images, tmp_path):
    np.save(tmp_path / "x.npy", images[3:7])
    joined = lazy_images.Joined(images[:3], lazy_images.NumpyFile(tmp_path / "x.npy"), images[7:])
    assert (len(joined), joined.shape, joined.dtype, joined.nbytes) == (9, images.shape, np.uint8, images.nbytes)
    for index in (np.array([8, 0, 3, 3, 6, 2, 7]), np.array([4]), np.array([], int), slice(1, 8, 2), slice(None)):
        np.testing.assert_array_equal(joined[index], images[index])


def header(shape, dtype="|u1"):
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (header((2**60, 8, 8, 3)), "claims .* bytes, there are 5"),
        (header((2**31, 2**31, 2**31)), "claims .* bytes, there are 5"),
        (header((-1, 8, 8)), "claims .* bytes"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1), "EOF"),
        (b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16, "EOF|parse|never closed"),
        (b"\x93NUMPY\x01\x00\x08\x001if 2els", "parse"),
        (b"no array", "magic"),
    ],
    ids=range(7),
)
def test_an_array_that_claims_more_than_there_is_is_refused_without_warnings(tmp_path, data, words):
    (tmp_path / "x.npy").write_bytes(data + b"12345")
    with warnings.catch_warnings(action="error"), pytest.raises(Exception, match=words):
        lazy_images.NumpyFile(tmp_path / "x.npy")


def test_a_pipe_is_no_array(tmp_path):
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(OSError, match="a pipe, no file"):
        lazy_images.NumpyFile(tmp_path / "x.npy")


def test_some_of_an_array_are_moved_to_its_front(images, monkeypatch):
    monkeypatch.setattr(lazy_images, "_CHUNK", 2)
    whole, kept = images.copy(), np.array([0, 2, 3, 7, 8])
    found = lazy_images.compact(images, kept)
    np.testing.assert_array_equal(found, whole[kept])
    assert np.shares_memory(found, images)
    np.testing.assert_array_equal(lazy_images.only(whole, kept), whole[kept])
